"""Typer's help, without the parts of it that lenext never shows."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

# What Typer's renderer imports for help written in Markdown and for coloured tracebacks. Both are off here, and
# loading them takes a third of the time of `lenext --help`.
UNUSED = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}


def load_renderer() -> None:
    """Import Typer's help renderer with stand-ins for `UNUSED`; whoever imports those later gets the real ones."""
    added = [name for name in UNUSED if name not in sys.modules]
    for name in added:
        stand_in = ModuleType(name)
        setattr(stand_in, UNUSED[name], type(UNUSED[name], (), {}))
        sys.modules[name] = stand_in
    try:
        importlib.import_module("typer.rich_utils")
    finally:
        for name in added:
            del sys.modules[name]
