"""`lenext scan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenext.cli.arguments import DeviceOption, JsonOption, ThreadsOption, WeightsOption, new_file, parse_scales
from lenext.cli.output import (
    TerminalProgress,
    interrupts_held,
    plain_table,
    print_json,
    print_table,
    refuse_hostile,
    refuse_unusable,
    say,
)

if TYPE_CHECKING:
    from lenext.scanning.scan import Scan

SHOWN = 20  # peaks in the table; --json has all


def scan(
    target: Annotated[str, typer.Argument(help="A run folder, a model or exported file, or a name with --weights.")],
    image: Annotated[Path, typer.Argument(help="An image, of any size.")],
    label: Annotated[str, typer.Option("--class", help="What to look for: a class's name, or its WordNet id.")],
    out: Annotated[Path | None, typer.Option(help="Where the picture goes: heat over the image, peaks boxed.")] = None,
    scales: Annotated[str, typer.Option(help="Times its size at which the image is looked at.")] = "0.5,1,2",
    finer: Annotated[bool, typer.Option("--finer", help="Shift the last pool, for windows that lie closer.")] = False,
    threshold: Annotated[float, typer.Option(help="The least probability of a peak.")] = 0.5,
    tile: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="The longest side worked on at once; as memory allows.")
    ] = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Show where in a large image a class is.

    Example: [bold]lenext scan runs/pets street.jpg --class cat --out map.png[/bold]
    """
    if out is None and not json:
        raise typer.BadParameter("give --out map.png for the picture, --json for the peaks, or both")
    out = new_file(out)
    factors = parse_scales(scales)
    if weights is None:
        refuse_unusable(target)
    else:
        refuse_hostile(weights)
    with interrupts_held():
        from lenext.answering import answering
        from lenext.device import set_threads
        from lenext.files import write_atomically
        from lenext.scanning.scan import scan as run

    set_threads(threads)
    classifier = answering(target, weights=weights, device=device)
    if classifier.presumed:
        say(f"note: {classifier.presumed}")
    found = run(
        classifier, image, label,
        scales=factors, finer=finer, threshold=threshold, tile=tile, progress=TerminalProgress(),
    )  # fmt: skip
    if out is not None:
        picture = found.picture()
        write_atomically(out, lambda beside: beside.write_bytes(picture))
    if json:
        print_json(found.fields())
    else:
        _print(found)
        say(f"picture {out}")


def _print(found: Scan) -> None:
    if not found.peaks:
        most = max(float(each.probability.max()) for each in found.maps)
        print(f"no peak of {found.label} at {found.threshold:g} or above; its largest probability is {most:.3f}")
        return
    columns = ("probability", "x", "y", "scale", "left", "top", "right", "bottom")
    table = plain_table(*columns, right=columns)
    for peak in found.peaks[:SHOWN]:
        places = (f"{side:.0f}" for side in peak.box)
        table.add_row(f"{100 * peak.probability:.1f} %", f"{peak.x:.0f}", f"{peak.y:.0f}", f"{peak.scale:g}", *places)
    print_table(table)
    if len(found.peaks) > SHOWN:
        print(f"and {len(found.peaks) - SHOWN:,} more, which --json lists")
