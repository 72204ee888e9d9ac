"""Fill the tables of pages from the registers, from the models, and from what a check knows.

python docs/generate.py
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import lenext
from lenext.checking.kinds import KINDS
from lenext.cost.cost import Total
from lenext.registry import Entry, Published, lookup
from lenext.training.augmentation_sheet import in_words
from lenext.training.recipes import Situation, about, description, make_recipe, recipe_names

DOCS = Path(__file__).parent
PAGES = ("models.md", "papers.md", "training.md", "checking.md")


def entries() -> list[Entry]:
    return [lookup(name) for name in lenext.list_models()]


@cache
def total_of(name: str) -> Total:
    """Return what the model costs; several tables ask."""
    return lenext.profile(name).total


def table(head: str, align: str, rows: Iterator[str]) -> str:
    return "\n".join([f"| {head} |", f"|{align}|", *(f"| {row} |" for row in rows)])


def models() -> str:
    """Every family: what its file says of it, and what each of its architectures is and costs."""
    families: dict[str, list[Entry]] = {}
    for entry in entries():
        families.setdefault(entry.family, []).append(entry)
    return "\n\n".join(family(of_it) for of_it in families.values())


def family(of_it: list[Entry]) -> str:
    doc = inspect.getdoc(sys.modules[of_it[0].build.__module__]) or ""
    first, *paragraphs = doc.split("\n\n")
    title, _, paper = first.partition(": ")
    shapes = [text for text in paragraphs if " px: " in text]
    prose = [text for text in paragraphs if text not in shapes]
    parts = [f"### {title}\n{paper}", *prose, *(f"```text\n{text}\n```" for text in shapes)]
    head = (
        "name | what | input | smallest side | parameters | multiply-adds | activations | training, MiB an image | "
        "published error"
    )
    return "\n\n".join([*parts, table(head, "---|---|---|--:|--:|--:|--:|--:|---", map(model, of_it))])


def model(entry: Entry) -> str:
    facts, total = entry.facts, total_of(entry.name)
    what = (inspect.getdoc(entry.build) or "").partition("\n")[0].rstrip(".")
    cells = (
        f"`{entry.name}`", what, f"{facts.channels}x{facts.size}x{facts.size}", facts.smallest, f"{total.params:,}",
        short(total.macs), f"{total.activations / 1e6:.2f} M", f"{total.training_bytes['adam'] / 2**20:,.0f}",
        published(entry),
    )  # fmt: skip
    return " | ".join(map(str, cells))


def published(entry: Entry) -> str:
    if not entry.facts.errors:
        return ""
    error = entry.facts.errors[0]
    figures = " / ".join(f"{value:.2f} %" for value in (error.top1, error.top5) if value is not None)
    kind = "top-1" if error.top5 is None else "top-5" if error.top1 is None else "top-1 / top-5"
    return f"{kind} {figures}, {error.dataset}, {error.protocol}" + (f" ({error.source})" if error.source else "")


# Of each net of the published table, its factors of depth and width.
TABLE = {
    "b1": (1.1, 1.0),
    "b2": (1.2, 1.1),
    "b3": (1.4, 1.2),
    "b4": (1.8, 1.4),
    "b5": (2.2, 1.6),
    "b6": (2.6, 1.8),
    "b7": (3.1, 2.0),
}
SIDES = {"b2": 260}  # the paper's, where the public weights take another


def compounds() -> str:
    """Each EfficientNet by the published table, and by the rule that the table is said to follow."""

    def rows() -> Iterator[str]:
        for key, (depth, width) in TABLE.items():
            name = f"efficientnet_{key}"
            side = SIDES.get(key, lookup(name).facts.size)
            implied = (math.log(depth, 1.2), math.log(width, 1.1), math.log(side / 224, 1.15))
            phi = round(2 * sum(implied) / 3) / 2
            scale = lenext.compound(phi)
            ruled = lenext.profile("efficientnet_b0", **scale.options("efficientnet_b0")).total
            tabled = lenext.profile(name, size=side).total
            cells = (
                f"`{name}`", f"{depth:g}, {width:g}, {side}", short(tabled.params), short(tabled.macs), f"{phi:g}",
                f"{scale.depth:.2f}, {scale.width:.2f}, {scale.size(224)}", short(ruled.params), short(ruled.macs),
                f"{100 * (ruled.params / tabled.params - 1):+.0f} %", f"{100 * (ruled.macs / tabled.macs - 1):+.0f} %",
            )  # fmt: skip
            yield " | ".join(cells)

    head = (
        "model | table: depth, width, side | parameters | multiply-adds | phi | rule: depth, width, side | "
        "parameters | multiply-adds | rule to table, parameters | multiply-adds"
    )
    return table(head, "---|---|--:|--:|--:|---|--:|--:|--:|--:", rows())


def counts() -> str:
    """Every published count, ours, and the reason of each gap."""

    def rows() -> Iterator[str]:
        for entry in entries():
            total = total_of(entry.name)
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


def kinds() -> str:
    """Every kind of trouble: how bad it is, what it means, whether its images are put onto the list."""
    rows = (
        f"`{name}` | {kind.severity} | {kind.means} | {'yes' if kind.excluded else ''}" for name, kind in KINDS.items()
    )
    return table("kind | severity | what it is, and what comes of it | left out", "---|---|---|---", rows)


IMAGES = 50_000  # that the recipes are listed for


def recipes() -> str:
    """Every recipe: its paper, its values, what was reached with it, its small form."""
    return "\n\n".join(map(recipe, recipe_names()))


def recipe(name: str) -> str:
    known = about(name)
    made = make_recipe(name, Situation(train_images=IMAGES, model=next(iter(known.models), "")), {})
    address = f"[paper]({known.paper_url})" if known.paper else "no paper"
    models = "any network" if known.general else ", ".join(f"`{model}`" for model in known.models)
    steps = f"{made.optimizer}, rate {made.lr:.4g}, {made.schedule}, {made.batch_size:,} a step, {made.epochs} epochs"
    lines = [
        f"### {name}: {known.title}",
        description(name),
        f"For {models}; {address}. {steps}. Images: `{in_words(made.augmentation)}`.",
        f"```sh\n{known.command}\n{known.tiny_command}\n```",
    ]
    rows = (f"{one.top1:.2f} % | `{one.model}` | {one.data} | {one.source} | {one.note}" for one in known.reached)
    if known.reached:
        lines.append(table("top-1 | model | data | source | how", "--:|---|---|---|---", rows))
    return "\n\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "models": models, "counts": counts, "errors": errors, "compounds": compounds, "recipes": recipes, "kinds": kinds,
}  # fmt: skip


def filled(text: str) -> str:
    """Return a page with each of its tables made anew."""

    def fill(found: re.Match[str]) -> str:
        return f"<!-- table {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    for page in PAGES:
        path = DOCS / page
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
