"""The interface of programs: /v1, and what says whether the server is well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import JSONResponse, PlainTextResponse, Response

from lenext.errors import UserError
from lenext.serving.batching import Line
from lenext.serving.bodies import GONE, MULTIPART, form_of, images_in
from lenext.serving.limits import Limits
from lenext.serving.metrics import Metrics
from lenext.serving.refusal import RefusalError
from lenext.serving.schemas import KEEP, PREDICT, refusals
from lenext.serving.served import Found, Served
from lenext.serving.turns import OneByOne
from lenext.serving.wrong import keep_wrong

MOST = 1000  # classes that an answer names

Name = Annotated[str, InPath(description="One of /v1/models.", max_length=200)]


@dataclass(frozen=True)
class Service:
    """What the interface answers with: models by name, the line that images wait in, and what is kept and counted."""

    models: Mapping[str, Served]
    line: Line
    limits: Limits
    metrics: Metrics
    low_confidence: float
    wrong: Path | None

    def model(self, name: str) -> Served:
        """Return the model of a name.

        Raises:
            RefusalError: there is none.
        """
        if name not in self.models:
            raise RefusalError(404, f"there is no model {name[:100]!r}; there are {', '.join(self.models) or 'none'}")
        return self.models[name]


Top = Annotated[int, Query(ge=1, le=MOST, description="How many classes to name.")]
Map = Annotated[bool, Query(description="With the class map, where the model has one.")]
Label = Annotated[str | None, Query(max_length=200, description="Whose map; the most probable's if none.")]


def api_router(service: Service) -> APIRouter:
    """Return the routes of programs."""
    router = APIRouter()
    keeping = OneByOne()  # no two write one file, nor fill the memory beside the images that are answered

    @router.get("/v1/models", summary="The models that answer here", responses=refusals())
    def models() -> dict[str, Any]:
        return {
            "models": [each.about for each in service.models.values()],
            "low_confidence": service.low_confidence,
            "wrong": service.wrong is not None,
        }

    @router.post("/v1/models/{name}/predict", **PREDICT)
    async def predict(request: Request, name: Name, top: Top = 5, map: Map = False, label: Label = None) -> Response:
        return await _predict(service, request, service.model(name), top, label, with_map=map)

    @router.post("/v1/models/{name}/wrong", **KEEP)
    async def wrong(request: Request, name: Name) -> Response:
        return await _keep(service, request, service.model(name), keeping)

    @router.get("/healthz", summary="Whether the process answers", responses=refusals())
    async def well() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Whether images can be answered now", responses=refusals(503))
    async def ready() -> dict[str, str]:
        if not service.line.is_open:
            raise RefusalError(503, "no more images are taken for now; ask again in a second", {"Retry-After": "1"})
        return {"status": "ok"}

    @router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse, responses=refusals())
    def figures() -> Response:
        return service.metrics.page()

    return router


async def _predict(
    service: Service, request: Request, model: Served, top: int, label: str | None, *, with_map: bool
) -> Response:
    """Answer with what is in the images that a request brings."""
    index = _index(model, label) if label is not None else None
    given = await images_in(request, service.limits)
    found: list[Found] = await _answers(service, request, service.line.ask(model.answer, [image for _, image in given]))
    entries = [_entry(service, model, file, each, top) for (file, _), each in zip(given, found, strict=True)]
    if with_map and model.about["class_map"]:
        await _add_maps(request, service, model, given, found, entries, index)
    if all("error" in entry for entry in entries):
        raise RefusalError(422, f"no image can be read; {entries[0]['file']}: {entries[0]['error']}")
    return JSONResponse({"model": model.name, "predictions": entries})


async def _keep(service: Service, request: Request, model: Served, keeping: OneByOne) -> Response:
    """Keep the image that a request brings under the class that it names."""
    if service.wrong is None:
        raise RefusalError(404, f"wrong answers of {model.name} are not kept; start the server with --wrong FOLDER")
    if not request.headers.get("content-type", "").lower().startswith(MULTIPART):
        raise RefusalError(415, f"send {MULTIPART} with a file and a label")
    parts = {part.name: part for part in await form_of(request, service.limits)}
    file, label = parts.get("file"), parts.get("label")
    if file is None or label is None:
        raise RefusalError(400, "send a file and a label")
    named = label.content.decode("utf-8", "replace")
    kept = await keeping.run(keep_wrong, service.wrong, named, file.content, service.limits.pixels)
    return JSONResponse({"kept": str(kept.relative_to(service.wrong.parent))}, 201)


async def _answers(service: Service, request: Request, futures: Sequence[Future[Any]]) -> list[Any]:
    """Wait for what the threads find; where the client goes, what still waits is not worked on.

    Raises:
        RefusalError: the client has gone.
    """
    found = asyncio.gather(*(asyncio.wrap_future(future) for future in futures), return_exceptions=True)
    gone = asyncio.ensure_future(request.receive())  # the body has been read: nothing else is to come
    try:
        await asyncio.wait((found, gone), return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            service.line.drop(futures)
            await found  # what is being answered counts as held until it is
            raise RefusalError(400, GONE)
    finally:
        gone.cancel()
        service.line.drop(futures)
    answers: list[Any] = found.result()
    for each in answers:
        if isinstance(each, BaseException):
            raise each
    return answers


def _index(model: Served, label: str) -> int:
    try:
        return model.predictor.index_of(label)
    except UserError as error:
        raise RefusalError(422, str(error)) from None


def _entry(service: Service, model: Served, file: str, found: Found, top: int) -> dict[str, Any]:
    service.metrics.images.labels(model.name, "unreadable" if found.error else "answered").inc()
    if found.error:
        return {"file": file, "error": found.error}
    best = model.best(found, top)
    return {"file": file, "predictions": best, "low_confidence": best[0]["probability"] < service.low_confidence}


async def _add_maps(
    request: Request,
    service: Service,
    model: Served,
    given: Sequence[tuple[str, bytes]],
    found: Sequence[Found],
    entries: Sequence[dict[str, Any]],
    index: int | None,
) -> None:
    places = [place for place, each in enumerate(found) if each.probabilities is not None]
    asked = []
    for place in places:
        probabilities = found[place].probabilities
        assert probabilities is not None
        asked.append((given[place][1], int(probabilities.argmax()) if index is None else index))
    maps = await _answers(service, request, service.line.ask(model.class_maps, asked))
    for place, each in zip(places, maps, strict=True):
        entries[place]["map"] = each
