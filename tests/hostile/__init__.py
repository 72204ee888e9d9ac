"""Files of weights that must be refused, each in a register with what it is told."""

from hostile import archives, headers, others, pickles  # noqa: F401  they register themselves
from hostile.register import HOSTILE, MARK, lenet, system

__all__ = ["HOSTILE", "MARK", "lenet", "system"]
