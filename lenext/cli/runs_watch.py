"""`lenext runs watch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenext.cli.output import plain_table, print_json, printable

if TYPE_CHECKING:
    from rich.console import Group

    from lenext.runs.run import Run
    from lenext.runs.watching import Sight

LAST = 10  # epochs that are shown
BAR = 60  # characters


def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    json: Annotated[bool, typer.Option("--json", help="Print how it stands now as one JSON value.")] = False,
) -> None:
    """Follow a run until it ends: step, loss, learning rate, images a second, time left, the last epochs.

    Example: [bold]lenext runs watch runs/lenet5-digits[/bold]
    """
    from dataclasses import asdict

    from lenext.runs.watching import follow, look

    if json:
        sight = look(run)
        print_json({**asdict(sight.run), "last_epochs": [_plain(row) for row in sight.rows[-LAST:]]})
        return
    sight = look(run)
    if sight.run.under_way:
        sight = _on_terminal(follow(run)) if sys.stdout.isatty() else _in_lines(follow(run))
    for line in _ending(sight.run):
        print(printable(line))


def _on_terminal(sights: Any) -> Sight:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False, transient=True) as live:
        for sight in sights:
            if sight.run.under_way:
                live.update(_picture(sight), refresh=True)
    last: Sight = sight
    return last


def _in_lines(sights: Any) -> Sight:
    """Print how the run stands, and from then on a line an epoch."""
    told: int | None = None
    for sight in sights:
        if told is None:
            print(printable(_standing(sight.run)), flush=True)
            told = len(sight.rows)
        for row in sight.rows[told:]:
            print(_line(row), flush=True)
        told = max(told, len(sight.rows))
    last: Sight = sight
    return last


def _picture(sight: Sight) -> Group:
    """Return what the terminal shows: how the run stands, a bar, and the last epochs."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    run = sight.run
    parts: list[Any] = [Text(printable(f"{run.run}  {run.model or ''} on {run.data or '...'}"), style="bold")]
    parts.append(Text(printable(_standing(run))))
    if run.step and run.steps:
        line = Table.grid()
        line.add_row(ProgressBar(total=run.steps, completed=run.step, width=BAR))
        parts.append(line)
    if run.step:
        parts.append(Text(_speed(run)))
    if sight.rows:
        table = plain_table(
            "epoch", "training loss", "loss", "top-1", "lr", right=("epoch", "training loss", "loss", "top-1", "lr")
        )
        for row in sight.rows[-LAST:]:
            known = _plain(row)
            table.add_row(
                str(known["epoch"]),
                _figure(known["train_loss"], ".4f"),
                _figure(known["loss"], ".4f"),
                _figure(known["top1"], ".2f", " %"),
                _figure(known["lr"], ".3g"),
            )
        parts += [Text(""), table]
    return Group(*parts)


def _standing(run: Run) -> str:
    """Return in a line how far a run is."""
    from lenext.progress import duration

    if run.state != "running":
        return f"{run.state} images" if run.under_way else run.state
    parts = [
        f"running: epoch {run.epoch or run.epochs + 1}" + (f" of {run.epochs_planned}" if run.epochs_planned else "")
    ]
    if run.step:
        parts.append(f"step {run.step:,}" + (f" of {run.steps:,}" if run.steps else ""))
    if run.seconds_left is not None:
        parts.append(f"{duration(run.seconds_left)} left")
    return ", ".join(parts)


def _speed(run: Run) -> str:
    parts = [
        f"loss {_figure(run.step_loss, '.4f')}",
        f"lr {_figure(run.lr, '.3g')}",
        f"{_figure(run.images_per_second, ',.0f')} images/s",
    ]
    return "   ".join(parts)


def _line(row: dict[str, Any]) -> str:
    known = _plain(row)
    figures = (f"loss {_figure(known['train_loss'], '.4f')}", f"top-1 {_figure(known['top1'], '.2f', ' %')}")
    return f"epoch {known['epoch']:>3}  {'  '.join(figures)}"


def _ending(run: Run) -> list[str]:
    """Return how a run ended, its figures, and what can be done."""
    done = f"epochs: {run.epochs}" + (f" of {run.epochs_planned}" if run.epochs_planned else "")
    lines = [f"{run.state}: {run.run}, {done}"]
    if run.top1 is not None:
        images = f" on {run.images:,} images" if run.images else ""
        seconds = f"; {run.train_seconds:,.1f} s" if run.train_seconds is not None else ""
        lines.append(f"{run.model}: top-1 {run.top1:.2f} %{images}, loss {_figure(run.loss, '.4f')}{seconds}")
    if run.state in ("interrupted", "failed") and run.model:
        lines.append(f"to go on: lenext train --resume {run.run}")
    return lines


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an epoch; what is no number is None."""
    from lenext.runs.run import number

    return {
        "epoch": row["epoch"],
        **{key: number(row.get(key)) for key in ("train_loss", "loss", "top1", "top5", "lr")},
    }


def _figure(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
