"""`lenext bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenext.cli.arguments import JsonOption, ThreadsOption, WeightsOption, new_file
from lenext.cli.output import (
    TerminalProgress,
    cell,
    interrupts_held,
    mebibytes,
    plain_table,
    print_json,
    print_table,
    refuse_hostile,
    say,
)

if TYPE_CHECKING:
    from lenext.deployment.benching.result import Bench
    from lenext.engines.engine import EngineName


def bench(
    target: Annotated[str, typer.Argument(help="A run folder, a model or exported file, or a name with --weights.")],
    engines: Annotated[
        str, typer.Option(help="all, or names with commas between: pytorch,compiled,onnxruntime,openvino,ncnn.")
    ] = "all",
    batch: Annotated[str, typer.Option(help="How many images are asked about at once, with commas between.")] = "1,8",
    rounds: Annotated[int, typer.Option(help="How often each engine has its turn.")] = 5,
    calls: Annotated[int | None, typer.Option(help="Calls a turn; 3 to 30, by their length, if not given.")] = None,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the times into a PNG or SVG.")] = None,
    weights: WeightsOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how fast each engine answers here, and remember it for predict's --engine auto.

    Example: [bold]lenext bench runs/photos --chart engines.png[/bold]
    """
    names, batches, chart = _engines(engines), _batches(batch), new_file(chart)
    with interrupts_held():
        from lenext.engines.exported import is_exported

        if weights or not is_exported(target):
            refuse_hostile(weights or target)
        from lenext.deployment.benching.bench import bench as measure
        from lenext.deployment.benching.chart import chart_kind, write_chart
    if chart is not None:
        chart_kind(chart)
    found = measure(
        target, weights=weights, engines=names, batches=batches, threads=threads, rounds=rounds, calls=calls,
        progress=TerminalProgress(),
    )  # fmt: skip
    if chart is not None:
        write_chart(found, chart)
    if json:
        print_json(found.to_json())
    else:
        _print(found, chart)


def _engines(text: str) -> list[EngineName] | None:
    from lenext.engines.engine import ENGINES

    if text == "all":
        return None
    asked = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := next((name for name in asked if name not in ENGINES), None if asked else text):
        raise typer.BadParameter(f"there is no engine {unknown!r}; give all, or some of {', '.join(ENGINES)}")
    return [engine for engine in ENGINES if engine in asked]


def _batches(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--batch {text!r}: give numbers with commas between them, such as 1,8") from None


def _print(found: Bench, chart: Path | None) -> None:
    numbers = ("batch", "p50", "p95", "images/s", "load", "peak memory", "largest gap")
    table = plain_table("engine", *numbers, "", right=numbers)
    for row in found.rows:
        note = "fastest" if row.engine == found.fastest and row.batch == found.rows[0].batch else ""
        table.add_row(
            row.engine, f"{row.batch}", f"{row.p50_ms:,.2f} ms", f"{row.p95_ms:,.2f} ms",
            f"{row.images_per_second:,.0f}", f"{row.load_seconds:.2f} s", mebibytes(row.peak_bytes),
            f"{row.largest_gap:.1e}", cell(note if row.agrees else "does not agree, and is never chosen"),
        )  # fmt: skip
    print_table(table)
    threads = found.rows[0].threads if found.rows else 0
    print(f"{found.model}, {threads} threads, {found.machine}; gaps of logits to those of {found.compared_with}")
    if chart is not None:
        say(f"chart {chart}")
    if found.remembered is None:
        say("note: nothing can be kept beside this model, so that --engine auto will not know of it")
    else:
        say(f"remembered in {found.remembered} for --engine auto")
