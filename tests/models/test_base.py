from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lenext
from lenext.models import ImageClassifier
from lenext.models.heads import Head


class Tiny(ImageClassifier):
    """A model built by hand, to see what the base class makes of three attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 1)
        self.stages = nn.ModuleList([nn.AvgPool2d(2), nn.AvgPool2d(2)])
        self.head = MeanHead()


class MeanHead(Head):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 3)

    def embed(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def test_the_interface_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ImageClassifier()  # type: ignore[abstract]


def test_forward_is_stem_then_stages_then_head() -> None:
    model, x = Tiny(), torch.randn(2, 1, 8, 8)
    maps = model.features(x)
    assert [tuple(m.shape) for m in maps] == [(2, 2, 4, 4), (2, 2, 2, 2)]
    expected = model.head.classifier(model.stem(x).mean((2, 3)))
    torch.testing.assert_close(model(x), expected)
    torch.testing.assert_close(model.embed(x), model.stem(x).mean((2, 3)))
    assert model.forward_train(x)[1] == []


def test_a_model_without_stages_refuses_features() -> None:
    with pytest.raises(lenext.UserError, match="mlp has no stages"):
        lenext.create("mlp").features(torch.zeros(1, 1, 28, 28))


def test_a_dense_head_says_what_size_it_was_built_for() -> None:
    with pytest.raises(lenext.UserError, match=r"feature map is 16x6x6, but the dense layers were built for 16x5x5"):
        lenext.create("lenet5")(torch.zeros(1, 1, 32, 32))
