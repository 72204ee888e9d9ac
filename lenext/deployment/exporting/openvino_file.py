"""The OpenVINO files: the ONNX graph with OpenVINO's own resizing in it, which does what Pillow does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from lenext.classifier import Classifier
from lenext.deployment.exporting.onnx_file import onnx_model
from lenext.engines.exported import KEY
from lenext.errors import UserError
from lenext.files import to_json

# OpenVINO passes over ONNX's antialias without a word; these resize as Pillow does.
PILLOW = {"linear_onnx": "bilinear_pillow", "linear": "bilinear_pillow", "cubic": "bicubic_pillow"}


def write_openvino(classifier: Classifier, metadata: dict[str, Any], path: Path) -> None:
    """Write `path`, .xml, and the weights beside it, .bin, as float32.

    Raises:
        UserError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise UserError("the format openvino needs OpenVINO: pip install 'lenext[openvino]'") from None
    model = onnx_model(classifier, metadata)
    said = {**metadata, "preprocessing_inside": model.graph.inputs[0].dtype == ir.DataType.UINT8}
    graph = path.with_suffix(".onnx")
    ir.save(model, graph)
    converted = openvino.Core().read_model(graph)
    resize_like_pillow(converted)
    converted.set_rt_info(to_json(said), KEY)
    openvino.save_model(converted, path, compress_to_fp16=False)
    graph.unlink()


def resize_like_pillow(model: Any) -> None:
    """Put OpenVINO's own resizing in place of the one that came from ONNX."""
    import openvino.opset15 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() != "Interpolate" or node.get_attributes()["mode"] not in PILLOW:
            continue
        attributes = node.get_attributes()
        axes = ops.constant([1, 2], dtype=np.int64)
        sizes = ops.gather(node.input_value(1), axes, ops.constant(0, dtype=np.int64))
        kind = PILLOW[attributes["mode"]]
        new = ops.interpolate(
            node.input_value(0), sizes, mode=kind, shape_calculation_mode="sizes", axes=axes, cube_coeff=-0.5
        )
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(new.output(0))
