"""What requests and answers look like, for the description at /openapi.json."""

from __future__ import annotations

from typing import Any

ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
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
ANSWERS = {
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


def told(schema: dict[str, Any], what: str) -> dict[str, Any]:
    """Return an answer of this form."""
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the answers to requests that are turned away, with these statuses and those that any may have."""
    return {status: told(ERROR, "Why not, in one line") for status in (*statuses, 400, 401, 403)}


IMAGE = {"schema": {"type": "string", "format": "binary"}}
FILES = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "required": ["files"],
}
WRONG = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}, "label": {"type": "string"}},
    "required": ["file", "label"],
}

# What the routes that take a body say of themselves.
PREDICT: dict[str, Any] = {
    "summary": "What is in images: a form of files, or the bytes of one image",
    "responses": {200: told(ANSWERS, "One entry an image, in order"), **refusals(404, 408, 413, 415, 422, 503)},
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": FILES}, "image/jpeg": IMAGE, "image/png": IMAGE},
        }
    },
}
KEPT = {"type": "object", "properties": {"kept": {"type": "string"}}, "required": ["kept"]}
KEEP: dict[str, Any] = {
    "status_code": 201,
    "summary": "Keep an image that was answered wrong, under its right class",
    "responses": {201: told(KEPT, "Where it is"), **refusals(404, 408, 413, 415, 422, 503, 507)},
    "openapi_extra": {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": WRONG}}}},
}
