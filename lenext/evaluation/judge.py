"""Judging: the model's answer to every image of a set, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from lenext.data.loader import Loader
from lenext.errors import LenextError
from lenext.processes import ALONE, Group
from lenext.progress import SILENT, Progress

TOP5_FROM = 6  # below six classes a top-5 says nothing


@dataclass(frozen=True)
class Judgement:
    """Logits (N, classes) and labels (N,) of N images; the figures are computed from these alone."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def top1(self) -> float:
        """Percentage of images whose class has the highest logit."""
        return self._within(1)

    @property
    def top5(self) -> float | None:
        """Percentage of images whose class is among the five highest; None below six classes."""
        return self._within(5) if self.logits.shape[1] >= TOP5_FROM else None

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return float(cross_entropy(torch.from_numpy(self.logits).double(), torch.from_numpy(self.labels)))

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits, (N, classes)."""
        return torch.from_numpy(self.logits).softmax(1).numpy()

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which images have their class for the highest logit, (N,), as the top-1 is counted."""
        return self._among(1).numpy()

    def figures(self) -> dict[str, Any]:
        """Return top1, top5, loss and the number of images."""
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss, "images": len(self.labels)}

    def _within(self, k: int) -> float:
        return 100 * float(self._among(k).double().mean())

    def _among(self, k: int) -> torch.Tensor:
        best = torch.from_numpy(self.logits).topk(k, dim=1).indices
        return (best == torch.from_numpy(self.labels)[:, None]).any(1)


class NotFiniteError(LenextError):
    """An answer is no finite number."""


@torch.inference_mode()
def judge(
    model: nn.Module, loader: Loader, *, what: str = "judging", group: Group = ALONE, progress: Progress = SILENT
) -> Judgement:
    """Return the model's answers to every image, in order, in evaluation mode; the model is left in it.

    Of several processes, each has a loader of its own part, and gets the answers to all, once each.

    Raises:
        NotFiniteError: an answer is not a finite number.
    """
    model.eval()
    logits, labels = [], []
    for batch in progress.track(loader.in_order(), what, len(loader), len):
        logits.append(model(batch.images).float().cpu())
        labels.append(batch.labels.cpu())
    answers = group.joined(torch.cat(logits))
    if not answers.isfinite().all():
        raise NotFiniteError(
            "the model's answers are no longer finite numbers; train again, with a lower learning rate"
        )
    return Judgement(answers.numpy(), group.joined(torch.cat(labels)).numpy())
