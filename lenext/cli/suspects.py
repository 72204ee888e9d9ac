"""`lenext suspects`."""

from __future__ import annotations

import shlex
import sys
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
    say,
)

if TYPE_CHECKING:
    from lenext.suspects.result import Suspects

SHOWN = 20  # suspects in the table; --json has all


def suspects(
    run: Annotated[Path, typer.Argument(help="A run folder, whose settings are trained again.")],
    data: DataArgument,
    folds: Annotated[
        int, typer.Option(help="Parts that the images are dealt into, each answered by one training.")
    ] = 5,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images of each training; the run's own.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of folds and trainings; the run's own.", min=0)] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with the pictures: an .html file.")
    ] = None,
    written: Annotated[
        Path | None,
        typer.Option("--write-exclusions", metavar="FILE", help="Write a list for train --exclude; look through it."),
    ] = None,
    exclude: ExcludeOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Find training images that are probably mislabelled, by networks that never saw them.

    Example: [bold]lenext suspects runs/photos photos/ --out suspects.html --write-exclusions suspects.csv[/bold]
    """
    out, written = new_file(out), new_file(written)
    with interrupts_held():
        from lenext.device import keep_memory
        from lenext.suspects.page import write_page
        from lenext.suspects.search import find_suspects

    keep_memory()
    found = find_suspects(
        run, data, folds=folds, epochs=epochs, seed=seed, exclude=exclude, device=device, threads=threads,
        progress=TerminalProgress(),
    )  # fmt: skip
    found = replace(found, seconds=elapsed())
    if json:
        print_json(found.fields())
    else:
        _print(found)
    if found.caution:
        say(f"note: {found.caution}")
    # After the list, which a full disk then cannot take away.
    if out is not None:
        write_page(out, found, command=shlex.join(["lenext", *sys.argv[1:]]))
        say(f"written: {out}")
    if written is not None:
        found.write_exclusions(written)
        say(f"written: {written}" + "; look through it, and take out what is labelled rightly" * bool(found.suspects))
    if written is not None and found.suspects:
        again = ["lenext", "train", data, "--model", found.model, "--exclude", str(written)]
        say(f"next: {shlex.join(again)}")


def _print(found: Suspects) -> None:
    count = len(found.suspects)
    print(
        f"{count:,} of {found.images:,} images are suspects; {found.estimated_noise:.2f} % of the labels are estimated "
        f"to be wrong; top-1 out of fold {found.top1:.2f} %, {found.folds} folds, epochs: {found.epochs}, "
        f"{found.seconds:.1f} s"
    )
    if found.skipped_files:
        print(f"skipped: {len(found.skipped_files):,} images that cannot be read, which --json lists")
    if not found.suspects:
        return
    table = plain_table("image", "label", "probably", "sure", "of its label", right=("sure", "of its label"))
    for each in found.suspects[:SHOWN]:
        percent = (f"{100 * chance:.1f} %" for chance in (each.suggested_probability, each.probability))
        table.add_row(cell(each.path), cell(each.label), cell(each.suggested), *percent)
    print_table(table)
    if count > SHOWN:
        print(f"and {count - SHOWN:,} more, which --json lists and --out shows")
