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
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from lenext.errors import UserError
from lenext.serving.batching import Line
from lenext.serving.bodies import form_of, images_in, told_name
from lenext.serving.limits import Limits
from lenext.serving.metrics import Metrics
from lenext.serving.refusal import RefusalError
from lenext.serving.served import Found, Served
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


_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_PROBABLE = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "id": {"type": "string"}, "probability": {"type": "number"}},
    "required": ["label", "probability"],
}
_MAP = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "values": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "box": {"type": "array", "items": {"type": "number"}},
    },
}
_ANSWERS = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "predictions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "file": {"type": "string"},
                    "predictions": {"type": "array", "items": _PROBABLE},
                    "low_confidence": {"type": "boolean"},
                    "map": _MAP,
                    "error": {"type": "string"},
                },
                "required": ["file"],
            },
        },
    },
    "required": ["model", "predictions"],
}


def _told(schema: dict[str, Any], what: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _told(_ERROR, "Why not, in one line") for status in (*statuses, 400, 401, 403)}


_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_FILES = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "required": ["files"],
}
_WRONG = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}, "label": {"type": "string"}},
    "required": ["file", "label"],
}


def api_router(service: Service) -> APIRouter:
    """Return the routes of programs."""
    router = APIRouter()
    images = {"multipart/form-data": {"schema": _FILES}, "image/jpeg": _IMAGE, "image/png": _IMAGE}

    @router.get("/v1/models", summary="The models that answer here", responses=_refusals())
    def models() -> dict[str, Any]:
        return {
            "models": [each.about for each in service.models.values()],
            "low_confidence": service.low_confidence,
            "wrong": service.wrong is not None,
        }

    @router.post(
        "/v1/models/{name}/predict",
        summary="What is in images: a form of files, or the bytes of one image",
        responses={200: _told(_ANSWERS, "One entry an image, in order"), **_refusals(404, 408, 413, 415, 422, 503)},
        openapi_extra={"requestBody": {"required": True, "content": images}},
    )
    async def predict(
        request: Request,
        name: Name,
        top: Annotated[int, Query(ge=1, le=MOST, description="How many classes to name.")] = 5,
        map: Annotated[bool, Query(description="With the class map, where the model has one.")] = False,
        label: Annotated[
            str | None, Query(max_length=200, description="Whose map; the most probable's if none.")
        ] = None,
    ) -> Response:
        model = service.model(name)
        index = _index(model, label) if label is not None else None
        given = await images_in(request, service.limits)
        found: list[Found] = await _answers(service.line.ask(model.answer, [image for _, image in given]))
        entries = [_entry(service, model, file, each, top) for (file, _), each in zip(given, found, strict=True)]
        if map and model.about["class_map"]:
            await _add_maps(service, model, given, found, entries, index)
        if all("error" in entry for entry in entries):
            raise RefusalError(422, f"no image can be read; {entries[0]['file']}: {entries[0]['error']}")
        return JSONResponse({"model": name, "predictions": entries})

    @router.post(
        "/v1/models/{name}/wrong",
        status_code=201,
        summary="Keep an image that was answered wrong, under its right class",
        responses={
            201: _told({"type": "object", "properties": {"kept": {"type": "string"}}}, "Where it is"),
            **_refusals(404, 408, 413, 415, 422, 503, 507),
        },
        openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _WRONG}}}},
    )
    async def wrong(request: Request, name: Name) -> Response:
        service.model(name)
        if service.wrong is None:
            raise RefusalError(404, "wrong answers are not kept here; start the server with --wrong FOLDER")
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise RefusalError(415, "send multipart/form-data with a file and a label")
        form = await form_of(request, service.limits)
        file, label = form.get("file"), form.get("label")
        if not isinstance(file, UploadFile) or not isinstance(label, str):
            raise RefusalError(400, "send a file and a label")
        kept = await asyncio.to_thread(keep_wrong, service.wrong, label, await file.read(), service.limits.pixels)
        return JSONResponse({"kept": str(kept.relative_to(service.wrong.parent))}, 201)

    @router.get("/healthz", summary="Whether the process answers")
    @router.get("/readyz", summary="Whether images can be answered now")
    def well() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    def figures() -> Response:
        return service.metrics.page()

    return router


async def _answers(futures: Sequence[Future[Any]]) -> list[Any]:
    """Wait for what the threads find; where the client goes, what still waits is not worked on."""
    try:
        return list(await asyncio.gather(*(asyncio.wrap_future(future) for future in futures)))
    finally:
        for future in futures:
            future.cancel()


def _index(model: Served, label: str) -> int:
    try:
        return model.predictor.index_of(label)
    except UserError as error:
        raise RefusalError(422, str(error)) from None


def _entry(service: Service, model: Served, file: str, found: Found, top: int) -> dict[str, Any]:
    service.metrics.images.labels(model.name, "unreadable" if found.error else "answered").inc()
    if found.error:
        return {"file": told_name(file), "error": found.error}
    best = model.best(found, top)
    return {"file": file, "predictions": best, "low_confidence": best[0]["probability"] < service.low_confidence}


async def _add_maps(
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
    maps = await _answers(service.line.ask(model.class_maps, asked))
    for place, each in zip(places, maps, strict=True):
        entries[place]["map"] = each
