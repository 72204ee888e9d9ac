"""`lenext export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lenext.cli.arguments import JsonOption, ThreadsOption, WeightsOption
from lenext.cli.output import (
    TerminalProgress,
    interrupts_held,
    plain_table,
    print_json,
    print_table,
    printable,
    refuse_hostile,
    say,
)

if TYPE_CHECKING:
    from lenext.deployment.exporting.int8 import Int8

WORST = 10  # classes that are told one by one


def export(
    target: Annotated[str, typer.Argument(help="A run folder, a model file, or a model's name with --weights.")],
    format: Annotated[
        Literal["onnx", "openvino", "ncnn", "safetensors"],
        typer.Option(help="What will run it: ONNX Runtime or OpenVINO, OpenVINO alone, ncnn, or lenext again."),
    ],
    out: Annotated[Path, typer.Option(help="The file to write; never one that is there.")],
    check: Annotated[
        str | None, typer.Option(metavar="DATA", help="Real images to prove it by; those of the run if not given.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="In eight bits, calibrated; --check then has labels.")] = False,
    max_drop: Annotated[float, typer.Option(help="Points of top-1 that eight bits may cost; over it no file.")] = 2.0,
    weights: WeightsOption = None,
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Write a classifier as one file for other engines, proved on real images to answer the same.

    Preprocessing is part of the graph: the file takes images as they are. Without proof no file is left.

    Example: [bold]lenext export runs/photos --format onnx --out photos.onnx[/bold]
    """
    refuse_hostile(weights or target)
    with interrupts_held():
        from lenext.device import set_threads
        from lenext.errors import UserError

        try:
            from lenext.deployment.exporting.export import export as write
        except ModuleNotFoundError as error:
            raise UserError(f"lenext export needs {error.name}: pip install 'lenext[export]'") from None

    set_threads(threads)
    found = write(
        target, format, out, check=check, weights=weights, int8=int8, max_drop=max_drop, progress=TerminalProgress()
    )
    if json:
        print_json(found.to_json())
        return
    table = plain_table(
        "engine", "images", "same first class", "largest gap", right=("images", "same first class", "largest gap")
    )
    for proof in found.proofs:
        table.add_row(proof.engine, f"{proof.images}", f"{proof.agreement:.1f} %", f"{proof.largest_gap:.1e}")
    print_table(table)
    if found.int8:
        _print_int8(found.int8)
    say(f"written: {found.out}, {found.bytes / 1e6:.1f} MB")
    if format != "safetensors" and not found.inside:
        say("note: it takes normalised pixels; how images become these stands in its metadata, which lenext follows")


def _print_int8(found: Int8) -> None:
    """Say what eight bits cost and brought."""
    faster = ", ".join(f"{ratio:.2f} times as fast in {engine}" for engine, ratio in found.speed.items())
    last = found.attempts[-1]
    print(
        f"int8: top-1 {last.top1:.1f} % of {found.judged} images, {found.float_top1:.1f} % in float32; calibrated by "
        f"{found.calibrated} others"
    )
    print(f"{last.macs:.0f} % of the multiply-adds, {last.way}; {100 * found.size:.0f} % of the bytes; {faster}")
    if max(found.speed.values()) < 1:
        say("note: no engine here runs it faster than in float32, which serves better then")
    for name, images, before, after in found.classes[:WORST]:
        print(f"  {printable(name)}: {after} of {images} right, {before} before")
