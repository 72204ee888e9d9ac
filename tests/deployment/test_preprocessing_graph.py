"""The preprocessing in exported graphs does what decoding does, for every way of fitting, in each engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import openvino
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lenext.data.decode import FITS, ImageForm, decode
from lenext.data.preprocessing import Preprocessing
from lenext.deployment.exporting.openvino_file import resize_like_pillow
from lenext.deployment.exporting.preprocessing_graph import RESIZING, fits_into_a_graph, preprocessing_nodes
from lenext.engines.exported import ExportedFile
from lenext.weights.classes import unnamed_classes

PLAIN = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}  # leaves grey levels as they are


def graph(form: ImageForm, **values: Any) -> ir.Model:
    """Return the preprocessing alone: uint8 (N, H, W, 3) -> float32 (N, C, height, width)."""
    images = ir.Value(name="images", type=ir.TensorType(ir.DataType.UINT8), shape=ir.Shape(["N", "H", "W", 3]))
    values = {key: each[: form.channels] for key, each in {**PLAIN, **values}.items()}
    nodes, seen = preprocessing_nodes(images, Preprocessing(form=form, **values))
    seen.shape, seen.type = ir.Shape(["N", form.channels, *form.size]), ir.TensorType(ir.DataType.FLOAT)
    made = ir.Graph(
        [images], [seen], nodes=list(nodes.tape.nodes), initializers=list(nodes.tape.initializers),
        opset_imports={"": 20}, name="preprocessing",
    )  # fmt: skip
    return ir.Model(made, ir_version=10)


def answers(model: ir.Model, path: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return what each engine makes of images, (N, C, height, width)."""
    ir.save(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    converted = core.read_model(path)
    resize_like_pillow(converted)
    return {
        "onnxruntime": session.run(None, {"images": images})[0],
        "openvino": core.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([images])[0],
    }


def photo(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Return noise on slopes: what a wrong filter, or a shift by a pixel, changes."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0:height, 0:width]
    slopes = np.stack([down * 200 / height, across * 200 / width, (down + across) * 200 / (height + width)], 2)
    return (slopes + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(24, 160),  # of steep slopes on a few pixels ONNX Runtime makes three levels less at the edges
    width=st.integers(24, 160),
    size=st.sampled_from([(32, 32), (24, 40), (33, 20)]),
    ratio=st.sampled_from([0.875, 1.0, 0.95]),
    grey=st.booleans(),
)
@example(height=75, width=100, size=(32, 32), ratio=0.875, grey=False)
@example(height=37, width=8, size=(33, 20), ratio=0.875, grey=True)
def test_an_image_of_any_size_becomes_what_decoding_makes_of_it(
    tmp_path: Path,
    fit: Any,
    interpolation: str,
    height: int,
    width: int,
    size: tuple[int, int],
    ratio: float,
    grey: bool,
) -> None:
    form = ImageForm(
        size=size, channels=1 if grey else 3, fit=fit, crop_ratio=ratio if fit == "crop" else 1.0,
        interpolation=interpolation,
    )  # fmt: skip
    image = photo(height, width, height * width)
    expected = decode(image, form).astype(float).transpose(2, 0, 1)
    for engine, found in answers(graph(form), tmp_path / "graph.onnx", image[None]).items():
        assert found.shape == (1, *expected.shape)
        off = np.abs(found[0] - expected)
        assert off.mean() < 0.5, engine  # a pixel of shift, or another filter, makes many grey levels
        assert np.mean(off > 2) < 0.05, engine


@pytest.mark.parametrize("fit", FITS)
def test_what_is_given_already_fitted_comes_out_to_the_bit(tmp_path: Path, fit: Any) -> None:
    form = ImageForm(size=(28, 20), channels=3, fit=fit, crop_ratio=0.875 if fit == "crop" else 1.0)
    covered = (32, 23) if fit == "crop" else (28, 20)
    image = photo(*covered, 5)
    top, left = (2, 2) if fit == "crop" else (0, 0)  # halves are rounded to even: (23 - 20) / 2 is 2
    expected = image[top : top + 28, left : left + 20].transpose(2, 0, 1)
    for found in answers(graph(form), tmp_path / "graph.onnx", np.stack([image, image])).values():
        assert np.array_equal(found, np.stack([expected, expected]))


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(20, 60),
    width=st.integers(20, 60),
    size=st.sampled_from([(28, 20), (27, 20), (28, 21), (29, 29)]),
)
@example(height=34, width=45, size=(29, 29))
def test_cutting_in_two_steps_is_cutting_at_once(height: int, width: int, size: tuple[int, int]) -> None:
    form = ImageForm(size=size, channels=3, crop_ratio=0.875)
    preprocessing = Preprocessing(form=form, **PLAIN)
    file = ExportedFile(Path("a.onnx"), "onnx", {}, unnamed_classes(2), preprocessing, True, np.empty(0, np.uint64))
    image = photo(height, width, 3)
    framed = decode(image, file.given)
    top, left = (round((outer - inner) / 2) for outer, inner in zip(framed.shape, size, strict=False))
    assert np.array_equal(framed[top : top + size[0], left : left + size[1]], decode(image, form))


def test_nearest_takes_the_pixels_that_pillow_takes(tmp_path: Path) -> None:
    form = ImageForm(size=(16, 24), channels=3, fit="squash", interpolation="nearest")
    image = photo(37, 61, 1)
    found = answers(graph(form), tmp_path / "graph.onnx", image[None])
    for each in found.values():
        assert np.array_equal(each[0], decode(image, form).transpose(2, 0, 1))


def test_normalising_is_that_of_training(tmp_path: Path) -> None:
    form = ImageForm(size=(8, 8), channels=3)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = photo(8, 8, 2)
    expected = ((image / 255 - mean) / std).transpose(2, 0, 1)
    for found in answers(graph(form, mean=mean, std=std), tmp_path / "graph.onnx", image[None]).values():
        np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_what_onnx_cannot_resize_is_known() -> None:
    assert {name for name in ("nearest", "bilinear", "bicubic", "lanczos") if name in RESIZING} == {
        "nearest", "bilinear", "bicubic",
    }  # fmt: skip
    assert not fits_into_a_graph(ImageForm(size=(8, 8), channels=3, interpolation="lanczos"))
