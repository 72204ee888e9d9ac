"""`lenext predict`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lenext.cli.arguments import DeviceOption, EngineOption, JsonOption, ThreadsOption, WeightsOption
from lenext.cli.output import (
    TerminalProgress,
    cell,
    interrupts_held,
    plain_table,
    print_json,
    print_table,
    refuse_hostile,
    say,
)


def predict(
    target: Annotated[str, typer.Argument(help="A run folder, a model or exported file, or a name with --weights.")],
    images: Annotated[list[str], typer.Argument(help="Image files, and folders of them.")],
    top: Annotated[int, typer.Option(help="How many classes to name for each image.")] = 5,
    weights: WeightsOption = None,
    engine: EngineOption = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first unreadable image.")] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Name what is in images.

    Example: [bold]lenext predict runs/lenet5-digits a.png folder/ --top 3[/bold]
    """
    with interrupts_held():
        from lenext.engines.exported import is_exported
        from lenext.errors import LenextError, UserError
        from lenext.loading import load
        from lenext.prediction import expand

        if weights or not is_exported(target):
            refuse_hostile(weights or target)
        pictures = [picture for _, picture in expand(images)]
        classifier = load(
            target, weights=weights, device=device, engine=engine, threads=threads, images=len(pictures),
        )  # fmt: skip
    if classifier.presumed:
        say(f"note: {classifier.presumed}")
    if not pictures:
        raise UserError(f"there is no image in {', '.join(images)}; give files, or folders that hold some")
    entries: list[dict[str, Any]] = []
    answers = classifier.predict_each(pictures, top)
    for entry in TerminalProgress().track(answers, "predicting", len(pictures), lambda _: 1):
        if strict and "error" in entry:
            raise LenextError(f"{entry['image']} cannot be read: {entry['error']}")
        entries.append(entry)
    if json:
        print_json(entries)
    elif len(entries) == 1 and "predictions" in entries[0]:
        _print_one(entries[0])
    else:
        _print(entries)
    if all("error" in entry for entry in entries):
        raise UserError(f"no image can be read; {entries[0]['image']}: {entries[0]['error']}")


def _print_one(entry: dict[str, Any]) -> None:
    table = plain_table("", cell(entry["image"]), right=("",))
    for each in entry["predictions"]:
        table.add_row(f"{100 * each['probability']:.1f} %", cell(each["label"]))
    print_table(table)


def _print(entries: list[dict[str, Any]]) -> None:
    most = max(len(entry.get("predictions", ())) for entry in entries)
    table = plain_table("image", *(f"{rank}." for rank in range(1, most + 1)))
    for entry in entries:
        if "error" in entry:
            table.add_row(cell(entry["image"]), cell(f"cannot be read: {entry['error']}"))
        else:
            row = (f"{p['label']}  {100 * p['probability']:.1f} %" for p in entry["predictions"])
            table.add_row(cell(entry["image"]), *map(cell, row))
    print_table(table)
