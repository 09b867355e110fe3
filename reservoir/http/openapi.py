"""The contract as an OpenAPI document, made from the routes and from the models that validate the requests, so that the two cannot drift.

**Source**: OpenAPI 3.1.0 (read 2026-11-23).
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from reservoir import __version__
from reservoir.http import answers, integration_shapes, prospect_shapes, schemas, write_back_shapes
from reservoir.http.history_shapes import History
from reservoir.http.query import PARAMETERS
from reservoir.http.rep_shapes import Removals, WasReset
from reservoir.http.routes import ROUTES
from reservoir.http.visit import Route

_REF = "#/components/schemas/{model}"

OPEN = {
    "/healthz": ("The process lives", "application/json"),
    "/readyz": ("The service can keep what it promises", "application/json"),
    "/openapi.json": ("This document", "application/json"),
    "/metrics": ("How the service is, for Prometheus; with a key, how its org's lists are, too", "text/plain"),
    "/docs": ("This document as a page", "text/html"),
    "/docs/{asset}": ("What that page is made of", "text/html"),
}
"""What needs no key, and in which form it is."""

_OPEN_PROBLEMS = {"/readyz": [(503, "not-ready")], "/metrics": [(401, "unauthenticated")], "/docs/{asset}": [(404, "not-found")]}

EVERYWHERE = ("unauthenticated", "forbidden", "invalid-request", "internal-error", "store-unavailable")
WITH_BODY = ("malformed-json", "body-incomplete", "body-too-large", "unsupported-media-type")


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    bodies = sorted({route.body for route in ROUTES if route.body}, key=lambda model: model.__name__)
    more: tuple[type[BaseModel], ...] = (*integration_shapes.MODELS, *prospect_shapes.MODELS, *write_back_shapes.MODELS, Removals, WasReset, History)
    models: list[type[BaseModel]] = [*bodies, *schemas.MODELS, *more]
    modes: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in models]
    _, found = models_json_schema(modes, ref_template=_REF)
    paths: dict[str, dict[str, object]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for path, (summary, media) in OPEN.items():
        paths[path] = {"get": _open_operation(path, summary, media)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "reservoir",
            "version": __version__,
            "summary": "The shared memory between sales dialers: nobody is called twice, nobody is lost, and it can say why.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": found["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key: it decides org and scopes."}},
        },
    }


@cache
def text() -> bytes:
    """The document as it is published."""
    return orjson.dumps(document())


def _operation(route: Route) -> dict[str, object]:
    operation: dict[str, object] = {
        "operationId": route.handle.__name__,
        "summary": route.summary,
        "tags": [route.path.split("/")[2]],
        "security": [{"key": [route.scope]}],
        "parameters": [*_path_parameters(route.path), *_query_parameters(route), *_headers(route)],
        "responses": {str(status): response for status, response in _responses(route).items()},
    }
    if route.body is not None:
        schema: dict[str, object] = {"$ref": _REF.format(model=route.body.__name__)}
        if route.patch:
            schema = {"type": "object", "description": f"A JSON Merge Patch (RFC 7396): any part of {route.body.__name__}; the whole is checked."}
        required = route.patch or bool(route.body.model_fields)
        operation["requestBody"] = {"required": required, "content": {media: {"schema": schema} for media in route.media}}
    elif route.method == "PUT":
        operation["requestBody"] = {"required": True, "content": {media: {"schema": {"type": "string"}} for media in route.media}}
    return operation


def _path_parameters(path: str) -> list[dict[str, object]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", path)]


def _query_parameters(route: Route) -> list[dict[str, object]]:
    return [{"name": name, "in": "query", "description": PARAMETERS[name].about, "schema": PARAMETERS[name].schema} for name in route.query]


def _headers(route: Route) -> list[dict[str, object]]:
    headers: list[tuple[str, str, dict[str, object]]] = []
    if route.idempotent:
        headers.append(("Idempotency-Key", "Makes a repeat within 24 h safe.", {"type": "string", "minLength": 1, "maxLength": 255}))
    if route.patch:
        headers.append(("If-Match", "The ETag that was read; * always holds.", {"type": "string"}))
    return [{"name": name, "in": "header", "description": text, "schema": schema} for name, text, schema in headers]


_STREAMS = {
    "text/csv": "All of it, under a header row; detail is JSON. A cell that a spreadsheet would take for a formula has an apostrophe before it.",
    "application/x-ndjson": "All of it, an item on each line. limit and cursor are of pages only.",
}


def _responses(route: Route) -> dict[int, Any]:
    responses: dict[int, Any] = {route.status: {"description": "Done."} | _content(route.answer if route.status != 204 else None)}
    for media in route.streamed_as:
        responses[route.status]["content"][media] = {"schema": {"type": "string", "description": _STREAMS[media]}}
    if route.answer == "Granted":
        responses[200] = {"description": "Nothing is available."} | _content("Granted")
    if route.handle.__name__ == "claim_one":
        responses[200] = {"description": "Click to call: who has the prospect."} | _content("ClickToCall")
    slugs: Sequence[str] = (*route.problems, *EVERYWHERE, *(WITH_BODY if route.body or route.method == "PUT" else ()))
    by_status: dict[int, list[str]] = {}
    for slug in slugs:
        by_status.setdefault(answers.PROBLEMS[slug][0], []).append(slug)
    for status, named in sorted(by_status.items()):
        responses[status] = {"description": ", ".join(named)} | _content("Problem", "application/problem+json")
    return responses


def _open_operation(path: str, summary: str, media: str) -> dict[str, object]:
    answer: dict[str, object] = {"200": {"description": "So it is."} | _content("object" if media == "application/json" else "text", media)}
    for status, slug in _OPEN_PROBLEMS.get(path, ()):
        answer[str(status)] = {"description": slug} | _content("Problem", "application/problem+json")
    named = re.sub(r"\W+", "_", path).strip("_")
    operation = {"operationId": f"read_{named}", "summary": summary, "tags": ["operations"], "security": [], "responses": answer}
    return operation | ({"parameters": parameters} if (parameters := _path_parameters(path)) else {})


def _content(model: str | None, media: str = "application/json") -> dict[str, object]:
    if model is None:
        return {}
    plain = {"object": "object", "text": "string"}
    schema: dict[str, object] = {"type": plain[model]} if model in plain else {"$ref": _REF.format(model=model)}
    return {"content": {media: {"schema": schema}}}
