"""The ONNX file: preprocessing and network in one graph, and as metadata all that a reader has to know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lenext.classifier import Classifier
from lenext.deployment.exporting.network_graph import network_graph
from lenext.deployment.exporting.preprocessing_graph import fits_into_a_graph, preprocessing_nodes
from lenext.engines.exported import IMAGES, KEY, PIXELS
from lenext.files import to_json

IR_VERSION = 10  # what ONNX Runtime reads from 1.18 on


def onnx_model(classifier: Classifier, metadata: Mapping[str, Any]) -> ir.Model:
    """Return the classifier as one graph, which takes uint8 (N, H, W, 3) where ONNX can bring these to its form.

    Where it cannot, the input is float32 (N, C, height, width), and the preprocessing stands in the metadata alone.
    """
    preprocessing = classifier.preprocessing
    form = preprocessing.form
    model = network_graph(classifier.model, form.size, form.channels or 3)
    inside = fits_into_a_graph(form)
    if inside:
        _put_before(model, classifier)
    model.metadata_props[KEY] = to_json({**metadata, "preprocessing_inside": inside})
    model.ir_version = IR_VERSION
    model.producer_name = "lenext"
    return model


def _put_before(model: ir.Model, classifier: Classifier) -> None:
    graph = model.graph
    pixels = next(value for value in graph.inputs if value.name == PIXELS)
    images = ir.Value(name=IMAGES, type=ir.TensorType(ir.DataType.UINT8), shape=ir.Shape(["N", "H", "W", 3]))
    nodes, seen = preprocessing_nodes(images, classifier.preprocessing)
    graph.inputs[:] = [images]
    seen.name = PIXELS
    ir.convenience.replace_all_uses_with(pixels, seen)
    for value in nodes.tape.initializers:
        graph.register_initializer(value)
    graph.insert_before(graph[0], list(nodes.tape.nodes))


def write_onnx(classifier: Classifier, metadata: dict[str, Any], path: Path) -> None:
    """Write the file, weights inside."""
    ir.save(onnx_model(classifier, metadata), path)
