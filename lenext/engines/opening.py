"""Which library runs which format, and opening a file with one of them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from lenext.engines.engine import Engine, EngineName
from lenext.engines.exported import ExportedFile, Format
from lenext.errors import UserError


@dataclass(frozen=True)
class Runner:
    """A library that runs files: the formats it reads, the module to import, the extra that brings it.

    Of the format `resizes` it brings images to size as Pillow does; of others it is given images of that size.
    """

    formats: tuple[Format, ...]
    module: str
    extra: str
    open: Callable[[ExportedFile, int], Engine]
    resizes: Format | None = None

    @property
    def installed(self) -> bool:
        """Whether the library is here."""
        return _is_here(self.module)


def _onnxruntime(file: ExportedFile, threads: int) -> Engine:
    from lenext.engines.onnxruntime_engine import OnnxRuntime

    return OnnxRuntime(file, threads)


def _openvino(file: ExportedFile, threads: int) -> Engine:
    from lenext.engines.openvino_engine import OpenVino

    return OpenVino(file, threads)


def _ncnn(file: ExportedFile, threads: int) -> Engine:
    from lenext.engines.ncnn_engine import Ncnn

    return Ncnn(file, threads)


RUNNERS: dict[EngineName, Runner] = {
    "onnxruntime": Runner(("onnx",), "onnxruntime", "onnx", _onnxruntime, "onnx"),
    "openvino": Runner(("onnx", "openvino"), "openvino", "openvino", _openvino, "openvino"),
    "ncnn": Runner(("ncnn",), "ncnn", "ncnn", _ncnn),
}


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # what stands for it in sys.modules is no module
        return False


def cpp_compiler() -> str | None:
    """Return the C++ compiler that torch compiles networks with, or None where there is none."""
    given = os.environ.get("CXX")
    names = [given] if given else ["cl"] if os.name == "nt" else ["g++", "clang++"]
    return next((found for name in names if (found := shutil.which(name))), None)


def missing(name: EngineName) -> str | None:
    """Return what an engine lacks here and what brings it, or None where it can run."""
    if name in RUNNERS:
        return None if RUNNERS[name].installed else f"not installed: pip install 'lenext[{RUNNERS[name].extra}]'"
    if not _is_here("torch"):
        return "not installed: pip install torch"
    if name == "compiled" and cpp_compiler() is None:
        return "no C++ compiler found: install g++ or clang++, or give one as CXX"
    return None


def engine_version(name: EngineName) -> str:
    """Return the version of the library that an engine is of, or "" where that is not told."""
    try:
        return version(RUNNERS[name].module if name in RUNNERS else "torch")
    except PackageNotFoundError:
        return ""


def engines_for(kind: Format) -> list[EngineName]:
    """Return the engines that run a format, whether installed or not, the one to try first in front."""
    return [name for name, runner in RUNNERS.items() if kind in runner.formats]


def open_engine(file: ExportedFile, name: EngineName | None = None, *, threads: int) -> Engine:
    """Load a file into an engine, by default the first that is installed.

    Raises:
        UserError: the engine does not run this format or is not installed, or the file is damaged.
    """
    able = engines_for(file.format)
    if name is not None and name not in able:
        raise UserError(f"{name} does not run {file.path}; give --engine {' or '.join(able)}, or the run it is from")
    found = next((each for each in ([name] if name else able) if RUNNERS[each].installed), None)
    if found is None:
        extra = RUNNERS[name or able[0]].extra
        raise UserError(f"{file.path} needs {name or ' or '.join(able)}: pip install 'lenext[{extra}]'")
    return RUNNERS[found].open(file, threads)
