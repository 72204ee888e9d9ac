"""`lenext runs`: the list, and the group of commands below it."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from lenext.cli.arguments import JsonOption
from lenext.cli.output import cell, mebibytes, plain_table, print_json, print_table, printable, say
from lenext.cli.runs_compare import compare
from lenext.cli.runs_watch import watch

if TYPE_CHECKING:
    from lenext.runs.removing import Removal
    from lenext.runs.run import Run

RUNS = Path("runs")
WIDE = 180  # characters of the list where it goes to a file
YES = ("y", "yes")


class Group(TyperGroup):
    """Takes its first word for a command where one is called so, else for DIR."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Tell a command's words from the list's own."""
        words = [word for word in args if not word.startswith("-")]
        if words and words[0] in self.commands:
            place = args.index(words[0])
            return super().parse_args(ctx, [str(RUNS), *args[place : place + 1], *args[:place], *args[place + 1 :]])
        ctx.allow_interspersed_args = True
        rest = super().parse_args(ctx, args)
        if len(words) > 1:
            raise typer.BadParameter(f"no command is called {words[0]!r}; there are {', '.join(self.commands)}")
        return rest


runs = typer.Typer(cls=Group, invoke_without_command=True, subcommand_metavar="| COMMAND ...", rich_markup_mode="rich")
runs.command()(compare)
runs.command()(watch)


@runs.callback()
def show(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="[DIR]", help="A folder that holds runs, at any depth, or a run; ./rm if it is called rm."
        ),
    ] = RUNS,
    json: JsonOption = False,
) -> None:
    """List runs, the newest first: state, figures, how far they are; or compare, watch and remove them.

    Example: [bold]lenext runs[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from lenext.files import exists
    from lenext.runs.listing import find_runs

    found = [] if folder == RUNS and not exists(folder) else find_runs(folder)
    if json:
        print_json([asdict(run) for run in found])
    elif found:
        _print(found)
    else:
        say(f"there is no run below {folder}; lenext train makes one")


@runs.command()
def rm(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove runs, after asking: the files that lenext wrote, and the folder where nothing else is in it.

    Example: [bold]lenext runs rm runs/lenet5-digits[/bold]
    """
    from lenext.errors import UserError
    from lenext.runs.removing import plan_removal, remove

    planned = [plan_removal(path) for path in folders]
    removals = list({Path(each.run.run).resolve(): each for each in planned}.values())
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("lenext runs rm asks before it removes, and there is no terminal to ask on; give --yes")
        if not _agreed(removals):
            say("nothing was removed")
            raise typer.Exit(1)
    done = []
    for removal in removals:
        stays = remove(removal)
        done.append(
            {"run": removal.run.run, "files": len(removal.files), "bytes": removal.size, "stays": [*map(str, stays)]}
        )
        if not json:
            print(f"removed {printable(removal.run.run)}" + (", but for what lenext did not write:" if stays else ""))
            for path in stays:
                print(f"  {printable(str(path))}")
    if json:
        print_json(done)


def _print(found: list[Run]) -> None:
    from lenext.progress import duration

    live = any(run.under_way for run in found)
    table = plain_table(
        "run", "state", "model", "data", "epochs", *(("step", "left") if live else ()), "top-1", "loss", "training",
        "started", right=("epochs", "step", "left", "top-1", "loss", "training"),
    )  # fmt: skip
    for run in found:
        of = f" of {run.epochs_planned}" if run.epochs_planned and run.epochs != run.epochs_planned else ""
        step = ""
        if run.under_way and run.step:
            step = f"{run.step:,} of {run.steps:,}" if run.steps else f"{run.step:,}"
        left = duration(run.seconds_left) if run.seconds_left is not None else ""
        table.add_row(
            cell(run.run),
            run.state,
            cell(run.model),
            cell(run.data),
            f"{run.epochs}{of}" if run.model else "",
            *((step, left) if live else ()),
            f"{run.top1:.2f} %" if run.top1 is not None else "",
            f"{run.loss:.4f}" if run.loss is not None else "",
            duration(run.train_seconds) if run.train_seconds is not None else "",
            cell(_local(run.started)),
        )
    print_table(table, WIDE)
    for run in found:
        if run.problem:
            print(printable(run.problem))


def _local(started: str | None) -> str | None:
    """Return an instant by the clock of this place, to the minute."""
    try:
        return datetime.fromisoformat(started or "").astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return started


def _agreed(removals: list[Removal]) -> bool:
    """Show what would go, and ask."""
    for removal in removals:
        run = removal.run
        figures = (
            f", top-1 {run.top1:.2f} %, loss {run.loss:.4f}" if run.top1 is not None and run.loss is not None else ""
        )
        say(
            f"{run.run}: {run.state}, {run.model or 'no model yet'}, epochs: {run.epochs}{figures}; "
            f"{len(removal.files)} files, {mebibytes(removal.size)}"
        )
        for path in removal.stays:
            say(f"  {path} stays: lenext did not write it")
    print(f"remove {'it' if len(removals) == 1 else 'them all'}? [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip().lower() in YES
    except EOFError:
        say("")
        return False
