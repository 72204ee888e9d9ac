"""An exported ONNX file from a script that knows nothing of lenext: one line of JSON for each photo.

    python benchmarks/plain_onnxruntime.py model.onnx PHOTO...

It needs onnxruntime, NumPy and Pillow alone, and refuses to run where it could import more of ours or torch.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main() -> None:
    """Print the probabilities of each photo."""
    session = onnxruntime.InferenceSession(sys.argv[1])
    for path in sys.argv[2:]:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        chances = session.run(["probabilities"], {"images": np.asarray(image)[None]})[0][0]
        print(json.dumps({"image": path, "probabilities": chances.tolist()}))
    assert not {"lenext", "torch"} & set(sys.modules)


if __name__ == "__main__":
    main()
