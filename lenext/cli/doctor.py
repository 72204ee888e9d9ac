"""`lenext doctor`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lenext.cli.arguments import JsonOption
from lenext.cli.output import cell, interrupts_held, plain_table, print_json, print_table

# What each extra brings, by the module that shows that it is there.
MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}  # where a package is imported under another name
EXTRAS = {
    "hub": ("datasets", "datasets of the Hugging Face Hub by name"),
    "shards": ("webdataset", "WebDataset shards"),
    "tensorboard": ("tensorboard", "figures of runs for TensorBoard"),
    "heic": ("pillow_heif", "photos in HEIC, as iPhones take them"),
    "suspects": ("cleanlab", "images that are probably mislabelled"),
    "explain": ("captum", "occlusion and integrated gradients"),
    "serve": ("fastapi", "the server and its pages"),
}


def doctor(json: JsonOption = False) -> None:
    """Say what this machine has: versions, device, threads, optional parts, where files can be written.

    Example: [bold]lenext doctor --json[/bold]
    """
    import importlib.util
    import platform
    import tempfile
    from importlib.metadata import version

    from lenext.engines.opening import cpp_compiler

    with interrupts_held():
        packages = _packages()
        arithmetic = _arithmetic()
    report: dict[str, Any] = {
        "lenext": version("lenext"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **arithmetic,
        "cores": os.cpu_count(),
        "packages": packages,
        "extras": {name: importlib.util.find_spec(module) is not None for name, (module, _) in EXTRAS.items()},
        "engines": _engines(),
        "cpp_compiler": cpp_compiler(),
        "writable": {str(place): _is_writable(place) for place in (Path.cwd(), Path(tempfile.gettempdir()))},
    }
    if json:
        print_json(report)
        return
    table = plain_table("", "")
    for key in ("lenext", "python", "platform", "device", "cores", "threads"):
        table.add_row(key, str(report[key]))
    for name, number in report["packages"].items():
        table.add_row(name, number)
    for name, (_, what) in EXTRAS.items():
        there = "present" if report["extras"][name] else f"missing: pip install 'lenext\\[{name}]'"
        table.add_row(f"extra {name}", f"{there} ({what})")
    for name, state in report["engines"].items():
        table.add_row(f"engine {name}", cell(state["missing"] or state["version"]))
    table.add_row("C++ compiler", cell(report["cpp_compiler"] or "none found; the engine compiled needs one"))
    for place, writable in report["writable"].items():
        table.add_row("writable" if writable else "not writable", place)
    print_table(table)


def _packages() -> dict[str, str]:
    """Return the version of every package that lenext cannot do without, or why it cannot be used."""
    import importlib
    from importlib.metadata import PackageNotFoundError, requires, version

    from lenext.errors import one_line

    found = {}
    for requirement in requires("lenext") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]
        try:
            found[name] = version(name)
            importlib.import_module(MODULES.get(name, name.replace("-", "_")))
        except PackageNotFoundError:
            found[name] = f"missing: pip install {name}"
        except Exception as error:  # a broken installation fails in its own way
            found[name] = f"{found[name]}, broken: {one_line(error)}"
    return found


def _engines() -> dict[str, dict[str, str | None]]:
    """Return the version of the library of each engine, or what it lacks here and what brings it."""
    from lenext.engines.engine import ENGINES
    from lenext.engines.opening import engine_version, missing

    lacking = {name: missing(name) for name in ENGINES}
    return {
        name: {"version": None if reason else engine_version(name), "missing": reason}
        for name, reason in lacking.items()
    }


def _arithmetic() -> dict[str, Any]:
    """Return the device and the threads that PyTorch would use; nothing where it cannot be loaded."""
    try:
        import torch

        from lenext.device import choose_device
    except Exception:  # the packages tell why
        return {"device": None, "threads": None}
    return {"device": str(choose_device()), "threads": torch.get_num_threads()}


def _is_writable(folder: Path) -> bool:
    import tempfile

    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".lenext-doctor-")
    except OSError:
        return False
    os.close(handle)
    Path(name).unlink()
    return True
