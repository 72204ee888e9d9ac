"""`lenext recipes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenext.cli.arguments import JsonOption
from lenext.cli.output import plain_table, print_json, print_table

if TYPE_CHECKING:
    from lenext.training.recipes import About, Recipe

IMAGES = 50_000  # that a recipe is shown for


def recipes(
    name: Annotated[str | None, typer.Argument(help="A recipe to show; all are listed, if not given.")] = None,
    images: Annotated[int, typer.Option(min=1, help="For so many training images.")] = IMAGES,
    json: JsonOption = False,
) -> None:
    """List the recipes, or show one: its paper, its command, what was reached with it, and every value.

    Example: [bold]lenext recipes resnet_cifar[/bold]
    """
    from lenext.training.recipes import Situation, about, make_recipe, recipe_names

    if name is not None:
        known = about(name)
        made = make_recipe(name, Situation(train_images=images, model=next(iter(known.models), "")), {})
        if json:
            print_json(_as_json(name, known, made))
        else:
            _show(known, made)
        return
    names = recipe_names()
    if json:
        print_json([_as_json(each, about(each), make_recipe(each, _for(images), {})) for each in names])
        return
    table = plain_table(
        "recipe", "what it is", "for", "epochs", "a step", "best known top-1", right=("epochs", "a step")
    )
    for each in names:
        known, made = about(each), make_recipe(each, _for(images), {})
        models = "any network" if known.general else f"{known.models[0]}{' ...' if len(known.models) > 1 else ''}"
        best = max(known.reached, key=lambda one: one.top1, default=None)
        reached = f"{best.top1:g} % {best.model}, {best.data}, {best.source}" if best else ""
        table.add_row(each, known.title, models, str(made.epochs), f"{made.batch_size:,}", reached)
    print_table(table)
    print("lenext recipes NAME shows one; NAME:tiny is its small form; --recipe paper is that of the model's paper")


def _for(images: int) -> Any:
    from lenext.training.recipes import Situation

    return Situation(train_images=images)


def _as_json(name: str, known: About, made: Recipe) -> dict[str, Any]:
    from dataclasses import asdict

    facts = asdict(known)
    return {
        "name": name,
        "paper": _address(known.paper),
        **{key: facts[key] for key in ("title", "models", "command", "reached", "tiny_command", "general")},
        "values": asdict(made),
    }


def _address(paper: str) -> str | None:
    if not paper:
        return None
    return f"https://doi.org/{paper}" if paper.startswith("10.") else f"https://arxiv.org/abs/{paper}"


def _show(known: About, made: Recipe) -> None:
    from dataclasses import fields

    from lenext.training.augmentation_sheet import in_words
    from lenext.training.recipes import description

    print(f"{made.name}: {known.title}" + (f", {_address(known.paper)}" if known.paper else ""))
    print(f"\n{description(made.name)}\n")
    print(f"command  {known.command}")
    print(f"tiny     {known.tiny_command}")
    print(f"models   {'any' if known.general else ', '.join(known.models)}")
    for one in known.reached:
        note = f", {one.note}" if one.note else ""
        print(f"reached  {one.top1:g} % top-1, {one.model} on {one.data}, {one.source}{note}")
    print(f"images   {in_words(made.augmentation)}\n")
    table = plain_table("value", "is")
    for field in fields(made):
        if field.name not in ("name", "why", "augmentation"):
            table.add_row(field.name, _plain(getattr(made, field.name)))
    print_table(table)
    print("\n--set KEY=VALUE replaces a value, also those of the images")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{each:.4g}" for each in value) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
