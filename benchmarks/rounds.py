"""Comparing two ways side by side: alternating rounds, the median ratio and its interval."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from scipy.stats import bootstrap


def alternate(first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """Run the two in turn, each first in every other round, after one that does not count; each returns a figure."""
    ours, theirs = [], []
    for number in range(rounds + 1):
        if number % 2:
            a, b = first(), second()
        else:
            b, a = second(), first()
        ours.append(a)
        theirs.append(b)
    return ours[1:], theirs[1:]


def median_ratio(first: list[float], second: list[float]) -> str:
    """Return the median of the ratios round by round, with its 95 % bootstrap interval."""
    ratios = np.array(first) / np.array(second)
    interval = bootstrap((ratios,), np.median, method="percentile", rng=0).confidence_interval
    return f"{np.median(ratios):.3f} (95 % interval {interval.low:.3f} to {interval.high:.3f}, {len(ratios)} rounds)"


def spread(values: list[float], unit: str, digits: int = 2) -> str:
    """Return median, minimum and maximum."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"median {middle:.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f}, n = {len(values)})"


def machine() -> str:
    """Return what the figures were measured on."""
    import torch

    packages = ", ".join(f"{name} {version(name)}" for name in ("lenext", "torch", "numpy", "pillow"))
    return (
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, {packages}"
    )
