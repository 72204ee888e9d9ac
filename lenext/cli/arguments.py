"""Options that several commands have, and the values that they take."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lenext.registry import COMMON

DATA = typer.Argument(help="A folder of class folders, a table, hub:owner/name, shards:PATTERN, or digits.")
DataArgument = Annotated[str, DATA]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, mps, or auto: a GPU where there is one.")]
ThreadsOption = Annotated[int | None, typer.Option(help="Threads for arithmetic; all cores if not given.")]
EngineOption = Annotated[
    Literal["auto", "pytorch", "compiled", "onnxruntime", "openvino", "ncnn"],
    typer.Option(help="What runs the network; auto is what `lenext bench` has found best for so many images."),
]
SizeOption = Annotated[str | None, typer.Option(help="Image side, or height and width: 64 or 48x64.")]
BatchOption = Annotated[int, typer.Option(help="Images a batch, for memory.")]
WeightsOption = Annotated[
    str | None,
    typer.Option(help="A file, a run folder, hub:owner/name, or a name of `lenext weights`; TARGET is then a model's."),
]
StartOption = Annotated[
    str | None,
    typer.Option("--weights", help="What to start from: a file, a run folder, hub:owner/name, or of `lenext weights`."),
]
FreezeOption = Annotated[
    str | None, typer.Option(metavar="PARTS", help="What stays as it is: stem,stages.0-2 or all-but-head.")
]
UnfreezeOption = Annotated[
    float | None, typer.Option(metavar="SHARE", help="Free frozen parts one by one within this share of the steps.")
]
DropOption = Annotated[int | None, typer.Option(help="How many of the last stages to cut off.")]
DecayOption = Annotated[
    float | None, typer.Option(help="Each part's rate, as a share of that of the part after it, such as 0.7.")
]
GrowOption = Annotated[
    Literal["paper", "identity"] | None,
    typer.Option(help="Make the model of the weights of a shallower VGG; docs/growing.md compares the ways."),
]
FitOption = Annotated[
    Literal["crop", "pad", "squash"] | None, typer.Option(help="How a photo's shape meets the model's.")
]
LoadingOption = Annotated[
    Literal["auto", "memory", "cache", "workers"],
    typer.Option(help="Where decoded images are kept: in memory, on disk for later runs too, or nowhere."),
]
CheckpointOption = Annotated[
    float, typer.Option(metavar="MINUTES", help="From one checkpoint to the next; one comes after each epoch, too.")
]
SyncNormOption = Annotated[
    bool, typer.Option("--sync-norm", help="Batch norms over all processes of torchrun; CUDA alone.")
]
ExcludeOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Leave out the images that it lists, as check --write-exclusions wrote it."),
]
OverridesOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the recipe.")
]
OptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="An option of the architecture, such as shortcut=D or depth=0.5."
    ),
]

UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}


def parse_size(text: str | None) -> int | tuple[int, int] | None:
    """Return 64 for `64` and (48, 64) for `48x64`, height first.

    Raises:
        typer.BadParameter: neither of the two.
    """
    if text is None:
        return None
    try:
        sides = [int(part) for part in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise typer.BadParameter(f"{text!r} is not a side or height x width in pixels, such as 64 or 48x64")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def parse_pairs(option: str, words: list[str] | None) -> dict[str, str]:
    """Return {"weight_decay": "0.05"} for `weight-decay=0.05`.

    Raises:
        typer.BadParameter: a word without `=`.
    """
    pairs = dict[str, str]()
    for word in words or []:
        key, sign, value = word.partition("=")
        if not sign or not key.strip():
            raise typer.BadParameter(f"{option} {word}: give KEY=VALUE")
        name = key.strip().replace("-", "_")
        if name in pairs:
            raise typer.BadParameter(f"{option} {name} is given twice: {pairs[name]} and {value.strip()}")
        pairs[name] = value.strip()
    return pairs


def parse_options(words: list[str] | None) -> dict[str, Any]:
    """Return the options of an architecture, each as a truth value, a number or else a word.

    Raises:
        typer.BadParameter: a word without `=`, or what every architecture has and commands have options for.
    """
    pairs = parse_pairs("--option", words)
    for key in COMMON & pairs.keys():
        raise typer.BadParameter(f"--option {key}={pairs[key]}: {key} is no option of an architecture; see --help")
    return {key: _as_value(text) for key, text in pairs.items()}


def _as_value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_count(text: str | None) -> float | None:
    """Return 25000000 for `25M`, `25e6` or `25_000_000`; the units are K, M and G.

    Raises:
        typer.BadParameter: no count.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?(?:e\d+)?) ?([kmgb]?)", text.strip().lower())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a count, such as 25M or 4.1G")
    return float(found[1].replace("_", "").replace(",", "")) * UNITS[found[2]]


def parse_years(text: str | None) -> tuple[int, int] | None:
    """Return the first and the last year of `2014`, `2012-2014`, `2015-` or `-2014`.

    Raises:
        typer.BadParameter: no year and no span of years.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{4})?(-)?(\d{4})?", text.strip())
    if found is None or not (found[1] or found[3]) or (found[1] and found[3] and not found[2]):
        raise typer.BadParameter(f"{text!r} is not a year or a span of years, such as 2014, 2012-2014 or 2015-")
    first = int(found[1]) if found[1] else 0
    last = int(found[3]) if found[3] else (9999 if found[2] else first)
    if last < first:
        raise typer.BadParameter(f"{text!r} ends before it begins; give 2012-2014")
    return first, last


def new_file(path: Path | None) -> Path | None:
    """Return `path` where a file may be written; what stands there already is never written over.

    Raises:
        typer.BadParameter: something stands there, or its folder does not.
    """
    if path is None:
        return None
    if path.is_dir() or (path.exists() and path.stat().st_size):
        raise typer.BadParameter(f"{path} is there already; give another name, or remove it first")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent} to write {path.name} into")
    if not os.access(path.parent, os.W_OK):
        raise typer.BadParameter(f"nothing can be written into {path.parent}; give a folder of your own")
    return path


def new_folder(path: Path | None) -> Path | None:
    """Return `path` where a folder may be made; what stands there already is never written over or added to.

    Raises:
        typer.BadParameter: something stands there, or its parent does not.
    """
    if path is None:
        return None
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise typer.BadParameter(f"{path} is there already; give another name, or remove it first")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent} to make {path.name} in")
    if not os.access(path.parent, os.W_OK):
        raise typer.BadParameter(f"nothing can be written into {path.parent}; give a folder of your own")
    return path


def parse_scales(text: str) -> tuple[float, ...]:
    """Return (0.5, 1.0, 2.0) for `0.5,1,2`.

    Raises:
        typer.BadParameter: not numbers above zero.
    """
    try:
        factors = tuple(float(part) for part in text.split(","))
    except ValueError:
        factors = ()
    if not factors or not all(0 < factor < float("inf") for factor in factors):
        raise typer.BadParameter(
            f"--scales {text!r}: give numbers above zero with commas between them, such as 0.5,1,2"
        )
    return factors
