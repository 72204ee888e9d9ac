from __future__ import annotations

import pytest
import torch
from torch import nn

from lenext.errors import UserError
from lenext.models.heads import ClassMapHead, DenseHead, Head, PoolHead


def test_a_pool_head_classifies_the_mean_of_each_map() -> None:
    head = PoolHead(3, 5).eval()
    x = torch.randn(2, 3, 4, 6)
    torch.testing.assert_close(head.embed(x), x.mean((2, 3)))
    weight, bias = head.classifier.get_parameter("weight"), head.classifier.get_parameter("bias")
    torch.testing.assert_close(head(x), x.mean((2, 3)) @ weight.T + bias)
    assert head(torch.randn(2, 3, 1, 9)).shape == (2, 5)


def test_a_pool_head_drops_what_enters_its_last_layer() -> None:
    head = PoolHead(1000, 2, dropout=0.4)
    x = torch.ones(1, 1000, 2, 2)
    dropped = (head.embed(x) == 0).float().mean().item()
    assert 0.3 < dropped < 0.5
    assert head.eval().embed(x).count_nonzero() == 1000


def test_a_class_map_head_takes_the_mean_of_one_map_a_class() -> None:
    head = ClassMapHead(3, 2)
    x = torch.randn(2, 3, 4, 5)
    weight, bias = head.classifier.get_parameter("weight"), head.classifier.get_parameter("bias")
    maps = (torch.einsum("nchw,kc->nkhw", x, weight[:, :, 0, 0]) + bias[:, None, None]).clamp(min=0)
    torch.testing.assert_close(head(x), maps.mean((2, 3)))
    torch.testing.assert_close(head.embed(x), x.mean((2, 3)))
    assert not torch.allclose(head(x), (head.embed(x) @ weight[:, :, 0, 0].T + bias).clamp(min=0)), "the ReLU is first"


def test_a_dense_head_drops_after_each_activation_at_its_rate() -> None:
    head = DenseHead(
        2, (1, 1), (1000, 1000), nn.Linear(1000, 2), pool=nn.Identity(), activation=nn.Identity, dropout=(0.5, 0.25)
    )
    with torch.no_grad():
        for layer in head.dense:
            assert isinstance(layer, nn.Linear)
            layer.weight.fill_(1e-3)
            layer.bias.fill_(1)
    seen = []
    head.dense[1].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    embedded = head.embed(torch.ones(1, 2, 1, 1))
    assert 0.4 < (seen[0] == 0).float().mean() < 0.6
    assert 0.18 < (embedded == 0).float().mean() < 0.32
    head.eval()
    assert head.embed(torch.ones(1, 2, 1, 1)).count_nonzero() == 1000


def test_a_head_that_cannot_slide_says_so() -> None:
    class Own(Head):
        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3))

    with pytest.raises(UserError, match=r"a Own cannot slide over larger maps: its class has no sliding\(\)"):
        Own().sliding((7, 7))
