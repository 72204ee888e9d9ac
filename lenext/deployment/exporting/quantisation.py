"""Post-training quantisation by NNCF: convolutions and dense layers in int8, on scales that images were measured for.

Weights have one scale a channel, activations an offset too, and biases are corrected for what rounding moves in the
mean. "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (Jacob et al. 2017,
https://arxiv.org/abs/1712.05877); https://github.com/openvinotoolkit/nncf.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.engines.engine import as_rgb
from lenext.engines.exported import IMAGES, KEY, PROBABILITIES, ExportedFile
from lenext.errors import UserError
from lenext.files import to_json

WORK = ("Convolution", "GroupConvolution", "MatMul")  # what has multiply-adds, as OpenVINO calls it


def quantise(
    file: ExportedFile,
    out: Path,
    images: Sequence[NDArray[np.uint8]],
    labels: Sequence[int],
    *,
    most: float | None = None,
) -> float:
    """Write `file`, of ONNX or OpenVINO, to `out` in int8, and return the share of its multiply-adds that are.

    `images` are those that the scales are measured for, each uint8 (1, H, W, C) as given to the graph. With `most`, the
    share of right answers to them that may be lost, the layers that cost most of it stay in float, as many as it takes.

    Raises:
        UserError: NNCF is not installed.
    """
    nncf = _nncf()
    library = _LIBRARIES[file.format]
    model, name = library.read(file.path), IMAGES
    data = nncf.Dataset(list(zip(images, labels, strict=True)), lambda pair: {name: as_rgb(pair[0])})
    usual = {"preset": nncf.QuantizationPreset.MIXED, "subset_size": len(images)}

    def right(network: Any, pairs: Iterable[tuple[NDArray[np.uint8], int]]) -> tuple[float, list[float]]:
        ask = library.asking(network)
        found = [float(np.argmax(ask(as_rgb(pixels))) == label) for pixels, label in pairs]
        return sum(found) / len(found), found

    with contextlib.redirect_stdout(sys.stderr):  # where its bars belong
        if most is None:
            made = nncf.quantize(model, data, **usual)
        else:
            made = nncf.quantize_with_accuracy_control(model, data, data, right, max_drop=most, **usual)
    library.write(made, out, to_json({**file.metadata, "precision": "int8"}))
    layers = int8_layers(out, (1, *images[0].shape[1:3], 3))
    total = sum(macs for _, macs, _ in layers)
    return sum(macs for _, macs, inside in layers if inside) / max(1, total)


@dataclass(frozen=True)
class _Library:
    """How the models of a format are read and written, and how those are asked that NNCF hands out."""

    read: Callable[[Path], Any]
    write: Callable[[Any, Path, str], None]
    asking: Callable[[Any], Callable[[NDArray[np.uint8]], Any]]


def _read_onnx(path: Path) -> Any:
    import onnx

    return onnx.load(path)


def _write_onnx(model: Any, path: Path, metadata: str) -> None:
    import onnx

    for entry in model.metadata_props:
        if entry.key == KEY:
            entry.value = metadata
    onnx.save(model, path)


def _read_openvino(path: Path) -> Any:
    import openvino

    return openvino.Core().read_model(path)


def _write_openvino(model: Any, path: Path, metadata: str) -> None:
    import openvino

    model.set_rt_info(metadata, KEY)
    openvino.save_model(model, path, compress_to_fp16=False)


def _asking_onnx(model: Any) -> Callable[[NDArray[np.uint8]], Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    return lambda pixels: session.run([PROBABILITIES], {IMAGES: pixels})[0]


def _asking_openvino(network: Any) -> Callable[[NDArray[np.uint8]], Any]:
    return lambda pixels: network([pixels])[PROBABILITIES]


_LIBRARIES: dict[str, _Library] = {
    "onnx": _Library(_read_onnx, _write_onnx, _asking_onnx),
    "openvino": _Library(_read_openvino, _write_openvino, _asking_openvino),
}


def int8_layers(path: Path, shape: tuple[int, ...]) -> list[tuple[str, int, bool]]:
    """Return name, multiply-adds for one image, and whether both inputs are quantised, of each layer of a file.

    `shape` is that of the images that are given. The class map's own work, which few ask for, does not count.
    """
    model = _read_openvino(path)  # which reads ONNX too
    model.reshape(list(shape))
    wanted = _behind(next(each for each in model.outputs if "probabilities" in each.get_names()).get_node())
    found = []
    for node in wanted:
        if node.get_type_name() not in WORK:
            continue
        weights, out = node.input(1).get_shape(), node.output(0).get_shape()
        # Each output element takes one product for every weight of its channel.
        channels = {"Convolution": weights[0], "GroupConvolution": math.prod(weights[:2]), "MatMul": out[-1]}
        macs = math.prod(out) * math.prod(weights) // channels[node.get_type_name()]
        inside = all(_comes_quantised(node.input_value(place).get_node()) for place in (0, 1))
        found.append((node.get_friendly_name(), macs, inside))
    return found


def _behind(node: Any) -> list[Any]:
    """Return every node that an output depends on."""
    found, waiting = {}, [node]
    while waiting:
        each = waiting.pop()
        if each.get_name() not in found:
            found[each.get_name()] = each
            waiting += [value.get_node() for value in each.input_values()]
    return list(found.values())


# What hands on the values that it gets.
HANDED_ON = ("Reshape", "Transpose", "Convert", "Multiply", "Subtract", "Unsqueeze", "Squeeze", "MaxPool")


def _comes_quantised(node: Any) -> bool:
    """Say whether values are those of a quantiser, or constants of eight bits, whatever changed their shape since."""
    while node.get_type_name() in HANDED_ON:
        node = node.input_value(0).get_node()
    if node.get_type_name() == "Concat":
        return all(_comes_quantised(value.get_node()) for value in node.input_values())
    if node.get_type_name() == "Constant":
        return str(node.get_element_type().get_type_name()) in ("i8", "u8")
    return str(node.get_type_name()) == "FakeQuantize"


def _nncf() -> Any:
    """Return the library, which then tells nobody that it is used, and says nothing."""
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ImportError:
        raise UserError("--int8 needs NNCF and OpenVINO: pip install 'lenext[int8]'") from None
    nncf.set_log_level(logging.ERROR)
    return nncf
