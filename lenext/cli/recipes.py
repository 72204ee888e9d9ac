"""`lenext recipes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenext.cli.arguments import JsonOption
from lenext.cli.output import plain_table, print_json, print_table

if TYPE_CHECKING:
    from lenext.training.recipes import About, Recipe, Situation

IMAGES = 50_000  # that a recipe is shown for


def recipes(
    name: Annotated[str | None, typer.Argument(help="A recipe to show; all are listed, if not given.")] = None,
    images: Annotated[int, typer.Option(min=1, help="For so many training images.")] = IMAGES,
    json: JsonOption = False,
) -> None:
    """List the recipes, or show one: its paper, its command, what was reached with it, and every value.

    Example: [bold]lenext recipes resnet_cifar[/bold]
    """
    from lenext.errors import UserError
    from lenext.training.recipes import TINY_FORM, about, make_recipe, recipe_names

    if name is not None:
        if name.removesuffix(":tiny") == "paper":
            raise UserError("--recipe paper is that of the model's paper; give its name, as resnet, to see it")
        known = about(name)
        made = make_recipe(name, _situation(known, images), {})
        if json:
            print_json(_as_json(name, known, made))
        else:
            _show(known, made)
        return
    names = recipe_names()
    if json:
        shown = ((each, about(each)) for each in names)
        print_json([_as_json(each, known, make_recipe(each, _situation(known, images), {})) for each, known in shown])
        return
    table = plain_table(
        "recipe", "what it is", "for", "epochs", "a step", "best known top-1", right=("epochs", "a step")
    )
    for each in names:
        known = about(each)
        made = make_recipe(each, _situation(known, images), {})
        models = "any network" if known.general else f"{known.models[0]}{' ...' if len(known.models) > 1 else ''}"
        best = max((one for one in known.reached if one.note != TINY_FORM), key=lambda one: one.top1, default=None)
        reached = f"{best.top1:g} % {best.model}, {best.data}, {best.source}" if best else ""
        table.add_row(each, known.title, models, str(made.epochs), f"{made.batch_size:,}", reached)
    print_table(table)
    print("lenext recipes NAME shows one; NAME:tiny is its small form; --recipe paper is that of the model's paper")


def _situation(known: About, images: int) -> Situation:
    """Return that of the model in the recipe's command, at its native size."""
    import shlex

    from lenext.building import as_size
    from lenext.models import lookup
    from lenext.training.recipes import Situation

    words = shlex.split(known.command)
    entry = lookup(words[words.index("--model") + 1])
    facts = entry.facts
    return Situation(
        train_images=images, model=entry.name, size=as_size(facts.size), grey=facts.channels == 1,
        lr_scale=facts.lr_scale,
    )  # fmt: skip


def _as_json(name: str, known: About, made: Recipe) -> dict[str, Any]:
    from dataclasses import asdict

    facts = asdict(known)
    return {
        "name": name,
        "paper": known.paper_url if known.paper else None,
        **{key: facts[key] for key in ("title", "models", "command", "reached", "tiny_command", "general")},
        "values": asdict(made),
    }


def _show(known: About, made: Recipe) -> None:
    from dataclasses import fields

    from lenext.training.augmentation_sheet import in_words
    from lenext.training.recipes import description

    print(f"{made.name}: {known.title}" + (f", {known.paper_url}" if known.paper else ""))
    print(f"\n{description(made.name)}\n")
    print(f"command  {known.command}")
    print(f"tiny     {known.tiny_command}")
    print(f"models   {'any' if known.general else ', '.join(known.models)}")
    for one in known.reached:
        note = f", {one.note}" if one.note else ""
        print(f"reached  {one.top1:g} % top-1, {one.model} on {one.data}, {one.source}{note}")
    if made.why:
        print(f"why      {made.why}")
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
