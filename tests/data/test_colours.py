"""The colours of a training set: their covariance is NumPy's, whatever way the images are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import png

from lenext.data import colours
from lenext.data.colours import colour_axes, colour_covariance
from lenext.data.decode import ImageForm
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENEXT_CACHE", str(tmp_path))


def picture(seed: int, side: int = 12) -> NDArray[np.uint8]:
    """Return noise whose channels go together in part."""
    random = np.random.default_rng(seed)
    common = random.normal(120, 30, (side, side + 2, 1))
    return (common * [1, 0.8, 0.4] + random.normal(0, 12, (side, side + 2, 3))).clip(0, 255).astype(np.uint8)


def read(pictures: list[NDArray[np.uint8]], form: ImageForm, loading: str = "memory") -> Reading:
    split = Split([png(one) for one in pictures], np.zeros(len(pictures), np.int64), list(map(str, pictures)))
    return read_split(split, form, what="", loading=loading, workers=2)  # type: ignore[arg-type]


def covariance(pictures: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    pixels = np.concatenate([one.reshape(-1, one.shape[-1]) for one in pictures]) / 255
    return np.atleast_2d(np.cov(pixels.T, bias=True))


@pytest.mark.parametrize("loading", ["memory", "cache", "workers"])
@pytest.mark.parametrize("whole", [False, True])
def test_the_covariance_is_numpys(loading: str, whole: bool) -> None:
    """Of many sizes where images are kept whole."""
    pictures = [picture(i, 12 + 3 * i * whole) for i in range(6)]
    form = ImageForm(size=(60, 60), fit="whole") if whole else ImageForm(size=(12, 14))
    found = colour_covariance(read(pictures, form, loading))
    np.testing.assert_allclose(found, covariance(pictures), rtol=0, atol=1e-7)


@pytest.mark.parametrize("loading", ["memory", "cache", "workers"])
def test_grey_images_have_one_variance(loading: str) -> None:
    pictures = [picture(i)[..., :1] for i in range(3)]
    form = ImageForm(size=(12, 14))
    reading = read([one[..., 0] for one in pictures], form, loading)
    np.testing.assert_allclose(colour_covariance(reading), covariance(pictures), atol=1e-7)
    assert colour_axes(reading).shape == (1, 1)


def test_of_many_images_some_all_over_the_set_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colours, "MOST", 3)
    pictures = [picture(i) for i in range(7)]
    for loading in ("memory", "cache", "workers"):
        found = colour_covariance(read(pictures, ImageForm(size=(12, 14)), loading))
        np.testing.assert_allclose(found, covariance([pictures[i] for i in (0, 3, 6)]), atol=1e-7)


def test_the_axes_are_eigenvectors_as_long_as_their_eigenvalues() -> None:
    pictures = [picture(i) for i in range(4)]
    axes = colour_axes(read(pictures, ImageForm(size=(12, 14)))).to(torch.float64)
    matrix = torch.from_numpy(covariance(pictures))
    lengths = axes.norm(dim=0)
    torch.testing.assert_close(lengths.sort().values, torch.linalg.eigvalsh(matrix), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(matrix @ axes, axes * lengths, rtol=1e-4, atol=1e-7)
