"""Whether models with the weights of other libraries answer as those do: the gap for every golden file in a folder.

python benchmarks/goldens.py ../shared/goldens
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from golden_weights import foreign_tensors, gap, read_golden

import lenext
from lenext.weights.foreign import load_foreign
from lenext.weights.loading import answering

LARGEST = 1e-7  # of the norm of the logits


def main(folder: str) -> int:
    """Print a line a file, and return how many models answer otherwise."""
    failed, untested = 0, []
    for path in sorted(Path(folder).glob("*.json")):
        golden = read_golden(path)
        if golden["ours"] not in lenext.list_models():
            untested.append(path.stem)
            continue
        began = time.perf_counter()
        model = lenext.create(golden["ours"])
        parameters = sum(parameter.numel() for parameter in model.parameters())
        try:
            load_foreign(model, foreign_tensors(golden), where=path.stem)
        except lenext.UserError as error:
            print(f"FAILED {error}")
            failed += 1
            continue
        found = gap(model, golden)
        answer = answering(model, model.state_dict())
        answers = sum(p.numel() for name, p in model.named_parameters() if name in answer)
        counted = golden["parameters"] in (parameters, answers)  # some files are without auxiliary classifiers
        sound = max(found.logits, found.norm) <= LARGEST and found.same_class and counted
        failed += not sound
        print(
            f"{'' if sound else 'FAILED '}{path.stem}: gap of logits {found.logits:.1e}, of norm {found.norm:.1e}, "
            f"{'same' if found.same_class else 'another'} class, {parameters:,} parameters, "
            f"{time.perf_counter() - began:.1f} s",
            flush=True,
        )
    print(f"{failed} failed; no such model in lenext: {', '.join(untested) or 'none'}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) > 0)
