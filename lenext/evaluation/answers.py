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
    """Write what was answered to each image of `reading`, beside and renamed.

    A parquet file with the columns image, digest, label, predicted and probability, that of the predicted class.

    Raises:
        LenextError: the write failed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    names = pa.array([_valid(name) for name in class_names], pa.string())
    best = torch.from_numpy(judgement.logits).topk(1, dim=1).indices[:, 0].numpy()  # as the top-1 is counted
    table = pa.table(
        {
            "image": pa.array([_valid(reading.split.names[i]) for i in range(len(best))], pa.string()),
            "digest": pa.array(reading.digests, pa.uint64()),
            "label": pa.DictionaryArray.from_arrays(pa.array(judgement.labels, pa.int32()), names),
            "predicted": pa.DictionaryArray.from_arrays(pa.array(best, pa.int32()), names),
            "probability": pa.array(judgement.probabilities[np.arange(len(best)), best], pa.float32()),
        },
        metadata={KEY: json.dumps(stamped({})).encode()},
    )
    write_atomically(path, lambda beside: pq.write_table(table, beside, compression="zstd"))


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
