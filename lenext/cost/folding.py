"""The layers of a network as lines of a table: under their stem, stages and head, folded to a depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lenext.cost.cost import Cost, Total, parts
from lenext.cost.trace import Output, Row

FEW = 3  # layers from which a group below the first level has a line of its own


@dataclass(frozen=True)
class Line:
    """A layer, or a group of layers with their subtotal; `depth` is how far it is set in.

    `kind` is empty for a group.
    """

    depth: int
    label: str
    kind: str
    total: Total
    output: Output
    uncounted: tuple[str, ...] = ()


def fold(cost: Cost, depth: int | None = None) -> list[Line]:
    """Return the lines of a table of `cost`, with groups folded that lie `depth` parts deep; None folds nothing."""
    return list(_lines(cost, cost.rows, (), 0, depth))


def _lines(cost: Cost, rows: Sequence[Row], told: tuple[str, ...], level: int, depth: int | None) -> Iterator[Line]:
    """Yield the lines of `rows`, which stand below the parts `told` of their paths."""
    begin = len(told)
    for found, each in groupby(rows, key=lambda row: parts(row.path)[begin : begin + 1]):
        group, here = list(each), (*told, *found)
        folded = depth is not None and len(here) >= depth
        if len(group) == 1 and (level or folded or len(parts(group[0].path)) == len(here)):
            yield _line(cost, group[0], here if folded else parts(group[0].path), begin, level)
        elif level and len(group) < FEW and not folded:
            yield from (_line(cost, row, parts(row.path), begin, level) for row in group)
        else:
            output = cost.output_of(".".join(here))
            yield Line(level, ".".join(found), "", Total.of(group, cost.batch), output)
            if not folded:
                yield from _lines(cost, group, here, level + 1, depth)


def _line(cost: Cost, row: Row, path: Sequence[str], begin: int, level: int) -> Line:
    label = ".".join(path[begin:]) or row.path or row.kind
    return Line(level, label, row.kind, Total.of([row], cost.batch), row, row.uncounted)
