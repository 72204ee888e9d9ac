"""`lenext predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenext.cli.arguments import DeviceOption, EngineOption, JsonOption, ThreadsOption, WeightsOption
from lenext.cli.output import (
    TerminalProgress,
    cell,
    interrupts_held,
    plain_table,
    print_json,
    print_table,
    printable,
    refuse_hostile,
    refuse_unusable,
    say,
)

if TYPE_CHECKING:
    from lenext.recording.record import Tally

LOOK = "look at it"
LowOption = Annotated[
    float | None,
    typer.Option(metavar="P", help="Mark images whose first probability is below this, for a person to look at."),
]


def predict(
    target: Annotated[str, typer.Argument(help="A run folder, a model or exported file, or a name with --weights.")],
    images: Annotated[list[str], typer.Argument(help="Image files, and folders of them.")],
    top: Annotated[int, typer.Option(help="How many classes to name for each image.")] = 5,
    low_confidence: LowOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a line an image as it comes: .jsonl, .csv or .parquet.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with --out where it was broken off.")] = False,
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
    if resume and out is None:
        raise typer.BadParameter("--resume goes on with a file: give --out FILE too")
    with interrupts_held():
        from lenext.errors import UserError
        from lenext.loading import load
        from lenext.prediction import expand, require_read
        from lenext.recording.record import require_startable

        if out is not None:
            require_startable(out, resume=resume)
        if weights is None:
            refuse_unusable(target)
        else:
            refuse_hostile(weights)
        pictures = [picture for _, picture in expand(images)]
        count = len(pictures)
        classifier = load(target, weights=weights, device=device, engine=engine, threads=threads, images=count)
    if classifier.presumed:
        say(f"note: {classifier.presumed}")
    if not pictures:
        raise UserError(f"there is no image in {', '.join(images)}; give files, or folders that hold some")
    progress = TerminalProgress()
    if out is not None:
        tally = classifier.record(
            pictures, out, top, low_confidence=low_confidence, resume=resume, strict=strict, progress=progress
        )
        _tell(out, tally, low_confidence, json)
        return
    entries: list[dict[str, Any]] = []
    answers = classifier.predict_each(pictures, top, low_confidence=low_confidence)
    for entry in progress.track(answers, "predicting", len(pictures), lambda _: 1):
        if strict:
            require_read(entry)
        entries.append(entry)
    if json:
        print_json(entries)
    else:
        _print(entries, low_confidence)
    if all("error" in entry for entry in entries):
        raise UserError(f"no image can be read; {entries[0]['image']}: {entries[0]['error']}")


def _tell(out: Path, tally: Tally, low_confidence: float | None, json: bool) -> None:
    """Say what a file now holds."""
    from lenext.errors import UserError

    counts = {
        "images": tally.images,
        "answered_before": tally.before,
        "unreadable": tally.unreadable,
        **({} if low_confidence is None else {"low_confidence": tally.low_confidence}),
    }
    if json:
        print_json({"out": str(out), **counts})
    else:
        parts = [f"{tally.images:,} images"]
        parts += [f"{tally.before:,} of them answered before"] if tally.before else []
        parts += [f"{tally.unreadable:,} unreadable"] if tally.unreadable else []
        if low_confidence is not None:
            parts.append(f"{tally.low_confidence:,} below {low_confidence:g}: {LOOK}")
        print(f"{printable(str(out))}: {', '.join(parts)}")
    if tally.unreadable == tally.images:
        raise UserError(f"no image can be read; {out} says why")


def _print_one(entry: dict[str, Any]) -> None:
    table = plain_table("", cell(entry["image"]), right=("",))
    for each in entry["predictions"]:
        table.add_row(f"{100 * each['probability']:.1f} %", cell(each["label"]))
    print_table(table)


def _print(entries: list[dict[str, Any]], low_confidence: float | None) -> None:
    if len(entries) == 1 and "predictions" in entries[0]:
        _print_one(entries[0])
    else:
        _print_all(entries)
    if low_confidence is not None:
        low = sum(entry.get("low_confidence") is True for entry in entries)
        print(f"{low:,} of {len(entries):,} below {low_confidence:g}: {LOOK}")


def _print_all(entries: list[dict[str, Any]]) -> None:
    most = max(len(entry.get("predictions", ())) for entry in entries)
    marked = any("low_confidence" in entry for entry in entries)
    table = plain_table("image", *([""] if marked else []), *(f"{rank}." for rank in range(1, most + 1)))
    for entry in entries:
        mark = [LOOK if entry.get("low_confidence") else ""] if marked else []
        if "error" in entry:
            table.add_row(cell(entry["image"]), *mark, cell(f"cannot be read: {entry['error']}"))
        else:
            row = (f"{p['label']}  {100 * p['probability']:.1f} %" for p in entry["predictions"])
            table.add_row(cell(entry["image"]), *mark, *map(cell, row))
    print_table(table)
