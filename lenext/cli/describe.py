"""`lenext describe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenext.cli.arguments import (
    BatchOption,
    JsonOption,
    OptionsOption,
    SizeOption,
    new_file,
    parse_options,
    parse_size,
)
from lenext.cli.output import (
    garbage_kept,
    interrupts_held,
    mebibytes,
    plain_table,
    print_json,
    print_table,
    room,
    say,
    short,
)

if TYPE_CHECKING:
    from lenext.cost.cost import Cost
    from lenext.cost.folding import Line

LONGEST = 1000  # lines of a table
BAR = 10  # characters of the bar that shows a share
BLOCKS = " ▏▎▍▌▋▊▉█"
# In a narrow terminal, the first of these first.
GIVE_WAY = ("offset", "stride", "FLOPs", "activations", "field", "kind", "share of MACs", "memory")


def describe(
    name: Annotated[str, typer.Argument(help="An architecture; `lenext models` lists them.")],
    size: SizeOption = None,
    batch: BatchOption = 1,
    classes: Annotated[int | None, typer.Option(help="Classes of the last layer; the paper's if not given.")] = None,
    options: OptionsOption = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Fold groups this deep: 1 shows stem, stages, head.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write one line a layer into this new file.")] = None,
    json: JsonOption = False,
) -> None:
    """Show what each layer costs: parameters, multiply-adds, memory, receptive field.

    Example: [bold]lenext describe vgg16 --batch 128 --depth 1[/bold]
    """
    sides, target = parse_size(size), new_file(csv)
    with garbage_kept():
        with interrupts_held():
            from lenext.cost.profile import profile

        cost = profile(name, size=sides, batch=batch, classes=classes, **parse_options(options))
        if target:
            from lenext.files import write_text

            write_text(target, cost.to_csv())
            say(f"wrote {target}")
        if json:
            print_json(cost.fields())
        else:
            _print(cost, depth)


def _print(cost: Cost, depth: int | None) -> None:
    images = "1 image" if cost.batch == 1 else f"{cost.batch:,} images"
    print(f"{cost.model} on {'x'.join(map(str, cost.input[1:]))}; memory: activations with gradients of {images}\n")
    lines, folded = _lines_that_can_be_read(cost, depth)
    rows = [_cells(line, cost.total.macs) for line in lines]
    shown = _columns_that_fit(rows)
    table = plain_table(*shown, right=[name for name in shown if name not in ("layer", "kind", "share of MACs")])
    for line, row in zip(lines, rows, strict=True):
        table.add_row(*(row[name] for name in shown), style="" if line.depth else "bold")
    print_table(table)
    if folded:
        print(
            f"\nfolded to depth {folded}: more than {LONGEST} lines; give --depth to see every layer, or --csv, --json"
        )
    _print_total(cost)


def _lines_that_can_be_read(cost: Cost, depth: int | None) -> tuple[list[Line], int | None]:
    """Return the lines of the table, and the depth that it is folded to where it would be too long in full."""
    from lenext.cost.folding import fold

    lines = fold(cost, depth)
    if depth is not None or len(lines) <= LONGEST:
        return lines, None
    folded = 3
    while folded > 1 and len(fold(cost, folded)) > LONGEST:
        folded -= 1
    return fold(cost, folded), folded


def _columns_that_fit(rows: list[dict[str, str]]) -> list[str]:
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) + 2 for name in rows[0]}
    for name in GIVE_WAY:
        if sum(widths.values()) <= room():
            break
        del widths[name]
    return list(widths)


def _cells(line: Line, macs: int) -> dict[str, str]:
    total, output = line.total, line.output

    def number(value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    return {
        "layer": "  " * line.depth + line.label,
        "kind": line.kind + (" (not counted)" if line.uncounted else ""),
        "output": "x".join(map(str, output.shape)),
        "parameters": number(total.params) if total.params else "",
        "MACs": short(total.macs) if total.macs else "",
        "FLOPs": f"{short(total.flops)}" if total.macs else "",
        "share of MACs": _bar(total.macs / macs) if total.macs else "",
        "activations": number(total.activations),
        "memory": mebibytes(total.training_activation_bytes),
        "field": number(output.receptive_field),
        "stride": number(output.stride),
        "offset": number(output.offset),
    }


def _bar(share: float) -> str:
    eighths = round(share * BAR * 8)
    bar = "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()
    return f"{bar:<{BAR}} {100 * share:5.1f} %"


def _print_total(cost: Cost) -> None:
    total = cost.total
    of = "an image" if cost.batch == 1 else f"a batch of {cost.batch:,}"
    memory = mebibytes(total.training_activation_bytes)
    training = ", ".join(f"{mebibytes(size)} ({name})" for name, size in total.training_bytes.items())
    print(f"\nparameters     {total.params:,}, {mebibytes(total.parameter_bytes)}")
    print(f"multiply-adds  {short(total.macs)} an image; {short(total.flops)}FLOP {of}, at 2 a multiply-add")
    print(f"activations    {total.activations:,} an image; {memory} {of}, with gradients")
    print(f"training       {training}: activations, weights, gradients, optimiser state")
    for path, params in _gathered(cost):
        print(f"not run        {path}: {params:,} parameters that answering does not use")
    for row in cost.rows:
        if row.uncounted:
            print(f"not counted    {row.path or cost.model} ({row.kind}): the arithmetic of {', '.join(row.uncounted)}")


def _gathered(cost: Cost) -> list[tuple[str, int]]:
    """Return what the forward does not reach, gathered by the first three parts of the path."""
    found: dict[str, int] = {}
    for path, params in cost.not_run:
        short_path = ".".join(path.split(".")[:3])
        found[short_path] = found.get(short_path, 0) + params
    return list(found.items())
