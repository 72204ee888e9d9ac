"""Draw the pictures of docs/blocks.md and fill its tables, from the modules themselves.

python docs/draw_blocks.py
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path as Outline
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import nn

import lenext
from lenext.cost.chart import COLOURS, INK
from lenext.models.blocks import ConvNorm
from lenext.models.densenet import DenseLayer, DenseStage
from lenext.models.mobilenet import separable
from lenext.models.resnet import BasicBlock, Bottleneck

PAGE = Path(__file__).parent / "blocks.md"
IMAGES = Path(__file__).parent / "images"

ACCENT, NOTE, LINE, MAPS = COLOURS[0], "#5f6368", "#6b7075", "#b6babf"
EDGE, FAINT, TRACK, FILL = "#c3c7cb", "#d6d9dc", "#eceef0", "#f4f5f6"

# In inches, as every length below.
WIDTH, MARGIN, FOOT, HEAD = 10.0, 0.25, 1.7, 0.95
BOX, BOX_HEIGHT, BAR, NODE, CELL, BESIDE = 1.65, 0.46, 0.1, 0.24, 0.14, 0.09
HEIGHTS = {"box": BOX_HEIGHT, "bars": BAR, "add": NODE, "stack": NODE, "space": NODE}
PER_MAP = BOX / 256
TAIL = 0.2  # between a node and what leaves the block
SHOWN = 8  # of the maps of a convolution

Merge = Literal["none", "add", "stack"]


@dataclass(frozen=True)
class Conv:
    """A convolution as it runs."""

    kernel: int
    groups: int
    enter: int
    shape: tuple[int, ...]
    after: str  # what follows it

    @property
    def span(self) -> int:
        """How many maps each of its maps reads."""
        return self.enter // self.groups


@dataclass(frozen=True)
class Column:
    """Blocks of a picture: what they are, and how each takes up its input."""

    title: str
    note: str
    make: Callable[[], nn.Module]
    channels: int
    side: int
    merge: Merge = "none"
    blocks: int = 1


@dataclass(frozen=True)
class Picture:
    """Columns side by side; `networks`, which go into the table only, are names, some with another shortcut."""

    name: str
    columns: tuple[Column, ...]
    networks: tuple[str, ...]
    body: float
    accent: Literal["merge", "1x1", "made", "reads"]

    @property
    def path(self) -> Path:
        """Where the picture lies."""
        return IMAGES / f"blocks-{self.name}.png"

    @property
    def lefts(self) -> list[float]:
        """The left edge of each column."""
        first, pitch = (2.4, 4.0) if len(self.columns) == 2 else (1.4, 2.8)
        return [first + pitch * place for place in range(len(self.columns))]


def residual_blocks() -> nn.Module:
    return nn.Sequential(*(BasicBlock(64, 64, 1) for _ in range(3)))


def dense_layers() -> nn.Module:
    make = partial(DenseLayer, growth=32, bottleneck=True, dropout=0.0, memory_efficient=False)
    return DenseStage(nn.Identity(), [make(channels) for channels in (64, 96, 128)])


PLAIN = Column("plain", "block of plain18", partial(BasicBlock, 64, 64, 1, shortcut="none"), 64, 56)
RESIDUAL = Column("residual", "block of resnet18", partial(BasicBlock, 64, 64, 1), 64, 56, "add")
BASIC = Column("basic, 64 maps", "block of resnet34", RESIDUAL.make, 64, 56, "add")
BOTTLENECK = Column("bottleneck, 256 maps", "block of resnet50", partial(Bottleneck, 256, 64, 1), 256, 56, "add")
WIDE = Column("basic, 256 maps", "what the bottleneck avoids", partial(BasicBlock, 256, 256, 1), 256, 56, "add")
ADDING = Column("residual", "first stage of resnet34", residual_blocks, 64, 56, "add", 3)
STACKING = Column("dense", "first three layers of densenet121", dense_layers, 64, 56, "stack", 3)
STANDARD = Column("standard", "as in resnet18", partial(ConvNorm, 128, 128, 3), 128, 28)
GROUPED = Column("grouped", "as in resnext50_32x4d", partial(ConvNorm, 128, 128, 3, groups=32), 128, 28)
SEPARABLE = Column("depthwise separable", "as in mobilenet_v1", partial(separable, 128, 128, 1), 128, 28)
PICTURES = (
    Picture("plain-residual", (PLAIN, RESIDUAL), ("plain18", "resnet18 A", "resnet18"), 3.1, "merge"),
    Picture("basic-bottleneck", (BASIC, BOTTLENECK, WIDE), ("resnet34", "resnet50"), 3.9, "1x1"),
    Picture("residual-dense", (ADDING, STACKING), ("resnet50", "densenet121"), 4.9, "made"),
    Picture(
        "convolutions", (STANDARD, GROUPED, SEPARABLE), ("resnet50", "resnext50_32x4d", "mobilenet_v1"), 3.0, "reads"
    ),
)


@cache
def cost(column: Column) -> lenext.Cost:
    return lenext.profile(column.make(), size=column.side, in_channels=column.channels)


def convolutions(column: Column) -> list[Conv]:
    """Return the convolutions of a column in the order in which they run."""
    module, found = column.make(), []
    for row in cost(column).rows:
        layer = module.get_submodule(row.path)
        if isinstance(layer, nn.Conv2d):
            siblings = list(module.get_submodule(row.path.rpartition(".")[0]).children())
            after = [type(one).__name__ for one in siblings[siblings.index(layer) + 1 :]]
            words = ["norm" if name == "BatchNorm2d" else name for name in after]
            found.append(Conv(layer.kernel_size[0], layer.groups, layer.in_channels, row.shape, ", ".join(words)))
    return found


def millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def told(picture: Picture) -> str:
    """Return the counts of a picture in words; they are kept inside its file."""
    totals = [(column.title, cost(column).total) for column in picture.columns]
    return "; ".join(f"{name}: {total.params:,} parameters, {total.macs:,} MACs" for name, total in totals)


@dataclass(frozen=True)
class Part:
    """What a column is drawn of, from top to bottom: a box with two lines, bars of maps, a node, or empty space."""

    kind: Literal["box", "bars", "add", "stack", "space"]
    name: str = ""
    note: str = ""
    maps: tuple[tuple[int, str], ...] = ()  # how many, in which colour
    accent: bool = False


NODES = {"none": Part("space"), "add": Part("add", "add, then ReLU"), "stack": Part("stack", "stack")}


def written(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def parts(column: Column, accent: str) -> list[Part]:
    """Return what a column is drawn of."""
    convs = convolutions(column)
    each = len(convs) // column.blocks
    carried = [(column.channels, MAPS)]
    found = [Part("bars", written(cost(column).input[1:]), maps=tuple(carried))]
    for first in range(0, len(convs), each):
        block = convs[first : first + each]
        made = Part("bars", written(block[-1].shape), maps=((block[-1].shape[0], ACCENT),))
        if column.blocks > 1:
            kernels = ", then ".join(f"{conv.kernel}x{conv.kernel}" for conv in block)
            found += [Part("box", kernels, ", then ".join(str(conv.shape[0]) for conv in block) + " maps"), made]
        else:
            found += single(block, column.merge, accent)
        if column.merge == "stack":
            carried += made.maps
        found.append(NODES[column.merge])
        shape = sum(count for count, _ in carried), *block[-1].shape[1:]
        found.append(Part("bars", written(shape), maps=tuple(carried)))
    return found


def single(block: list[Conv], merge: Merge, accent: str) -> list[Part]:
    """Return a block with a box for each of its convolutions and the maps between them."""
    found = []
    for conv in block:
        last = conv is block[-1]
        after = f"{conv.after}, ReLU" if last and merge == "none" else conv.after
        differs = accent == "1x1" and conv.kernel == 1
        found.append(Part("box", f"{conv.kernel}x{conv.kernel} convolution", after, accent=differs))
        if not last:
            colour = ACCENT if accent == "1x1" and conv.shape[0] < block[-1].shape[0] else MAPS
            found.append(Part("bars", written(conv.shape), maps=((conv.shape[0], colour),)))
    return found


def draw_flow(axes: Axes, column: Column, left: float, top: float, bottom: float, accent: str) -> None:
    """Draw a column's parts from `top` to `bottom`, the arrows between them, and the shortcuts."""
    found = parts(column, accent)
    even = (top - bottom - TAIL - sum(HEIGHTS[part.kind] for part in found)) / (len(found) - 2)
    middle, y, leaves, source = left + BOX / 2, top, top, (0.0, 0.0)
    for place, part in enumerate(found):
        centre = y - HEIGHTS[part.kind] / 2
        if part.kind != "space":
            if place:
                arrow(axes, [(middle, leaves), (middle, y)])
            leaves = y - HEIGHTS[part.kind]
        y -= HEIGHTS[part.kind] + (TAIL if place == len(found) - 2 else even)
        if part.kind == "box":
            draw_box(axes, left, centre, part)
        elif part.kind == "bars":
            draw_bars(axes, middle, centre, part)
            if place == 0 or found[place - 1].kind in ("add", "stack"):
                source = middle - sum(count for count, _ in part.maps) * PER_MAP / 2, centre
        elif part.kind != "space":
            colour, aside = ACCENT if accent == "merge" else LINE, left - 0.2
            arrow(axes, [source, (aside, source[1]), (aside, centre), (middle - NODE / 2, centre)], colour)
            draw_node(axes, middle, centre, part, colour)


def arrow(axes: Axes, points: list[tuple[float, float]], colour: str = LINE) -> None:
    """Draw an arrow through the points."""
    style = "-|>,head_length=4.5,head_width=2.4"
    patch = FancyArrowPatch(path=Outline(points), arrowstyle=style, mutation_scale=1, lw=1.3, color=colour)
    patch.set(joinstyle="miter", capstyle="butt")
    axes.add_patch(patch)


def draw_box(axes: Axes, left: float, centre: float, part: Part) -> None:
    """Draw a layer: its name, and below it what follows."""
    edge, ink = (ACCENT, ACCENT) if part.accent else (EDGE, INK)
    corner, shape = (left, centre - BOX_HEIGHT / 2), "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch(corner, BOX, BOX_HEIGHT, boxstyle=shape, fc=FILL, ec=edge, lw=1.2))
    axes.text(left + BOX / 2, centre + 0.085, part.name, ha="center", va="center", color=ink)
    axes.text(left + BOX / 2, centre - 0.105, part.note, ha="center", va="center", color=NOTE, fontsize=8.5)


def draw_bars(axes: Axes, middle: float, centre: float, part: Part) -> None:
    """Draw maps as bars as long as they are many, with their shape on the right."""
    x = middle - sum(count for count, _ in part.maps) * PER_MAP / 2
    for place, (count, colour) in enumerate(part.maps):
        inset = 0.012 if place else 0
        axes.add_patch(Rectangle((x + inset, centre - BAR / 2), count * PER_MAP - inset, BAR, fc=colour, lw=0))
        x += count * PER_MAP
    axes.text(x + BESIDE, centre, part.name, va="center", fontsize=9)


def draw_node(axes: Axes, middle: float, centre: float, part: Part, colour: str) -> None:
    """Draw where the input comes in again: a plus, or lines one above the other."""
    axes.add_patch(Circle((middle, centre), NODE / 2, fc="white", ec=colour, lw=1.3))
    reach = 0.06
    if part.kind == "add":
        axes.plot([middle, middle], [centre - reach, centre + reach], color=colour, lw=1.5)
    for rise in (0,) if part.kind == "add" else (-0.04, 0, 0.04):
        axes.plot([middle - reach, middle + reach], [centre + rise] * 2, color=colour, lw=1.5)
    axes.text(middle + NODE / 2 + BESIDE, centre, part.name, va="center", fontsize=9, color=colour)


def draw_reading(axes: Axes, column: Column, left: float, top: float, bottom: float) -> None:
    """Draw some maps of each convolution, and in the accent colour all that one of the last depends on."""
    convs = convolutions(column)
    xs = [left + CELL / 2 + place * (BOX - CELL) / (SHOWN - 1) for place in range(SHOWN)]
    ys = [top - CELL / 2 - (top - bottom - CELL) * place / len(convs) for place in range(len(convs) + 1)]
    marked = [{SHOWN // 2}]
    for conv in reversed(convs):
        marked.insert(0, {place for place in range(SHOWN) if any(reads(conv, out, place) for out in marked[0])})
    for conv, above, below, outs in zip(convs, ys, ys[1:], marked[1:], strict=False):
        for i, o in ((i, o) for o in range(SHOWN) for i in range(SHOWN) if reads(conv, o, i)):
            colour, width, order = (ACCENT, 1.3, 2.1) if o in outs else (FAINT, 0.9, 2.0)
            axes.plot([xs[i], xs[o]], [above - 0.13, below + 0.13], color=colour, lw=width, zorder=order)
        draw_words(axes, conv, left + BOX + BESIDE, (above + below) / 2)
    for y, places in zip(ys, marked, strict=True):
        for place, x in enumerate(xs):
            colour = ACCENT if place in places else MAPS
            axes.add_patch(Rectangle((x - CELL / 2, y - CELL / 2), CELL, CELL, fc=colour, lw=0))
    for y, shape in ((ys[0], cost(column).input[1:]), (ys[-1], convs[-1].shape)):
        axes.text(left + BOX + BESIDE, y, written(shape), va="center", fontsize=9)


def reads(conv: Conv, leaving: int, entering: int) -> bool:
    """Return whether a map that leaves depends on one that enters: the two are of one group."""
    return leaving // conv.span == entering // conv.span


def draw_words(axes: Axes, conv: Conv, x: float, middle: float) -> None:
    """Draw what a convolution is and how many maps each of its maps reads."""
    grouped = 1 < conv.groups < conv.enter
    lines = [(f"{conv.kernel}x{conv.kernel}", INK), *([(f"{conv.groups} groups", INK)] if grouped else [])]
    lines += [(f"reads {conv.span} map{'s' if conv.span > 1 else ''}", ACCENT), (conv.after, NOTE)]
    for place, (line, colour) in enumerate(lines):
        y = middle + 0.19 * ((len(lines) - 1) / 2 - place)
        axes.text(x, y, line, va="center", fontsize=8.5, color=colour)


def draw_counts(axes: Axes, picture: Picture) -> None:
    """Draw what each column costs, below it, with bars to one scale."""
    axes.plot([MARGIN, WIDTH - MARGIN], [FOOT - 0.3] * 2, color=EDGE, lw=0.8)
    totals = [cost(column).total for column in picture.columns]
    for y, name, counts, form in (
        (1.06, "parameters", [total.params for total in totals], "{:,}".format),
        (0.47, "multiply-adds", [total.macs for total in totals], millions),
    ):
        axes.text(MARGIN, y, name, va="center", color=NOTE, fontsize=9.5)
        for left, count in zip(picture.lefts, counts, strict=True):
            axes.text(left, y, form(count), va="center", fontsize=11, weight="bold")
            axes.add_patch(Rectangle((left, y - 0.22), BOX, 0.06, fc=TRACK, lw=0))
            axes.add_patch(Rectangle((left, y - 0.22), BOX * count / max(counts), 0.06, fc=LINE, lw=0))
        if len(set(counts)) == 1:
            between = (picture.lefts[0] + BOX + picture.lefts[-1]) / 2
            axes.text(between, y, "=", ha="center", va="center", fontsize=13, color=NOTE)


def draw(picture: Picture, path: Path) -> None:
    """Draw a picture into a PNG."""
    height = FOOT + picture.body + HEAD
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 10, "text.color": INK}):
        figure = Figure(figsize=(WIDTH, height), dpi=160)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
        axes.axis("off")
        for column, left in zip(picture.columns, picture.lefts, strict=True):
            axes.text(left, height - 0.32, column.title, va="center", fontsize=12, weight="bold")
            axes.text(left, height - 0.55, column.note, va="center", fontsize=9, color=NOTE)
            if picture.accent == "reads":
                draw_reading(axes, column, left, height - HEAD, FOOT)
            else:
                draw_flow(axes, column, left, height - HEAD, FOOT, picture.accent)
        if picture.accent == "reads":
            said = f"{SHOWN} of {picture.columns[0].channels}\nmaps shown"
            axes.text(MARGIN, height - HEAD, said, va="top", fontsize=8.5, color=NOTE)
        draw_counts(axes, picture)
        drawn = io.BytesIO()
        figure.savefig(drawn, facecolor="white")
    info = PngInfo()
    info.add_text("Description", told(picture))
    # With few colours the file is a third as large.
    few = Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(path, pnginfo=info, optimize=True)


def row(name: str, total: lenext.cost.cost.Total) -> str:
    return f"| {name} | {total.params:,} | {millions(total.macs)} |"


def costs(picture: Picture) -> str:
    """Return the table of what the columns and the networks of a picture cost."""
    rows = ["| | parameters | multiply-adds |", "|---|--:|--:|"]
    rows += [row(f"{column.title} ({column.note})", cost(column).total) for column in picture.columns]
    for network in picture.networks:
        name, _, shortcut = network.partition(" ")
        options: dict[str, Any] = {"shortcut": shortcut} if shortcut else {}
        label = f"`{name}`" + (f", shortcut {shortcut}" if shortcut else "")
        rows.append(row(label, lenext.profile(name, **options).total))
    return "\n".join(rows)


def weights() -> str:
    """Return the table of weights with biases in the 3x3 convolutions and no norm, against those of the block here."""
    rows = ["| | counted with biases, without norm | here, without biases, with norm |", "|---|--:|--:|"]
    for column in (BASIC, WIDE, BOTTLENECK):
        counts = [(conv.kernel**2 * conv.span + (conv.kernel == 3)) * conv.shape[0] for conv in convolutions(column)]
        rows.append(f"| {column.title} | {sum(counts):,} | {cost(column).total.params:,} |")
    return "\n".join(rows)


def filled(text: str) -> str:
    """Return the page with each of its tables made anew."""
    tables = {"blocks-weights": weights} | {f"blocks-{one.name}": partial(costs, one) for one in PICTURES}

    def fill(found: re.Match[str]) -> str:
        return f"<!-- table {found[1]} -->\n{tables[found[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\S+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


if __name__ == "__main__":
    for picture in PICTURES:
        draw(picture, picture.path)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
