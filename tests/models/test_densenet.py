"""DenseNet, and its training in less memory: the same gradients and statistics, bit for bit."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
import torch
from skeletons import blank, skeleton
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

import lenext
from lenext.models.densenet import DenseLayer, DenseNet, DenseStage, Plan


class Memory(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make while this is entered; `peak` is the most at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def build(*, memory_efficient: bool, dropout: float = 0.0, bottleneck: bool = True) -> DenseNet:
    torch.manual_seed(0)
    plan = Plan((6, 8, 6), growth=8, start=24, bottleneck=bottleneck, stem="3x3")
    return DenseNet(plan=plan, dropout=dropout, memory_efficient=memory_efficient, classes=5)


def step(model: DenseNet) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Take the gradients of two batches; return the loss, them, and the statistics of the norms."""
    torch.manual_seed(1)
    x, labels = torch.randn(8, 3, 16, 16), torch.arange(8) % 5
    for _ in range(2):
        loss = cross_entropy(model(x), labels)
        loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), [p.grad for p in model.parameters() if p.grad is not None], list(model.buffers())


def same(first: Iterable[Tensor], second: Iterable[Tensor]) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("bottleneck", [True, False])
def test_gradients_and_statistics_are_the_same_bit_for_bit(bottleneck: bool, dropout: float) -> None:
    loss, gradients, statistics = step(build(memory_efficient=False, dropout=dropout, bottleneck=bottleneck))
    model = build(memory_efficient=True, dropout=dropout, bottleneck=bottleneck)
    fresh = [buffer.clone() for buffer in model.buffers()]
    loss_too, gradients_too, statistics_too = step(model)
    assert torch.equal(loss, loss_too)
    assert len(gradients) == len(list(model.parameters()))
    assert same(gradients, gradients_too)
    assert same(statistics, statistics_too)
    assert not same(fresh, statistics_too)
    assert [b.item() for name, b in model.named_buffers() if name.endswith("tracked")] == [2] * len(norms(model))


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def peak(model: DenseNet) -> int:
    """Return the bytes of activations at the worst moment of a step: all that is made but the gradients of weights."""
    x, labels = torch.randn(8, 3, 16, 16), torch.arange(8) % 5
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with Memory() as memory:
        cross_entropy(model(x), labels).backward()  # type: ignore[no-untyped-call]
    return memory.peak


def test_it_needs_at_most_half_the_memory() -> None:
    whole, little = peak(build(memory_efficient=False)), peak(build(memory_efficient=True))
    assert whole > 8 * 8 * 16 * 16 * 4 * 6  # the new maps of the first stage alone
    assert little <= whole / 2


@pytest.mark.parametrize("name", ["densenet121", "densenet_bc100_12_cifar", "densenet40_12_cifar"])
def test_every_net_takes_the_option_and_keeps_it(name: str) -> None:
    model = lenext.create(name, memory_efficient=True, depth=0.1, width=0.5)
    assert all(m.memory_efficient for m in model.modules() if isinstance(m, DenseLayer))
    assert model.spec is not None
    assert model.spec.options["memory_efficient"] is True


@torch.no_grad()
def test_nothing_is_computed_twice_without_gradients_or_outside_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_args: Any, **_options: Any) -> None:
        raise AssertionError

    model, x = build(memory_efficient=True), torch.randn(2, 3, 32, 32)
    monkeypatch.setattr("lenext.models.densenet.checkpoint", never)
    model(x)
    with torch.enable_grad():
        model.eval()(x)
        with pytest.raises(AssertionError):
            model.train()(x)


@torch.no_grad()
def test_a_layer_sees_all_maps_before_it_and_a_stage_stacks_them() -> None:
    layers = [DenseLayer(4 + 3 * n, 3, bottleneck=True, dropout=0.0, memory_efficient=False).eval() for n in range(3)]
    stage, x = DenseStage(nn.Identity(), layers), torch.randn(2, 4, 6, 6)
    maps = x
    for layer in layers:
        assert layer.reduce is not None
        assert layer.reduce.conv.out_channels == 4 * 3
        maps = torch.cat([maps, layer.conv(layer.reduce(maps.clone()))], 1)
    assert torch.equal(stage(x), maps)
    assert maps.shape[1] == 4 + 3 * 3
    assert torch.equal(maps[:, :4], x)


def test_compression_and_the_maps_of_the_stem() -> None:
    """A DenseNet-BC starts at twice its growth and halves at every transition; a plain one does neither."""
    for name, start, kept in (("densenet_bc100_12_cifar", 24, 0.5), ("densenet40_12_cifar", 16, 1.0)):
        model, x = skeleton(name), blank(name)
        before = model.stem(x)
        assert before.shape[1] == start
        for number, stage in enumerate(model.stages):
            assert isinstance(stage, DenseStage)
            entering = before.shape[1] if number == 0 else int(before.shape[1] * kept)
            assert stage.transition(before).shape[1] == entering
            before = stage(before)


@pytest.mark.parametrize("name", [name for name in lenext.list_models() if name.startswith("densenet")])
def test_the_number_in_the_name_counts_layers(name: str) -> None:
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in skeleton(name).modules())
    if name == "densenet264":  # what the paper calls so has one more: stages of 6, 12, 64 and 48 layers
        layers -= 1
    assert f"{layers}" in name


def test_a_copy_of_a_model_that_trained_is_the_same() -> None:
    model = build(memory_efficient=True)
    step(model)
    twin = copy.deepcopy(model)
    assert same(model.state_dict().values(), twin.state_dict().values())
    model.zero_grad()
    assert same(step(model)[1], step(twin)[1])


def test_gradients_can_be_taken_twice() -> None:
    def gradients(model: DenseNet) -> list[Tensor]:
        torch.manual_seed(1)
        loss = model(torch.randn(4, 3, 16, 16)).square().mean()
        loss.backward(retain_graph=True)
        loss.backward()
        return [*(p.grad for p in model.parameters() if p.grad is not None), *model.buffers()]

    assert same(gradients(build(memory_efficient=True)), gradients(build(memory_efficient=False)))


def test_a_compiler_decides_by_itself_what_to_compute_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    monkeypatch.setattr("lenext.models.densenet.checkpoint", None)
    build(memory_efficient=True)(torch.randn(2, 3, 16, 16))


def test_dropout_follows_every_convolution_but_the_first() -> None:
    for bottleneck in (True, False):
        model = build(memory_efficient=False, dropout=0.2, bottleneck=bottleneck)
        convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
        rates = [module.p for module in model.stages.modules() if isinstance(module, nn.Dropout)]
        assert rates == [0.2] * (convolutions - 1)
