"""The `lenext` command: which commands there are, and how a mistake is told."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from lenext.cli.augment import augment
from lenext.cli.bench import bench
from lenext.cli.check import check
from lenext.cli.compare import compare
from lenext.cli.convert import convert
from lenext.cli.describe import describe
from lenext.cli.doctor import doctor
from lenext.cli.evaluate import evaluate
from lenext.cli.explain import explain
from lenext.cli.explore import explore
from lenext.cli.export import export
from lenext.cli.features import features
from lenext.cli.help import load_renderer
from lenext.cli.models import models
from lenext.cli.output import say
from lenext.cli.predict import predict
from lenext.cli.probe import probe
from lenext.cli.recipes import recipes
from lenext.cli.runs import runs
from lenext.cli.scan import scan
from lenext.cli.serve import serve
from lenext.cli.suspects import suspects
from lenext.cli.train import train
from lenext.cli.weights import weights
from lenext.errors import LenextError, Terminated, one_line

INTERRUPTED, TERMINATED = 130, 143

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
COMMANDS = (
    models, describe, compare, weights, recipes, augment, check, train, evaluate, predict, scan, explain, suspects,
    probe, features, convert, export, bench, serve, explore, doctor,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
app.add_typer(runs, name="runs")


def _print_version(wanted: bool) -> None:
    if wanted:
        from lenext import __version__

        print(f"lenext {__version__}")
        raise typer.Exit


@app.callback()
def lenext(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from; stands anywhere.")] = False,
) -> None:
    """Image classification with convolutional networks, from LeNet to ConvNeXt.

    Example: [bold]lenext train photos/ --model lenet5[/bold]
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 2 the user's mistake, 130 interrupted, 143 terminated, 1 else."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="backslashreplace")
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _terminate)
    try:
        if not words or "--help" in words:
            load_renderer()
        code = app([word for word in words if word != "--debug"], prog_name="lenext", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # Typer has caught the KeyboardInterrupt
            say("lenext: interrupted")
    except BaseException as error:
        if debug and isinstance(error, Exception):
            raise
        code = _tell(error)
    if arguments is None:  # the process ends: Python, which may take a moment for it, is not to be broken off
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _tell(error: BaseException) -> int:
    """Print one line that explains the error and return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, BrokenPipeError):  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, Terminated):
        say("lenext: terminated")
        return TERMINATED
    if isinstance(error, KeyboardInterrupt):
        say("lenext: interrupted")
        return INTERRUPTED
    if isinstance(error, LenextError) and error.told:
        return error.exit_code
    if isinstance(error, LenextError):
        say(f"lenext: {one_line(error)}")
        return error.exit_code
    if isinstance(error, typer.TyperException):
        message = " ".join(error.format_message().split())
        if message:  # without a command the help was shown
            say(f"lenext: {message} (--help shows what there is)")
        return error.exit_code
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # torch's own is a RuntimeError
        say("lenext: there is not enough memory; give a smaller --size or --batch-size")
        return 1
    say(f"lenext: {type(error).__name__}: {one_line(error)} (--debug shows where)")
    return 1
