"""The network as an ONNX graph, its norms folded into the convolutions before them."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator

import onnx_ir as ir
import torch
from torch import Tensor, nn

from lenext.engines.exported import OUTPUTS, PIXELS
from lenext.errors import UserError
from lenext.models import ImageClassifier

OPSET = 20


class Answers(nn.Module):
    """A classifier that answers with all that a file gives: probabilities, class map and logits.

    The class map is what the head answers at each place of the last feature map, (N, classes, h, w): where it is a
    pool and one dense layer, the mean over the places is the logit. Dense layers bound to a size leave one place.
    """

    def __init__(self, model: ImageClassifier) -> None:
        super().__init__()
        self.model = model
        self.map = _sliding_head(model)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H, W) -> (N, classes), (N, classes, h, w), (N, classes)"""
        x = self.model.stem(x)
        for stage in self.model.stages:
            x = stage(x)
        logits = self.model.head(x)
        classes = logits[:, :, None, None] if self.map is None else self.map(x)
        return logits.softmax(1), classes, logits


def _sliding_head(model: ImageClassifier) -> nn.Module | None:
    """Return the head as it answers at each place of the map, or None where it answers only the whole of it."""
    if not model.stages:
        return None
    try:
        head = model.head.sliding((1, 1)).eval()
    except (UserError, RuntimeError):  # built for another window
        return None
    if model.head.linear is not None and isinstance(head, nn.Sequential):
        head[-1] = _AtEachPlace(model.head.linear)  # a convolution would stand in the file with weights of its own
    return head


class _AtEachPlace(nn.Module):
    """A dense layer at each place of a map: (N, C, H, W) -> (N, classes, H, W)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes, H, W)"""
        answers: Tensor = self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return answers


def network_graph(model: ImageClassifier, size: tuple[int, int], channels: int) -> ir.Model:
    """Return float32 (N, C, H, W), of this size and any N, -> `OUTPUTS`, as a model of ONNX's operators alone."""
    plain = copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    answers = Answers(plain).eval()
    example = torch.zeros(2, channels, *size)
    with torch.inference_mode(), _quiet():
        program = torch.onnx.export(
            answers,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[PIXELS],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("N")},),
            optimize=True,
            verbose=False,
        )
    assert program is not None
    return program.model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of itself, of operators that are not used here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
