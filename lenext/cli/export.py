"""`lenext export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lenext.cli.arguments import JsonOption, ThreadsOption, WeightsOption
from lenext.cli.output import (
    TerminalProgress,
    interrupts_held,
    plain_table,
    print_json,
    print_table,
    refuse_hostile,
    say,
)


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
        from lenext.deployment.exporting.export import export as write
        from lenext.device import set_threads

    set_threads(threads)
    found = write(target, format, out, check=check, weights=weights, progress=TerminalProgress())
    if json:
        print_json(found.to_json())
        return
    table = plain_table(
        "engine", "images", "same first class", "largest gap", right=("images", "same first class", "largest gap")
    )
    for proof in found.proofs:
        table.add_row(proof.engine, f"{proof.images}", f"{proof.agreement:.1f} %", f"{proof.largest_gap:.1e}")
    print_table(table)
    say(f"written: {found.out}, {found.bytes / 1e6:.1f} MB")
    if format != "safetensors" and not found.inside:
        say("note: it takes normalised pixels; how images become these stands in its metadata, which lenext follows")
