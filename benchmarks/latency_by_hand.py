"""One engine by hand, without lenext, for `latency.py`: from uint8 pixels to probabilities.

    PEERS_PYTHON benchmarks/latency_by_hand.py ENGINE MODEL WEIGHTS PIXELS FOLDER THREADS

MODEL is a name of torchvision, WEIGHTS a file of its state, PIXELS a .npy of (1, H, W, 3), FOLDER where what is made
once is kept. It loads, says how long that took as a line of JSON, and answers each line that it reads: `logits`, or a
number of calls, whose milliseconds it says. ../shared/peers has to stand on PYTHONPATH.

Settings are those that its own documentation gives for low latency, and float32 throughout, for the answers are to be
the same; threads do not spin between two calls.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MEAN = np.float32([0.485, 0.456, 0.406])[:, None, None] * 255
STD = np.float32([0.229, 0.224, 0.225])[:, None, None] * 255
Ask = Callable[[np.ndarray], np.ndarray]


def network(model: str, weights: str):
    """Return torchvision's model with the weights, without what only training needs."""
    import torch
    import torchvision_cpu  # noqa: F401
    from safetensors.torch import load_file
    from torchvision import models

    # As with torchvision's published weights, these two scale what was normalised for the others to -1 to 1.
    inception = {"aux_logits": True, "init_weights": False, "transform_input": True}
    made = getattr(models, model)(weights=None, **(inception if model in ("googlenet", "inception_v3") else {}))
    made.load_state_dict(load_file(weights))
    for name in ("aux1", "aux2", "AuxLogits"):
        if hasattr(made, name):
            setattr(made, name, None)
    made.aux_logits = False
    return made.eval().requires_grad_(False), torch


def planes(pixels: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W), less the mean, over the deviation"""
    made = np.empty((len(pixels), 3, *pixels.shape[1:3]), np.float32)
    np.subtract(pixels.transpose(0, 3, 1, 2), MEAN, out=made)
    made /= STD
    return made


def by_torch(model: str, weights: str, threads: int, compiled: bool) -> Ask:
    """Eager in channels-last memory, or compiled by the inductor with frozen weights."""
    made, torch = network(model, weights)
    torch.set_num_threads(threads)
    made = made.to(memory_format=torch.channels_last)
    if compiled:
        made = torch.compile(made, options={"freezing": True})
    mean, std = torch.from_numpy(MEAN), torch.from_numpy(STD)

    @torch.inference_mode()
    def ask(pixels: np.ndarray) -> np.ndarray:
        return made((torch.from_numpy(pixels).permute(0, 3, 1, 2) - mean) / std).numpy()

    return ask


def onnx_file(model: str, weights: str, folder: Path, pixels: np.ndarray) -> str:
    """Export to ONNX as torch's documentation has it, once."""
    path = folder / f"{model}.onnx"
    if not path.exists():
        made, torch = network(model, weights)
        example = torch.from_numpy(planes(pixels))
        program = torch.onnx.export(
            made, (example,), dynamo=True, input_names=["x"], output_names=["y"], verbose=False, external_data=False
        )
        program.save(path)
    return str(path)


def by_onnxruntime(path: str, threads: int) -> Ask:
    """A session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"x": planes(pixels)})[0]


def by_openvino(path: str, threads: int) -> Ask:
    """A model compiled for latency."""
    import openvino

    compiled = openvino.Core().compile_model(
        path, "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"},
    )  # fmt: skip
    request = compiled.create_infer_request()
    return lambda pixels: request.infer([planes(pixels)], share_inputs=True)[0]


def by_ncnn(model: str, weights: str, folder: Path, pixels: np.ndarray, threads: int) -> Ask:
    """A net that pnnx made, in float32, once."""
    import ncnn

    param = folder / f"{model}.ncnn.param"
    if not param.exists():
        import pnnx

        made, torch = network(model, weights)
        pnnx.export(made, str(folder / f"{model}.pt"), (torch.from_numpy(planes(pixels)),), fp16=False)
    net = ncnn.Net()
    net.opt.num_threads = threads
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    net.load_param(str(param))
    net.load_model(str(param.with_suffix(".bin")))

    def ask(pixels: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(planes(pixels)[0]))
        return np.array(extractor.extract("out0")[1])[None]

    return ask


def softmax(logits: np.ndarray) -> np.ndarray:
    """(N, classes) -> (N, classes)"""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def main(engine: str, model: str, weights: str, pixels_file: str, where: str, threads: int) -> None:
    """Load the engine and answer."""
    pixels, folder = np.load(pixels_file), Path(where)
    if engine in ("onnxruntime", "openvino"):
        path = onnx_file(model, weights, folder, pixels)
    began = time.perf_counter()
    if engine in ("pytorch", "compiled"):
        ask = by_torch(model, weights, threads, engine == "compiled")
    elif engine == "onnxruntime":
        ask = by_onnxruntime(path, threads)
    elif engine == "openvino":
        ask = by_openvino(path, threads)
    else:
        ask = by_ncnn(model, weights, folder, pixels, threads)
    softmax(ask(pixels))
    tell({"load_seconds": time.perf_counter() - began})
    for line in sys.stdin:
        if line.strip() == "logits":
            tell({"logits": ask(pixels).tolist()})
            continue
        taken = []
        for _ in range(int(line)):
            began = time.perf_counter()
            softmax(ask(pixels))
            taken.append(1000 * (time.perf_counter() - began))
        tell({"ms": taken})


def tell(value: dict) -> None:
    """Print a line of JSON, marked, for libraries print lines of their own."""
    print(f"=> {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:6], int(sys.argv[6]))
