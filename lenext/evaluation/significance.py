"""Whether two models that were judged differ by more than chance brings.

Chance is here which images happened to be among those held out. What another seed of the training would change is not
in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lenext.evaluation.intervals import Z, wilson

FEW = 25  # images that one model alone got right, below which the binomial distribution is summed
LEVEL = 0.05  # of significance; the intervals are those of 95 %


@dataclass(frozen=True)
class Significance:
    """How two models differ, and how much of it may be chance.

    `right_a` of `images_a` and `right_b` of `images_b` were answered right; of the same images, `only_a` by the first
    model alone and `only_b` by the second alone, which are None where the images differ. `difference` is the second's
    percentage less the first's, in percentage points, and lies between `low` and `high` with 95 % confidence. `p` is
    how often chance alone brings a difference as large.
    """

    images_a: int
    right_a: int
    images_b: int
    right_b: int
    only_a: int | None
    only_b: int | None
    difference: float
    low: float
    high: float
    p: float
    test: str
    interval: str

    @property
    def by_chance(self) -> bool:
        """Whether the difference is no larger than chance brings."""
        return self.p >= LEVEL

    @property
    def verdict(self) -> str:
        """The answer in words."""
        chance = f"p {f'= {self.p:.2g}' if self.p >= 1e-4 else '< 0.0001'}"
        if self.by_chance:
            return f"the difference is no larger than chance brings ({chance})"
        return f"the difference is more than chance ({chance})"


def of_same_images(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> Significance:
    """Compare two models by their answers to the same images: `right_a[i]` and `right_b[i]` are of image i.

    McNemar 1947, which looks only at the images that one model alone got right: exact where these are few, else its
    chi-square with Edwards' correction of continuity. The interval is that of Agresti and Min 2005: Wald's, with half
    an image added to each of the four cells.
    """
    from scipy.stats import binomtest, chi2

    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    differ = only_a + only_b
    if differ == 0:
        p, test = 1.0, "McNemar, exact"
    elif differ < FEW:
        p, test = float(binomtest(only_a, differ).pvalue), "McNemar, exact"
    else:
        statistic = max(0, abs(only_a - only_b) - 1) ** 2 / differ
        p, test = float(chi2.sf(statistic, 1)), "McNemar, chi-square with correction of continuity"
    count = len(right_a) + 2
    gap = (only_b - only_a) / count
    deviation = math.sqrt((differ + 1) / count - gap**2) / math.sqrt(count)
    return Significance(
        len(right_a), int(right_a.sum()), len(right_b), int(right_b.sum()), only_a, only_b,
        100 * (only_b - only_a) / len(right_a),
        100 * max(-1.0, gap - Z * deviation), 100 * min(1.0, gap + Z * deviation),
        p, test, "Agresti and Min 2005",
    )  # fmt: skip


def holm(comparisons: Sequence[Significance]) -> list[Significance]:
    """Return comparisons that were made together with p as Holm 1979 corrects it: one of many is small by chance."""
    order = sorted(range(len(comparisons)), key=lambda i: comparisons[i].p)
    corrected, least = list(comparisons), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * comparisons[i].p))
        test = f"{comparisons[i].test}; Holm's correction for {len(order)}" if len(order) > 1 else comparisons[i].test
        corrected[i] = replace(comparisons[i], p=least, test=test)
    return corrected


def of_other_images(right_a: int, images_a: int, right_b: int, images_b: int) -> Significance:
    """Compare two models that answered different images, as two proportions that know nothing of each other.

    Fisher's exact test; the interval is Newcombe's of 1998 (his method 10), made of Wilson's score intervals.
    """
    from scipy.stats import fisher_exact

    p = float(fisher_exact([[right_a, images_a - right_a], [right_b, images_b - right_b]]).pvalue)
    a, b = right_a / images_a, right_b / images_b
    (low_a, high_a), (low_b, high_b) = wilson(right_a, images_a), wilson(right_b, images_b)
    return Significance(
        images_a, right_a, images_b, right_b, None, None,
        100 * (b - a),
        100 * (b - a - math.hypot(b - low_b, high_a - a)), 100 * (b - a + math.hypot(high_b - b, a - low_a)),
        min(1.0, p), "Fisher, exact", "Newcombe 1998",
    )  # fmt: skip
