"""`lenext probe`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenext.cli.arguments import DataArgument, DeviceOption, ExcludeOption, JsonOption, ThreadsOption, new_file
from lenext.cli.output import (
    TerminalProgress,
    cell,
    elapsed,
    interrupts_held,
    plain_table,
    print_json,
    print_table,
    printable,
    refuse_hostile,
    say,
    say_skipped,
)

if TYPE_CHECKING:
    from rich.text import Text

    from lenext.transfer.probing import Probed, ProbeResult

HEAD_TITLES = {"logistic": "logistic regression", "knn": "nearest neighbours", "mean": "nearest class mean"}
RIGHT = ("top-1 (%)", "95 % interval", *HEAD_TITLES.values(), "width", "embedding (s)", "heads (s)")


def probe(
    data: DataArgument,
    models: Annotated[
        str,
        typer.Option(
            metavar="A,B,C", help="Backbones: MODEL, MODEL:TAG of `lenext weights`, MODEL=FILE, or a run folder."
        ),
    ],
    weights: Annotated[str | None, typer.Option(help="The weights of a single backbone.")] = None,
    heads: Annotated[str, typer.Option(help="Which heads to fit.")] = "logistic,knn,mean",
    views: Annotated[str, typer.Option(help="How each image is looked at: center, mirror, ten-crop.")] = "center",
    folds: Annotated[int, typer.Option(help="Parts; each is judged by heads that were fitted to the others.")] = 5,
    split: Annotated[str | None, typer.Option(help="One split; train and val, or all, if not given.")] = None,
    images: Annotated[int | None, typer.Option(min=10, help="How many to draw of more; all, if not given.")] = None,
    exclude: ExcludeOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the best backbone with its head: a .safetensors file.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds, and of images that are drawn.")] = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Rank backbones by how well quick heads on their frozen features tell your classes apart.

    Example: [bold]lenext probe photos/ --models resnet18,mobilenet_v2 --out pets.safetensors[/bold]
    """
    out = new_file(out)
    if out is not None and out.suffix.lower() != ".safetensors":
        raise typer.BadParameter(f"{out} cannot hold weights; give a name that ends in .safetensors")
    refuse_hostile(weights)
    with interrupts_held():
        from lenext.device import set_threads
        from lenext.transfer.probing import probe as run

    set_threads(threads)
    found = run(
        data, _words(models), weights=weights, heads=_words(heads), views=views, folds=folds,  # type: ignore[arg-type]
        split=split, images=images, exclude=exclude, out=out, device=device, seed=seed, progress=TerminalProgress(),
    )  # fmt: skip
    found = replace(found, seconds=elapsed())
    if json:
        print_json(found.to_json())
    else:
        _print(found)
    if out is not None:
        say(f"written: {out}; next: lenext predict {out} IMAGE")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _print(found: ProbeResult) -> None:
    left_out = f", {found.duplicates:,} copies left out" if found.duplicates else ""
    print(
        f"{found.images:,} images ({' and '.join(found.splits)}) of {len(found.class_names)} classes{left_out}; "
        f"{found.folds} folds, views {found.views}, {found.seconds:.1f} s\n"
    )
    heads = [each.head for each in found.models[0].heads]
    titles = [title for name, title in HEAD_TITLES.items() if name in heads]
    table = plain_table("backbone", *RIGHT[:2], *titles, *RIGHT[-3:], right=RIGHT)
    for each in found.models:
        table.add_row(*_row(each, heads))
    print_table(table)
    for each in found.models[1:]:
        print(f"{printable(each.called)} against {printable(found.models[0].called)}: {each.versus_best}")
    say_skipped([(file["path"], file["reason"]) for file in found.skipped_files])


def _row(each: Probed, heads: Sequence[str]) -> list[str | Text]:
    by_head: dict[str, str] = {head.head: f"{head.top1:.1f}" for head in each.heads}
    embedding = "kept" if each.kept else f"{each.embed_seconds:.1f}"
    return [
        cell(each.called), f"{each.best.top1:.2f}", "{:.2f} to {:.2f}".format(*each.best.top1_interval),
        *(by_head[name] for name in HEAD_TITLES if name in heads),
        f"{each.dimensions:,}", embedding, f"{sum(head.seconds for head in each.heads):.1f}",
    ]  # fmt: skip
