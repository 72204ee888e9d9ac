"""`lenext check`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenext.cli.arguments import DataArgument, JsonOption, new_file
from lenext.cli.output import TerminalProgress, cell, elapsed, plain_table, print_json, print_table, printable, say

if TYPE_CHECKING:
    from lenext.checking.check import Check


def check(
    data: DataArgument,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures of it all: an .html file.")
    ] = None,
    write_exclusions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="List the images to leave out, for --exclude of train and evaluate: a CSV."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Of copies look for those of the same bytes alone, as of a million images.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 where there are problems; notes are none.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Look through labelled images before anyone trains on them; nothing is changed.

    Example: [bold]lenext check photos/ --report check.html --write-exclusions exclude.csv[/bold]
    """
    report, write_exclusions = new_file(report), new_file(write_exclusions)
    if report is not None and report.suffix.lower() != ".html":
        raise typer.BadParameter(f"{report} cannot hold a page; give a name that ends in .html")
    from lenext.checking.check import check as run

    found = run(data, near=not exact, progress=TerminalProgress())
    found = replace(found, seconds=elapsed())
    if json:
        print_json(found.to_json())
    else:
        _print(found, data)
    if write_exclusions is not None:
        from lenext.data.exclusions import write_exclusions as write

        excluded = found.exclusions()
        write(write_exclusions, excluded, data=data)
        say(f"written: {write_exclusions}, {len(excluded):,} images to leave out")
    if report is not None:
        from lenext.checking.pages.check_page import write_check_page

        write_check_page(report, found)
        say(f"written: {report}")
    if strict and found.serious:
        raise typer.Exit(1)


def _print(found: Check, data: str) -> None:
    from lenext.checking.advice import advice
    from lenext.checking.kinds import KINDS

    told = found.kinds
    if told:
        table = plain_table("", "kind", "count", "for example", right=["count"])
        for kind, those in told.items():
            example = f"{those[0].path}: {those[0].detail}" if those[0].path else those[0].detail
            table.add_row(KINDS[kind].severity, kind, f"{len(those):,}", cell(example))
        print_table(table)
        print()
    unreadable = found.images - found.readable
    print(
        f"{found.images:,} images of {len(found.class_names):,} classes ({unreadable:,} unreadable), "
        f"{len(found.serious):,} problems, {len(found.problems) - len(found.serious):,} notes, {found.seconds:.1f} s"
    )
    if found.shapes is not None:
        print(f"--fit {found.shapes.fit} suits them: {found.shapes.why}")
    for number, each in enumerate(advice(found), 1):
        print(f"{number}. {printable(each.text)}")
        for line in each.command.splitlines():
            print(f"   {printable(line)}")
