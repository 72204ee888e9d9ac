"""`create_app`: the whole application, from the guard at the door to the pages."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp

from lenext.data.cores import available_cores
from lenext.prediction import Predictor
from lenext.serving.api import Service, api_router
from lenext.serving.batching import Line
from lenext.serving.bodies import BoundedBodies
from lenext.serving.explorer import explorer_router
from lenext.serving.guard import LOOPBACK, Guard
from lenext.serving.limits import Limits
from lenext.serving.metrics import Measured, Metrics
from lenext.serving.refusal import RefusalError, answer_refusal
from lenext.serving.served import Served

LOW_CONFIDENCE = 0.6  # of the most probable class, below which the page asks a person to look

DOCS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>lenext: interface</title>
<link rel="icon" href="/site/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/site/vendor/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/site/vendor/swagger-ui-bundle.js"></script>
<script src="/site/docs.js"></script>
</body></html>"""


def create_app(
    models: Mapping[str, Predictor],
    *,
    hosts: Iterable[str] = LOOPBACK,
    token: str | None = None,
    limits: Limits | None = None,
    threads: int | None = None,
    low_confidence: float = LOW_CONFIDENCE,
    wrong: Path | None = None,
) -> ASGIApp:
    """Return an application that answers for `models`, by their names, in so many threads.

    `hosts` are the names that it is reached by, `token` what a request must know, where there is one. Wrong answers
    are kept below the folder `wrong`.
    """
    limits, count = limits or Limits(), threads or available_cores()
    line = Line(threads=count, waiting=limits.waiting)
    served = {name: Served(name, each, pixels=limits.pixels, threads=count) for name, each in models.items()}
    metrics = Metrics(line)
    service = Service(served, line, limits, metrics, low_confidence, wrong)

    @contextlib.asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        for each in served.values():
            _ = each.about  # loads what answers, before the first request
        yield
        line.close()

    app = FastAPI(title="lenext", version=version("lenext"), docs_url=None, redoc_url=None, lifespan=running)
    app.include_router(api_router(service))
    app.include_router(explorer_router())
    app.add_exception_handler(RefusalError, answer_refusal)
    app.add_exception_handler(RequestValidationError, _wrong_values)
    app.add_exception_handler(HTTPException, _no_such_thing)
    app.add_exception_handler(Exception, _fault)
    _add_docs(app)
    return Measured(Guard(BoundedBodies(app, limits), hosts=hosts, token=token), metrics)


def _add_docs(app: FastAPI) -> None:
    """Let /docs show the interface, from files that are here."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(DOCS)


async def _wrong_values(_request: Request, error: Exception) -> Response:
    """Answer a request whose parameters cannot be."""
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return JSONResponse({"error": told}, 422)


async def _no_such_thing(_request: Request, error: Exception) -> Response:
    """Answer a request for what there is not."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _fault(_request: Request, _error: Exception) -> Response:
    """Answer where something went wrong that nobody foresaw; the server says more where it was started."""
    return JSONResponse({"error": "the server failed at this; its own output says how"}, 500)
