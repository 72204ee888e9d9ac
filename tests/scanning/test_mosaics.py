"""Digits in a mosaic, each found where it is: a network trained in seconds on windows cut from other mosaics."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import lenext
from lenext.training.run import TrainResult

ROOT = Path(__file__).parents[2]
MNIST = ROOT.parent / "shared" / "data" / "mnist"

pytestmark = [
    pytest.mark.skipif(not MNIST.is_dir(), reason="the shared data are not beside the repository"),
    pytest.mark.usefixtures("one_thread"),
]
sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def trained(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    import mosaics

    folder = tmp_path_factory.mktemp("mosaics")
    digits = mosaics.read_digits(MNIST, "train", 20_000)
    mosaics.write_table(folder / "windows" / "train.parquet", *mosaics.windows(digits, 12_000, seed=1))
    mosaics.write_table(folder / "windows" / "test.parquet", *mosaics.windows(digits, 500, seed=2))
    return lenext.train(folder / "windows", "lenet5_valid", epochs=4, seed=1, out=folder / "run")


@pytest.mark.parametrize(
    ("kind", "finer"), [("grid", False), ("grid", True), ("scattered", False), ("scattered", True)]
)
def test_the_digits_of_a_mosaic_are_found(trained: TrainResult, kind: str, finer: bool) -> None:
    import mosaics

    classifier = lenext.load(trained.run)
    test, rng = mosaics.read_digits(MNIST, "test", 3_000), np.random.default_rng(0)
    page, placed = getattr(mosaics, kind)(test, rng)
    digits, found, peaks, false = mosaics.judge(classifier, page, placed, finer=finer)
    assert digits == len(placed)
    assert found >= 0.95 * digits  # some are misread, as they are one by one
    assert false <= 0.05 * peaks
