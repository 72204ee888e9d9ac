"""An image in tiles gets the answers that it gets as a whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from skeletons import reduced
from torch import nn

import lenext
from lenext.classifier import Classifier
from lenext.data.decode import ImageForm
from lenext.data.preprocessing import Preprocessing
from lenext.errors import UserError
from lenext.scanning import scan as scanning
from lenext.scanning.tiles import Tiling
from lenext.weights.classes import unnamed_classes

pytestmark = pytest.mark.usefixtures("one_thread")


def classifier(name: str, size: tuple[int, int]) -> Classifier:
    """Return a network of random weights as `lenext.load` would."""
    torch.manual_seed(0)
    model = lenext.create(name, classes=5, size=size, **reduced(name)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.normal_(0, 0.1)
    assert model.spec is not None
    channels = model.spec.in_channels
    form = ImageForm(size=size, channels=channels)
    preprocessing = Preprocessing(form, (0.5,) * channels, (0.25,) * channels)
    return Classifier(model, preprocessing, unnamed_classes(5), {}, np.empty(0, np.uint64), torch.device("cpu"))


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


# Padding, pools in ceil mode, dense heads, heads with a stride, global pools, shortcuts by slices, no stages at all.
CASES = [
    ("alexnet", (63, 63), (371, 305), False, (300,)),
    ("alexnet", (63, 79), (301, 418), True, ()),
    ("vgg11", (32, 32), (190, 223), False, (163,)),
    ("vgg11", (32, 32), (170, 211), True, (163,)),
    ("overfeat_accurate", (77, 77), (330, 100), True, ()),
    ("zfnet", (53, 53), (301, 270), False, (211, 240)),
    ("nin_imagenet", (39, 39), (333, 270), False, (250,)),
    ("nin_cifar", (32, 32), (83, 71), False, (59, 64)),
    ("googlenet", (32, 32), (803, 64), False, ()),
    ("resnet18", (32, 32), (485, 450), False, ()),
    ("resnet20_cifar", (32, 32), (122, 135), False, (109, 115)),
    ("mobilenet_v2", (32, 64), (590, 100), False, ()),
    ("prelunet_a", (32, 32), (350, 100), False, ()),
    ("lenet5", (28, 28), (77, 58), False, (40, 51)),
    ("lenet5_valid", (28, 28), (67, 50), True, (28, 33, 40)),
    ("mlp", (28, 28), (37, 41), False, (28, 33)),
]


@pytest.mark.parametrize(("name", "size", "image", "finer", "tiles"), CASES)
def test_tiles_change_no_answer(
    name: str, size: tuple[int, int], image: tuple[int, int], finer: bool, tiles: tuple[int, ...]
) -> None:
    known = classifier(name, size)
    assert known.model.spec is not None
    pixels = noise(*image, known.model.spec.in_channels)
    least = Tiling(lenext.densify(known.model, size, finer=finer)).least()
    (whole,) = lenext.scan(known, pixels, "3", scales=(1,), finer=finer, tile=100_000).maps
    for tile in {least, *(tile for tile in tiles if tile >= least)}:
        (cut,) = lenext.scan(known, pixels, "3", scales=(1,), finer=finer, tile=tile).maps
        assert cut.lead.shape == whole.lead.shape
        largest = float(np.abs(whole.lead).max())
        for ours, theirs in ((cut.lead, whole.lead), (cut.strength, whole.strength)):
            assert np.abs(ours - theirs).max() <= 1e-5 * largest
        assert np.abs(cut.probability - whole.probability).max() <= 1e-5 * max(1, largest)
        assert (cut.first, cut.step, cut.window) == (whole.first, whole.step, whole.window)


def test_tiles_are_really_cut() -> None:
    dense = lenext.densify(classifier("resnet20_cifar", (32, 32)).model)
    tiling = Tiling(dense)
    rows, columns = tiling.spans((151, 203), 109)
    assert len(rows) > 1
    assert len(columns) > 1
    for spans, side in ((rows, 151), (columns, 203)):
        assert spans[0].start == 0
        assert spans[-1].end == side
        assert all(span.end - span.start <= 109 for span in spans)
        assert all(span.start % 4 == 0 for span in spans)
        assert all(after.cells.start == before.cells.stop for before, after in itertools.pairwise(spans))


def test_every_length_has_as_many_cells_in_tiles_as_whole() -> None:
    for name, size, finer in (("alexnet", 63, False), ("overfeat_accurate", 77, True), ("nin_imagenet", 39, False)):
        dense = lenext.densify(classifier(name, (size, size)).model, finer=finer)
        tiling = Tiling(dense)
        for length in range(tiling.least() + 1, tiling.least() + 60, 7):
            with torch.no_grad():
                cells = dense(torch.zeros(1, dense.channels, size, length)).shape[3]
            assert tiling.spans((size, length), tiling.least())[1][-1].cells.stop == cells


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0"])
def test_a_network_that_sees_the_whole_image_is_not_cut(name: str) -> None:
    known = classifier(name, (32, 32))
    assert lenext.scan(known, noise(70, 90, 3), "0", scales=(1,), tile=90).maps[0].probability.shape == (3, 3)
    with pytest.raises(UserError, match=rf"{name} sees the whole image at every place.*70x90 .*89 a side"):
        lenext.scan(known, noise(70, 90, 3), "0", scales=(1,), tile=89)


def test_networks_without_squeeze_and_excitation_are_cut() -> None:
    for name in ("resnet18", "densenet121", "convnext_tiny", "inception_v3"):
        side = 75 if name == "inception_v3" else 32
        assert not Tiling(lenext.densify(classifier(name, (side, side)).model)).whole


def test_a_tile_too_small_says_what_is_needed() -> None:
    known = classifier("resnet18", (32, 32))
    with pytest.raises(UserError, match=r"a tile of 300 pixels is too small: .* sees 435; give 442 or more"):
        lenext.scan(known, noise(500, 40, 3), "0", scales=(1,), tile=300)
    lenext.scan(known, noise(500, 40, 3), "0", scales=(1,), tile=442)


def test_more_tiles_than_can_be_meant_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "CUTS", 10)
    with pytest.raises(UserError, match=r"tiles of 28 pixels are too many"):
        lenext.scan(classifier("lenet5_valid", (28, 28)), noise(60, 60, 1), "0", scales=(1,), tile=28)
