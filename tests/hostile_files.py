"""Files of weights that must be refused: each is written by a function of its name, to the path that it is given.

Those that would run code make the file `MARK` in their folder, were they ever carried out.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MARK = "was-run"
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00."  # what torch wrote before 1.6
Writer = Callable[[Path], object]
HOSTILE: dict[str, tuple[str, str, Writer]] = {}


def hostile(suffix: str, message: str) -> Callable[[Writer], Writer]:
    """Register a file that must be refused with a message like `message`."""

    def add(write: Writer) -> Writer:
        HOSTILE[write.__name__] = (suffix, message, write)
        return write

    return add


def lenet() -> dict[str, Tensor]:
    """Return tensors that lenet5 takes."""
    import lenext

    return dict(lenext.create("lenet5").state_dict())


def archive(
    path: Path, data: bytes, *others: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED
) -> None:
    """Write an archive as torch does, with this pickle."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in (("a/data.pkl", data), ("a/version", b"3\n"), *others):
            file.writestr(name, content)


def shell(path: Path) -> bytes:
    """Return the command that a pickle would run."""
    return f"touch '{path.parent / MARK}'".encode()


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def system(path: Path) -> bytes:
    """Return a pickle of protocol 2 that calls os.system."""
    return b"\x80\x02cos\nsystem\n" + text(shell(path)) + b"\x85R."


# Code in the pickle, by every instruction that can call something.


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


# Archives.


@hostile(".pth", "is compressed, which no checkpoint is")
def zip_bomb(path: Path) -> None:
    archive(path, pickle.dumps({}, 2), ("a/data/0", bytes(64 << 20)), method=zipfile.ZIP_DEFLATED)


@hostile(".pth", "claims .* bytes, of .* that there are")
def overlapping_members(path: Path) -> None:
    """Every entry of the list points to the same bytes."""
    archive(path, pickle.dumps({}, 2), *((f"a/data/{i}", bytes(1000 if i else 500_000)) for i in range(20)))
    data = bytearray(path.read_bytes())
    places = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"]
    large = next(place for place in places if b"a/data/0" in data[place : place + 60])
    for place in places[-10:]:
        data[place + 16 : place + 28] = data[large + 16 : large + 28]  # checksum and sizes
        data[place + 42 : place + 46] = data[large + 42 : large + 46]  # where it is
    path.write_bytes(data)


@hostile(".pth", "lists more files than a checkpoint has")
def a_hundred_thousand_members(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for i in range(160_000):
            file.writestr(f"a/{i}", b"")


@hostile(".pth", "'a/data/0' in it leads elsewhere")
def link_in_the_archive(path: Path) -> None:
    link = zipfile.ZipInfo("a/data/0")
    link.external_attr = 0o120777 << 16
    archive(path, pickle.dumps({}, 2), (link, b"/etc/passwd"))


@hostile(".pth", "leads elsewhere")
def path_out_of_the_archive(path: Path) -> None:
    archive(path, pickle.dumps({}, 2), ("a/../../evil", b""))


@hostile(".pth", "two files of one name")
def two_members_of_one_name(path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive(path, pickle.dumps({}, 2), ("a/data.pkl", system(path)))


@hostile(".pth", "holds no data.pkl")
def two_pickles(path: Path) -> None:
    archive(path, pickle.dumps({}, 2), ("b/data.pkl", system(path)))


@hostile(".pth", "holds no data.pkl")
def archive_of_something_else(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("word/document.xml", b"<w/>")


@hostile(".pth", "has no end, so it was cut off")
def truncated_archive(path: Path) -> None:
    torch.save(lenet(), path)
    os.truncate(path, path.stat().st_size // 2)


@hostile(".pth", "is damaged|its pickle")
def archive_of_nonsense(path: Path) -> None:
    archive(path, b"\x80\x02}(((((((")


# Pickles that fill the memory or the time.


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


# Headers of safetensors.


def safetensors(path: Path, header: Any, body: bytes = b"", length: int | None = None) -> None:
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(told) if length is None else length) + told + body)


def entry(*offsets: int, dtype: str = "F32", shape: Any = (2,)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@hostile(".safetensors", "its header claims 1,152,921,504,606,846,976 bytes, of 43")
def header_without_end(path: Path) -> None:
    safetensors(path, {"w": entry(0, 8)}, length=1 << 60)
    path.write_bytes(path.read_bytes()[:51])


@hostile(".safetensors", r"its header of 17,\d* bytes|its header of .* is above")
def header_above_the_limit(path: Path) -> None:
    safetensors(path, b'{"w": "' + b" " * (17 << 20) + b'"}')


@hostile(".safetensors", "more than 20,000 tensors")
def too_many_tensors(path: Path) -> None:
    row = b'"%d":{"dtype":"F32","shape":[],"data_offsets":[0,0]}'
    safetensors(path, b"{" + b",".join(row % i for i in range(150_000)) + b"}")


@hostile(".safetensors", "does not fit LeNet: .* \\+w")
def eight_gigabytes_of_nothing(path: Path) -> None:
    """Well-formed, and no weights of any network."""
    safetensors(path, {"w": entry(0, 8 << 30, shape=(2 << 30,))})
    os.truncate(path, path.stat().st_size + (8 << 30))


@hostile(".safetensors", "does not fit LeNet: .* \\+0 ")
def twenty_thousand_tensors(path: Path) -> None:
    safetensors(path, {str(i): entry(400 * i, 400 * i + 400, shape=(100,)) for i in range(19_999)}, bytes(400 * 19_999))


@hostile(".safetensors", "'a' and 'b' overlap")
def overlapping_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8), "b": entry(4, 12)}, bytes(12))


@hostile(".safetensors", "'a' and 'b' leave a gap")
def gap_between_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8), "b": entry(12, 20)}, bytes(20))


@hostile(".safetensors", "the shape of 'a' and its bytes disagree")
def shape_of_a_terabyte(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8, shape=(1 << 20, 1 << 20))}, bytes(8))


@hostile(".safetensors", "the shape of 'a' and its bytes disagree")
def offsets_below_zero(path: Path) -> None:
    safetensors(path, {"a": entry(-8, 0)}, bytes(8))


@hostile(".safetensors", "entry for 'a' is none of a tensor")
def unknown_kind_of_number(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8, dtype="O")}, bytes(8))


@hostile(".safetensors", "its tensors take 8 bytes, of 100 that there are")
def bytes_behind_the_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8)}, bytes(100))


@hostile(".safetensors", "its tensors take 8 bytes, of 4 that there are")
def truncated_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8)}, bytes(4))


@hostile(".safetensors", "its header is no JSON of safetensors")
def bottomless_header(path: Path) -> None:
    safetensors(path, b'{"a":' + b"[" * 200_000)


@hostile(".safetensors", "a name stands there twice")
def two_tensors_of_one_name(path: Path) -> None:
    one = json.dumps(entry(0, 8)).encode()
    safetensors(path, b'{"a":' + one + b',"a":' + one + b"}", bytes(8))


@hostile(".safetensors", "its metadata is not text")
def metadata_that_is_no_text(path: Path) -> None:
    safetensors(path, {"__metadata__": {"lenext": {"format": 1}}, "a": entry(0, 8)}, bytes(8))


# What is no file, or another one than its name says.


@hostile(".pth", "is a pipe or a device")
def pipe(path: Path) -> None:
    os.mkfifo(path)


@hostile(".safetensors", "is a pipe or a device")
def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@hostile(".pth", "the link leads nowhere")
def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@hostile(".pth", "the link leads nowhere")
def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


@hostile(".pth", "no checkpoint of PyTorch")
def link_to_a_secret(path: Path) -> None:
    path.symlink_to("/etc/passwd")


@hostile(".pth", "is not a run folder")
def folder(path: Path) -> None:
    path.mkdir()


@hostile(".pth", "is a page of the web")
def page_of_the_web(path: Path) -> None:
    path.write_text("<!DOCTYPE html><title>404</title>")


@hostile(".safetensors", "is a pointer of Git LFS")
def pointer_of_git(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


@hostile(".pth", "is compressed with gzip")
def compressed_file(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b" + bytes(100))


@hostile(".pth", "is damaged: it is empty")
def empty_file(path: Path) -> None:
    path.write_bytes(b"")


@hostile(".safetensors", "is a pickled checkpoint, though its name says .safetensors")
def pickle_by_another_name(path: Path) -> None:
    archive(path, system(path))


@hostile(".pth", "is a safetensors file, though its name says .pth")
def safetensors_by_another_name(path: Path) -> None:
    from safetensors.torch import save_file

    save_file(lenet(), path)


@hostile(".exe", "is no file of weights")
def file_of_another_kind(path: Path) -> None:
    path.write_bytes(b"MZ")


# Weights that no trained network has.


def with_first(change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    tensors = lenet()
    tensors["head.classifier.bias"] = change(tensors["head.classifier.bias"])
    return tensors


@hostile(".pth", "holds NaN in head.classifier.bias")
def not_a_number(path: Path) -> None:
    torch.save(with_first(lambda bias: bias * float("nan")), path)


@hostile(".pth", "holds infinity in head.classifier.bias")
def infinity(path: Path) -> None:
    torch.save(OrderedDict(with_first(lambda bias: bias + float("inf"))), path)


@hostile(".pth", "head.classifier.bias is 10 int8, not 10")
def whole_numbers(path: Path) -> None:
    torch.save(with_first(lambda bias: bias.to(torch.int8)), path)


@hostile(".pth", "head.classifier.bias is 10 complex64, not 10")
def complex_numbers(path: Path) -> None:
    torch.save(with_first(lambda bias: bias.to(torch.complex64)), path)


@hostile(".pth", "head.classifier.bias is 10 float8_e4m3fn, not 10")
def eighth_numbers(path: Path) -> None:
    torch.save(with_first(lambda bias: bias.to(torch.float8_e4m3fn)), path)


@hostile(".pth", r"holds no weights that lenext can find, but epoch")
def no_weights(path: Path) -> None:
    torch.save({"epoch": 3}, path)


@hostile(".pth", "holds a Tensor, not a dictionary of tensors")
def one_tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


@hostile(".pth", "holds nothing, not a dictionary of tensors")
def nothing_at_all(path: Path) -> None:
    torch.save({}, path)
