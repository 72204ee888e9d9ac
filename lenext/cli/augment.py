"""`lenext augment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenext.cli.arguments import DataArgument, JsonOption, SizeOption, new_file, parse_pairs, parse_size
from lenext.cli.output import interrupts_held, print_json, printable


def augment(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="The picture to write, such as sheet.png.")],
    recipe: Annotated[str, typer.Option(help="A recipe; `lenext recipes` lists them.")] = "default",
    model: Annotated[str | None, typer.Option(help="The architecture that would see the images.")] = None,
    size: SizeOption = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=50, help="Rows.")] = 6,
    views: Annotated[int, typer.Option(min=1, max=50, help="Columns beside the image as it is.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other views.")] = 0,
    json: JsonOption = False,
) -> None:
    """Draw a sheet of what a recipe does to images before the network sees them.

    Example: [bold]lenext augment photos/ --recipe convnext --out sheet.png[/bold]
    """
    path, sides, values = new_file(out), parse_size(size), parse_pairs("--set", overrides)
    assert path is not None
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise typer.BadParameter(f"{path} is no picture: give a name that ends in .png, .jpg or .webp")
    with interrupts_held():
        from lenext.files import write_atomically
        from lenext.training.augmentation_sheet import augmentation_sheet

    sheet = augmentation_sheet(
        data, recipe, model=model, size=sides, overrides=values, images=images, views=views, seed=seed
    )
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
    write_atomically(path, lambda beside: sheet.save(beside, kind))
    if json:
        print_json({"out": str(path), "recipe": recipe, "width": sheet.width, "height": sheet.height})
    else:
        print(f"{printable(str(path))}: {sheet.width}x{sheet.height} pixels")
