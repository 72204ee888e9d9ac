"""Grad-CAM: values by hand, class activation maps, another's Grad-CAM, and a map for every architecture."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from skeletons import reduced
from torch import Tensor, nn

import lenext
from lenext.errors import UserError
from lenext.explanation.gradcam import grad_cam
from lenext.explanation.places import places
from lenext.models import ImageClassifier, lookup
from lenext.models.heads import DenseHead, PoolHead

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = sorted(lenext.list_models())


def network(name: str, size: int | None = None) -> ImageClassifier:
    torch.manual_seed(0)
    facts = lookup(name).facts
    model = lenext.create(name, classes=4, size=size or max(facts.smallest, 28), **reduced(name)).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):  # statistics that are not all alike
            assert norm.running_mean is not None
            norm.running_mean.normal_(0, 0.1)
    return model


def images(model: ImageClassifier, count: int = 2) -> Tensor:
    assert model.spec is not None
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, model.spec.in_channels, *model.spec.size, generator=generator)


class Tiny(ImageClassifier):
    """One map of the image's own values and one of their negatives, their means weighed by the head."""

    def __init__(self, weights: list[list[float]]) -> None:
        super().__init__()
        self.stem = nn.Identity()
        conv = nn.Conv2d(1, 2, 1, bias=False)
        conv.weight = nn.Parameter(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        self.stages = nn.ModuleList([conv])
        self.head = PoolHead(2, 2, before=nn.ReLU(inplace=True))
        self.head.classifier.weight = nn.Parameter(torch.tensor(weights))
        nn.init.zeros_(self.head.classifier.bias)


def test_values_by_hand() -> None:
    model = Tiny([[3.0, 1.0], [-1.0, 2.0]])
    x = torch.tensor([[[[1.0, -2.0], [3.0, 0.5]]]]).repeat(2, 1, 1, 1)
    # Class 0: the gradient of its logit is 3/4 in the three places of map 1 above zero, 1/4 in the one of map 2, so
    # that the weights are 9/16 and 1/16, and the sum is (9/16 - 1/16) x. Class 1: -3/16 and 2/16, so -5/16 x.
    heat = grad_cam(model, x, torch.tensor([0, 1]))
    torch.testing.assert_close(heat[0], torch.tensor([[0.5, 0.0], [1.5, 0.25]]))
    torch.testing.assert_close(heat[1], torch.tensor([[0.0, 0.625], [0.0, 0.0]]))


def test_where_a_mean_and_one_layer_follow_it_is_class_activation_mapping() -> None:
    # Zhou et al. 2015, https://arxiv.org/abs/1512.04150: the maps weighed by the weights of the class.
    for name in ("resnet18", "resnet20_cifar", "highway19", "bn_inception"):
        model = network(name, 64)
        x = images(model)
        maps = model.features(x)[-1].detach()
        classes = torch.tensor([3, 1])
        assert isinstance(model.head.classifier, nn.Linear)
        weights = model.head.classifier.weight[classes].detach()
        expected = torch.einsum("nc,nchw->nhw", weights, maps).relu() / maps[0, 0].numel()
        torch.testing.assert_close(grad_cam(model, x, classes), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "vgg11_bn", "preresnet18", "densenet121", "nin_cifar"])
def test_it_agrees_with_captum(name: str) -> None:
    attr = pytest.importorskip("captum.attr")
    model = network(name)
    x, classes = images(model), torch.tensor([2, 0])
    for stage in range(len(model.stages)):
        part = copy.deepcopy(model)
        for layer in part.modules():
            if hasattr(layer, "inplace"):
                layer.inplace = False  # captum's hooks cannot bear it
        theirs = attr.LayerGradCam(part, part.stages[stage]).attribute(x, classes, relu_attributions=True)
        torch.testing.assert_close(grad_cam(model, x, classes, stage), theirs[:, 0].detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_has_a_map(name: str) -> None:
    model = network(name)
    if not model.stages:
        with pytest.raises(UserError, match="mlp has no stages, so no feature maps"):
            grad_cam(model, images(model), torch.tensor([0, 0]))
        return
    assert model.spec is not None
    x = images(model)
    heat = grad_cam(model, x, torch.tensor([1, 2]))
    assert heat.shape == (2, *model.feature_map(x, len(model.stages) - 1).shape[2:])
    assert heat.isfinite().all()
    assert (heat >= 0).all()
    (first, step), sides = places(model.spec, len(model.stages) - 1), heat.shape[1:]
    for start, stride, count, side in zip(first, step, sides, model.spec.size, strict=True):
        assert 0 < start < side
        assert stride == lookup(name).facts.strides[-1]
        assert start + (count - 1) * stride < side + stride


def test_any_stage_can_be_asked() -> None:
    model = network("resnet18", 64)
    x, classes = images(model), torch.tensor([1, 2])
    for stage, side in enumerate((16, 8, 4, 2)):
        assert grad_cam(model, x, classes, stage).shape == (2, side, side)
        torch.testing.assert_close(model.answer(model.feature_map(x, stage).clone(), stage), model(x))
    for stage in (4, 5, -1):
        with pytest.raises(UserError, match=f"stage {stage} is out of range: the stages of resnet18 are 0 to 3"):
            grad_cam(model, x, classes, stage)


def test_the_model_is_left_as_it_was() -> None:
    model = lenext.create("nin_cifar", classes=4, dropout=0.5).train()
    model.stages[1].eval()  # a part that is frozen
    modes = [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first, second = (grad_cam(model, images(model), torch.tensor([1, 2])) for _ in range(2))
    assert torch.equal(first, second), "no dropout"
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not first.requires_grad
    model = network("resnet18", 64).train()
    norms = [norm for norm in model.modules() if isinstance(norm, nn.BatchNorm2d)]
    counts = [int(norm.num_batches_tracked) for norm in norms if norm.num_batches_tracked is not None]
    state = torch.get_rng_state()
    with torch.inference_mode():  # however it is called
        grad_cam(model, images(model), torch.tensor([1, 2]))
    assert [int(norm.num_batches_tracked) for norm in norms if norm.num_batches_tracked is not None] == counts
    assert torch.equal(torch.get_rng_state(), state)


def test_heads_with_dense_layers_are_asked_through_them() -> None:
    """The weights of a map are the mean of a gradient that differs from place to place: by finite differences."""
    model = network("lenet5").double()
    assert isinstance(model.head, DenseHead)
    x = images(model, 1).double()
    maps = model.feature_map(x, 1).detach()
    step = 1e-6
    slopes = []
    for channel in range(maps.shape[1]):
        moved = maps.clone()
        moved[0, channel] += step
        slopes.append(float((model.answer(moved, 1) - model.answer(maps.clone(), 1))[0, 3].detach()) / step)
    weights = torch.tensor(slopes, dtype=torch.float64) / maps[0, 0].numel()
    expected = torch.einsum("c,chw->hw", weights, maps[0]).relu()
    np.testing.assert_allclose(grad_cam(model, x, torch.tensor([3]))[0].numpy(), expected.numpy(), atol=1e-5)
