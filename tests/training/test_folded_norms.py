from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from pictures import class_folder
from safetensors.torch import save_file
from torch import nn

import lenext
from lenext.models import ImageClassifier
from lenext.training.folded_norms import has_folded_norms, unfold_norms


@torch.no_grad()
def folded(model: ImageClassifier) -> ImageClassifier:
    """Return the model with a mean of 0 and a variance of 1 in every norm, which answers the same."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            norm.bias -= scale * norm.running_mean
            norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
            norm.running_mean.zero_()
            norm.running_var.fill_(1)
    return model


@pytest.fixture
def trained() -> ImageClassifier:
    """A network whose norms have seen some images."""
    torch.manual_seed(0)
    model = lenext.create("resnet20_cifar")
    with torch.no_grad():
        for _ in range(50):
            model(torch.randn(16, 3, 32, 32))
    return model.eval()


def test_folded_norms_are_found(trained: ImageClassifier) -> None:
    assert not has_folded_norms(trained)
    assert has_folded_norms(folded(trained))
    assert not has_folded_norms(lenext.create("vgg11", classes=2, size=32))


def test_norms_are_folded_one_by_one(trained: ImageClassifier) -> None:
    folded(trained)
    trained.freeze("all but stages.2, head")
    images = torch.randn(64, 3, 32, 32)
    before = trained(images)
    assert unfold_norms(trained, [images])
    assert has_folded_norms(trained)
    trained.freeze_exactly(())
    assert unfold_norms(trained, [images])
    assert not has_folded_norms(trained)
    torch.testing.assert_close(trained.eval()(images), before, atol=2e-3, rtol=1e-3)


def test_statistics_come_back_and_the_answers_stay(trained: ImageClassifier) -> None:
    images = torch.randn(64, 3, 32, 32)
    with torch.no_grad():
        expected = trained(images)
        folded(trained)
        torch.testing.assert_close(trained(images), expected, rtol=1e-3, atol=1e-3)
        in_training = copy.deepcopy(trained).train()(images)
        assert (in_training - expected).norm() > 0.5 * expected.norm()  # what folding does to further training
        unfold_norms(trained, images.split(16))
        assert not has_folded_norms(trained)
        torch.testing.assert_close(trained(images), expected, rtol=1e-3, atol=1e-3)
        assert (trained.train()(images) - expected).norm() < 0.02 * expected.norm()


def test_norms_that_saw_other_images_may_get_statistics_too(trained: ImageClassifier) -> None:
    images = 3 * torch.rand(64, 3, 32, 32) + 1
    with torch.no_grad():
        expected = trained(images)
        assert not unfold_norms(trained, [images])
        assert (copy.deepcopy(trained).train()(images) - expected).norm() > 0.5 * expected.norm()
        assert unfold_norms(trained, images.split(16), every=True)
        torch.testing.assert_close(trained(images), expected, rtol=1e-3, atol=1e-3)
        assert (trained.train()(images) - expected).norm() < 0.02 * expected.norm()


def test_training_from_folded_weights_says_so(trained: ImageClassifier, tmp_path: Path) -> None:
    save_file(folded(trained).state_dict(), tmp_path / "w.safetensors")
    class_folder(tmp_path / "photos")
    notes: list[str] = []

    class Notes:
        def track(self, items: object, *_: object) -> object:
            return items

        def note(self, text: str) -> None:
            notes.append(text)

    lenext.train(
        tmp_path / "photos", "resnet20_cifar", weights=tmp_path / "w.safetensors", epochs=1, out=tmp_path / "run",
        progress=Notes(),  # type: ignore[arg-type]
    )  # fmt: skip
    assert any("the weights came with folded norms" in note for note in notes)
