"""`Refusal`: a request that is turned away, with the status and one line that says why."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from starlette.responses import JSONResponse


class RefusalError(Exception):
    """A request that is turned away."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the answer: {"error": why}."""
        return JSONResponse({"error": self.message}, self.status, self.headers)


async def answer_refusal(_request: Request, error: Exception) -> JSONResponse:
    """Answer a request that a handler turned away."""
    assert isinstance(error, RefusalError)
    return error.response()
