"""Routes of the pages."""

from __future__ import annotations

from fastapi import APIRouter


def explorer_router() -> APIRouter:
    """Return the routes of the pages."""
    return APIRouter()
