"""What happens to a batch: by seed, epoch and index, not by the batch, and as often as an augmentation says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import stripes
from scipy.stats import kstest
from torch import Tensor

from lenext.data.augmentation import augment
from lenext.data.augmentation.augment import Augmenter, mirrored
from lenext.data.augmentation.augmentation import NOTHING, Augmentation
from lenext.data.augmentation.mixing import beta_weights, mixup
from lenext.data.draws import Purpose, uniforms

FILL = (120.0, 110.0, 100.0)
AXES = torch.tensor([[0.2, 0.01, 0.0], [0.1, -0.02, 0.001], [0.05, 0.01, -0.002]])
EVERYTHING = Augmentation(
    mirror=True, jitter=0.4, randaugment=2, magnitude_std=0.5, trivialaugment=True, colour_noise=0.1, erasing=0.5
)
PLANS = {
    "mirror": Augmentation(mirror=True),
    "jitter": Augmentation(jitter=0.4),
    "randaugment": Augmentation(randaugment=2, magnitude=15),
    "randaugment of other magnitudes": Augmentation(randaugment=1, magnitude=9, magnitude_std=2),
    "trivialaugment": Augmentation(trivialaugment=True),
    "colour noise": Augmentation(colour_noise=0.5),
    "erasing": Augmentation(erasing=0.5),
    "everything": EVERYTHING,
}


def pictures(count: int, channels: int = 3) -> Tensor:
    return torch.from_numpy(np.stack([stripes(i, upright=bool(i % 2), side=14)[..., :channels] for i in range(count)]))


def augmenter(plan: Augmentation, channels: int = 3) -> Augmenter:
    return Augmenter(plan, fill=FILL[:channels], axes=AXES[:channels, :channels])


def changed(plan: Augmentation, pixels: Tensor, indices: NDArray[np.int64], seed: int = 1, epoch: int = 2) -> Tensor:
    return augmenter(plan, pixels.shape[-1]).change(pixels, seed, epoch, indices)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PLANS)
def test_the_batch_changes_nothing(name: str, channels: int) -> None:
    pixels, indices = pictures(24, channels), np.arange(100, 124)
    before = pixels.clone()
    whole = changed(PLANS[name], pixels, indices)
    assert torch.equal(pixels, before)
    assert (whole.dtype, whole.shape) == (torch.uint8, pixels.shape)
    order = np.random.default_rng(0).permutation(24)
    assert torch.equal(changed(PLANS[name], pixels[order], indices[order]), whole[order])
    for size in (1, 5):
        parts = [
            changed(PLANS[name], pixels[i : i + size], indices[i : i + size]) for i in range(0, 24, size)
        ]  # fmt: skip
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("name", PLANS)
def test_seed_epoch_and_index_change_it(name: str) -> None:
    pixels, indices = pictures(24), np.arange(24)
    first = changed(PLANS[name], pixels, indices)
    torch.manual_seed(7)
    assert torch.equal(changed(PLANS[name], pixels, indices), first)
    for other in (
        changed(PLANS[name], pixels, indices, seed=2),
        changed(PLANS[name], pixels, indices, epoch=3),
        changed(PLANS[name], pixels, indices + 24),
    ):
        assert not torch.equal(other, first)


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    pixels = pictures(3)
    assert changed(NOTHING, pixels, np.arange(3)) is pixels
    mixed, shares = augmenter(NOTHING).mix(pixels, 0, 0, np.arange(3))
    assert mixed is pixels
    assert shares is None


def test_turning_left_to_right_by_hand() -> None:
    pixels = torch.arange(12, dtype=torch.uint8).view(2, 1, 3, 2)
    made = mirrored(pixels, torch.tensor([False, True]))
    assert made.tolist() == [[[[0, 1], [2, 3], [4, 5]]], [[[10, 11], [8, 9], [6, 7]]]]
    assert torch.equal(mirrored(pixels, torch.tensor([False, False])), pixels)


def test_every_second_image_is_turned() -> None:
    pixels, indices = pictures(1).expand(4000, -1, -1, -1), np.arange(4000)
    made = changed(PLANS["mirror"], pixels, indices)
    turned = (made == pixels.flip(2)).flatten(1).all(1)
    assert ((made == pixels).flatten(1).all(1) ^ turned).all()
    assert abs(int(turned.sum()) - 2000) < 4 * 4000**0.5 / 2
    assert torch.equal(turned, torch.from_numpy(uniforms(1, 2, indices, Purpose.MIRROR, 1)[:, 0] < 0.5))


def test_jitter_draws_each_factor_from_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brightness, contrast and saturation, one after the other and apart from each other."""
    seen: dict[str, Tensor] = {}

    def recorded(name: str):  # type: ignore[no-untyped-def]
        def change(pixels: Tensor, factors: Tensor) -> Tensor:
            seen[name] = factors
            return pixels

        return change

    names = ["brightness", "contrast", "saturation"]
    for name in names:
        monkeypatch.setattr(augment, name, recorded(name))
    changed(PLANS["jitter"], torch.zeros(3000, 1, 1, 3, dtype=torch.uint8), np.arange(3000))
    assert list(seen) == names
    for factors in seen.values():
        assert kstest(factors.numpy(), "uniform", (0.6, 0.8)).pvalue > 0.001
    assert np.abs(np.corrcoef([factors.numpy() for factors in seen.values()]) - np.eye(3)).max() < 4 / 3000**0.5


def test_colour_noise_is_normal_along_the_axes() -> None:
    axes = torch.tensor([[0.3, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.1]])
    grey = torch.full((4000, 2, 2, 3), 128, dtype=torch.uint8)
    made = Augmenter(Augmentation(colour_noise=0.5), fill=FILL, axes=axes).change(grey, 0, 1, np.arange(4000))
    assert (made == made[:, :1, :1]).all()  # one shift an image
    shifts = (made[:, 0, 0].double() - 128) / 255
    for channel, deviation in enumerate((0.15, 0.1, 0.05)):
        assert abs(shifts[:, channel].mean()) < 4 * deviation / 4000**0.5
        assert abs(shifts[:, channel].std() / deviation - 1) < 0.06
    assert np.abs(np.corrcoef(shifts.T) - np.eye(3)).max() < 4 / 4000**0.5


def test_so_many_images_lose_a_rectangle_to_noise() -> None:
    pixels = torch.zeros(2000, 16, 16, 3, dtype=torch.uint8)
    made = changed(Augmentation(erasing=0.25), pixels, np.arange(2000))
    erased = (made > 0).any(-1)  # (N, H, W)
    share = erased.flatten(1).any(1).double().mean()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5
    levels = made[erased].flatten().double()
    assert abs(levels.mean() - 127.5) < 5


NAMES = ["mixup", "cutmix"]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_mixed_with_those_from_the_end(name: str) -> None:
    pixels, indices = pictures(7), np.array([5, 9, 2, 40, 1, 0, 3])
    plan = Augmentation(mixup=0.4) if name == "mixup" else Augmentation(cutmix=1.0)
    mixed, shares = augmenter(plan).mix(pixels, 3, 4, indices)
    assert shares is not None
    assert shares.shape == (7,)
    if name == "mixup":
        weights = beta_weights(torch.from_numpy(uniforms(3, 4, indices, Purpose.MIXING, 1)[:, 0]), 0.4)
        torch.testing.assert_close(shares, weights)
        assert torch.equal(mixed, mixup(pixels, weights))
    else:
        others = pixels.flip(0)
        differs = (pixels != others).any(-1)
        own = ((mixed == pixels).all(-1) & differs).flatten(1).sum(1) / differs.flatten(1).sum(1)
        assert ((mixed == pixels).all(-1) | (mixed == others).all(-1)).all()
        torch.testing.assert_close(own[[0, 1, 2, 4, 5, 6]], shares[[0, 1, 2, 4, 5, 6]].float(), atol=0.1, rtol=0)


def test_with_both_each_batch_takes_one_of_them() -> None:
    """Mixup leaves grey levels between those of the two images, which cutmix does not."""
    plan = Augmentation(mixup=1.0, cutmix=1.0)
    pixels = torch.cat([torch.zeros(3, 8, 8, 1, dtype=torch.uint8), torch.full((3, 8, 8, 1), 255, dtype=torch.uint8)])
    cuts = 0
    for first in range(0, 1200, 6):
        mixed, shares = augmenter(plan, 1).mix(pixels, 0, 1, np.arange(first, first + 6))
        pasted = bool(((mixed == 0) | (mixed == 255)).all())
        assert shares is not None
        mean = mixed[:3].double().mean((1, 2, 3)) / 255
        torch.testing.assert_close(1 - mean, shares[:3].double(), atol=0.002, rtol=0)
        cuts += pasted
    assert abs(cuts - 100) < 4 * 200**0.5 / 2


def test_the_noise_of_an_epoch_is_the_same_for_all_and_another_in_the_next() -> None:
    pixels = torch.zeros(1, 6, 5, 3, dtype=torch.uint8)
    first = augment._noise(pixels, 1, 2)
    assert (first.shape, first.dtype) == ((6, 5, 3), torch.uint8)
    assert torch.equal(augment._noise(pixels.expand(9, -1, -1, -1), 1, 2), first)
    assert not torch.equal(augment._noise(pixels, 1, 3), first)
    assert not torch.equal(augment._noise(pixels, 2, 2), first)


@settings(max_examples=40)
@given(
    plan=st.builds(
        Augmentation,
        mirror=st.booleans(),
        jitter=st.floats(0, 1),
        randaugment=st.integers(0, 3),
        randaugment_probability=st.floats(0, 1),
        magnitude=st.floats(0, 30),
        magnitude_std=st.sampled_from([0.0, 0.5, 30.0]),
        trivialaugment=st.booleans(),
        colour_noise=st.floats(0, 10),
        erasing=st.floats(0, 1),
        mixup=st.sampled_from([0.0, 0.2, 100.0]),
        cutmix=st.sampled_from([0.0, 1.0]),
    ),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 1000),
)
def test_whatever_is_asked_for_bytes_come_out(
    plan: Augmentation, shape: tuple[int, int, int, int], seed: int, epoch: int
) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    made = augmenter(plan, shape[-1])
    indices = np.arange(shape[0])
    mixed, shares = made.mix(made.change(pixels, seed, epoch, indices), seed, epoch, indices)
    assert (mixed.shape, mixed.dtype) == (shape, torch.uint8)
    assert (shares is None) == (not plan.mixes)
    if shares is not None:
        assert shares.min() >= 0
        assert shares.max() <= 1
