"""How every request is served: whose it is, what it may, whether it is well-formed, and in which form it fails."""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from reservoir import metrics
from reservoir.domain import ids
from reservoir.domain.refusals import InvalidError, Refused
from reservoir.domain.settings import ApiKey
from reservoir.http.connections import broke_off
from reservoir.http.problems import FieldError, ProblemError
from reservoir.http.query import not_utf8, read_query
from reservoir.http.strict_json import MalformedJsonError, parse
from reservoir.http.visit import IDEMPOTENCY_KEY_MOST, Answer, Route, Visit, validated
from reservoir.integrations.base import integrations
from reservoir.storage.claims import UnknownOutcomeError
from reservoir.storage.names import random_name
from reservoir.storage.orgs import Org, StaleError
from reservoir.storage.redis import StoreUnavailableError
from reservoir.storage.settings import api_key_sha256
from reservoir.telemetry import request_id
from reservoir.wiring import Services

SERVICES = web.AppKey("SERVICES", Services)

BODY_MOST_BYTES = 1 << 20
BODY_WITHIN_S = 30
STALE_MOST = 20
"""How often a request is begun anew because the org's settings changed under it, before it is refused."""

_OF_THE_REQUEST = frozenset({"malformed-json", "invalid-request", "body-too-large", "unsupported-media-type", "body-incomplete", "idempotency-key-reused"})

_KEY = re.compile(r"rsv_([a-z][a-z0-9]{0,31})_([a-z2-7]{12})_[a-z2-7]{52}")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")

log = logging.getLogger(__name__)

Served = Callable[[web.Request], Awaitable[web.StreamResponse]]


def served(route: Route) -> Served:
    """A route as aiohttp calls it. Refusals come in the contract's order: the key, its scope, what the path names, the body, what the body names, the state."""

    async def serve(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        for _ in range(STALE_MOST):
            visit: Visit | None = None
            try:
                visit = await _visit(services, request)
                answer = await _handled(visit, route)
            except StaleError:
                continue
            except ProblemError:
                # What was refused without a word from the store may have been refused to a key that is revoked by now.
                if visit is None or await services.orgs.is_current(visit.org):
                    raise
                services.orgs.forget(visit.org)
                if route.streams:  # what was read of the body cannot be read again
                    await _visit(services, request)
                    raise
                continue
            return answer.response() if isinstance(answer, Answer) else answer
        raise StoreUnavailableError("the org's settings change faster than a request can read them")

    return serve


async def _handled(visit: Visit, route: Route) -> Answer | web.StreamResponse:
    if not visit.key.reaches(route.scope):
        raise ProblemError("forbidden", f"This needs a key with the scope {route.scope}; this one has {', '.join(visit.key.scopes)}.")
    query, errors = read_query(visit.request, route.query, route.cursor)
    errors += _path_errors(visit.request, route) + _header_errors(visit, route)
    try:
        body = await _body(visit, route, errors)
        answer = await route.handle(replace(visit, query=query, errors=errors), body)
        if isinstance(answer, Refused):
            raise ProblemError.of(answer)
    except ProblemError as problem:
        # A bad body or query comes second to a path that names nothing.
        if problem.slug in _OF_THE_REQUEST and route.find is not None:
            await route.find(visit)
        raise
    return answer


async def _visit(services: Services, request: web.Request) -> Visit:
    org, key = await _authenticated(services, request)
    services.settings.key_used(org, key.id)
    return Visit(services, request, org, key, lambda: _visit(services, request))


async def visit_of(request: web.Request) -> Visit | None:
    """Whose request it is, where a key is welcome and none is needed; None without one. **Raises**: ProblemError for a key that is not known."""
    return await _visit(request.app[SERVICES], request) if "Authorization" in request.headers else None


def _path_errors(request: web.Request, route: Route) -> list[FieldError]:
    """What no id in the path can be. What is no list's, claim's, key's or integration's id is one that names nothing."""
    parts = zip(route.path.split("/"), request.rel_url.raw_path.split("/"), strict=False)
    named = ((name[1:-1], part) for name, part in parts if name.startswith("{"))
    return [{"parameter": name, "detail": wrong} for name, part in named if (wrong := not_utf8(part) or _no_id(name, request.match_info))]


def _no_id(name: str, path: Mapping[str, str]) -> str | None:
    try:
        if name in {"rep", "session"}:
            ids.opaque(path[name])
        elif name == "prospect" and (integration := integrations().get(path["integration"])) is not None:
            integration.prospect_id(path[name])
    except InvalidError as error:
        return str(error)
    return None


def _header_errors(visit: Visit, route: Route) -> list[FieldError]:
    key = visit.idempotency_key() if route.idempotent else None
    if key is None or (1 <= len(key) <= IDEMPOTENCY_KEY_MOST and key.isascii() and key.isprintable()):
        return []
    return [{"parameter": "Idempotency-Key", "detail": f"expected 1 to {IDEMPOTENCY_KEY_MOST} printable ASCII characters"}]


async def _authenticated(services: Services, request: web.Request) -> tuple[Org, ApiKey]:
    """The org and the key. The org as it is remembered, unless it does not know the key: then as the store has it."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    parts = _KEY.fullmatch(token.strip())
    if scheme.lower() == "bearer" and parts:
        sha256 = api_key_sha256(token.strip())
        for fresh in (False, True):
            org = await services.orgs.get(parts[1], fresh=fresh)
            key = org.keys.get(parts[2]) if org else None
            if org and key and hmac.compare_digest(key.sha256, sha256):
                return org, key
    raise ProblemError("unauthenticated", "Send an API key that is known, as Authorization: Bearer rsv_…")


async def _body(visit: Visit, route: Route, errors: list[FieldError]) -> Any:
    """The body, validated; for a patch, its JSON value. **Raises**: ProblemError, which names what else is wrong with the request, too."""
    if route.body is not None:
        body = await _json(visit.request, route)
        return body if route.patch else validated(route.body, body, errors=errors)
    if errors:
        raise ProblemError.invalid(errors)
    return None


async def _json(request: web.Request, route: Route) -> object:
    try:
        if request.content.is_eof():
            text = await request.read()
        else:
            async with asyncio.timeout(BODY_WITHIN_S):
                text = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ProblemError("body-too-large", f"A body has at most {BODY_MOST_BYTES:,} bytes.") from None
    except (TimeoutError, web.RequestPayloadError, ConnectionError):
        raise ProblemError("body-incomplete", "The body did not come whole.") from None
    if broke_off(request):
        raise ProblemError("body-incomplete", "The body did not come whole.")
    if not text and route.body is not None and not route.body.model_fields:
        return {}
    if text and request.content_type not in route.media:
        raise ProblemError("unsupported-media-type", f"Expected {' or '.join(route.media)}, found {request.headers.get('Content-Type', 'none')[:80]}.")
    try:
        return parse(text)
    except MalformedJsonError as error:
        raise ProblemError("malformed-json", f"Expected one JSON value: {error}.") from None


@web.middleware
async def everything(request: web.Request, handler: Served) -> web.StreamResponse:
    """Gives every request its id and every failure its form, the router's own and a crash included."""
    asked = request.headers.get("X-Request-Id", "")
    id_ = asked if _REQUEST_ID.fullmatch(asked) else random_name(16)
    token = request_id.set(id_)
    begun_s = time.perf_counter()
    try:
        response = await _answered(request, handler, id_)
        if not response.prepared:
            response.headers["X-Request-Id"] = id_
        resource = request.match_info.route.resource
        known = ("-", "-") if resource is None else (request.method, resource.canonical)
        metrics.REQUESTS.observe(time.perf_counter() - begun_s, *known, str(response.status))
        return response
    finally:
        request_id.reset(token)


async def _answered(request: web.Request, handler: Served, id_: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem.response()
    except UnknownOutcomeError as error:
        log.warning("a claim's outcome is unknown: %s", error)
        detail = f"{error}. The claim may have been granted: ask again with this idempotency key."
        return _unavailable(error, detail, idempotency_key=error.key).response()
    except StoreUnavailableError as error:
        log.warning("the store is unavailable: %s", error)
        return _unavailable(error, f"{error}.").response()
    except web.HTTPNotFound:
        return ProblemError("not-found", "There is nothing at this path.").response()
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return ProblemError("method-not-allowed", f"{request.method} is not allowed here; {allowed} is.", headers={"Allow": allowed}).response()
    except web.HTTPException as error:
        return ProblemError("invalid-request" if error.status < 500 else "internal-error", error.reason).response()
    except Exception:
        log.exception("%s %s failed", request.method, request.match_info.route.resource.canonical if request.match_info.route.resource else "?")
        return ProblemError("internal-error", "This is a defect of the service. Its log has the request id.", request_id=id_).response()


def _unavailable(error: StoreUnavailableError, detail: str, **facts: object) -> ProblemError:
    return ProblemError("store-unavailable", detail[0].upper() + detail[1:], headers={"Retry-After": str(error.retry_after_s)}, **facts)
