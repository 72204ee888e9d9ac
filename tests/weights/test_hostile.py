"""Files that must be refused: with one clear line, nothing carried out, nothing loaded, and before torch is loaded."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile import HOSTILE, MARK, lenet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lenext
from lenext.weights.inspection import inspect

# What is well-formed and found out only by what it holds.
UNDERSTOOD = {
    "name_of_three_thousand_parts",
    *(
        "eight_gigabytes_of_nothing",
        "twenty_thousand_tensors",
        "claimed_terabytes",
        "claimed_terabytes_in_the_old_form",
        "link_to_itself",
        "link_to_nothing",
        "folder",
    ),
    *("not_a_number", "infinity", "whole_numbers", "complex_numbers", "eighth_numbers"),
    *("no_weights", "one_tensor", "nothing_at_all"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_in_one_line_and_nothing_is_run(tmp_path: Path, name: str) -> None:
    suffix, message, write = HOSTILE[name]
    path = tmp_path / f"weights{suffix}"
    write(path)
    with pytest.raises(lenext.UserError) as refused:
        lenext.create("lenet5", weights=path)
    assert re.search(message, str(refused.value))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500
    assert "root:" not in str(refused.value)  # nothing of a file that a link leads to
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - UNDERSTOOD))
def test_a_look_at_the_file_is_enough(tmp_path: Path, name: str) -> None:
    suffix, message, write = HOSTILE[name]
    path = tmp_path / f"weights{suffix}"
    write(path)
    with pytest.raises(lenext.UserError, match=message):
        inspect(path)


def test_the_mark_would_show_it(tmp_path: Path) -> None:
    """Else the tests above could not fail."""
    import pickle

    from hostile import system

    pickle.loads(system(tmp_path / "weights.pth"))
    assert (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    "words", [("predict", "{}", "a.png"), ("evaluate", "{}", "digits"), ("train", "digits", "--model")]
)
def test_commands_refuse_before_torch_is_loaded(
    tmp_path: Path, process: Callable[..., Any], words: tuple[str, ...]
) -> None:
    path = tmp_path / "weights.pth"
    HOSTILE["reduce_of_a_global"][2](path)
    given = ("lenet5", "--weights", path)
    command = [*words, *given] if words[0] == "train" else [words[0], "lenet5", words[2], "--weights", path]
    done = process(*command, env={"PYTHONPROFILEIMPORTTIME": "1", "PATH": "", "HOME": str(tmp_path)})
    assert done.code == 2
    lines = [line for line in done.err.splitlines() if not line.startswith("import time:")]
    assert len(lines) == 1
    assert "os.system" in lines[0]
    assert "torch._C" not in done.err.replace(lines[0], "")
    assert not (tmp_path / MARK).exists()


def test_what_is_sound_is_loaded_by_every_name_and_form(tmp_path: Path) -> None:
    tensors = lenet()
    for suffix in (".pth", ".pt", ".th", ".bin", ".pth.tar", ".ckpt"):
        for new in (True, False):
            for home in (None, "state_dict", "model"):
                stored = tensors if home is None else {home: tensors, "epoch": 3, "best": 0.5, "history": [1.0, 2.0]}
                torch.save(stored, tmp_path / f"w{suffix}", _use_new_zipfile_serialization=new)
                loaded = lenext.create("lenet5", weights=tmp_path / f"w{suffix}").state_dict()
                assert all(torch.equal(tensor, loaded[name]) for name, tensor in tensors.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in lenet().items()}
    torch.save(tensors, tmp_path / "w.pth")
    loaded = lenext.create("lenet5", weights=tmp_path / "w.pth").state_dict()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], tensor.float())


def test_a_parameter_and_shared_memory_are_no_obstacle(tmp_path: Path) -> None:
    tensors = lenet()
    memory = torch.cat([tensor.flatten() for tensor in tensors.values()])
    views, at = {}, 0
    for name, tensor in tensors.items():
        views[name] = torch.nn.Parameter(memory[at : at + tensor.numel()].view(tensor.shape))
        at += tensor.numel()
    torch.save(views, tmp_path / "w.pth")
    loaded = lenext.create("lenet5", weights=tmp_path / "w.pth").state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in tensors.items())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), bit=st.integers(0, 7), old=st.booleans())
def test_a_bit_flipped_in_a_pickle_never_gives_another_error(tmp_path: Path, place: float, bit: int, old: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(3)}, path, _use_new_zipfile_serialization=not old)
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(lenext.UserError) as refused:  # the tensors are none of a lenet5 in any case
        lenext.create("lenet5", weights=path)
    assert "\n" not in str(refused.value)


def test_inspection_needs_no_torch() -> None:
    import subprocess

    code = "import sys, lenext.weights.inspection; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
