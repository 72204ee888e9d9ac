"""What the experiments share: their command line, a small set of images, a folder a run, and the picture.

    with Experiment(__doc__, train=1000, test=500, epochs=3) as experiment:
        for run in experiment.runs("LeNet-5"):
            lenext.train(experiment.data, "lenet5", epochs=experiment.epochs, seed=run.seed, out=run.out)
        experiment.curves("LeNet-5")  # the lines of metrics.jsonl, for each seed

`draw` then makes two panels of curves: the median over the seeds, and the range from the lowest to the highest.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image

from lenext.data.opening import open_source

Rows = list[dict[str, Any]]  # the lines of a run's metrics.jsonl, one an epoch

INK, FAINT, GRID = "#374151", "#9ca3af", "#e5e7eb"
COLOURS = ("#6d28d9", "#0f766e", "#d97706", "#6b7280")
APART = 0.065  # of the height of a panel, from one name to the next
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif", "font.size": 10, "text.color": INK, "axes.edgecolor": FAINT, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.titlesize": 10.5, "axes.titlelocation": "left",
    "axes.titlepad": 9, "axes.grid": True, "axes.grid.axis": "y", "grid.color": GRID, "axes.axisbelow": True,
    "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0,
    "xtick.major.pad": 6,
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One training that is still to be done: its seed, and the folder that keeps it."""

    seed: int
    out: Path


class Experiment:
    """The command line of a script, with these values where it gives none; `more` become options of their own.

    Within the `with`, `data` is a folder that holds a part of the images, the same for every seed.
    """

    def __init__(self, about: str | None, *, train: int, test: int, epochs: int, seeds: int = 3, **more: Any) -> None:
        parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("source", metavar="DATA", nargs="?", default="digits", help="what `lenext train` takes")
        counts = {"train": train, "test": test, "epochs": epochs, "seeds": seeds, **more}
        for name, value in counts.items():
            kind = _numbers if isinstance(value, tuple) else type(value)
            parser.add_argument(f"--{name}", type=kind, default=value, metavar="N", help=f"{value} if not given")
        picture = Path(sys.argv[0]).stem[3:] + ".png"
        parser.add_argument("--out", type=Path, default=Path(picture), metavar="FILE", help="the picture")
        parser.add_argument("--runs", type=Path, metavar="FOLDER", help="keep the runs; do not repeat those there")
        self.settings = parser.parse_args()
        self.epochs: int = self.settings.epochs
        self.out: Path = self.settings.out
        self._opened = ExitStack()

    def __enter__(self) -> Experiment:
        chosen = self.settings
        self._folder = chosen.runs or Path(self._opened.enter_context(tempfile.TemporaryDirectory()))
        self.data = self._folder / "data"
        if not self.data.exists():
            write_part(chosen.source, chosen.train, chosen.test, self.data)
        self.classes = len(open_source(self.data).class_names)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    def runs(self, name: str) -> Iterator[Run]:
        """Yield what `name` is still to be trained with, one run a seed, and say how each ended."""
        for seed in range(self.settings.seeds):
            out = self._out(name, seed)
            if not (out / "run.json").exists():
                yield Run(seed, out)
                print(f"{name}, seed {seed}: {_ended(out)}", flush=True)

    def curves(self, name: str) -> list[Rows]:
        """Return the lines of metrics of `name`, for each seed; none of a run that broke off."""
        return [_read(self._out(name, seed)) for seed in range(self.settings.seeds)]

    def _out(self, name: str, seed: int) -> Path:
        return self._folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _record(out: Path) -> Any:
    return json.loads((out / "run.json").read_text())


def _ended(out: Path) -> str:
    record = _record(out)
    if record["state"] != "finished":
        return str(record["state"])
    return f"top-1 {record['result']['top1']:.1f} %, {record['result']['seconds']:.0f} s"


def _read(out: Path) -> Rows:
    if _record(out)["state"] != "finished":
        return []
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def write_part(location: str, train: int, test: int, folder: Path) -> None:
    """Write some images of a source as a folder that `lenext.train` opens; a fixed seed draws them."""
    source, draw = open_source(location), np.random.default_rng(0)
    training = source.splits.get("train", next(iter(source.splits.values())))
    judged = next((source.splits[name] for name in ("test", "val") if name in source.splits), None)
    order = draw.permutation(len(training))
    if judged is None:
        count = min(test, len(order) // 4)
        judged, order = training.take(order[:count]), order[count:]
    else:
        judged = judged.take(draw.permutation(len(judged))[:test])
    folder.mkdir(parents=True)
    for name, split in (("train", training.take(order[:train])), ("test", judged)):
        labels = [source.class_names[label] for label in split.labels]
        table = pa.table({"image": [*map(_encoded, split.items)], "label": labels})
        pq.write_table(table, folder / f"{name}-00000-of-00001.parquet")


def _encoded(item: Any) -> bytes:
    if isinstance(item, Path):
        return item.read_bytes()
    if isinstance(item, bytes):
        return item
    file = io.BytesIO()
    (item if isinstance(item, Image.Image) else Image.fromarray(item)).save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Line:
    """A line of a picture: `x` (points), and `y` (seeds, points), of which the median and the range are drawn."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    @property
    def last(self) -> NDArray[np.float64]:
        """The last point of each seed."""
        return self.y[:, -1]

    def complement(self) -> Line:
        """Return what is lacking of a hundred percent: the error where this is the accuracy."""
        return Line(self.x, 100 - self.y)


def by_step(curves: Sequence[Rows]) -> Line:
    """Return the training loss along the steps; every epoch is cut into parts, and a point is the mean of one."""
    x, begun = list[float](), 0
    for row in curves[0]:
        parts = len(row["train_loss_parts"])
        x += [begun + (row["steps"] - begun) * (part + 0.5) / parts for part in range(parts)]
        begun = row["steps"]
    return Line(np.array(x), np.array([[loss for row in rows for loss in row["train_loss_parts"]] for rows in curves]))


def by_epoch(curves: Sequence[Rows], key: str) -> Line:
    """Return a figure of metrics.jsonl, such as `top1`, after each epoch."""
    return Line(np.arange(1.0, len(curves[0]) + 1), np.array([[row[key] for row in rows] for rows in curves]))


def by_setting(settings: Sequence[float], values: Sequence[Sequence[float]]) -> Line:
    """Return a line along what was set, such as the depth; `values` has a row for each setting, a value a seed."""
    return Line(np.array(settings, float), np.array(values, float).T)


def final(curves: Sequence[Rows], key: str, broken_off: float = math.nan) -> list[float]:
    """Return a figure after the last epoch, for each seed; `broken_off` is that of a run that did not get there."""
    return [rows[-1][key] if rows else broken_off for rows in curves]


def spread(values: NDArray[np.float64] | Sequence[float], digits: int = 1) -> str:
    """Return the median of the seeds, and their range."""
    low, middle, high = (f"{value:.{digits}f}" for value in np.quantile(values, (0, 0.5, 1)))
    return f"{middle} ({low} to {high}, n = {len(values)})"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Half of a picture. `log` are the axes that count in factors: "", "x", "y" or "xy"."""

    title: str
    along: str
    lines: Mapping[str, Line]
    log: str = ""
    ticks: Sequence[float] = field(default=())


def draw(out: Path, finding: str, *panels: Panel) -> None:
    """Draw the panels side by side below a line that says what was found; the names stand where the lines end."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.2), dpi=160)
        figure.subplots_adjust(left=0.05, right=0.875, bottom=0.13, top=0.78, wspace=0.5)
        figure.text(0.05, 0.925, finding, fontsize=12, weight="bold")
        for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
            _draw_panel(axes, panel)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, facecolor="white")
    print(f"{finding}\n{out}")


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title)
    axes.set_xlabel(panel.along)
    for colour, line in zip(COLOURS, panel.lines.values(), strict=False):
        marker = "o" if len(line.x) <= 12 else ""
        axes.fill_between(line.x, line.y.min(0), line.y.max(0), color=colour, alpha=0.14, linewidth=0)
        middle = np.median(line.y, 0)
        axes.plot(line.x, middle, color=colour, linewidth=1.8, marker=marker, markersize=4, clip_on=False)
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(0, 1.06 * axes.dataLim.y1)
    if panel.ticks:
        axes.xaxis.set_major_locator(FixedLocator(panel.ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
    _name_lines(axes, panel)


def _name_lines(axes: Axes, panel: Panel) -> None:
    """Write every name beside the end of its line; those that would overlap stay apart."""
    axes.figure.canvas.draw()
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = {
        name: (to_axes.transform((line.x[-1], np.median(line.last)))[1], colour)
        for colour, (name, line) in zip(COLOURS, panel.lines.items(), strict=False)
    }
    above = 1.0 + APART
    for name, (height, colour) in sorted(ends.items(), key=lambda end: -end[1][0]):
        above = min(height, above - APART)
        axes.annotate(name, (1, above), (8, 0), "axes fraction", "offset points", va="center", color=colour)
