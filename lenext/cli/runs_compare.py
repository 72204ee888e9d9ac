"""`lenext runs compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenext.cli.arguments import JsonOption
from lenext.cli.output import cell, plain_table, print_json, print_table, printable

if TYPE_CHECKING:
    from lenext.evaluation.significance import Significance
    from lenext.runs.comparing import Comparison

LONG = 48  # characters of a value in the table
FEW = 6  # entries of a list that are shown
FORMS = {
    "top1": ("top-1 (%)", ".2f"), "top5": ("top-5 (%)", ".2f"), "loss": ("loss (nats)", ".4f"),
    "train_seconds": ("training (s)", ",.1f"), "images_per_second": ("images a second", ",.0f"),
    "epochs": ("epochs", ",d"),
}  # fmt: skip


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="A B", help="Two run folders.")], json: JsonOption = False
) -> None:
    """Put two runs side by side: settings that differ, figures, and whether chance explains the difference in top-1.

    Example: [bold]lenext runs compare runs/lenet5-digits runs/mlp-digits[/bold]
    """
    if len(runs) != 2:
        raise typer.BadParameter(f"two runs can be compared, not {len(runs)}; give A and B")
    from lenext.runs.comparing import compare_runs

    found = compare_runs(runs[0], runs[1])
    if json:
        print_json(_as_json(found))
    else:
        _print(found)


def _as_json(found: Comparison) -> dict[str, Any]:
    from dataclasses import asdict

    value = asdict(found)
    told = found.significance
    if told:
        value["significance"] |= {
            "by_chance": told.by_chance,
            "verdict": told.verdict,
            "paired": told.only_a is not None,
        }
    return value


def _print(found: Comparison) -> None:
    print(f"A  {printable(found.a.run)} ({found.a.state})\nB  {printable(found.b.run)} ({found.b.state})\n")
    if found.settings:
        table = plain_table("setting", "A", "B")
        for each in found.settings:
            table.add_row(cell(each.name), *map(cell, _short(each.a, each.b)))
        print_table(table)
    else:
        print("nothing differs in the settings")
    print()
    table = plain_table("figure", "A", "B", "B - A", right=("A", "B", "B - A"))
    for each in found.figures:
        name, form = FORMS[each.name]
        known = each.a is not None and each.b is not None
        gap = f"{each.b - each.a:+{form}}" if known else ""
        table.add_row(name, *(f"{value:{form}}" if value is not None else "-" for value in (each.a, each.b)), gap)
    print_table(table)
    print()
    if found.significance:
        _print_significance(found.significance)
    for note in found.notes:
        print(printable(note))


def _print_significance(told: Significance) -> None:
    if told.only_a is not None:
        print(
            f"of the same {told.images_a:,} images only A got {told.only_a:,} right, and only B {told.only_b:,}: "
            f"{told.verdict}"
        )
    else:
        print(
            f"A got {told.right_a:,} of {told.images_a:,} images right, B {told.right_b:,} of {told.images_b:,}: "
            f"{told.verdict}"
        )
    print(
        f"B - A lies between {told.low:+.2f} and {told.high:+.2f} percentage points with 95 % confidence "
        f"({told.interval}); p by {told.test}"
    )


def _short(a: Any, b: Any) -> tuple[str, str]:
    """Return two values as text for the table; of long lists their lengths, and where they first differ."""
    if isinstance(a, list) and isinstance(b, list) and max(len(a), len(b)) > FEW:
        both = zip(a, b, strict=False)
        first = next((i for i, (one, other) in enumerate(both) if one != other), min(len(a), len(b)))
        return _entry(a, first), _entry(b, first)
    return _text(a), _text(b)


def _entry(values: list[Any], index: int) -> str:
    count = f"{len(values):,} entries"
    return f"{count}, the {index + 1}. {_text(values[index])}" if index < len(values) else count


def _text(value: Any) -> str:
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONG else f"{text[: LONG - 3]}..."
