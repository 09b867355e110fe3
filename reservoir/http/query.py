"""The query of a request: which parameters there are, what each may be, and which page it asks for."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import unquote_plus, unquote_to_bytes

import orjson
from aiohttp import web

from reservoir.domain import ids
from reservoir.domain.claims import Mode
from reservoir.domain.history import EVENT_TYPES
from reservoir.domain.lists import MemberStatus
from reservoir.domain.refusals import InvalidError
from reservoir.domain.times import instant
from reservoir.http.problems import FieldError
from reservoir.integrations.base import integrations

PAGE_DEFAULT, PAGE_MOST = 100, 1_000

NO_CURSOR = "not a cursor of this list of results"

STATES = ("held", "reserved")
MODES: tuple[str, ...] = get_args(Mode)
STATUSES: tuple[str, ...] = get_args(MemberStatus)

_NO_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as the OpenAPI document tells of it, and what refuses a value that it cannot have."""

    about: str
    schema: Mapping[str, object]
    check: Callable[[str], object] = ids.opaque


def _one_of(words: Callable[[], Sequence[str]]) -> Callable[[str], object]:
    def check(text: str) -> None:
        if text not in words():
            raise InvalidError(f"expected one of {', '.join(words())}, found {text[:80]!r}")

    return check


def _limit(text: str) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= PAGE_MOST):
        raise InvalidError(f"expected a whole number from 1 to {PAGE_MOST:,}, found {text[:40]!r}")


_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}

PARAMETERS: Mapping[str, Parameter] = {
    "limit": Parameter("How many items a page has at most.", {"type": "integer", "minimum": 1, "maximum": PAGE_MOST, "default": PAGE_DEFAULT}, _limit),
    "cursor": Parameter("Where the last page ended: its next_cursor.", _TEXT),
    "rep": Parameter("Only what is this rep's; for members, how they stand for this rep.", _TEXT),
    "session": Parameter("Only what is this session's.", _TEXT),
    "list": Parameter("Only what was claimed from this list.", _TEXT, ids.list_id),
    "integration": Parameter("Only prospects of this integration.", _TEXT, _one_of(lambda: tuple(integrations()))),
    "state": Parameter("Only those in this state.", {"type": "string", "enum": [*STATES]}, _one_of(lambda: STATES)),
    "status": Parameter("Only members of this status.", {"type": "string", "enum": [*STATUSES]}, _one_of(lambda: STATUSES)),
    "mode": Parameter("The dialing mode that is asked about.", {"type": "string", "enum": [*MODES]}, _one_of(lambda: MODES)),
    "prospect": Parameter("Only what is about this record, by its bare id.", _TEXT),
    "claim": Parameter("Only what is about this claim.", _TEXT),
    "type": Parameter("Only entries of this type.", {"type": "string", "enum": [*EVENT_TYPES]}, _one_of(lambda: EVENT_TYPES)),
    "from": Parameter("Only what was so at this time or later.", _TIME, instant),
    "to": Parameter("Only what was so before this time.", _TIME, instant),
    "q": Parameter(
        "Part of a member's name, number or id; or a prospect's id, its number, or beginnings of words of its name: at most 50 are shown, and of several "
        "beginnings the first 5,000 who have the rarest are looked at.",
        _TEXT,
    ),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for: how many items, and what the last page ended with."""

    limit: int = PAGE_DEFAULT
    after: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What a request asks besides its path. **Shape**: parameters with an empty value are left out."""

    values: Mapping[str, str] = field(default_factory=dict)
    page: Page = Page()


def read_query(request: web.Request, names: Sequence[str], cursor: tuple[type, ...]) -> tuple[Query, list[FieldError]]:
    """The query, and what is wrong with it; ``names`` are the route's parameters, ``cursor`` what its cursors are made of."""
    errors: list[FieldError] = _not_encoded(request)
    unread = {error["parameter"] for error in errors}
    values: dict[str, str] = {}
    after: list[Any] | None = None
    for name in dict.fromkeys(name for name in request.query if name not in unread):
        given = request.query.getall(name)
        if name not in names:
            errors.append({"parameter": name, "detail": f"unknown; there are {', '.join(names) or 'none'}"})
        elif len(given) > 1:
            errors.append({"parameter": name, "detail": f"given {len(given)} times"})
        elif given[0] and (wrong := _wrong(name, given[0], cursor)):
            errors.append({"parameter": name, "detail": wrong})
        elif given[0]:
            values[name] = given[0]
    if "cursor" in values and not errors:
        after = _cursor(values["cursor"], cursor)
    limit = int(values["limit"]) if "limit" in values else PAGE_DEFAULT
    return Query(values, Page(limit, after)), errors


def not_utf8(part: str) -> str | None:
    """Why a part of a path or query cannot be decoded, or None. Decoding would leave its bytes encoded, and one id would be read as another."""
    if _NO_ENCODING.search(part):
        return "a % is not followed by two hexadecimal digits: write it as %25"
    try:
        unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    return None


def cursor_text(after: object) -> str:
    """A cursor as callers get it: what `read_query` reads again."""
    return base64.urlsafe_b64encode(orjson.dumps(after)).decode().rstrip("=")


def _not_encoded(request: web.Request) -> list[FieldError]:
    pairs = [pair.partition("=") for pair in request.rel_url.raw_query_string.split("&")]
    return [{"parameter": unquote_plus(name), "detail": wrong} for name, _, value in pairs if (wrong := not_utf8(name) or not_utf8(value))]


def _wrong(name: str, text: str, cursor: tuple[type, ...]) -> str | None:
    if name == "cursor":
        return None if _cursor(text, cursor) is not None else NO_CURSOR
    try:
        PARAMETERS[name].check(text)
    except InvalidError as error:
        return str(error)
    return None


def _cursor(text: str, shape: tuple[type, ...]) -> list[Any] | None:
    try:
        value = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except ValueError:
        return None
    fits = isinstance(value, list) and len(value) == len(shape) and all(type(one) is kind for one, kind in zip(value, shape, strict=True))
    return value if fits else None
