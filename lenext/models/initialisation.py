"""First weights: what each paper drew, and the later remedies where a network does not train from that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from lenext.errors import UserError

Init = Literal["he", "glorot", "paper"]


def he(model: nn.Module) -> None:
    """Draw normal weights with variance 2 / fan-in: He et al. 2015, https://arxiv.org/abs/1502.01852."""
    draw(model, lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"))


def initialise(model: nn.Module, init: Init, paper: Callable[[nn.Module], None] = he) -> None:
    """Draw the weights of every convolution and dense layer in place; norms keep scale 1 and shift 0.

    `he` is normal with variance 2 / fan-in, `glorot` uniform with variance 2 / (fan-in + fan-out) (Glorot and Bengio
    2010), both with biases 0; `paper` is what the family passes, where its paper does not draw like He et al.

    Raises:
        UserError: `init` is none of these.
    """
    if init == "paper":
        paper(model)
    elif init == "he":
        he(model)
    elif init == "glorot":
        draw(model, nn.init.xavier_uniform_)
    else:
        raise UserError(f"init {init!r} is not known; give he, glorot or paper")


def gaussian(std: float) -> Callable[[nn.Module], None]:
    """Return the rule of the early papers: weights normal with one standard deviation, biases 0."""
    return lambda model: draw(model, lambda weight: nn.init.normal_(weight, std=std))


def draw(model: nn.Module, draw_: Callable[[Tensor], object]) -> None:
    """Draw each weight with `draw_`, in place, and set the biases to 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
