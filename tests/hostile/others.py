"""What is no file, another one than its name says, or holds what no trained network does."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from hostile.register import archive, hostile, lenet, system


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
