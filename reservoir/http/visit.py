"""A visit: one request on its way through, once it is known whose it is."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from reservoir.domain import ids
from reservoir.domain.refusals import InvalidError, Refused
from reservoir.domain.settings import ApiKey, Scope
from reservoir.http.problems import FieldError, ProblemError
from reservoir.http.query import Query, cursor_text
from reservoir.integrations.base import integrations
from reservoir.storage.orgs import Org
from reservoir.wiring import Services

IDEMPOTENCY_KEY_MOST = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered. **Shape**: ``content`` as JSON; None for a status that has none."""

    content: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        """The answer on its way out."""
        if self.content is None:
            return web.Response(status=self.status, headers=self.headers)
        return web.Response(body=orjson.dumps(self.content), status=self.status, headers=self.headers, content_type="application/json")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks, on what, of whom. ``renew`` asks anew who it is, of the org as it is now: for a request that outlasts a setting."""

    services: Services
    request: web.Request
    org: Org
    key: ApiKey
    renew: "Callable[[], Awaitable[Visit]]"
    query: Query = field(default_factory=Query)
    errors: Sequence[FieldError] = ()
    """What is wrong with a patch's request besides its body, which only the handler can judge."""

    @property
    def by(self) -> str:
        """Who it is, for the record of what an admin did: the key's id, for a key may be called by a person's name."""
        return self.key.id

    def part(self, name: str) -> str:
        """A part of the path, decoded."""
        return self.request.match_info[name]

    def list_id(self) -> str:
        """The list that the path names. **Raises**: ProblemError (``list-not-found``) for what can be no list's id."""
        try:
            return ids.list_id(self.part("list"))
        except InvalidError:
            raise ProblemError("list-not-found", "There is no such list.") from None

    def claim_id(self) -> str:
        """The claim that the path names. **Raises**: ProblemError (``claim-not-found``) for what can be no claim's id."""
        if not ids.CLAIM_ID.fullmatch(self.part("claim")):
            raise ProblemError("claim-not-found", "There is no such claim.")
        return self.part("claim")

    def integration(self) -> str:
        """The integration that the path names. **Raises**: ProblemError (``integration-not-found``)."""
        name = self.part("integration")
        if name not in integrations():
            raise ProblemError("integration-not-found", "There is no such integration.")
        return name

    def prospect(self) -> str:
        """The canonical id of the prospect that the path names, which was found to be one. **Raises**: ProblemError (``integration-not-found``)."""
        return integrations()[self.integration()].prospect_id(self.part("prospect"))

    def patched(self, model: type[BaseModel], target: object, patch: object, context: object = None, fixed: str = "") -> Any:
        """What a patch makes of its target, held against the model. **Raises**: ProblemError that names every bad field of the request, and ``fixed``, a member
        that is what it is, where the patch names it.
        """
        errors = [*self.errors]
        if isinstance(patch, dict) and fixed in patch:
            patch = {name: value for name, value in patch.items() if name != fixed}
            errors.append({"pointer": f"/{fixed}", "detail": "unknown field"})
        return validated(model, merge_patch(target, patch), context, errors)

    def idempotency_key(self) -> str | None:
        """The caller's idempotency key, or None."""
        return self.request.headers.get("Idempotency-Key")

    def require_match(self, tag: str) -> None:
        """Holds ``If-Match``, if there is one, against what is there. **Raises**: ProblemError (``precondition-failed``).

        **Source**: RFC 9110 section 13.1.1; weak tags never match.
        """
        wanted = self.request.headers.get("If-Match")
        if wanted is None or wanted.strip() == "*" or tag in [one.strip() for one in wanted.split(",")]:
            return
        raise ProblemError("precondition-failed", f"It is {tag} by now, not {wanted[:80]}: read it again.")


def page_answer(items: list[Any], after: object | None) -> Answer:
    """A page with its cursor."""
    return Answer({"items": items, "next_cursor": None if after is None else cursor_text(after)})


def validated(model: type[BaseModel], value: object, context: object = None, errors: Sequence[FieldError] = ()) -> Any:
    """A body held against its model; ``errors`` is what else is wrong. **Raises**: ProblemError that names every bad field."""
    try:
        body = model.model_validate(value, context=context)
    except ValidationError as error:
        raise ProblemError.invalid([*errors, *(_field_error(one) for one in error.errors(include_url=False))]) from None
    if errors:
        raise ProblemError.invalid(errors)
    return body


def merge_patch(target: object, patch: object) -> object:
    """A target with a patch merged in. A null stays a null, for the model to judge: nothing here has a member that may simply go.

    **Source**: RFC 7396 section 2.
    """
    if not isinstance(patch, dict):
        return patch  # which no model here takes for an object
    merged = dict(target) if isinstance(target, dict) else {}
    return merged | {name: merge_patch(merged.get(name), value) for name, value in patch.items()}


def etag(document: object) -> str:
    """The entity tag of a document: the same as long as it is."""
    return f'"{hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()[:20]}"'


Handler = Callable[[Visit, Any], Awaitable[Answer | Refused | web.StreamResponse]]
Finder = Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the API.

    **Shape**: ``scope`` None: no key is needed. ``body`` the model that validates it, ``patch`` whether it is a merge patch that the handler validates once
    merged. ``find`` raises if what the path names is not there; it is asked when the rest is bad, for that comes second. ``query`` names its parameters, and
    ``cursor`` says what its cursors are made of. ``streams``: the handler reads the body itself, once it has asked the store for what the path names.
    ``streamed_as``: what else may be accepted than JSON.
    """

    method: str
    path: str
    handle: Handler
    scope: Scope
    summary: str
    body: type[BaseModel] | None = None
    patch: bool = False
    find: Finder | None = None
    answer: str = "object"
    status: int = 200
    query: tuple[str, ...] = ()
    cursor: tuple[type, ...] = ()
    problems: tuple[str, ...] = ()
    media: tuple[str, ...] = ("application/json",)
    streams: bool = False
    streamed_as: tuple[str, ...] = ()

    @property
    def idempotent(self) -> bool:
        """Whether a key makes a repeat of it safe."""
        return "idempotency-key-reused" in self.problems


def _field_error(error: Any) -> FieldError:
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error["loc"] if part != "[key]")
    pointer += getattr(error.get("ctx", {}).get("error"), "at", "")
    detail = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        detail = "missing"
    elif error["type"] == "extra_forbidden":
        detail = "unknown field"
    else:
        if error["type"] == "model_type":
            detail = "expected an object"
        shown = "a list" if isinstance(error["input"], list) else _shown(error["input"])
        told = "found" in detail or (isinstance(error["input"], str) and shown in detail)
        if not isinstance(error["input"], dict) and not told:
            detail += f", found {shown}"
    return {"pointer": pointer, "detail": detail}


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"
