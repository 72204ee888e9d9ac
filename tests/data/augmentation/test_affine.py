"""Rotation, shear and translation: what Pillow does within the image, and exact where positions are whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from lenext.data.augmentation.affine import (
    affine,
    rotations,
    shears_x,
    shears_y,
    translations_x,
    translations_y,
)

PHOTO = torch.from_numpy(load_sample_image("china.jpg")[100:290:2, 200:520:4].copy())  # (95, 80, 3)
FILL = torch.tensor([124.0, 3.0, 250.0])
MATRICES: list[tuple[Callable[[Tensor], Tensor], tuple[float, ...]]] = [
    (rotations, (-135, -30, -3.7, 0, 11, 45, 90, 180)),
    (shears_x, (-0.99, -0.3, 0, 0.021, 0.5)),
    (shears_y, (-0.99, -0.3, 0, 0.021, 0.5)),
    (translations_x, (-300, -32, -7.25, 0, 0.5, 11)),
    (translations_y, (-300, -32, -7.25, 0, 0.5, 11)),
]


def pillow(pixels: Tensor, matrix: Tensor) -> Tensor:
    """Return what Pillow makes of one image: its matrices are about the upper left corner."""
    height, width, _ = pixels.shape
    (a, b, c), (d, e, f) = matrix.tolist()
    x, y = width / 2, height / 2
    data = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    colour = tuple(int(level) for level in FILL)
    image = Image.fromarray(pixels.numpy())
    moved = image.transform(image.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=colour)
    return torch.from_numpy(np.array(moved))


def sources(matrix: Tensor, height: int, width: int) -> Tensor:
    """Return how far inside the image each pixel's source lies, (H, W), negative outside."""
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    found = torch.stack((x, y, torch.ones_like(x)), -1).double() @ matrix.double().T
    return torch.minimum(width / 2 - found[..., 0].abs(), height / 2 - found[..., 1].abs())


@pytest.mark.parametrize(("matrices", "amounts"), MATRICES)
def test_pixels_within_the_image_are_those_of_pillow(
    matrices: Callable[[Tensor], Tensor], amounts: tuple[float, ...]
) -> None:
    every = matrices(torch.tensor(amounts, dtype=torch.float64))
    moved = affine(PHOTO.expand(len(amounts), *PHOTO.shape), every, FILL)
    for found, matrix in zip(moved, every, strict=True):
        expected = pillow(PHOTO, matrix)
        inside = sources(matrix, *PHOTO.shape[:2])
        difference = (found.int() - expected.int()).abs().amax(-1)
        assert difference[(inside > 0.51) | (inside < -0.51)].max() <= 1
        assert (found[inside < -0.51] == FILL.to(torch.uint8)).all()
        assert (inside > 0.51).sum() > 1000 or abs(float(matrix[:, 2].sum())) == 300


def test_positive_angles_turn_anticlockwise_as_pillow_does() -> None:
    turned = affine(PHOTO[None], rotations(torch.tensor([25.0])), FILL)[0]
    expected = torch.from_numpy(np.array(Image.fromarray(PHOTO.numpy()).rotate(25, Image.Resampling.BILINEAR)))
    middle = (slice(30, 65), slice(25, 55))
    assert (turned[middle].int() - expected[middle].int()).abs().max() <= 1


@pytest.mark.parametrize("side", [1, 2, 7, 8, 33, 224])
def test_quarter_turns_are_exact(side: int) -> None:
    pixels = torch.randint(0, 256, (1, side, side, 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    turned = affine(pixels.expand(4, -1, -1, -1), rotations(torch.tensor([0.0, 90.0, 180.0, -90.0])), torch.zeros(2))
    for quarters, found in zip((0, 1, 2, 3), turned, strict=True):
        assert torch.equal(found, torch.rot90(pixels[0], quarters))


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 5])),
    distance=st.integers(-45, 45),
    along_x=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_moving_by_whole_pixels_is_exact(shape: tuple[int, int, int], distance: int, along_x: bool, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    fill = torch.randint(0, 256, shape[-1:], generator=random, dtype=torch.uint8)
    axis = 1 if along_x else 0
    matrices = (translations_x if along_x else translations_y)(torch.tensor([float(distance)]))
    expected = fill.expand(shape).clone()
    kept = max(0, shape[axis] - abs(distance))
    moved = pixels.narrow(axis, 0 if distance > 0 else shape[axis] - kept, kept)
    expected.narrow(axis, shape[axis] - kept if distance > 0 else 0, kept).copy_(moved)
    assert torch.equal(affine(pixels[None], matrices, fill)[0], expected)


def test_a_shear_moves_each_row_by_its_distance_from_the_middle() -> None:
    pixels = torch.arange(1, 16, dtype=torch.uint8).view(1, 3, 5, 1)
    sheared = affine(pixels, shears_x(torch.tensor([1.0])), torch.tensor([99.0]))
    assert sheared.view(3, 5).tolist() == [[99, 1, 2, 3, 4], [6, 7, 8, 9, 10], [12, 13, 14, 15, 99]]
    upright = affine(pixels.transpose(1, 2), shears_y(torch.tensor([1.0])), torch.tensor([99.0]))
    assert torch.equal(upright, sheared.transpose(1, 2))


def test_half_a_pixel_is_the_mean_of_two_and_the_border_blends_with_the_fill() -> None:
    pixels = torch.tensor([10, 20, 50], dtype=torch.uint8).view(1, 1, 3, 1)
    moved = affine(pixels, translations_x(torch.tensor([0.5])), torch.tensor([100.0]))
    assert moved.flatten().tolist() == [55, 15, 35]


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 5])),
    seed=st.integers(0, 2**32),
)
def test_each_image_is_moved_by_itself(shape: tuple[int, int, int, int], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    fill = 255 * torch.rand(shape[-1], generator=random)
    matrices = torch.randn(shape[0], 2, 3, generator=random, dtype=torch.float64) + torch.eye(2, 3)
    before = pixels.clone()
    moved = affine(pixels, matrices, fill)
    assert torch.equal(pixels, before)
    assert moved.shape == pixels.shape
    assert moved.dtype == torch.uint8
    assert moved.is_contiguous()
    assert torch.equal(
        moved, torch.cat([affine(pixels[i : i + 1], matrices[i : i + 1], fill) for i in range(shape[0])])
    )
    channels = [affine(pixels[..., c : c + 1], matrices, fill[c : c + 1]) for c in range(shape[-1])]
    assert torch.equal(moved, torch.cat(channels, -1))
    flat = fill.round().to(torch.uint8).expand(shape)
    assert torch.equal(affine(flat, matrices, fill.round()), flat)
