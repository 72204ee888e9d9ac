"""Batch normalisation over the images of all processes that train together."""

from __future__ import annotations

import torch
from torch import nn

from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.processes import Group


def synchronised(model: ImageClassifier, device: torch.device, group: Group) -> ImageClassifier:
    """Return the model with batch norms that take mean and variance over a whole batch, not over a process's part.

    Raises:
        UserError: torch has none for the device.
    """
    if device.type != "cuda":
        raise UserError(
            f"sync_norm cannot be on {device.type}: torch has norms over several processes for CUDA alone; leave it "
            "out, or take a larger --batch-size, with which the statistics of a part differ less from those of all"
        )
    if group.world > 1:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return model
