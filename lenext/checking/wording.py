"""Counts as they are read."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """Return `1 image`, `0 images` or `12,000 images`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
