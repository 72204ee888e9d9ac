"""`lenext evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lenext.cli.arguments import DataArgument, DeviceOption, JsonOption, ThreadsOption, WeightsOption
from lenext.cli.output import TerminalProgress, elapsed, interrupts_held, print_json, refuse_hostile, say

SHOWN = 10


def evaluate(
    target: Annotated[str, typer.Argument(help="A run folder, a model file, or a model's name with --weights.")],
    data: DataArgument,
    split: Annotated[
        str | None, typer.Option(help="train, val, test, held-out or all; test, else val, else held-out.")
    ] = None,
    views: Annotated[Literal["center"], typer.Option(help="How often each image is looked at.")] = "center",
    among_present: Annotated[
        bool, typer.Option("--among-present", help="Choose only among the classes of the data.")
    ] = False,
    weights: WeightsOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first unreadable image.")] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Judge a trained model on labelled images.

    Example: [bold]lenext evaluate runs/lenet5-digits digits[/bold]
    """
    from dataclasses import asdict, replace

    refuse_hostile(weights or target)
    with interrupts_held():
        from lenext.classifier import load
        from lenext.device import set_threads
        from lenext.evaluation.evaluate import evaluate as judge

    set_threads(threads)
    classifier = load(target, weights=weights, device=device)
    if classifier.presumed:
        say(f"note: {classifier.presumed}")
    result = judge(
        classifier, data, split=split, among_present=among_present, strict=strict, progress=TerminalProgress()
    )
    result = replace(result, seconds=elapsed())
    if json:
        print_json(asdict(result))
        return
    top5 = f", top-5 {result.top5:.2f} %" if result.top5 is not None else ""
    print(
        f"{result.model}: top-1 {result.top1:.2f} %{top5}, loss {result.loss:.4f} on {result.images:,} images "
        f"({result.split}) of {result.classes} classes, {result.candidates} candidates, {result.seconds:.1f} s"
    )
    for file in result.skipped_files[:SHOWN]:
        say(f"skipped {file['path']}: {file['reason']}")
    if result.skipped > SHOWN:
        say(f"skipped {result.skipped - SHOWN} more; --json lists them")
