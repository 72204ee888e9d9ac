from __future__ import annotations

import numpy as np
import pytest

from lenext.checking.classes import class_counts, class_problems
from lenext.checking.listing import Listing
from lenext.data.source import Source, Split


def found(splits: dict[str, dict[str, int]], *, named: bool = True) -> list[tuple[str, str]]:
    """Return what is wrong with splits of so many images of each class."""
    names = sorted({name for counts in splits.values() for name in counts})
    made = {}
    for split, counts in splits.items():
        labels = np.repeat([names.index(name) for name in counts], list(counts.values()))
        made[split] = Split([b""] * len(labels), labels, [str(i) for i in range(len(labels))])
    listing = Listing(Source("here", tuple(names), made), named=named)
    everything = {name: np.ones(len(split), bool) for name, split in made.items()}
    return [(each.kind, each.path) for each in class_problems(listing, class_counts(listing, everything))]


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"all": {"a": 10, "b": 12}}, []),
        ({"train": {"a": 10, "b": 12}, "val": {"a": 1, "b": 1}}, []),
        ({"train": {"a": 10}, "val": {"a": 1, "b": 1}}, [("class-not-in-train", "val/b")]),
        ({"train": {"a": 10, "b": 9}, "test": {"a": 1}}, [("class-missing", "test/b")]),
        ({"all": {"a": 4, "b": 10}}, [("tiny-class", "a")]),
        ({"train": {"a": 9, "b": 46, "c": 46}}, [("tiny-class", "train/a")]),
        ({"all": {"a": 9, "b": 45, "c": 45}}, []),
        ({"train": {"a": 20, "b": 200}}, [("imbalance", "train")]),
        ({"all": {"a": 20, "b": 199}}, []),
        ({"all": {"big cat": 9, "Big_Cat": 9, "dog": 9}}, [("similar-classes", "big cat")]),
        ({"all": {str(i): 9 for i in range(10)}}, []),
        ({"all": {str(i): 9 for i in range(11)}}, [("order", "10")]),
        ({"all": {f"{i:02}": 9 for i in range(11)}}, []),
        ({"all": {"class10": 9, "class9": 9}}, []),
        ({"all": {f"n{i}": 1 for i in range(30)} | {"big": 9}}, [("order", "n19"), ("tiny-class", "")]),
        ({"val": {"a": 1, "b": 100}}, []),
    ],
)
def test_classes(splits: dict[str, dict[str, int]], expected: list[tuple[str, str]]) -> None:
    assert found(splits) == expected


def test_order_is_of_names_alone() -> None:
    assert found({"all": {str(i): 9 for i in range(11)}}, named=False) == []
