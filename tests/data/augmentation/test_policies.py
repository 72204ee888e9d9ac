"""RandAugment and TrivialAugment: each operation as often as any other, as strong as the papers have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from scipy.stats import chisquare, kstest, norm
from sklearn.datasets import load_sample_image
from torch import Tensor

from lenext.data.augmentation import policies
from lenext.data.augmentation.policies import RANDAUGMENT, TRIVIALAUGMENT, Operation, randaugment, trivialaugment

PHOTO = torch.from_numpy(load_sample_image("china.jpg")[100:290:2, 200:520:4].copy())  # (95, 80, 3)
HEIGHT, WIDTH = PHOTO.shape[:2]
GREY = torch.tensor([124.0, 116.0, 104.0])
NAMES = [operation.name for operation in RANDAUGMENT]
GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def uniform(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def chooses(name: str) -> float:
    """Return a draw that chooses this operation."""
    return (NAMES.index(name) + 0.5) / len(NAMES)


def moved(matrix: tuple[float, ...]) -> Callable[[Image.Image], Image.Image]:
    """Return Pillow's transform by a matrix about the centre."""
    a, b, c, d, e, f = matrix
    x, y = WIDTH / 2, HEIGHT / 2
    data = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=(124, 116, 104)
    )


def enhanced(enhancer: Callable[[Image.Image], Any], factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: enhancer(image).enhance(factor)


# Magnitude 9 of 30, and strength 20 of 30, each worked out by hand from the ranges of torchvision.
AT_NINE: dict[str, Callable[[Image.Image], Image.Image]] = {
    "identity": lambda image: image,
    "shear_x": moved((1, 0.09, 0, 0, 1, 0)),
    "shear_y": moved((1, 0, 0, 0.09, 1, 0)),
    "translate_x": moved((1, 0, -10, 0, 1, 0)),  # 80 * 0.13595 = 10.9
    "translate_y": moved((1, 0, 0, 0, 1, -12)),  # 95 * 0.13595 = 12.9
    "rotate": lambda image: image.rotate(9, Image.Resampling.BILINEAR, fillcolor=(124, 116, 104)),
    "brightness": enhanced(ImageEnhance.Brightness, 1.27),
    "saturation": enhanced(ImageEnhance.Color, 1.27),
    "contrast": enhanced(ImageEnhance.Contrast, 1.27),
    "sharpness": enhanced(ImageEnhance.Sharpness, 1.27),
    "posterize": lambda image: ImageOps.posterize(image, 7),  # 8 - 1.2
    "solarize": lambda image: ImageOps.solarize(image, 179),  # 178.5
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
}
AT_TWENTY: dict[str, Callable[[Image.Image], Image.Image]] = {
    **AT_NINE,
    "shear_x": moved((1, -0.66, 0, 0, 1, 0)),
    "shear_y": moved((1, 0, 0, -0.66, 1, 0)),
    "translate_x": moved((1, 0, 21, 0, 1, 0)),  # 21.3
    "translate_y": moved((1, 0, 0, 0, 1, 21)),
    "rotate": lambda image: image.rotate(-90, Image.Resampling.BILINEAR, fillcolor=(124, 116, 104)),
    "brightness": enhanced(ImageEnhance.Brightness, 0.34),
    "saturation": enhanced(ImageEnhance.Color, 0.34),
    "contrast": enhanced(ImageEnhance.Contrast, 0.34),
    "sharpness": enhanced(ImageEnhance.Sharpness, 0.34),
    "posterize": lambda image: ImageOps.posterize(image, 4),
    "solarize": lambda image: ImageOps.solarize(image, 85),
}


def assert_agrees(found: Tensor, name: str, reference: Callable[[Image.Image], Image.Image]) -> None:
    expected = torch.from_numpy(np.array(reference(Image.fromarray(PHOTO.numpy()))))
    difference = (found.int() - expected.int()).abs().amax(-1)
    if name in GEOMETRY:  # Pillow does not blend into what lies outside
        assert (difference > 1).float().mean() < 0.04
    else:
        assert difference.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_magnitude_nine_is_that_of_the_paper(name: str) -> None:
    draws = torch.tensor([[chooses(name), 0.7]], dtype=torch.float64)
    assert_agrees(randaugment(PHOTO[None], draws, 1, 9, GREY)[0], name, AT_NINE[name])


@pytest.mark.parametrize("name", NAMES)
def test_strength_twenty_is_that_of_the_paper(name: str) -> None:
    draws = torch.tensor([[chooses(name), 20.5 / 31, 0.3]], dtype=torch.float64)
    assert_agrees(trivialaugment(PHOTO[None], draws, GREY)[0], name, AT_TWENTY[name])


def test_operations_come_in_the_order_of_their_draws() -> None:
    draws = torch.tensor([[chooses("solarize"), chooses("brightness"), 0.2, 0.2]], dtype=torch.float64)
    found = randaugment(PHOTO[None], draws, 2, 15, GREY)[0]
    image = ImageEnhance.Brightness(ImageOps.solarize(Image.fromarray(PHOTO.numpy()), 128)).enhance(0.55)
    assert (found.int() - torch.from_numpy(np.array(image)).int()).abs().max() <= 1


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("operation", [*RANDAUGMENT, *TRIVIALAUGMENT], ids=lambda operation: operation.name)
def test_operations_change_a_picture_at_their_strongest_and_not_at_their_weakest(
    operation: Operation, negative: bool
) -> None:
    sign = torch.tensor([negative])
    dull = (40 + 0.6 * PHOTO).to(torch.uint8)[None]
    strongest = operation.apply(dull, operation.values(torch.tensor([1.0]), sign), GREY)
    difference = (strongest.float() - dull.float()).abs().mean()
    assert difference == 0 if operation.name == "identity" else difference > 2
    if operation.name in ("autocontrast", "equalize"):
        return
    weakest = operation.apply(PHOTO[None], operation.values(torch.tensor([0.0]), sign), GREY)[0]
    unchanged = PHOTO.where(PHOTO < 255, 0) if operation.name == "solarize" else PHOTO
    assert torch.equal(weakest, unchanged)


def numbered(count: int) -> tuple[Operation, ...]:
    """Return operations that append their number to what a pixel holds."""

    def append(number: int) -> Operation:
        return Operation(str(number), lambda pixels, _, __: pixels * count + number)

    return tuple(append(number) for number in range(count))


def test_randaugment_chooses_every_pair_of_operations_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "RANDAUGMENT", numbered(len(RANDAUGMENT)))
    pixels = torch.zeros(60_000, 1, 1, 1, dtype=torch.uint8)
    chosen = randaugment(pixels, uniform(11, 60_000, 4), 2, 9, torch.zeros(1)).flatten()
    assert chisquare(chosen.bincount(minlength=196).numpy()).pvalue > 1e-3
    assert chosen.max() == 195


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_an_operation_of_randaugment_happens_with_its_probability(
    probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "RANDAUGMENT", numbered(len(RANDAUGMENT)))
    pixels = torch.zeros(20_000, 1, 1, 1, dtype=torch.uint8)
    draws = uniform(13, 20_000, 2)
    chosen = randaugment(pixels, draws, 1, 9, torch.zeros(1), probability=probability).flatten()
    shares = np.full(14, probability / 14)
    shares[0] += 1 - probability
    counts = chosen.bincount(minlength=14).numpy()
    if probability == 0:
        assert counts[0] == 20_000
    else:
        assert chisquare(counts, 20_000 * shares).pvalue > 1e-3


def test_trivialaugment_chooses_every_operation_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "TRIVIALAUGMENT", numbered(len(TRIVIALAUGMENT)))
    pixels = torch.zeros(20_000, 1, 1, 1, dtype=torch.uint8)
    chosen = trivialaugment(pixels, uniform(12, 20_000, 3), torch.zeros(1)).flatten()
    assert chisquare(chosen.bincount(minlength=14).numpy()).pvalue > 1e-3


def meter(strongest: float) -> Operation:
    """Return an operation that writes 128 plus its value."""

    def write(pixels: Tensor, values: Tensor, _: Tensor) -> Tensor:
        return (128 + values).round().to(torch.uint8).view(-1, 1, 1, 1).expand_as(pixels)

    return Operation("meter", write, 0, strongest, signed=True)


def test_trivialaugment_chooses_every_strength_and_sign_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "TRIVIALAUGMENT", (meter(30),))
    pixels = torch.zeros(20_000, 1, 1, 1, dtype=torch.uint8)
    values = trivialaugment(pixels, uniform(13, 20_000, 3), torch.zeros(1)).flatten().int() - 128
    assert chisquare(values.abs().bincount(minlength=31).numpy()).pvalue > 1e-3
    signed = values[values != 0] + 30
    assert chisquare(signed.bincount(minlength=61)[torch.arange(61) != 30].numpy()).pvalue > 1e-3


def test_magnitudes_are_normal_and_cut_to_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "RANDAUGMENT", (meter(120),))
    count = 5000
    pixels, fill = torch.zeros(count, 1, 1, 1, dtype=torch.uint8), torch.zeros(1)

    def magnitudes(magnitude: float, std: float) -> Tensor:
        draws = torch.cat((uniform(14, count, 1), torch.ones(count, 1), uniform(15, count, 1)), 1)
        return (randaugment(pixels, draws, 1, magnitude, fill, std).flatten().double() - 128) / 4

    assert set(magnitudes(9, 0).tolist()) == {9}
    found = magnitudes(15, 3) + (uniform(16, count) - 0.5) / 4  # the meter tells quarters
    assert kstest(found.numpy(), "norm", (15, 3)).pvalue > 1e-3
    cut = magnitudes(29, 4)
    assert cut.max() == 30
    assert abs(float((cut == 30).double().mean()) - norm.sf(0.25 - 0.125 / 4)) < 0.03
    assert magnitudes(0, 4).min() == 0


def test_each_operation_has_a_magnitude_and_a_sign_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(pixels: Tensor, values: Tensor, _: Tensor) -> Tensor:
        return (pixels + values.view(-1, 1, 1, 1)).round().to(torch.uint8)

    monkeypatch.setattr(policies, "RANDAUGMENT", (Operation("add", add, 0, 30, signed=True),))
    draws = torch.tensor([[0.5, 0.5, 0.7, 0.3, norm.cdf(1), norm.cdf(-2)]], dtype=torch.float64)
    pixels = torch.full((1, 1, 1, 1), 100, dtype=torch.uint8)
    assert randaugment(pixels, draws, 2, 15, torch.zeros(1), 3).item() == 100 + 18 - 9


def test_draws_at_either_end_are_draws() -> None:
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    draws = torch.cartesian_prod(ends, ends, ends)  # (8, 3)
    pixels = PHOTO.expand(8, -1, -1, -1)
    assert trivialaugment(pixels, draws, GREY).shape == pixels.shape
    assert randaugment(pixels, draws, 1, 29, GREY, 5.0).shape == pixels.shape


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 5])),
    count=st.integers(0, 3),
    magnitude=st.floats(0, 30),
    std=st.sampled_from([0.0, 3.0]),
    seed=st.integers(0, 2**32),
)
def test_each_image_is_changed_by_itself(
    shape: tuple[int, int, int, int], count: int, magnitude: float, std: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    fill = 255 * torch.rand(shape[-1], generator=random)
    before = pixels.clone()

    def one(images: Tensor, numbers: Tensor) -> Tensor:
        if count == 0:
            return trivialaugment(images, numbers, fill)
        return randaugment(images, numbers, count, magnitude, fill, std)

    draws = uniform(seed, shape[0], 3 * max(count, 1))
    changed = one(pixels, draws)
    assert torch.equal(pixels, before)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.uint8
    assert changed.data_ptr() != pixels.data_ptr()
    assert torch.equal(one(pixels, draws), changed)
    assert torch.equal(one(pixels.flip(0), draws.flip(0)).flip(0), changed)
    some = slice(shape[0] // 3, shape[0] // 3 + 2)
    assert torch.equal(one(pixels[some], draws[some]), changed[some])
