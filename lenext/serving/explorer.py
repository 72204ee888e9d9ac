"""The routes of the pages: their files, and the figures of architectures that the explorer shows."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel

from lenext.errors import UserError, one_line
from lenext.serving.architectures import LARGEST, architecture, architectures
from lenext.serving.refusal import RefusalError
from lenext.serving.turns import OneByOne

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class PublishedError(BaseModel):
    """An error rate in percent, as it was published."""

    top1: float | None
    top5: float | None
    protocol: str
    dataset: str
    source: str


class Architecture(BaseModel):
    """An architecture at its own input: a square of `size` pixels with `channels` channels."""

    name: str
    family: str
    year: int
    paper: str
    params: int
    macs: int
    size: int
    smallest: int
    channels: int
    classes: int
    top1_error: float | None
    top5_error: float | None
    dataset: str | None
    protocol: str | None
    errors: list[PublishedError]


class Architectures(BaseModel):
    """All of them, in the order of their papers."""

    architectures: list[Architecture]


class Figures(BaseModel):
    """Parameters, and multiply-adds and elements of outputs for one image."""

    params: int
    macs: int
    activations: int


class Stage(Figures):
    """A part of a network; `output` is [C, H, W] without the batch, shares are 0 to 1, the field is in pixels."""

    name: str
    layers: int
    output: list[int]
    share: float
    params_share: float
    receptive_field: int | None


class Staged(Architecture):
    """An architecture stage by stage, for an image of `input`, [C, H, W]."""

    input: list[int]
    stages: list[Stage]
    total: Figures


class Refused(BaseModel):
    """Why there is no answer, on one line."""

    error: str


Name = Annotated[str, Path(description="One of /v1/architectures.", max_length=200)]
Size = Annotated[int | None, Query(ge=1, le=LARGEST, description="The side of the image, in pixels; its own if none.")]


def _read(folder: Traversable, below: str = "") -> dict[str, tuple[bytes, str]]:
    """Return the files of the site by their path, each with its hash."""
    found: dict[str, tuple[bytes, str]] = {}
    for item in folder.iterdir():
        if item.is_dir():
            found |= _read(item, f"{below}{item.name}/")
        elif any(item.name.endswith(ending) for ending in KINDS):
            content = item.read_bytes()
            found[below + item.name] = content, f'"{sha256(content).hexdigest()[:32]}"'
    return found


# All that can be asked for, read once: no path that a client sends reaches the disk.
SITE = _read(files("lenext.serving") / "site")


def explorer_router() -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter()
    # A network of a thousand layers takes seconds to count: in one thread, so that none is missing where images wait.
    counting = OneByOne()

    @router.get("/v1/architectures", response_model=Architectures, summary="Every architecture, what it costs and errs")
    def list_architectures() -> dict[str, Any]:
        return {"architectures": architectures()}

    @router.get(
        "/v1/architectures/{name}",
        response_model=Staged,
        summary="What each stage of an architecture gives and costs",
        responses={status: {"model": Refused} for status in (401, 403, 404, 422, 503)},
    )
    async def show_architecture(name: Name, size: Size = None) -> dict[str, Any]:
        return await counting.run(_architecture, name, size)

    @router.get("/", include_in_schema=False)
    def show_page(request: Request) -> Response:
        return _file("index.html", request)

    @router.get("/models", include_in_schema=False)
    def show_explorer(request: Request) -> Response:
        return _file("models.html", request)

    @router.get("/site/{path:path}", include_in_schema=False)
    def show_file(path: str, request: Request) -> Response:
        return _file(path, request)

    return router


def _architecture(name: str, size: int | None) -> dict[str, Any]:
    from lenext.models import lookup

    try:
        lookup(name)
    except UserError as error:
        raise RefusalError(404, one_line(error)) from None
    try:
        return architecture(name, size)
    except UserError as error:
        raise RefusalError(422, one_line(error)) from None


def _file(path: str, request: Request) -> Response:
    if path not in SITE:
        raise RefusalError(404, f"there is no file {path[:100]!r}")
    content, tag = SITE[path]
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=KINDS["." + path.rpartition(".")[2]], headers=headers)
