"""Fill the tables of docs/models.md and docs/papers.md from the registry and from the models themselves.

python docs/generate.py
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import lenext
from lenext.registry import Entry, Published, lookup

DOCS = Path(__file__).parent
PAGES = ("models.md", "papers.md")


def entries() -> list[Entry]:
    return [lookup(name) for name in lenext.list_models()]


def table(head: str, align: str, rows: Iterator[str]) -> str:
    return "\n".join([f"| {head} |", f"|{align}|", *(f"| {row} |" for row in rows)])


def models() -> str:
    """Every architecture: what it is and what it costs."""

    def row(entry: Entry) -> str:
        facts, total = entry.facts, lenext.profile(entry.name).total
        cells = (
            f"`{entry.name}`", f"[{facts.year}]({facts.paper_url})", f"{facts.channels}x{facts.size}x{facts.size}",
            facts.smallest, f"{total.params:,}", short(total.macs), f"{total.activations / 1e6:.2f} M",
            f"{total.training_bytes['adam'] / 2**20:,.0f}",
        )  # fmt: skip
        return " | ".join(map(str, cells))

    head = "name | paper | input | smallest side | parameters | multiply-adds | activations | training, MiB an image"
    return table(head, "---|---|---|--:|--:|--:|--:|--:", map(row, entries()))


def counts() -> str:
    """Every published count, ours, and the reason of each gap."""

    def rows() -> Iterator[str]:
        for entry in entries():
            total = lenext.profile(entry.name).total
            for claim in entry.facts.claims:
                ours = getattr(total, claim.figure)
                gap = 100 * (ours / claim.published - 1)
                what = {"params": "parameters", "macs": "multiply-adds"}[claim.figure]
                why = claim.why or "within what the paper rounds to"
                yield f"`{entry.name}` | {what} | {short(claim.published)} | {ours:,} | {gap:+.1f} % | {why}"

    return table("model | figure | published | here | gap | why", "---|---|--:|--:|--:|---", rows())


def errors() -> str:
    """Every published error, with its protocol."""

    def rows() -> Iterator[str]:
        for entry in entries():
            for error in entry.facts.errors:
                cells = (percent(error.top1), percent(error.top5), error.dataset, error.protocol, source(error, entry))
                yield f"`{entry.name}` | " + " | ".join(cells)

    return table("model | top-1 error | top-5 error | data | protocol | source", "---|--:|--:|---|---|---", rows())


def source(error: Published, entry: Entry) -> str:
    return error.source or f"[paper]({entry.facts.paper_url})"


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} %"


def short(count: float) -> str:
    return f"{count / 1e9:.3f} G" if count >= 1e9 else f"{count / 1e6:.3f} M"


TABLES: dict[str, Callable[[], str]] = {"models": models, "counts": counts, "errors": errors}


def filled(text: str) -> str:
    """Return a page with each of its tables made anew."""

    def fill(found: re.Match[str]) -> str:
        return f"<!-- table {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    for page in PAGES:
        path = DOCS / page
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
