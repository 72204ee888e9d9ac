"""Whether models with the weights of other libraries answer as those do: the gap for every golden file in a folder.

python benchmarks/goldens.py ../shared/goldens
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch
from golden_weights import foreign_tensors, gap, read_golden
from safetensors import safe_open

import lenext

LARGEST = 1e-7  # of the norm of the logits


def main(folder: str) -> int:
    """Print a line a file, and return how many models answer otherwise, or come back under other names."""
    failed, untested = 0, []
    for path in sorted(Path(folder).glob("*.json")):
        golden = read_golden(path)
        if golden["ours"] not in lenext.list_models():
            untested.append(path.stem)
            continue
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            torch.save(foreign_tensors(golden), Path(place) / "theirs.pth")
            try:
                model = lenext.create(golden["ours"], weights=Path(place) / "theirs.pth")
                back = listed_after_conversion(Path(place), golden["ours"], path.stem.partition("-")[0])
            except lenext.UserError as error:
                print(f"FAILED {error}")
                failed += 1
                continue
        found = gap(model, golden)
        same_list = back == golden["tensors"]
        sound = max(found.logits, found.norm) <= LARGEST and found.same_class and same_list
        failed += not sound
        print(
            f"{'' if sound else 'FAILED '}{path.stem}: gap of logits {found.logits:.1e}, of norm {found.norm:.1e}, "
            f"{'same' if found.same_class else 'another'} class, {len(back)} tensors "
            f"{'the same' if same_list else 'OTHERS'} after conversion, {time.perf_counter() - began:.1f} s",
            flush=True,
        )
    print(f"{failed} failed; no such model in lenext: {', '.join(untested) or 'none'}")
    return failed


def listed_after_conversion(place: Path, name: str, library: str) -> dict[str, list[int]]:
    """Return the names and shapes of the checkpoint after it became lenext's file and the library's again."""
    lenext.convert(place / "theirs.pth", name, "lenext", place / "ours.safetensors")
    lenext.convert(place / "ours.safetensors", name, library, place / "back.safetensors")
    with safe_open(place / "back.safetensors", framework="pt") as file:
        return {tensor: list(file.get_slice(tensor).get_shape()) for tensor in file.keys()}  # noqa: SIM118


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) > 0)
