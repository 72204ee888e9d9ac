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
from lenext.models import ImageClassifier

OPSET = 20


class Answers(nn.Module):
    """A classifier that answers with all that a file gives: probabilities, class map and logits."""

    def __init__(self, model: ImageClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H, W) -> (N, classes), (N, classes, h, w), (N, classes)"""
        logits, classes = self.model.logits_and_map(x)
        return logits.softmax(1), classes, logits


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
