"""One table that walks every architecture of the registry.

What follows from shapes is tested on skeletons at the native input; what needs numbers at a small input, where even
VGG-19 is built and asked in a second.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from skeletons import blank, device, reduced, skeleton, units
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import lenext
from lenext.models import Facts, ImageClassifier, lookup
from lenext.models.blocks import StochasticDepth
from lenext.models.heads import ClassMapHead
from lenext.models.lenet import PartialConv2d, RadialBasis

NAMES = lenext.list_models()


@dataclass(frozen=True)
class Case:
    """A model of the registry, and the options that it is built with here."""

    name: str
    options: dict[str, Any]

    @property
    def facts(self) -> Facts:
        """What is known of the model."""
        return lookup(self.name).facts

    @property
    def small_side(self) -> int:
        """The side of small images: 32 px, or what is native or smallest where that is more or less."""
        return min(self.facts.size, max(self.facts.smallest, 32))


# Every model, with fewer and narrower layers where the full one is slow; `make test-full` adds those in full.
CASES = [pytest.param(Case(name, reduced(name)), id=name) for name in NAMES] + [
    pytest.param(Case(name, {}), id=f"{name}-full", marks=pytest.mark.full) for name in NAMES if reduced(name)
]


@dataclass(frozen=True)
class Sample:
    """A small model in evaluation mode, and images for it."""

    case: Case
    model: ImageClassifier
    images: Tensor


@pytest.fixture(scope="module", params=CASES)
def sample(request: pytest.FixtureRequest) -> Sample:
    torch.manual_seed(0)
    case: Case = request.param
    side = case.small_side
    model = lenext.create(case.name, classes=4, size=side, **case.options)
    images = torch.randn(4, case.facts.channels, side, side)
    let_norms_see(model, images)
    return Sample(case, model.eval(), images)


@torch.no_grad()
def let_norms_see(model: nn.Module, images: Tensor) -> None:
    """Give norms the statistics of `images`: with their first ones, a thousand residual layers grow beyond float32."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    if norms:
        model(images)
    for norm in norms:
        norm.momentum = 0.1


def counted_macs(model: nn.Module, x: Tensor) -> int:
    """Return the multiply-adds of convolutions and linear layers, from the shapes that pass through them."""
    total = 0

    def add(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, RadialBasis):
            total += module.codes.numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel() * output[0].numel() // output.shape[-1]
        else:  # every weight works once at every place of the output
            total += module.get_parameter("weight").numel() * output.shape[-1] * output.shape[-2]

    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | PartialConv2d | RadialBasis):
            module.register_forward_hook(add)
    model(x)
    return total


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_those_of_the_model(name: str) -> None:
    facts = lookup(name).facts
    model = skeleton(name)
    aside = tuple(f"{path}." for path in model.training_only)
    assert sum(p.numel() for path, p in model.named_parameters() if not path.startswith(aside)) == facts.params
    assert counted_macs(model.eval(), blank(name)) == facts.macs
    assert 1900 < facts.year <= 2022


@pytest.mark.parametrize("name", NAMES)
def test_published_counts_are_ours_or_the_gap_is_told(name: str) -> None:
    facts = lookup(name).facts
    for claim in facts.claims:
        ours = {"params": facts.params, "macs": facts.macs}[claim.figure]
        gap = 100 * (ours / claim.published - 1)
        if claim.gap:
            assert gap == pytest.approx(claim.gap, abs=0.1), claim
            assert claim.why, claim
        else:
            assert abs(gap) <= 1 or claim.rounds(ours), claim


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("more", [(0, 0), (17, 17), (0, 33)], ids=["native", "larger", "wider"])
def test_shapes_at_several_sizes(case: Case, more: tuple[int, int]) -> None:
    size = case.facts.size + more[0], case.facts.size + more[1]
    model, x = skeleton(case.name, size, classes=7, **case.options), blank(case.name, size)
    logits, auxiliary = model.forward_train(x)
    assert model(x).shape == logits.shape == (2, 7)
    assert all(extra.shape == (2, 7) for extra in auxiliary)
    embedding = model.embed(x)
    assert embedding.ndim == 2
    assert len(embedding) == 2


@pytest.mark.parametrize("case", [case for case in CASES if case.id != "mlp"])
def test_one_stage_is_one_resolution_and_its_downsampling_comes_first(case: Case) -> None:
    model, x = skeleton(case.name, **case.options), blank(case.name)
    maps = model.features(x)
    assert len(maps) == len(model.stages) > 0
    assert all(map_.ndim == 4 and len(map_) == 2 for map_ in maps)
    sides = [map_.shape[-1] for map_ in maps]
    assert sides == sorted(set(sides), reverse=True), "no two stages are of one resolution"
    x = model.stem(x)
    for number, stage in enumerate(model.stages):
        # By how much each layer or block divides the resolution, the border that some lose left aside.
        sides = [x.shape[-1], *(shape[-1] for shape in units(stage, x))]
        factors = [round(before / after - 0.1) for before, after in pairwise(sides)]
        assert factors[0] in ((1, 2, 3) if number == 0 else (2, 3)), f"stage {number}"
        assert set(factors[1:]) <= {1}, f"stage {number}"
        x = stage(x)


@pytest.mark.parametrize("name", NAMES)
def test_stages_have_the_stated_strides(name: str) -> None:
    facts = lookup(name).facts
    cost = lenext.profile(name, **reduced(name))
    found = [cost.output_of(f"stages.{number}") for number in range(len(facts.strides))]
    assert tuple(output.stride for output in found) == facts.strides
    for output, stride in zip(found, facts.strides, strict=True):  # the border that some layers lose left aside
        assert 0 <= facts.size / stride + 1 - output.shape[-1] <= 8
    with pytest.raises(IndexError):
        cost.output_of(f"stages.{len(facts.strides)}")


@pytest.mark.parametrize("case", CASES)
def test_the_smallest_size_works_and_the_next_smaller_is_refused(case: Case) -> None:
    name, smallest = case.name, case.facts.smallest
    size = (smallest, smallest)
    assert skeleton(name, size, classes=3, **case.options)(blank(name, size)).shape == (2, 3)
    if smallest > 1:
        with pytest.raises(lenext.UserError, match=f"image side {smallest - 1} < {smallest}, the smallest for {name}"):
            lenext.create(name, size=smallest - 1)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("case", [case for case in CASES if case.values[0].facts.smallest > 1])
def test_nothing_smaller_than_the_smallest_size_would_work(case: Case) -> None:
    size = (case.facts.smallest - 1, case.facts.size)
    with pytest.raises((RuntimeError, ZeroDivisionError)):  # a map without pixels, or no inputs to draw weights for
        skeleton(case.name, size, **case.options)(blank(case.name, size))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("classes", "channels"), [(1, 1), (3, 4)])
def test_any_number_of_classes_and_channels(case: Case, classes: int, channels: int) -> None:
    model = skeleton(case.name, classes=classes, in_channels=channels, **case.options)
    logits, auxiliary = model.forward_train(blank(case.name, channels=channels))
    assert all(each.shape == (2, classes) for each in (logits, *auxiliary))


@pytest.mark.parametrize("case", CASES)
def test_create_says_how_the_model_was_built(case: Case) -> None:
    name, size = case.name, (case.facts.size, case.facts.size + 8)
    with torch.device(device(name)):
        model = lenext.create(name, classes=3, in_channels=2, size=size, **case.options)
    assert isinstance(model, ImageClassifier)
    assert model.training
    assert model.spec == lenext.models.Spec(name, 3, 2, size, case.options)


def test_a_gradient_reaches_every_parameter(sample: Sample) -> None:
    model = sample.model
    logits, auxiliary = model.forward_train(sample.images)
    torch.stack([each.square().sum() for each in (logits, *auxiliary)]).sum().backward()  # type: ignore[no-untyped-call]
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.abs().max() > 0, path


@torch.no_grad()
def test_the_head_classifies_the_embedding(sample: Sample) -> None:
    model, x = sample.model, sample.images
    if isinstance(model.head, ClassMapHead):  # classifies every place, and takes the mean afterwards
        torch.testing.assert_close(model.embed(x), model.features(x)[-1].mean((2, 3)))
    else:
        torch.testing.assert_close(model.head.classifier(model.embed(x)), model(x), rtol=0, atol=0)
    if model.stages:
        torch.testing.assert_close(model.head(model.features(x)[-1]), model(x), rtol=0, atol=0)


@torch.no_grad()
def test_forward_train_agrees_with_forward(sample: Sample) -> None:
    model, x = sample.model, sample.images
    torch.testing.assert_close(model.forward_train(x)[0], model(x), rtol=0, atol=0)


@torch.no_grad()
def test_what_only_training_uses_can_go(sample: Sample) -> None:
    model, x = copy.deepcopy(sample.model), sample.images
    answer = model(x)
    model.drop_training_only()
    assert torch.equal(model(x), answer)
    logits, auxiliary = model.forward_train(x)
    assert torch.equal(logits, answer)
    assert auxiliary == []
    assert sum(p.numel() for p in model.parameters()) <= sum(p.numel() for p in sample.model.parameters())


@torch.no_grad()
def test_the_answer_depends_on_the_image(sample: Sample) -> None:
    answers = sample.model(sample.images)
    assert answers.isfinite().all()
    assert (answers[0] - answers[1]).abs().max() > 1e-6 * answers.abs().max() > 0


@torch.no_grad()
def test_saved_and_loaded_it_answers_the_same(sample: Sample) -> None:
    model, x = sample.model, sample.images
    other = lenext.create(sample.case.name, classes=4, size=x.shape[-1], **sample.case.options).eval()
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(other(x), model(x))


# At which rate of Adam networks without batch normalisation, or of few weights, learn.
LEARNING = {
    "lenet": 1e-3,
    "lenet5_sigmoid": 5e-3,
    "mlp": 1e-3,
    "alexnet": 1e-4,
    "zfnet": 1e-4,
    "nin_imagenet": 1e-4,
    "overfeat": 1e-4,
    "vgg": 1e-4,
    "prelunet": 1e-4,
    "highway": 1e-3,
    "resnet_cifar": 1e-3,
    "preresnet": 1e-3,
    "densenet": 1e-3,
    "mobilenet": 1e-3,
    "mobilenet_v3": 1e-3,
    "efficientnet": 1e-3,
}


# The last of its family, and slow; the first differs in width, in depth, or in a few blocks.
LATER = {"overfeat_accurate", "overfeat_fast", "inception_v4", "inception_resnet_v2", "efficientnet_b7"}


def learners() -> list[Any]:
    """Return every model, the first and the last of each family now, those between in the full suite."""
    families = [list(names) for _, names in groupby(sorted(NAMES, key=family_of), family_of)]
    now = {name for names in families for name in (names[0], names[-1])} - LATER
    later = pytest.mark.full
    return [
        pytest.param(*case.values, id=case.id, marks=case.marks if case.values[0].name in now else [later])
        for case in CASES
    ]


def family_of(name: str) -> str:
    return lookup(name).family


@pytest.mark.parametrize("case", learners())
def test_it_learns_a_handful_of_images(case: Case) -> None:
    torch.manual_seed(0)
    side = min(case.small_side, 16 if case.facts.size == 32 and case.facts.channels == 3 else 80)
    rate = LEARNING.get(case.name, LEARNING.get(lookup(case.name).family, 3e-4))
    model = lenext.create(case.name, classes=4, size=side, **case.options)
    drop_nothing(model)
    x, labels = torch.randn(16, case.facts.channels, side, side), torch.arange(16) % 4
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    for _ in range(150):
        losses = []
        for some in torch.randperm(16).view(-1, 8):
            logits, auxiliary = model.train().forward_train(x[some])
            each = torch.stack([cross_entropy(answer, labels[some]) for answer in (logits, *auxiliary)])
            optimiser.zero_grad()
            each.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(each[0].item())
        if max(losses) < 0.2:
            with torch.no_grad():
                if cross_entropy(model.eval()(x), labels) < 0.1:
                    return
    pytest.fail(f"the losses are still {losses}")


def drop_nothing(model: nn.Module) -> None:
    """Set the rates of dropout and of stochastic depth to 0."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, StochasticDepth):
            module.rate = 0.0
