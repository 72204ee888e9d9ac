"""Pickles that would run code, by every instruction that can call something, or fill the memory or the time."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import torch

from hostile.register import LEGACY, MARK, archive, hostile, lenet, shell, system, text


@hostile(".pth", "its pickle names os.system, and loading that could run code")
def reduce_of_a_global(path: Path) -> None:
    archive(path, system(path))


@hostile(".pth", "its pickle names os.system, and loading that could run code")
def reduce_in_the_old_form(path: Path) -> None:
    path.write_bytes(LEGACY + system(path))


@hostile(".pt", "has an instruction STACK_GLOBAL, which could run code")
def global_from_the_stack(path: Path) -> None:
    archive(path, b"\x80\x04" + text(b"os") + text(b"system") + b"\x93" + text(shell(path)) + b"\x85R.")


@hostile(".bin", "has an instruction INST, which could run code")
def instance(path: Path) -> None:
    archive(path, b"(" + text(shell(path)) + b"ios\nsystem\n.")


@hostile(".pth", "its pickle names subprocess.Popen, and loading that could run code")
def object_of_a_class(path: Path) -> None:
    archive(path, b"(csubprocess\nPopen\n" + text(shell(path)) + b"o.")


@hostile(".pth", "its pickle names builtins.exec, and loading that could run code")
def exec_in_a_dictionary(path: Path) -> None:
    code = f"open({str(path.parent / MARK)!r}, 'w')".encode()
    archive(path, b"\x80\x02}" + text(b"w") + b"cbuiltins\nexec\n" + text(code) + b"\x85Rs.")


@hostile(".pth", "its pickle names __main__.Evil, and loading that could run code")
def new_object_with_keywords(path: Path) -> None:
    archive(path, b"\x80\x04c__main__\nEvil\n)}\x92.")


@hostile(".pth", "has an instruction EXT1, which could run code")
def extension(path: Path) -> None:
    archive(path, b"\x80\x02\x82\x01)R.")


@hostile(".pth", "its pickle names torch.hub.load, and loading that could run code")
def function_of_torch(path: Path) -> None:
    archive(path, b"\x80\x02ctorch.hub\nload\n" + text(b"evil/evil") + b"\x85R.")


@hostile(".pth", "its pickle names torch.load, and loading that could run code")
def load_of_another_file(path: Path) -> None:
    archive(path, b"\x80\x02ctorch\nload\n" + text(b"evil.pth") + b"\x85R.")


@hostile(".pth", "its pickle names runpy._run_code, and loading that could run code")
def build_of_a_state(path: Path) -> None:
    archive(path, b"\x80\x02crunpy\n_run_code\n)R}b.")


@hostile(".pth", "its pickle names builtins.bytearray, and loading that could run code")
def gigabytes_of_zeros(path: Path) -> None:
    archive(path, b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.")


@hostile(".pth", "its pickle names torch.nn.modules.linear.Linear, and loading that could run code")
def whole_model(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


@hostile(".pth", "its pickle names argparse.Namespace, and loading that could run code")
def settings_beside_the_weights(path: Path) -> None:
    import argparse

    torch.save({"state_dict": lenet(), "args": argparse.Namespace(lr=0.1)}, path)


@hostile(".pth", "no checkpoint of PyTorch")
def plain_pickle(path: Path) -> None:
    path.write_bytes(system(path))


@hostile(".pt", r"is a program \(TorchScript\), not weights")
def program(path: Path) -> None:
    archive(path, pickle.dumps({}, 2), ("a/constants.pkl", b"\x80\x02)."), ("a/code/__torch__.py", b"import os"))


@hostile(".pth", "more instructions than weights need")
def a_million_instructions(path: Path) -> None:
    archive(path, b"\x80\x02" + b"N" * 6_000_000 + b"}.")


@hostile(".pth", "its pickle of .* bytes is above")
def large_pickle(path: Path) -> None:
    archive(path, b"\x80\x02" + b"N" * (40 << 20) + b".")


@hostile(".pth", "is damaged|more than the file holds")
def claimed_terabytes(path: Path) -> None:
    """A tensor of 10^12 numbers that all are the one there is."""
    torch.save({"w": torch.zeros(1).expand(10**12)}, path)


@hostile(".pth", "is damaged")
def claimed_terabytes_in_the_old_form(path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(3)}, stream, _use_new_zipfile_serialization=False)
    path.write_bytes(stream.getvalue().replace(b"K\x03Nt", b"\x8a\x06" + (10**12).to_bytes(6, "little") + b"Nt"))


@hostile(".pth", "its pickle names torch._utils._rebuild_sparse_tensor, and loading that could run code")
def sparse_tensor(path: Path) -> None:
    torch.save({"w": torch.zeros(3, 3).to_sparse()}, path)


@hostile(".pth", "its pickle names torch._utils._rebuild_meta_tensor_no_storage, and loading that could run code")
def tensor_without_numbers(path: Path) -> None:
    torch.save({"w": torch.zeros(3, device="meta")}, path)


@hostile(".pth", "its pickle breaks off or is none")
def thirty_gigabytes_of_nothing(path: Path) -> None:
    path.write_bytes(LEGACY)
    os.truncate(path, 30 << 30)  # a hole, which takes no room on the disk


@hostile(".pth", "keys are no text")
def key_that_takes_for_ever_to_hash(path: Path) -> None:
    """A tuple that holds the tuple before it twice, sixty times over."""
    nested = b"".join(b"h%c" % i * 2 + b"\x86q%c" % (i + 1) for i in range(60))
    archive(path, b"\x80\x02})q\x00" + nested + b"K\x01s.")


@hostile(".pth", "keys are no text")
def key_that_overflows_the_stack(path: Path) -> None:
    archive(path, b"\x80\x02})" + b"\x85" * 500_000 + b"K\x01s.")


@hostile(".pth", "sets attributes of what it holds")
def dictionary_with_a_method_of_its_own(path: Path) -> None:
    state = b"}" + text(b"items") + b"ccollections\nOrderedDict\ns"
    archive(path, b"\x80\x02ccollections\nOrderedDict\n)R" + state + b"b.")


@hostile(".pth", "names torch._utils._rebuild_parameter_with_state")
def parameter_with_a_method_of_its_own(path: Path) -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.is_floating_point = OrderedDict  # type: ignore[method-assign,assignment]
    torch.save({"w": parameter}, path)


@hostile(".pth", "calls something that makes no tensor")
def memory_by_the_call_of_a_storage(path: Path) -> None:
    archive(path, b"\x80\x02ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R.")


@hostile(".pth", "keys are no text")
def dictionary_of_pairs_without_text(path: Path) -> None:
    archive(path, b"\x80\x02ccollections\nOrderedDict\n]](K\x01K\x02ea\x85R.")


@hostile(".pth", "its tensors claim .* bytes, of")
def two_gigabytes_in_the_old_form(path: Path) -> None:
    torch.save({"w": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"K\x03Nt", b"J" + (600_000_000).to_bytes(4, "little") + b"Nt"))


@hostile(".pth", "in the form of PyTorch 1.5 are above")
def hole_in_the_old_form(path: Path) -> None:
    two_gigabytes_in_the_old_form(path)
    os.truncate(path, 3 << 30)


@hostile(".pth", "does not fit LeNet")
def name_of_three_thousand_parts(path: Path) -> None:
    torch.save({"module." * 3000 + "w": torch.zeros(3)}, path)
