"""Stochastic diagonal Levenberg-Marquardt: LeCun et al. 1998, https://doi.org/10.1109/5.726791, appendix C.

Each weight has a rate of its own, the common one over its second derivative and a damping. Without the products of
second derivatives off the diagonal, and with those of the activations left out, the second derivative of a weight is
the mean of the square of the gradient that an answer drawn from the network's own probabilities would have; it is
measured on some hundred images before each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from lenext.training.criterion import Criterion

IMAGES = 500  # that second derivatives are measured on


class DiagonalLevenbergMarquardt(Optimizer):
    """Moves each weight against its gradient by `lr / (damping + h)`, h being its second derivative.

    optimiser = DiagonalLevenbergMarquardt(model.parameters(), lr=5e-4, damping=0.02)
    optimiser.measure(model.forward_train, criterion, images, seed=(0, 1))    # before each epoch; until then h is 1
    """

    def __init__(self, params: Any, *, lr: float, damping: float) -> None:
        super().__init__(params, {"lr": lr, "damping": damping, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                curvature = self.state[parameter].get("curvature")
                scale = (curvature if curvature is not None else torch.ones_like(parameter)) + group["damping"]
                if group["weight_decay"]:
                    parameter.grad.add_(parameter, alpha=group["weight_decay"])
                parameter.addcdiv_(parameter.grad, scale, value=-group["lr"])

    def measure(
        self,
        model: Callable[[Tensor], tuple[Tensor, list[Tensor]]],
        criterion: Criterion,
        images: Iterable[Tensor],
        *,
        seed: tuple[int, int],
    ) -> None:
        """Measure the second derivatives on `images`, each (1, C, H, W), with answers drawn from the seed."""
        generator = np.random.default_rng(seed)
        parameters = [weight for group in self.param_groups for weight in group["params"] if weight.requires_grad]
        sums, count = [torch.zeros_like(parameter) for parameter in parameters], 0
        for image in images:
            logits, _ = model(image)
            probabilities = criterion.probabilities(logits.detach().double()).cpu().numpy()[0]
            drawn = torch.tensor([generator.choice(len(probabilities), p=probabilities / probabilities.sum())])
            loss = criterion(logits, drawn.to(logits.device))
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            for total, gradient in zip(sums, gradients, strict=True):
                if gradient is not None:
                    total.addcmul_(gradient, gradient)
            count += 1
        for parameter, total in zip(parameters, sums, strict=True):
            self.state[parameter]["curvature"] = total / max(1, count)
