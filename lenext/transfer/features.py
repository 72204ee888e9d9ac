"""`features`: the embeddings of a whole source with labels and names, as a table, arrays, or a picture."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lenext.classifier import Classifier, load
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import split_name
from lenext.errors import UserError
from lenext.files import require_suffix, stamped, write_atomically
from lenext.progress import SILENT, Progress
from lenext.transfer.embedding import embed
from lenext.transfer.heads import by_turns

Projection = Literal["tsne", "pca"]
TABLES, PICTURES = (".parquet", ".npz"), (".png", ".svg", ".pdf")
KEY = b"lenext"  # the entry of a table's metadata that says what is in it
COLOURS = (  # of classes, up to as many; of more, each class is named where it lies
    "#0f766e", "#d97706", "#6d28d9", "#2563eb", "#db2777", "#65a30d", "#6b7280", "#92400e", "#0891b2", "#be123c",
    "#166534", "#1e1b4b",
)  # fmt: skip
FIRST = 50  # dimensions that t-SNE begins with
CALLED = {"tsne": "t-SNE", "pca": "first two principal components"}
MOST = 5_000  # images that t-SNE lays out, whose work grows faster than their number
NEIGHBOURS = 30  # of t-SNE: its perplexity


@dataclass(frozen=True)
class Features:
    """The embeddings of N images, (N, D), with their labels, (N,), the names of images and classes, and the splits.

    `stage` is the stage that they are of, None for what enters the last layer.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int64]
    digests: NDArray[np.uint64]
    class_names: tuple[str, ...]
    images: list[str]
    splits: list[str]
    model: str
    stage: int | None
    preprocessing: dict[str, Any]
    skipped: list[tuple[str, str]]

    def write(self, path: str | Path) -> None:
        """Write a .parquet table (image, split, label, digest, embedding) or the arrays of an .npz file.

        Raises:
            UserError: the name ends in neither.
            LenextError: the write failed.
        """
        path = Path(path)
        require_suffix(path, TABLES, "embeddings")
        write = self._write_parquet if path.suffix.lower() == ".parquet" else self._write_arrays
        write_atomically(path, write)

    def draw(self, path: str | Path, projection: Projection = "tsne", seed: int = 0) -> None:
        """Draw the embedding in two dimensions, coloured by class.

        t-SNE is that of van der Maaten and Hinton 2008 on the first 50 principal components, with these as its start;
        of many images some thousand are drawn, of each class in turn.

        Raises:
            UserError: the name is that of no picture, or there are fewer than three images.
            LenextError: the write failed.
        """
        path = Path(path)
        require_suffix(path, PICTURES, "a picture")
        shown = by_turns(self.labels, MOST, seed) if projection == "tsne" else np.arange(len(self.labels))
        places = project(self.values[shown], projection, seed)
        of = f"{len(shown):,} of {len(self.labels):,}" if len(shown) < len(self.labels) else f"{len(shown):,}"
        where = "what enters the last layer" if self.stage is None else f"stage {self.stage}"
        title = f"{self.model}, {where}: {CALLED[projection]} of {of} images"
        kind = path.suffix[1:].lower()
        labels = self.labels[shown]
        write_atomically(path, lambda beside: _draw(beside, kind, places, labels, self.class_names, title))

    def about(self) -> dict[str, Any]:
        """Return what a file says of its embeddings."""
        return stamped(
            {
                "model": self.model,
                "stage": self.stage,
                "dimensions": self.values.shape[1],
                "class_names": list(self.class_names),
                "preprocessing": self.preprocessing,
            }
        )

    def _write_parquet(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet as pq

        width = self.values.shape[1]
        rows = pa.FixedSizeListArray.from_arrays(pa.array(self.values.reshape(-1)), width)
        table = pa.table(
            {
                "image": [_utf8(name) for name in self.images],
                "split": self.splits,
                "label": [_utf8(self.class_names[label]) for label in self.labels.tolist()],
                "digest": [f"{digest:016x}" for digest in self.digests.tolist()],
                "embedding": rows,
            }
        )
        pq.write_table(table.replace_schema_metadata({KEY: json.dumps(self.about())}), path)

    def _write_arrays(self, path: Path) -> None:
        with path.open("wb") as file:  # a name would be given another ending
            np.savez(
                file,
                embedding=self.values,
                label=self.labels,
                class_names=np.array([_utf8(name) for name in self.class_names], np.str_),
                image=np.array([_utf8(name) for name in self.images], np.str_),
                split=np.array(self.splits, np.str_),
                digest=self.digests,
                about=np.array(json.dumps(self.about()), np.str_),
            )


def features(
    target: str | Path | Classifier,
    data: str | Path,
    *,
    stage: int | None = None,
    split: str | None = None,
    weights: str | Path | None = None,
    exclude: str | Path | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Features:
    """Return what enters the last layer of a network for every image of `data`, or what one of its stages gives.

        lenext.features("runs/pets", "photos/").write("features.parquet")

    `stage` counts from 0; of its maps the means are taken, as the head of the network cut there would. `split` is one
    of the data, or all of them where it is None. Classes may be any: nothing is classified.

    Raises:
        UserError: no such stage or split, or no readable image.
    """
    classifier = target if isinstance(target, Classifier) else load(target, weights=weights, device=device)
    if stage is not None:
        classifier.model.require_stage(stage)
    source = open_source(data, exclude=exclude, progress=progress)
    wanted = list(source.splits) if split is None else [split_name(split) or split]
    if wanted[0] not in source.splits:
        raise UserError(f"{source.location} has no split {split!r}; it has {', '.join(source.splits)}")
    readings: list[Reading] = []
    values: list[NDArray[np.float32]] = []
    for name in wanted:
        reading = read_split(
            source.splits[name], classifier.preprocessing.form, what=f"reading {name}", progress=progress
        )
        readings.append(reading)
        if len(reading.images):
            values.append(embed(classifier, reading, stage=stage, what=f"embedding {name}", progress=progress).mean)
    skipped = [each for reading in readings for each in reading.skipped]
    if not values:
        reason = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise UserError(f"{source.location} has no readable image in {', '.join(wanted)}{reason}")
    return Features(
        np.concatenate(values), np.concatenate([reading.labels for reading in readings]),
        np.concatenate([reading.digests for reading in readings]), source.class_names,
        [name for reading in readings for name in reading.split.names],
        [name for name, reading in zip(wanted, readings, strict=True) for _ in range(len(reading.images))],
        classifier.name, stage, classifier.preprocessing.to_json(), skipped,
    )  # fmt: skip


def project(values: NDArray[np.float32], projection: Projection, seed: int = 0) -> NDArray[np.float64]:
    """Return the embeddings (N, D) in two dimensions, (N, 2).

    Raises:
        UserError: fewer than three images.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(values) < 3:
        raise UserError(f"{len(values)} embeddings make no picture; give three images or more")
    centred = values.astype(np.float64)
    if not np.ptp(centred, 0).any():
        return np.zeros((len(values), 2))
    kept = min(FIRST, *values.shape)
    first: NDArray[np.float64] = PCA(kept, random_state=seed).fit_transform(centred)
    if first.shape[1] < 2:
        first = np.concatenate([first, np.zeros((len(first), 2 - first.shape[1]))], 1)
    if projection == "pca":
        return first[:, :2]
    perplexity = min(NEIGHBOURS, (len(values) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(first)  # type: ignore[no-any-return]


def _draw(
    beside: Path,
    kind: str,
    places: NDArray[np.float64],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    title: str,
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    present = np.unique(labels).tolist()
    area = float(np.clip(20_000 / len(places), 3, 40))  # of a dot, in points squared
    if len(present) <= len(COLOURS):
        dots = [
            axes.scatter(places[labels == label, 0], places[labels == label, 1], s=area, c=colour, alpha=0.75, lw=0)
            for colour, label in zip(COLOURS, present, strict=False)
        ]
        # With handles of its own a legend shows names that begin with an underscore, too.
        legend = axes.legend(
            dots, [class_names[label] for label in present],
            frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.6,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
    else:
        axes.scatter(places[:, 0], places[:, 1], s=area, c=labels, cmap="hsv", alpha=0.7, lw=0)
        for label in present:
            x, y = np.median(places[labels == label], 0)
            axes.text(x, y, class_names[label], fontsize=7, ha="center", va="center", parse_math=False)
    axes.set_title(title, loc="left", fontsize=11, color="#374151")
    axes.set_axis_off()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that no font here has
        figure.savefig(beside, format=kind, dpi=150)


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
