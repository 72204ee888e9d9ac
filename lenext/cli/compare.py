"""`lenext compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lenext.cli.arguments import BatchOption, JsonOption, SizeOption, new_file, parse_size
from lenext.cli.output import interrupts_held, mebibytes, plain_table, print_json, print_table, say, short

if TYPE_CHECKING:
    from lenext.cost.comparison import Comparison
    from lenext.registry import Published


def compare(
    names: Annotated[list[str], typer.Argument(help="Architectures; `lenext models` lists them.")],
    size: SizeOption = None,
    batch: BatchOption = 1,
    classes: Annotated[int | None, typer.Option(help="Classes of the last layer; the papers' if not given.")] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Draw error against multiply-adds, a panel a dataset: a new .png or .svg.")
    ] = None,
    error: Annotated[
        Literal["top1", "top5"] | None, typer.Option(help="The error to draw; the one that most of them have.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show models side by side: parameters, multiply-adds, memory, published error and its protocol.

    Example: [bold]lenext compare alexnet vgg16 googlenet --chart models.png[/bold]
    """
    sides, target = parse_size(size), new_file(chart)
    with interrupts_held():
        from lenext.cost.comparison import compare as run

    rows = run(names, size=sides, batch=batch, classes=classes)
    if target:
        from lenext.cost.chart import write_chart

        missing = write_chart(rows, target, error)
        say(f"wrote {target}")
        if missing:
            say(f"not in the chart, for want of an error that compares: {', '.join(missing)}")
    if json:
        print_json([row.fields() for row in rows])
    else:
        _print(rows, batch)


def _print(rows: list[Comparison], batch: int) -> None:
    images = "1 image" if batch == 1 else f"{batch:,} images"
    print(f"training: memory with Adam for {images}; errors are on ImageNet where no other data is named\n")
    table = plain_table(
        "model", "year", "input", "parameters", "MACs", "activations", "training", "top-1", "top-5", "protocol",
        right=("input", "parameters", "MACs", "activations", "training", "top-1", "top-5"),
    )  # fmt: skip
    for row in rows:
        total, found = row.total, row.error
        table.add_row(
            row.name,
            str(row.year),
            "x".join(map(str, row.size)),
            f"{total.params:,}",
            short(total.macs),
            f"{total.activations:,}",
            mebibytes(total.training_bytes["adam"]),
            f"{found.top1:.2f} %" if found and found.top1 is not None else "",
            f"{found.top5:.2f} %" if found and found.top5 is not None else "",
            _protocol(found) if found else "",
        )
    print_table(table)


def _protocol(error: Published) -> str:
    data = "" if error.dataset == "ImageNet" else f"{error.dataset}, "
    return data + error.protocol + (f" ({error.source})" if error.source else "")
