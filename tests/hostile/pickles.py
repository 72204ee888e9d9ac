"""Pickles that would run code, by every instruction that can call something, or fill the memory or the time."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import torch

from hostile.register import LEGACY, MARK, archive, hostile, lenet, shell, system, text


@hostile(".pth", "would run code, for it names os.system")
def reduce_of_a_global(path: Path) -> None:
    archive(path, system(path))


@hostile(".pth", "would run code, for it names os.system")
def reduce_in_the_old_form(path: Path) -> None:
    path.write_bytes(LEGACY + system(path))


@hostile(".pt", "would run code, for it names an instruction STACK_GLOBAL")
def global_from_the_stack(path: Path) -> None:
    archive(path, b"\x80\x04" + text(b"os") + text(b"system") + b"\x93" + text(shell(path)) + b"\x85R.")


@hostile(".bin", "would run code, for it names os.system")
def instance(path: Path) -> None:
    archive(path, b"(S" + repr(shell(path).decode()).encode() + b"\nios\nsystem\n.")


@hostile(".pth", "would run code, for it names subprocess.Popen")
def object_of_a_class(path: Path) -> None:
    archive(path, b"(csubprocess\nPopen\n" + text(shell(path)) + b"o.")


@hostile(".pth", "would run code, for it names builtins.exec")
def exec_in_a_dictionary(path: Path) -> None:
    code = f"open({str(path.parent / MARK)!r}, 'w')".encode()
    archive(path, b"\x80\x02}" + text(b"w") + b"cbuiltins\nexec\n" + text(code) + b"\x85Rs.")


@hostile(".pth", "would run code, for it names __main__.Evil")
def new_object_with_keywords(path: Path) -> None:
    archive(path, b"\x80\x04c__main__\nEvil\n)}\x92.")


@hostile(".pth", "would run code, for it names 1")
def extension(path: Path) -> None:
    archive(path, b"\x80\x02\x82\x01)R.")


@hostile(".pth", "would run code, for it names torch.hub.load")
def function_of_torch(path: Path) -> None:
    archive(path, b"\x80\x02ctorch.hub\nload\n" + text(b"evil/evil") + b"\x85R.")


@hostile(".pth", "would run code, for it names torch.load")
def load_of_another_file(path: Path) -> None:
    archive(path, b"\x80\x02ctorch\nload\n" + text(b"evil.pth") + b"\x85R.")


@hostile(".pth", "would run code, for it names runpy._run_code")
def build_of_a_state(path: Path) -> None:
    archive(path, b"\x80\x02crunpy\n_run_code\n)R}b.")


@hostile(".pth", "would run code, for it names builtins.bytearray")
def gigabytes_of_zeros(path: Path) -> None:
    archive(path, b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.")


@hostile(".pth", "would run code, for it names torch.nn.modules.linear.Linear")
def whole_model(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


@hostile(".pth", "would run code, for it names argparse.Namespace")
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
    archive(path, b"\x80\x02" + b"N0" * 3_000_000 + b"}.")


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


@hostile(".pth", "would run code, for it names torch._utils._rebuild_sparse_tensor")
def sparse_tensor(path: Path) -> None:
    torch.save({"w": torch.zeros(3, 3).to_sparse()}, path)


@hostile(".pth", "would run code, for it names torch._utils._rebuild_meta_tensor_no_storage")
def tensor_without_numbers(path: Path) -> None:
    torch.save({"w": torch.zeros(3, device="meta")}, path)


@hostile(".pth", "its pickle breaks off or is none")
def thirty_gigabytes_of_nothing(path: Path) -> None:
    path.write_bytes(LEGACY)
    os.truncate(path, 30 << 30)  # a hole, which takes no room on the disk
