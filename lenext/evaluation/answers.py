"""What a model answered to each image, in a file: so that two models can be compared image by image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lenext.errors import UserError, one_line
from lenext.files import parse_stamped, stamped, write_atomically

if TYPE_CHECKING:
    from lenext.data.reading import Reading
    from lenext.evaluation.judge import Judgement

KEY = b"lenext"  # the entry of the file's metadata that carries the format number


@dataclass(frozen=True)
class Answers:
    """N images by the names that messages give them, the digests of their bytes, labels, answers, and how sure."""

    images: list[str]
    digests: NDArray[np.uint64]
    labels: list[str]
    predicted: list[str]
    probabilities: NDArray[np.float32]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which images were answered right."""
        return np.array([a == b for a, b in zip(self.labels, self.predicted, strict=True)], bool)

    @property
    def keys(self) -> list[tuple[int, str]]:
        """What makes an image the same in another set: its bytes, and the class that it is said to be of."""
        return list(zip(self.digests.tolist(), self.labels, strict=True))


def write_answers(path: Path, judgement: Judgement, reading: Reading, class_names: Sequence[str]) -> None:
    """Write what was answered to each image of `reading`, beside and renamed, as .parquet or .csv.

    The columns are image, digest, label, predicted, probability (0 to 1) of the predicted class and of the label
    (label_probability), loss (nats), and top5, the five most probable classes: a list, which is one of JSON in a CSV.

    Raises:
        UserError: the name ends in neither.
        LenextError: the write failed.
    """
    write = {".parquet": _write_parquet, ".csv": _write_csv}.get(path.suffix.lower())
    if write is None:
        raise UserError(f"{path} would be no table: give a name that ends in .parquet or .csv")
    table = _table(judgement, reading, class_names)
    write_atomically(path, lambda beside: write(table, beside))


def _table(judgement: Judgement, reading: Reading, class_names: Sequence[str]) -> Any:
    import pyarrow as pa

    names = pa.array([_valid(name) for name in class_names], pa.string())
    count = len(judgement.labels)
    top5 = judgement.most_probable(5)
    offsets = pa.array(np.arange(count + 1) * top5.shape[1], pa.int32())
    return pa.table(
        {
            "image": pa.array([_valid(reading.split.names[i]) for i in range(count)], pa.string()),
            "digest": pa.array(reading.digests, pa.uint64()),
            "label": _named(judgement.labels, names),
            "predicted": _named(judgement.predicted, names),
            "probability": pa.array(judgement.confidences.astype(np.float32)),
            "label_probability": pa.array(np.exp(-judgement.losses).astype(np.float32)),
            "loss": pa.array(judgement.losses.astype(np.float32)),
            "top5": pa.ListArray.from_arrays(offsets, _named(top5.ravel(), names)),
        }
    )


def _named(classes: NDArray[np.int64], names: Any) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(classes, pa.int32()), names)


def _write_parquet(table: Any, path: Path) -> None:
    import pyarrow.parquet as pq

    stamp = {KEY: json.dumps(stamped({})).encode()}
    pq.write_table(table.replace_schema_metadata(stamp), path, compression="zstd")


def _write_csv(table: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv

    lists = [json.dumps(names, ensure_ascii=False) for names in table["top5"].to_pylist()]
    at = table.schema.get_field_index("top5")
    pyarrow.csv.write_csv(table.set_column(at, "top5", pa.array(lists, pa.string())), path)


def read_answers(path: Path) -> Answers:
    """Return the answers in a file that `write_answers` wrote.

    Raises:
        UserError: it is missing, damaged, or of another format.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise UserError(f"there is no {path}")
    try:
        with pq.ParquetFile(path) as file:
            said = (file.schema_arrow.metadata or {}).get(KEY)
            if said is None:
                raise UserError(f"{path} is damaged: it carries no format number")
            parse_stamped(said.decode(errors="replace"), str(path))
            table = file.read(["image", "digest", "label", "predicted", "probability"])
        images, labels, predicted = (_texts(table[name]) for name in ("image", "label", "predicted"))
        digests, probabilities = table["digest"].to_numpy(), table["probability"].to_numpy()
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    if digests.dtype != np.uint64 or probabilities.dtype != np.float32 or not all((images, labels, predicted)):
        raise UserError(f"{path} is damaged: its columns are not those that lenext writes, or are empty")
    return Answers(images, digests, labels, predicted, probabilities)


def _texts(column: Any) -> list[str]:
    import pyarrow as pa

    values: list[str] = column.cast(pa.string()).to_pylist()
    if any(value is None for value in values):
        raise ValueError("values are missing")
    return values


def _valid(text: str) -> str:
    """Return the text with what cannot be UTF-8, such as a file name of another encoding, written out."""
    return text.encode("utf-8", "backslashreplace").decode()
