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
from lenext.processes import ALONE, Group
from lenext.transfer.heads import fit_head, linear_layer


@torch.no_grad()
def fit_last_layer(
    model: ImageClassifier, batches: Iterable[Tensor], labels: NDArray[np.int64], seed: int, group: Group = ALONE
) -> bool:
    """Fit the last layer, a dense one, to images (N, C, H, W) in batches, of which `labels` are two classes or more.

    Of a group, each process has its part of the images in `batches`, and all labels: every process fits the same
    regression. Returned is whether the layer is fitted now; embeddings that are no finite numbers leave it as it is.
    """
    last = model.head.linear
    assert last is not None
    training = model.training
    model.eval()
    own = [torch.empty(0, last.in_features), *(model.embed(images).float().cpu() for images in batches)]
    model.train(training)
    embedded = group.joined(torch.cat(own))
    if not embedded.isfinite().all():
        return False
    weight, bias = linear_layer(fit_head("logistic", embedded[:, None].numpy(), labels, seed=seed), last.out_features)
    last.weight.copy_(torch.from_numpy(weight))
    if last.bias is not None:
        last.bias.copy_(torch.from_numpy(bias))
    return True
