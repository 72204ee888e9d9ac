from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lenext
from lenext.data.decode import ImageForm
from lenext.data.loader import Batch, Loader
from lenext.data.opening import open_source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.models.lenet import LeNet
from lenext.training import arithmetic
from lenext.training.arithmetic import Arithmetic, choose_arithmetic
from lenext.training.criterion import Criterion
from lenext.training.loop import fit
from lenext.training.recipes import Recipe, Situation, make_recipe

CPU = torch.device("cpu")
USUAL, BRAIN, PLANES = Arithmetic(), Arithmetic(bfloat16=True), Arithmetic(channels_last=False)
BOTH = Arithmetic(channels_last=False, bfloat16=True)

pytestmark = pytest.mark.usefixtures("one_thread")


class Notes:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def track(self, items: Any, *_: Any) -> Any:
        return items

    def note(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """A hundred and sixty digits to train on."""
    whole = read_training_data(open_source("digits"), ImageForm(size=(12, 12)))
    return dataclasses.replace(whole, train=whole.train.take(np.arange(160)))


def recipe(**values: Any) -> Recipe:
    return make_recipe("default", Situation(train_images=100, grey=True), {"compile": "no", **values})


def choose(
    made: Recipe,
    *,
    model: ImageClassifier | None = None,
    images: int = 10**7,
    seconds: float | None = None,
    batch: int = 16,
    notes: Notes | None = None,
) -> Arithmetic:
    torch.manual_seed(0)
    first = Batch(torch.randn(batch, 1, 28, 28), torch.arange(batch) % 10)
    criterion = Criterion(made, torch.ones(10), CPU)
    return choose_arithmetic(
        model or lenext.create("lenet5"), made, criterion, lambda: first, images=images, seconds=seconds,
        progress=notes or Notes(),
    )  # fmt: skip


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[Arithmetic, float]:
    """The seconds that an image takes each way, in place of what would be measured; a way without any fails."""
    taken = {USUAL: 0.01, BRAIN: 0.01, PLANES: 0.01, BOTH: 0.01}

    def measured(ways: list[Arithmetic], *arguments: Any) -> dict[Arithmetic, float]:
        return {way: taken[way] * len(arguments[2]) for way in ways if way in taken}

    monkeypatch.setattr(arithmetic, "_measured", measured)
    return taken


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [USUAL, BRAIN, PLANES, BOTH]),
        ({"precision": "float32"}, [USUAL, PLANES]),
        ({"precision": "bfloat16"}, [BRAIN, BOTH]),
        ({"memory_format": "contiguous"}, [PLANES, BOTH]),
        ({"memory_format": "channels_last", "precision": "float32"}, [USUAL]),
    ],
)
def test_what_the_recipe_leaves_open(values: dict[str, Any], expected: list[Arithmetic]) -> None:
    assert arithmetic._candidates(recipe(**values)) == expected


def test_the_fastest_way_is_taken_and_said(speeds: dict[Arithmetic, float]) -> None:
    speeds[BRAIN], speeds[BOTH], notes = 0.005, 0.004, Notes()
    assert choose(recipe(), notes=notes) == BOTH
    assert notes.told == [
        "arithmetic: bfloat16, NCHW (images a second, measured on 16: float32, channels-last 100, "
        "bfloat16, channels-last 200, float32, NCHW 100, bfloat16, NCHW 250)"
    ]
    assert choose(recipe(precision="float32")) == USUAL
    assert choose(recipe(memory_format="channels_last")) == BRAIN


def test_a_way_that_is_hopeless_is_not_measured_further(speeds: dict[Arithmetic, float]) -> None:
    speeds[BRAIN] = speeds[BOTH] = 0.1
    notes = Notes()
    assert choose(recipe(), notes=notes) == USUAL
    assert "bfloat16" not in notes.told[-1]


def test_chance_does_not_choose(speeds: dict[Arithmetic, float]) -> None:
    speeds[PLANES] = 0.0095
    assert choose(recipe()) == USUAL


@pytest.mark.parametrize("length", [{"images": 4000}, {"seconds": 30.0}])
def test_a_short_training_takes_the_usual_way(speeds: dict[Arithmetic, float], length: dict[str, Any]) -> None:
    speeds[BRAIN] = 0.001
    assert choose(recipe(), **length) == USUAL
    assert choose(recipe(), **{key: 100 * value for key, value in length.items()}) == (
        BRAIN if "seconds" in length else USUAL
    )


def test_a_training_that_only_a_few_images_make_seem_long_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the ways are measured should not hang on chance: another way gives other weights."""

    def measured(ways: list[Arithmetic], *arguments: Any) -> dict[Arithmetic, float]:
        return {way: 0.1 + 0.01 * len(arguments[2]) if way == USUAL else 0.001 for way in ways}

    monkeypatch.setattr(arithmetic, "_measured", measured)
    assert choose(recipe(), images=1_000, model=LeNet()) == USUAL  # 60 s by 2 images, 11 s by 16 or more
    assert choose(recipe(), images=10_000, model=LeNet()) != USUAL


def test_one_image_a_step_is_not_measured(speeds: dict[Arithmetic, float]) -> None:
    speeds[BRAIN] = 0.001
    assert choose(recipe(), batch=1) == USUAL
    assert choose(recipe(batch_size=16, accumulate=16)) == USUAL


def test_what_is_set_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_measured", None)
    assert choose(recipe(precision="bfloat16", memory_format="contiguous")) == BOTH


def test_compiling_is_tried_for_long_trainings_alone(
    speeds: dict[Arithmetic, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic.shutil, "which", lambda name: name)
    compiled = Arithmetic(compiled=True)
    speeds[compiled] = 0.001
    assert choose(recipe(compile="auto"), seconds=1300) == compiled
    assert choose(recipe(compile="auto"), seconds=1100) == USUAL
    assert choose(recipe(compile="no"), seconds=1300) == USUAL
    del speeds[compiled]  # it fails
    assert choose(recipe(compile="auto"), seconds=1300) == USUAL
    monkeypatch.setattr(arithmetic.shutil, "which", lambda name: None)
    speeds[compiled] = 0.001
    assert choose(recipe(compile="auto"), seconds=1300) == USUAL


def test_what_is_to_be_compiled_is_measured_without(
    speeds: dict[Arithmetic, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic.shutil, "which", lambda name: name)
    assert not any(way.compiled for way in speeds)
    speeds[BRAIN], notes = 0.001, Notes()
    assert choose(recipe(compile="yes"), notes=notes) == Arithmetic(bfloat16=True, compiled=True)
    assert notes.told[-1].startswith("arithmetic: bfloat16, channels-last, compiled (")
    given = recipe(compile="yes", precision="float32", memory_format="contiguous")
    assert choose(given) == Arithmetic(channels_last=False, compiled=True)
    assert choose(recipe(compile="yes"), images=10) == Arithmetic(compiled=True)


def test_however_many_networks_were_compiled_the_next_one_is_too(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []

    def counting(graph: Any, example: Any) -> Any:
        compiled.append(len(example))
        return graph.forward

    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **options: compile(function, backend=counting, **options))
    for number in range(12):
        model = lenext.create("lenet5", size=12)
        forward = Arithmetic(compiled=True).prepare(model)
        for images in (2, 3):
            forward(torch.zeros(images, 1, 12, 12))
        assert len(compiled) == 2 * (number + 1)


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="there is no C\\+\\+ compiler; install one, or --set compile=no"):
        choose(recipe(compile="yes"))


class Fussy(LeNet):
    """Runs in float32 alone."""

    def forward_train(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("no such kernel")
        return super().forward_train(x)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let also a training of seconds be worth measuring and compiling."""
    for name in ("WORTH_MEASURING", "WORTH_COMPILING", "LITTLE"):
        monkeypatch.setattr(arithmetic, name, 0.0)


@pytest.mark.usefixtures("eager")
def test_a_way_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(arithmetic.shutil, "which", lambda name: name)
    notes = Notes()
    chosen = choose(recipe(compile="auto"), model=Fussy(), notes=notes)
    assert not chosen.bfloat16
    assert not chosen.compiled
    assert "bfloat16" not in notes.told[-1]


@pytest.mark.usefixtures("eager")
def test_measuring_leaves_the_model_and_the_random_numbers_alone() -> None:
    model = lenext.create("lenet5")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(0)
    notes, made = Notes(), recipe()
    first = Batch(torch.randn(8, 1, 28, 28), torch.arange(8))
    torch.manual_seed(3)
    chosen = choose_arithmetic(
        model, made, Criterion(made, torch.ones(10), CPU), lambda: first, images=1000, progress=notes
    )
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert notes.told[-1].startswith(f"arithmetic: {chosen} (images a second, measured on ")


def trained(data: TrainingData, way: Arithmetic) -> tuple[list[float], ImageClassifier]:
    torch.manual_seed(0)
    model = lenext.create("resnet20_cifar", in_channels=1, size=12)
    train = TrainingLoader(data.train, data.preprocessing, batch_size=32, device=CPU)
    held_out = Loader(data.held_out, data.preprocessing, batch_size=400, device=CPU)
    made = recipe(epochs=1, batch_size=16)
    epochs = list(fit(model, train, held_out, made, seed=0, arithmetic=way))
    return [loss for epoch in epochs for loss in epoch.losses], model


def test_every_way_trains_alike(data: TrainingData) -> None:
    usual, model = trained(data, USUAL)
    planes, _ = trained(data, PLANES)
    brain, rounded = trained(data, BRAIN)
    assert planes == pytest.approx(usual, rel=1e-3)
    assert brain == pytest.approx(usual, rel=0.05)
    assert brain != pytest.approx(usual, rel=1e-4), "bfloat16 was not used"
    assert np.mean(brain[-3:]) < np.mean(brain[:3])
    assert {parameter.dtype for parameter in rounded.parameters()} == {torch.float32}
    weight = model.get_parameter(next(name for name, p in model.named_parameters() if p.ndim == 4 and p.shape[1] > 1))
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_order_of_memory_is_that_of_the_way() -> None:
    images = torch.randn(2, 8, 8, 3).permute(0, 3, 1, 2)
    assert USUAL.order(images) is images
    assert PLANES.order(images).is_contiguous()
    model = lenext.create("lenet5", in_channels=3)
    weight = model.get_parameter(next(name for name, value in model.named_parameters() if value.ndim == 4))
    USUAL.prepare(model)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    PLANES.prepare(model)
    assert weight.is_contiguous()
