"""`lenext explain`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lenext.cli.arguments import DeviceOption, JsonOption, ThreadsOption, WeightsOption, new_file, new_folder
from lenext.cli.output import (
    TerminalProgress,
    cell,
    interrupts_held,
    plain_table,
    print_json,
    print_table,
    printable,
    refuse_hostile,
    say,
)

if TYPE_CHECKING:
    from lenext.classifier import Classifier
    from lenext.explanation.explain import Explanations
    from lenext.explanation.result import Explanation

MethodOption = Annotated[
    Literal["gradcam", "occlusion", "integrated-gradients", "dense"] | None,
    typer.Option(help="How a map is made; gradcam if not given. The next two need the extra explain."),
]
StageOption = Annotated[
    int | None, typer.Option(min=0, help="Of gradcam and --activations: a stage, counted from 0; the last, or all.")
]


def explain(
    target: Annotated[str, typer.Argument(help="A run folder, a model file, or a model's name with --weights.")],
    images: Annotated[list[str] | None, typer.Argument(help="Image files, and folders of them.")] = None,
    method: MethodOption = None,
    label: Annotated[
        str | None, typer.Option("--class", help="A class's name or WordNet id; each image's own answer if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for maps and page; of --filters and --activations, a picture.")
    ] = None,
    stage: StageOption = None,
    check: Annotated[bool, typer.Option("--check", help="Say how far each map is to be believed.")] = False,
    filters: Annotated[bool, typer.Option("--filters", help="Show the kernels of the first convolution.")] = False,
    activations: Annotated[bool, typer.Option("--activations", help="Show what the stages make of an image.")] = False,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Show which places of images speak for an answer, or what a network sees.

    Example: [bold]lenext explain runs/pets cat.jpg --out maps[/bold]
    """
    sheet = filters or activations
    _require_sense(images or [], out, filters, activations, json)
    if sheet and (method or label or check):
        raise typer.BadParameter("--filters and --activations show what is there: leave out --method, --class, --check")
    if filters and stage is not None:
        raise typer.BadParameter(f"--filters are those of the first layer: leave out --stage {stage}")
    out = new_file(out) if sheet else new_folder(out)
    refuse_hostile(weights or target)
    with interrupts_held():
        from lenext.classifier import load
        from lenext.device import set_threads
        from lenext.explanation.explain import explain as run

    set_threads(threads)
    classifier = load(target, weights=weights, device=device)
    if classifier.presumed:
        say(f"note: {classifier.presumed}")
    if sheet:
        assert out is not None
        _tell_sheet(classifier, None if filters else (images or [""])[0], stage, out, json)
        return
    found = run(
        classifier, images or [],
        method=method or "gradcam", label=label, stage=stage, check=check, progress=TerminalProgress(),
    )  # fmt: skip
    pictures = found.write(out, shlex.join(["lenext", *sys.argv[1:]])) if out else []
    if json:
        print_json(found.fields(pictures))
    else:
        _print(found)
    if out and not json:
        say(f"page {out / 'index.html'}")


def _require_sense(images: list[str], out: Path | None, filters: bool, activations: bool, json: bool) -> None:
    """Raise BadParameter where what is given does not go together."""
    if filters and activations:
        raise typer.BadParameter("--filters and --activations are two sheets: give one of them")
    if filters and images:
        raise typer.BadParameter(f"--filters are those of the network, whatever the image: leave out {images[0]}")
    if activations and len(images) != 1:
        raise typer.BadParameter(f"--activations are those of one image; here are {len(images)}")
    if not filters and not images:
        raise typer.BadParameter("give an image, or several, or a folder of them")
    if (filters or activations) and (out is None or out.suffix.lower() not in KINDS):
        given = "" if out is None else f", not {out}"
        raise typer.BadParameter(f"give --out sheet.png for the picture{given}")
    if out is None and not json:
        raise typer.BadParameter("give --out maps for the pictures and the page, --json for the figures, or both")


KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def _tell_sheet(classifier: Classifier, image: str | None, stage: int | None, out: Path, json: bool) -> None:
    from lenext.explanation.sheets import activations_sheet, filters_sheet
    from lenext.files import write_atomically

    sheet = filters_sheet(classifier) if image is None else activations_sheet(classifier, image, stage)
    write_atomically(out, lambda beside: sheet.picture.save(beside, KINDS[out.suffix.lower()]))
    size = {"width": sheet.picture.width, "height": sheet.picture.height}
    if json:
        print_json(
            {"model": classifier.name, "out": str(out), **size, "shown": sheet.shown, "left_out": sheet.left_out}
        )
    else:
        left = f", {sheet.left_out:,} left out" if sheet.left_out else ""
        print(f"{printable(str(out))}: {size['width']}x{size['height']} pixels, {sheet.shown:,} tiles{left}")


def _print(found: Explanations) -> None:
    checked = any(entry.check for entry in found.readable)
    right = ("probability", "x", "y", "random weights", "deletion", "at random")
    columns = ("image", "class", "probability", "x", "y", *(right[3:] if checked else ()))
    table = plain_table(*columns, right=right)
    for entry in found.readable:
        table.add_row(*_row(entry))
    print_table(table)


def _row(entry: Explanation) -> list[Any]:
    peak = entry.heat.peak
    places = [f"{side:.0f}" for side in peak] if peak else ["", ""]
    row = [cell(entry.image), cell(entry.label), f"{100 * entry.probability:.1f} %", *places]
    if entry.check is not None:
        deletion = entry.check.deletion
        row += [f"{entry.check.randomised.correlation:.2f}", f"{deletion.area:.3f}", f"{deletion.random_area:.3f}"]
    return row
