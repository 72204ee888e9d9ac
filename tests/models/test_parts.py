"""Parts of a network by name, what freezing them does, and networks without their last stages."""

from __future__ import annotations

import pytest
import torch
from skeletons import reduced

import lenext
from lenext.errors import UserError
from lenext.models import ImageClassifier, list_models
from lenext.models.parts import parts_of, select_parts
from lenext.models.skeleton import Skeleton


def small(name: str, **options: object) -> ImageClassifier:
    with Skeleton():
        return lenext.create(name, **{**reduced(name), **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list_models())
def test_every_weight_is_in_one_part(name: str) -> None:
    model = small(name)
    found = [weight for modules in parts_of(model).values() for each in modules for weight in each.parameters()]
    assert len(found) == len({id(weight) for weight in found}) == len(list(model.parameters()))


@pytest.mark.parametrize("name", [name for name in list_models() if name != "mlp"])
def test_every_network_can_lose_all_stages_but_one(name: str) -> None:
    whole = small(name)
    cut = small(name, drop_stages=len(whole.stages) - 1)
    kept = {key: value.shape for key, value in cut.state_dict().items() if not key.startswith("head.")}
    same = {key: value.shape for key, value in whole.state_dict().items() if key in kept}
    assert kept == same
    assert len(cut.stages) == 1
    assert cut.head.classifier.weight.shape[0] == whole.spec.classes  # type: ignore[union-attr, index]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("stem", "stem"),
        ("stem, stages.0-2", "stem stages.0 stages.1 stages.2"),
        ("stages", "stages.0 stages.1 stages.2 stages.3"),
        ("stages.3,stem", "stem stages.3"),
        ("head", "head head.classifier"),
        ("head.classifier", "head.classifier"),
        ("all but head", "stem stages.0 stages.1 stages.2 stages.3"),
        ("all-but-head", "stem stages.0 stages.1 stages.2 stages.3"),
        ("all but head.classifier", "stem stages.0 stages.1 stages.2 stages.3 head"),
        ("all but stages.1-3, head", "stem stages.0"),
    ],
)
def test_parts_are_meant_by_name(text: str, parts: str) -> None:
    assert select_parts(small("resnet18"), text) == parts.split()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("resnet18", "stages.4", "'stages.4' is out of range: the stages of resnet18 are stages.0 to stages.3"),
        ("resnet18", "stages.2-1", "'stages.2-1' is out of range"),
        ("resnet18", "layer4", "its parts are stem, stages.0, stages.1, stages.2, stages.3, head.classifier"),
        ("resnet18", "", "has no part ''"),
        ("lenet5", "stem", "lenet5 has no weights in 'stem'; its parts are stages.0, stages.1, head, head.classifier"),
        ("mlp", "stages", "mlp has no part 'stages'"),
        ("mlp", "all but head", "has no weights in"),
        ("resnet18", "stem,stages,head", "leaves nothing of resnet18 to train"),
        ("lenet5", "stages,head", "leaves nothing of lenet5 to train"),
    ],
)
def test_what_cannot_be_frozen_is_told(name: str, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        small(name).freeze(text)


@pytest.mark.parametrize(
    ("name", "count", "told"),
    [
        ("resnet18", 4, "drop_stages 4 leaves none: resnet18 has 4 stages; give 3 at most"),
        ("lenet5", 5, "lenet5 has 2 stages; give 1 at most"),
        ("mlp", 1, "mlp has no stages; leave it out"),
        ("resnet18", -1, "drop_stages -1 cannot be"),
        ("resnet18", True, "drop_stages True cannot be"),
        ("resnet18", 1.5, "drop_stages 1.5 cannot be"),
    ],
)
def test_what_cannot_be_cut_is_told(name: str, count: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        small(name, drop_stages=count)


def test_frozen_parts_keep_their_mode_and_get_no_gradient() -> None:
    model = lenext.create("resnet20_cifar", classes=4)
    model.freeze("stem, stages.0")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    assert not model.stages[0].training
    assert model.stages[1].training
    optimiser = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    model(torch.randn(4, 3, 32, 32)).sum().backward()
    optimiser.step()
    changed = {key.rpartition(".")[0] for key, value in model.state_dict().items() if not value.equal(before[key])}
    assert all(key.startswith(("stages.1", "stages.2", "head")) for key in changed)
    assert any(key.startswith("stages.1") for key in changed)
    model.freeze_exactly(())
    assert all(weight.requires_grad for weight in model.parameters())
    assert model.train().stages[0].training


def test_a_cut_network_has_the_features_of_the_whole(tmp_path: object) -> None:
    torch.manual_seed(0)
    whole = lenext.create("resnet20_cifar", classes=4).eval()
    cut = lenext.create("resnet20_cifar", classes=4, drop_stages=1).eval()
    cut.load_state_dict(
        {**cut.state_dict(), **{k: v for k, v in whole.state_dict().items() if "head" not in k and "stages.2" not in k}}
    )
    images = torch.randn(2, 3, 32, 32)
    for ours, its in zip(cut.features(images), whole.features(images), strict=False):
        assert torch.equal(ours, its)
    assert cut.embed(images).equal(whole.features(images)[1].mean((2, 3)))


def test_the_head_of_a_cut_dense_network_sees_a_grid_as_fine_as_before() -> None:
    model = lenext.create("lenet5", drop_stages=1)
    images = torch.randn(2, 1, 28, 28)
    maps = model.features(images)[-1]  # (2, 6, 28, 28)
    grid = torch.stack(
        [maps[..., 5 * i : 5 * i + 5, 5 * j : 5 * j + 5].mean((2, 3)) for i in range(5) for j in range(5)], 2
    )
    torch.testing.assert_close(model.embed(images), grid.flatten(1))
    dense = lenext.densify(model.eval(), 28)
    torch.testing.assert_close(dense(images)[..., 0, 0], model(images))


def test_auxiliary_classifiers_go_with_the_stages() -> None:
    for name, count in [("googlenet", 1), ("googlenet", 2), ("inception_v3", 1), ("inception_v3", 2)]:
        model = lenext.create(name, classes=3, drop_stages=count)
        side = 75 if name == "inception_v3" else 64
        logits, auxiliary = model.forward_train(torch.randn(2, 3, side, side))
        assert logits.shape == (2, 3)
        assert not auxiliary
