"""The ncnn files: the network alone, from normalised pixels to logits; the preprocessing stands beside it as JSON."""

from __future__ import annotations

import copy
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lenext.classifier import Classifier
from lenext.errors import LenextError, UserError
from lenext.files import to_json


def write_ncnn(classifier: Classifier, metadata: Mapping[str, Any], path: Path) -> None:
    """Write `path`, .param, its weights, .bin, as float32, and what it says of itself, .json.

    Raises:
        UserError: pnnx, which makes ncnn's files of torch's, is not installed.
        LenextError: it cannot make them of this network.
    """
    try:
        import pnnx
    except ImportError:
        raise UserError("the format ncnn needs ncnn and pnnx: pip install 'lenext[ncnn]'") from None
    form = classifier.preprocessing.form
    model = copy.deepcopy(classifier.model).cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = torch.zeros(1, form.channels or 3, *form.size)
    with tempfile.TemporaryDirectory() as place:
        traced = Path(place) / "network.pt"
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that tracing will be given up one day, which pnnx needs
            torch.jit.trace(model.eval(), example, check_trace=False).save(str(traced))  # type: ignore[no-untyped-call]
        shape = ",".join(map(str, example.shape))
        program = Path(pnnx.EXEC_PATH)
        done = subprocess.run(
            [program, traced.name, f"inputshape=[{shape}]f32", "fp16=0"], cwd=place, capture_output=True, check=False
        )
        param, weights = traced.with_suffix(".ncnn.param"), traced.with_suffix(".ncnn.bin")
        if done.returncode or not param.is_file():
            said = " ".join(done.stderr.decode(errors="replace").splitlines()[-1:])
            raise LenextError(f"pnnx cannot make ncnn files of {classifier.name}: {said}")
        shutil.copyfile(param, path)
        shutil.copyfile(weights, path.with_suffix(".bin"))
    told = to_json({**metadata, "preprocessing_inside": False}, indent=2)
    path.with_suffix(".json").write_text(told, encoding="utf-8")
