"""One table that walks every architecture of the registry."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import lenext
from lenext.models import ImageClassifier, lookup

NAMES = lenext.list_models()


def images(name: str, *, count: int = 2, side: int | None = None, channels: int | None = None) -> Tensor:
    facts = lookup(name).facts
    side = side or facts.size
    return torch.randn(count, channels or facts.channels, side, side, generator=torch.Generator().manual_seed(0))


def counted_macs(model: nn.Module, x: Tensor) -> int:
    """Return the multiply-adds of convolutions and linear layers, from the shapes that pass through them."""
    total = 0

    def add(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = module.get_parameter("weight")
        if isinstance(module, nn.Linear):
            total += weight.numel() * output[0].numel() // output.shape[-1]
        else:  # every weight works once at every place of the output
            total += weight.numel() * output.shape[-1] * output.shape[-2]

    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) or type(module).__name__ == "PartialConv2d":
            module.register_forward_hook(add)
    model(x)
    return total


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_those_of_the_model(name: str) -> None:
    facts = lookup(name).facts
    model = lenext.create(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == facts.params
    assert counted_macs(model.eval(), images(name, count=1)) == facts.macs
    assert 1900 < facts.year <= 2022


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("larger", [False, True])
def test_shapes_at_two_sizes(name: str, larger: bool) -> None:
    facts = lookup(name).facts
    side = facts.size + 17 if larger else facts.size
    model = lenext.create(name, classes=7, size=side)
    x = images(name, side=side)
    assert model(x).shape == (2, 7)
    assert model.embed(x).ndim == 2
    if model.stages:
        assert len(model.features(x)) == len(model.stages)


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_works_and_the_next_smaller_is_refused(name: str) -> None:
    smallest = lookup(name).facts.smallest
    assert lenext.create(name, size=smallest)(images(name, side=smallest)).shape[0] == 2
    if smallest > 1:
        with pytest.raises(lenext.UserError, match=f"image side {smallest - 1} < {smallest}, the smallest for {name}"):
            lenext.create(name, size=smallest - 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("classes", "channels"), [(1, 1), (3, 4)])
def test_any_number_of_classes_and_channels(name: str, classes: int, channels: int) -> None:
    model = lenext.create(name, classes=classes, in_channels=channels)
    assert model(images(name, channels=channels)).shape == (2, classes)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_reaches_every_parameter(name: str) -> None:
    model = lenext.create(name)
    logits, auxiliary = model.forward_train(images(name))
    (logits.square().mean() + sum(extra.square().mean() for extra in auxiliary)).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().max() > 0, path


@pytest.mark.parametrize("name", NAMES)
def test_the_head_classifies_the_embedding(name: str) -> None:
    model, x = lenext.create(name).eval(), images(name)
    torch.testing.assert_close(model.head.classifier(model.embed(x)), model(x), rtol=0, atol=0)
    if model.stages:
        torch.testing.assert_close(model.head(model.features(x)[-1]), model(x), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_forward_train_agrees_with_forward(name: str) -> None:
    model, x = lenext.create(name).eval(), images(name)
    torch.testing.assert_close(model.forward_train(x)[0], model(x), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_the_same(name: str, tmp_path: Path) -> None:
    model, x = lenext.create(name).eval(), images(name)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = lenext.create(name).eval()
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_a_handful_of_images(name: str) -> None:
    torch.manual_seed(0)
    model, x = lenext.create(name, classes=4), images(name, count=16)
    labels = torch.arange(16) % 4
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(300):
        loss = nn.functional.cross_entropy(model(x), labels)
        if loss < 0.1:
            return
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    pytest.fail(f"the loss is still {loss.item():.3f}")


@pytest.mark.parametrize("name", NAMES)
def test_create_says_how_the_model_was_built(name: str) -> None:
    model = lenext.create(name, classes=3, in_channels=2)
    assert isinstance(model, ImageClassifier)
    assert model.spec is not None
    assert (model.spec.name, model.spec.classes, model.spec.in_channels) == (name, 3, 2)
