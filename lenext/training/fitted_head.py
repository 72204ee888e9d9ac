"""A last layer that starts as the logistic regression on what the given weights make of the images.

From random values, its first gradients change what is before it before it knows anything: "Fine-Tuning can Distort
Pretrained Features" (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.models import ImageClassifier
from lenext.transfer.heads import fit_head, linear_layer


@torch.no_grad()
def fit_last_layer(
    model: ImageClassifier, batches: Iterable[Tensor], labels: NDArray[np.int64], seed: int
) -> bool:
    """Fit the last layer to images (N, C, H, W) in batches, of which `labels` are the classes.

    Returned is whether it was: the last layer must be one dense layer on the embedding, and two classes have images.
    """
    last = model.head.linear
    if last is None or len(np.unique(labels)) < 2:
        return False
    training = model.training
    model.eval()
    embedded = torch.cat([model.embed(images).float().cpu() for images in batches])
    model.train(training)
    if not embedded.isfinite().all():
        return False
    weight, bias = linear_layer(fit_head("logistic", embedded[:, None].numpy(), labels, seed=seed), last.out_features)
    last.weight.copy_(torch.from_numpy(weight))
    last.bias.copy_(torch.from_numpy(bias))
    return True
