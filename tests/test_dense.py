"""Dense form: what `densify` answers at each cell is what the head answers to that window, cut out and asked alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from skeletons import reduced
from torch import Tensor, nn

import lenext
from lenext.errors import UserError
from lenext.models import ImageClassifier

pytestmark = pytest.mark.usefixtures("one_thread")

# Each with a size of its own: small enough to be quick, one of them not square.
NETWORKS: dict[str, tuple[int, int]] = {
    "alexnet": (95, 95),
    "alexnet_2012": (79, 111),
    "zfnet": (85, 85),
    "overfeat_fast": (103, 103),
    "overfeat_accurate": (113, 113),
    "vgg11": (64, 64),
    "vgg11_bn": (64, 96),
    "prelunet_a": (64, 64),
    "nin_imagenet": (103, 103),
    "nin_cifar": (32, 32),
    "googlenet": (64, 64),
    "inception_v3": (107, 107),
    "resnet18": (64, 96),
    "resnet20_cifar": (32, 32),
    "preresnet18": (64, 64),
    "densenet121": (64, 64),
    "mobilenet_v2": (64, 64),
    "mobilenet_v3_small": (64, 64),
    "convnext_tiny": (64, 64),
    "lenet5": (28, 28),
    "lenet5_valid": (28, 36),
    "lenet5_sigmoid": (28, 28),
    "lenet5_1998": (32, 32),
    "mlp": (28, 28),
}
IN_FULL = ("alexnet", "vgg11", "nin_imagenet", "googlenet", "resnet18", "densenet121", "mobilenet_v2")
POOLS = {"alexnet": 2, "vgg11": 2, "overfeat_fast": 2, "overfeat_accurate": 3}  # the stride of the last one
LARGER = ((37, 37), (0, 61), (70, 9))  # pixels that the image is higher and wider than the size


def network(name: str, size: tuple[int, int] | None = None, seed: int = 0) -> ImageClassifier:
    torch.manual_seed(seed)
    model = lenext.create(name, classes=7, size=size or NETWORKS[name], **reduced(name)).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):  # statistics that are not all alike
            assert norm.running_mean is not None
            norm.running_mean.normal_(0, 0.1)
    return model


def images(model: ImageClassifier, more: tuple[int, int], dtype: torch.dtype = torch.float32) -> Tensor:
    assert model.spec is not None
    height, width = model.spec.size
    generator = torch.Generator().manual_seed(sum(more))
    return torch.randn(2, model.spec.in_channels, height + more[0], width + more[1], generator=generator, dtype=dtype)


def last_map(model: ImageClassifier, x: Tensor) -> Tensor:
    return model.features(x)[-1] if model.stages else x


@torch.no_grad()
def slowly(model: ImageClassifier, x: Tensor, step: int) -> Tensor:
    """Return the logits of every window: each cut out of the last map, and given to the head by itself."""
    assert model.spec is not None
    blank = x.new_zeros(1, x.shape[1], *model.spec.size)
    high, wide = last_map(model, blank).shape[-2:]
    features = last_map(model, x)
    rows = [
        torch.stack(
            [
                model.head(features[:, :, top : top + high, left : left + wide].clone())
                for left in range(0, features.shape[3] - wide + 1, step)
            ],
            -1,
        )
        for top in range(0, features.shape[2] - high + 1, step)
    ]
    return torch.stack(rows, -2)


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max() / expected.abs().max()) < tolerance


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_each_cell_is_the_answer_to_its_window(name: str) -> None:
    model = network(name)
    dense = lenext.densify(model)
    for more in LARGER:
        x = images(model, more)
        found = dense(x)
        assert_near(found, slowly(model, x, model.head.stride), 1e-5)
        high, wide = (side // dense.stride + 1 for side in more)
        assert found.shape[2] in (high, high + 1)
        assert found.shape[3] in (wide, wide + 1)


@torch.no_grad()
@pytest.mark.full
@pytest.mark.parametrize("name", IN_FULL)
def test_networks_of_1000_classes_at_224_pixels(name: str) -> None:
    torch.manual_seed(0)
    model = lenext.create(name).eval()
    dense = lenext.densify(model)
    x = images(model, (0, 0))
    assert_near(dense(x)[..., 0, 0], model(x), 1e-5)
    for more in LARGER:
        x = images(model, more)
        assert_near(dense(x), slowly(model, x, model.head.stride), 1e-5)
    model, dense, x = model.double(), dense.double(), images(model, (0, 0), torch.float64)
    assert_near(dense(x)[..., 0, 0], model(x), 1e-10)


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_of_its_own_size_is_answered_as_by_the_classifier(name: str) -> None:
    model = network(name)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        model = model.to(dtype)
        x = images(model, (0, 0), dtype)
        assert_near(lenext.densify(model)(x), model(x)[..., None, None], tolerance)


@torch.no_grad()
@pytest.mark.parametrize("name", ["alexnet", "overfeat_accurate", "resnet18", "densenet121", "prelunet_a"])
def test_in_double_precision_cells_agree_far_more_closely(name: str) -> None:
    model = network(name).double()
    for finer in (False, True) if name in POOLS else (False,):
        x = images(model, LARGER[0], torch.float64)
        dense = lenext.densify(model, finer=finer)
        assert_near(dense(x), slowly(model, x, 1 if finer else model.head.stride), 1e-10)


@torch.no_grad()
@pytest.mark.parametrize(("name", "pool"), POOLS.items())
def test_the_finer_grid_answers_at_every_place_of_the_last_map(name: str, pool: int) -> None:
    model = network(name)
    coarse, fine = lenext.densify(model), lenext.densify(model, finer=True)
    assert (coarse.step, fine.step) == (pool, 1)
    assert coarse.stride == pool * fine.stride
    for more in LARGER:
        x = images(model, more)
        found = fine(x)
        assert_near(found, slowly(model, x, 1), 1e-5)
        assert_near(found[..., ::pool, ::pool], coarse(x), 1e-5)


@torch.no_grad()
def test_the_finer_grid_where_fewer_places_than_shifts_fit() -> None:
    model = network("overfeat_accurate")
    for more in ((0, 0), (12, 0), (0, 12), (12, 24)):
        x = images(model, more)
        assert_near(lenext.densify(model, finer=True)(x), slowly(model, x, 1), 1e-5)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "nin_cifar", "prelunet_a", "convnext_tiny"])
def test_a_pool_over_the_whole_window_cannot_be_shifted(name: str) -> None:
    with pytest.raises(UserError, match=r"a global pool cannot be shifted.*leave finer out"):
        lenext.densify(network(name), finer=True)


@torch.no_grad()
def test_without_padding_each_cell_is_the_answer_to_the_window_of_the_image() -> None:
    model = network("lenet5_valid", (28, 28)).double()
    x = images(model, (41, 23), torch.float64)
    for finer in (False, True):
        dense = lenext.densify(model, finer=finer)
        found = dense(x)
        for row in range(found.shape[2]):
            for column in range(found.shape[3]):
                top, left = row * dense.stride, column * dense.stride
                crop = x[:, :, top : top + 28, left : left + 28]
                assert_near(found[:, :, row, column], model(crop), 1e-10)
        assert found.shape[2:] == tuple((side - 28) // dense.stride + 1 for side in x.shape[2:])


def test_the_model_stays_as_it_was_and_shares_no_weight() -> None:
    model = network("googlenet").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    dense = lenext.densify(model)
    assert dense.training
    assert model.training
    assert model.training_only
    ours = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert not [name for name, tensor in dense.state_dict().items() if tensor.data_ptr() in ours]
    with torch.no_grad():
        for parameter in dense.parameters():
            parameter.zero_()
        dense(images(model, (0, 0)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not lenext.densify(model.eval()).training


def test_dense_layers_become_convolutions_with_as_many_weights() -> None:
    for name in ("alexnet", "vgg11", "resnet18"):
        model = network(name)
        dense = lenext.densify(model)
        assert not [module for module in dense.modules() if isinstance(module, nn.Linear)]
        assert sum(p.numel() for p in dense.parameters()) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "mlp"])
def test_an_image_smaller_than_the_window_is_refused(name: str) -> None:
    model = network(name)
    assert model.spec is not None
    height, width = model.spec.size
    with pytest.raises(UserError, match=rf"{height}x{width - 1}, smaller than the window of {height}x{width}"):
        lenext.densify(model)(images(model, (0, -1)))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.Conv2d(3, 4, 3), {}, "Conv2d has no stem, stages and head"),
        ("alexnet", {"size": 150}, "the dense layers were built for"),
        ("mlp", {"size": 40}, "the dense layers were built for"),
        ("resnet18", {"size": 0}, "size 0 is not a side"),
        ("alexnet", {"size": 40}, "image side 40 < 63, the smallest"),
    ],
)
def test_what_cannot_be_made_dense_is_refused(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        lenext.densify(network(model) if isinstance(model, str) else model, **options)


@torch.no_grad()
def test_a_network_of_any_size_takes_another_window() -> None:
    model = network("resnet18")
    dense = lenext.densify(model, (128, 64))
    assert (dense.size, dense.window) == ((128, 64), (4, 2))
    x = torch.randn(1, 3, 128, 64)
    assert_near(dense(x), model(x)[..., None, None], 1e-5)


@torch.no_grad()
def test_a_network_built_by_hand_says_its_size() -> None:
    model = network("nin_cifar")
    model.spec = None
    with pytest.raises(UserError, match="was built by hand and has no size of its own; give one"):
        lenext.densify(model)
    x = torch.randn(1, 3, 32, 32)
    assert_near(lenext.densify(model, 32)(x), model(x)[..., None, None], 1e-5)
