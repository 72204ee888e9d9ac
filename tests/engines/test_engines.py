"""How the engines are asked: only for what is wanted, by the pixels that torch sees, from what is kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import lenext
from lenext.classifier import load
from lenext.deployment.exporting.export import file_metadata
from lenext.deployment.exporting.onnx_file import write_onnx
from lenext.engines.engine import normalised
from lenext.engines.exported import CLASS_MAP, LOGITS, PROBABILITIES, ExportedFile, read_exported
from lenext.engines.opening import open_engine
from lenext.engines.openvino_engine import OpenVino
from lenext.engines.pruning import pruned


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ExportedFile:
    """A quarter-width MobileNet with a pooled head, exported."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    torch.save(lenext.create("mobilenet_v1_025", classes=5).state_dict(), folder / "a.pth")
    classifier = load("mobilenet_v1_025", weights=folder / "a.pth", device="cpu")
    write_onnx(classifier, file_metadata(classifier, ""), folder / "a.onnx")
    return read_exported(folder / "a.onnx")


@pytest.fixture
def pixels(file: ExportedFile) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (2, *file.given.size, 3), np.uint8)


def test_what_is_not_asked_for_is_left_out(file: ExportedFile, pixels: Any, tmp_path: Path) -> None:
    import onnxruntime

    small = pruned(file.path, (PROBABILITIES, LOGITS))
    assert small is not None
    whole = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
    part = onnxruntime.InferenceSession(small, providers=["CPUExecutionProvider"])
    assert [output.name for output in whole.get_outputs()] == [PROBABILITIES, CLASS_MAP, LOGITS]
    assert [output.name for output in part.get_outputs()] == [PROBABILITIES, LOGITS]
    given = {whole.get_inputs()[0].name: pixels}
    for name in (PROBABILITIES, LOGITS):
        np.testing.assert_array_equal(whole.run([name], given)[0], part.run([name], given)[0])
    # The dense layer at each place of the map is gone, the one that gives the logits is there.
    (tmp_path / "small.onnx").write_bytes(small)
    assert pruned(tmp_path / "small.onnx", (PROBABILITIES, LOGITS)) is None
    assert pruned(file.path, (PROBABILITIES, LOGITS, CLASS_MAP)) is None


def test_what_is_no_graph_is_told() -> None:
    with pytest.raises(ValueError, match="there is no graph in it"):
        pruned(Path("/dev/null"), (LOGITS,))


def test_a_class_map_is_still_had(file: ExportedFile, pixels: Any) -> None:
    engine = open_engine(file, "onnxruntime", threads=1)
    places = engine.answer(pixels, CLASS_MAP)
    assert places.shape[:2] == (2, 5)
    np.testing.assert_allclose(places.mean((2, 3)), engine.answer(pixels, LOGITS), atol=1e-4)


def test_pixels_become_what_torch_makes_of_them(file: ExportedFile, pixels: Any) -> None:
    expected = file.preprocessing.normalise(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(normalised(pixels, file), expected, atol=1e-6)


@pytest.mark.usefixtures("own_cache")
def test_openvino_compiles_once(file: ExportedFile, pixels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = OpenVino(file, 1).answer(pixels, LOGITS)
    again = OpenVino(file, 1)
    monkeypatch.setattr(again, "_shaped", lambda *_: pytest.fail("it is compiled again"))
    np.testing.assert_array_equal(again.answer(pixels, LOGITS), first)


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(("cores", "threads", "streams"), [(2, 1, 2), (8, 2, 4), (2, 2, 1), (1, 4, 1)])
def test_openvino_answers_as_many_at_a_time_as_there_are_cores(
    file: ExportedFile, pixels: Any, monkeypatch: pytest.MonkeyPatch, cores: int, threads: int, streams: int
) -> None:
    monkeypatch.setattr("lenext.engines.openvino_engine.available_cores", lambda: cores)
    asked: list[dict[str, Any]] = []
    engine = OpenVino(file, threads)
    compile_model = engine._core.compile_model
    engine._core = SimpleNamespace(
        read_model=engine._core.read_model,
        compile_model=lambda *given: asked.append(given[-1]) or compile_model(*given),
    )
    engine.answer(pixels)
    (settings,) = asked
    assert (settings["NUM_STREAMS"], settings["INFERENCE_NUM_THREADS"]) == (streams, threads * streams)
