"""Norms that were folded into the convolutions before them, as for shipping: given statistics again, to train further.

Such norms have mean 0 and variance 1, and do nothing in evaluation. In training they would normalise by the batch, and
so undo what was folded. With the statistics of real images in them, and scales and shifts that make up for it, the
network answers as before, and training begins from there. The same helps norms that were not folded, where new images
are unlike those that their statistics are of.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lenext.models import ImageClassifier


def has_folded_norms(model: ImageClassifier) -> bool:
    """Say whether some batch norm of the model has mean 0 and variance 1."""
    return any(map(_is_folded, _norms(model).values()))


def _is_folded(norm: nn.BatchNorm2d) -> bool:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return bool((norm.running_mean == 0).all()) and bool((norm.running_var == 1).all())


@torch.no_grad()
def unfold_norms(model: ImageClassifier, batches: Iterable[Tensor], *, every: bool = False) -> bool:
    """Give each folded norm, or `every` one, the mean and variance of what reaches it, of images (N, C, H, W).

    The model's answers stay the same. Frozen norms, which use the statistics that they have in training too, are left
    as they are; returned is whether there are others.
    """
    wanted = {name: norm for name, norm in _norms(model).items() if every or _is_folded(norm)}
    trained = {name: norm for name, norm in wanted.items() if norm.weight.requires_grad}
    if not trained:
        return False
    sums = {name: torch.zeros(3, norm.num_features, dtype=torch.float64) for name, norm in trained.items()}
    training = model.training
    hooks = [
        norm.register_forward_pre_hook(lambda _, inputs, name=name: _add(sums[name], inputs[0]))
        for name, norm in trained.items()
    ]
    model.eval()
    for images in batches:
        model(images)
    for hook in hooks:
        hook.remove()
    model.train(training)
    for name, norm in trained.items():
        count, total, squares = sums[name]
        if not count.any():  # a part that only training uses
            continue
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean = total / count
        variance = (squares / count - mean**2).clamp_min(0)
        weight, bias = norm.weight.double().cpu(), norm.bias.double().cpu()
        before = (
            weight / (norm.running_var.double().cpu() + norm.eps).sqrt()
        )  # what an input is scaled by, and stays so
        shift = bias - before * norm.running_mean.double().cpu()
        norm.weight.copy_(before * (variance + norm.eps).sqrt())
        norm.bias.copy_(shift + before * mean)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
    return True


def _norms(model: ImageClassifier) -> dict[str, nn.BatchNorm2d]:
    """Return the batch norms that keep statistics, by their paths."""
    return {
        name: norm
        for name, norm in model.named_modules()
        if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
    }


def _add(sums: Tensor, maps: Tensor) -> None:
    """Add a batch's count, sum and sum of squares of each channel."""
    values = maps.double()
    sums[0] += values.numel() / values.shape[1]
    sums[1] += values.sum((0, 2, 3)).cpu()
    sums[2] += values.square().sum((0, 2, 3)).cpu()
