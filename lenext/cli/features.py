"""`lenext features`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lenext.cli.arguments import (
    DataArgument,
    DeviceOption,
    ExcludeOption,
    JsonOption,
    ThreadsOption,
    WeightsOption,
    new_file,
)
from lenext.cli.output import (
    TerminalProgress,
    elapsed,
    interrupts_held,
    print_json,
    printable,
    refuse_hostile,
    say,
    say_skipped,
)

if TYPE_CHECKING:
    from lenext.transfer.features import Features


def features(
    target: Annotated[str, typer.Argument(help="A run folder, a model file, or a model's name with --weights.")],
    data: DataArgument,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where they go: a .parquet or .npz file.")] = None,
    stage: Annotated[
        int | None, typer.Option(help="The stage, from 0; what enters the last layer, if not given.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="One split; all of them, if not given.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw them, coloured by class: a .png, .svg or .pdf file.")
    ] = None,
    projection: Annotated[Literal["tsne", "pca"], typer.Option(help="How the picture lays them out.")] = "tsne",
    exclude: ExcludeOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Write what a network makes of each image before its last layer, with labels and names.

    Example: [bold]lenext features runs/pets photos/ --out features.parquet --picture map.png[/bold]
    """
    if out is None and picture is None:
        raise typer.BadParameter("give --out FILE for the embeddings, --picture FILE for a drawing of them, or both")
    out, picture = new_file(out), new_file(picture)
    refuse_hostile(weights or target)
    with interrupts_held():
        from lenext.classifier import load
        from lenext.device import set_threads
        from lenext.files import require_suffix
        from lenext.transfer.features import PICTURES, TABLES
        from lenext.transfer.features import features as run

    for path, suffixes, what in ((out, TABLES, "embeddings"), (picture, PICTURES, "a picture")):
        if path is not None:
            require_suffix(path, suffixes, what)
    set_threads(threads)
    classifier = load(target, weights=weights, device=device)
    if classifier.presumed:
        say(f"note: {classifier.presumed}")
    found = run(classifier, data, stage=stage, split=split, exclude=exclude, progress=TerminalProgress())
    if out is not None:
        found.write(out)
    if picture is not None:
        found.draw(picture, projection)
    if json:
        print_json(_as_json(found, out, picture))
    else:
        _print(found, out, picture)


def _as_json(found: Features, out: Path | None, picture: Path | None) -> dict[str, Any]:
    images, width = found.values.shape
    return {
        "model": found.model,
        "stage": found.stage,
        "images": images,
        "dimensions": width,
        "classes": len(found.class_names),
        "out": str(out) if out else None,
        "picture": str(picture) if picture else None,
        "skipped": len(found.skipped),
        "skipped_files": [{"path": path, "reason": reason} for path, reason in found.skipped],
        "seconds": elapsed(),
    }


def _print(found: Features, *files: Path | None) -> None:
    images, width = found.values.shape
    where = "what enters its last layer" if found.stage is None else f"its stage {found.stage}"
    print(f"{found.model}, {where}: {images:,} images, {width:,} numbers each, {elapsed():.1f} s")
    for file in filter(None, files):
        print(f"written {printable(str(file))}")
    say_skipped(found.skipped)
