"""Judging: the model's answer to every image of a set, and the figures that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lenext.data.loader import Loader
from lenext.errors import LenextError
from lenext.processes import ALONE, Group
from lenext.progress import SILENT, Progress

TOP5_FROM = 6  # below six classes a top-5 says nothing
BLOCK = 2**18  # logits that are worked on at once


@dataclass(frozen=True)
class Judgement:
    """Logits (N, classes), finite, and labels (N,) of N images; the figures are computed from these alone.

    Logarithms of probabilities do as well as logits. Of classes with the same logit, the one that comes first counts as
    the more probable, everywhere.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def top1(self) -> float:
        """Percentage of images whose class has the highest logit."""
        return 100 * float(self.right.mean())

    @property
    def top5(self) -> float | None:
        """Percentage of images whose class is among the five highest; None below six classes."""
        return 100 * float((self.ranks < 5).mean()) if self.logits.shape[1] >= TOP5_FROM else None

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return float(self.losses.mean())

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits, (N, classes)."""
        return torch.from_numpy(self.logits).softmax(1).numpy()

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, (N,)."""
        best: NDArray[np.int64] = self.logits.argmax(1)
        return best

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which images were answered right, (N,)."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """How many classes are more probable than the image's own, (N,)."""
        found = np.empty(len(self.labels), np.int64)
        places = np.arange(self.logits.shape[1])
        for rows in _blocks(self.logits):
            logits, labels = self.logits[rows], self.labels[rows, None]
            own = np.take_along_axis(logits, labels, axis=1)
            found[rows] = ((logits > own) | ((logits == own) & (places < labels))).sum(1)
        return found

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """Cross-entropy of each image, (N,), in nats."""
        return cross_entropies(self.logits, self.labels)

    @cached_property
    def confidences(self) -> NDArray[np.float64]:
        """Probability, 0 to 1, of each image's most probable class, (N,)."""
        return np.exp(-cross_entropies(self.logits, self.predicted))

    def most_probable(self, most: int) -> NDArray[np.int64]:
        """Return the most probable classes of each image, the first first, (N, most or all where they are fewer)."""
        most = min(most, self.logits.shape[1])
        found = torch.from_numpy(self.logits).topk(min(most + 1, self.logits.shape[1]), dim=1)
        best: NDArray[np.int64] = found.indices[:, :most].numpy().copy()
        tied = np.flatnonzero((found.values.diff(dim=1) == 0).any(1).numpy())  # topk orders these as it likes
        best[tied] = np.argsort(-self.logits[tied], axis=1, kind="stable")[:, :most]
        return best

    def figures(self) -> dict[str, Any]:
        """Return top1, top5, loss and the number of images."""
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss, "images": len(self.labels)}


def cross_entropies(
    logits: NDArray[np.float32], classes: NDArray[np.int64], temperature: float = 1.0
) -> NDArray[np.float64]:
    """Return the negative logarithm of the probability of one class an image, (N, classes), (N,) -> (N,), in nats.

    The logits are divided by the temperature first.
    """
    found = np.empty(len(classes))
    for rows in _blocks(logits):
        scaled = logits[rows].astype(np.float64)
        scaled /= temperature
        scaled -= scaled.max(1, keepdims=True)
        own = np.take_along_axis(scaled, classes[rows, None], axis=1)[:, 0]
        found[rows] = np.log(np.exp(scaled, out=scaled).sum(1)) - own
    return found


def _blocks(logits: NDArray[np.float32]) -> Iterator[slice]:
    """Give the rows in parts that stay in the processor's cache, which also spares memory."""
    step = max(1, BLOCK // logits.shape[1])
    return (slice(start, start + step) for start in range(0, len(logits), step))


NOT_FINITE = "the model's answers are not finite numbers; train again, with a lower learning rate"


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
        raise NotFiniteError(NOT_FINITE)
    return Judgement(answers.numpy(), group.joined(torch.cat(labels)).numpy())
