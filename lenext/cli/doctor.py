"""`lenext doctor`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lenext.cli.output import JsonOption, plain_table, print_json, print_table

# What each extra brings, by the module that shows that it is there.
EXTRAS = {"hub": ("datasets", "datasets and weights of the Hugging Face Hub by name")}


def doctor(json: JsonOption = False) -> None:
    """Say what this machine has: versions, device, threads, optional parts, where files can be written.

    Example: [bold]lenext doctor --json[/bold]
    """
    import importlib.util
    import platform
    import tempfile
    from importlib.metadata import version

    import torch

    from lenext.data.reading import available_cores
    from lenext.device import choose_device

    report: dict[str, Any] = {
        "lenext": version("lenext"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _packages(),
        "device": str(choose_device()),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "extras": {name: importlib.util.find_spec(module) is not None for name, (module, _) in EXTRAS.items()},
        "writable": {str(place): _is_writable(place) for place in (Path.cwd(), Path(tempfile.gettempdir()))},
    }
    if json:
        print_json(report)
        return
    table = plain_table("", "")
    for key in ("lenext", "python", "platform", "device", "cores", "threads"):
        table.add_row(key, str(report[key]))
    for name, number in report["packages"].items():
        table.add_row(name, number or "missing")
    for name, (_, what) in EXTRAS.items():
        there = "present" if report["extras"][name] else f"missing: pip install 'lenext\\[{name}]'"
        table.add_row(f"extra {name}", f"{there} ({what})")
    for place, writable in report["writable"].items():
        table.add_row("writable" if writable else "not writable", place)
    print_table(table)


def _packages() -> dict[str, str | None]:
    """Return the version of every package that lenext cannot do without; None where it is missing."""
    from importlib.metadata import PackageNotFoundError, requires, version

    found: dict[str, str | None] = {}
    for requirement in requires("lenext") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _is_writable(folder: Path) -> bool:
    import tempfile

    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".lenext-doctor-")
    except OSError:
        return False
    os.close(handle)
    Path(name).unlink()
    return True
