"""`Limits`: what one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a request, and of all that are under way.

    `body` are bytes of all of it, `headers` of its first lines; `pixels` are those of an image when it is decoded,
    `files` how many images it may bring. Headers must have come `header_seconds` after the first byte, the body
    `body_seconds` after these; a connection between two requests stays for `idle_seconds`. `waiting` images may wait
    for their turn, and the bodies of all requests may be `held` bytes together; more are turned away.
    """

    body: int = 64 << 20
    headers: int = 32 << 10
    pixels: int = 64_000_000
    files: int = 64
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: int = 30
    waiting: int = 256
    held: int = 512 << 20
