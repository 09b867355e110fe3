"""One request, sent once: what came of it, and whether it may have been done all the same."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from yarl import URL

from reservoir.client.answers import Json
from reservoir.client.errors import RefusedError, ReservoirError, UnavailableError

Told = TypeVar("Told")

Kind = Literal["read", "write", "claim", "once"]
"""What a repeat does: a ``read`` does nothing at all; a ``write`` changes nothing more; a ``claim`` takes nothing more, by its idempotency key; what is
``once`` would be done twice."""

NO_BODY: Json = {}

_LATER = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may fare better: the service's own, and those of a reverse proxy that restarts it."""

_NOT_DONE = frozenset({"too-many-requests", "body-incomplete", "not-ready"})
_TOLD_BY_THE_STORE = frozenset(
    {
        "claim-lapsed",
        "claim-not-found",
        "claim-unreserved",
        "claim-not-attempted",
        "do-not-call",
        "extension-limit",
        "idempotency-key-reused",
        "list-not-found",
        "not-a-member",
        "prospect-reserved",
        "reservation-not-removable",
    }
)
"""Refusals that the store decides with the claim or the key in hand: after them nothing is in doubt, whatever became of earlier sendings."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Told]):
    """A request, the same however often it is sent. **Units**: ``wait_s`` is how long the service may take on purpose."""

    kind: Kind
    method: Literal["GET", "POST"]
    path: str
    read: Callable[[Any], Told]
    body: Json | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    wait_s: int = 0


@dataclass(frozen=True, slots=True)
class Answered(Generic[Told]):
    """The service did what it was asked, and said so."""

    told: Told


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not, or nobody knows.

    **Shape**: ``done`` says whether this sending may have been carried out; ``told``: the store has answered for all sendings of the request.
    ``again``: whether another sending may fare better, and not before ``pause_s``.
    """

    error: ReservoirError
    done: Literal["no", "maybe", "told"]
    again: bool
    pause_s: int = 0


def path(*parts: str) -> str:
    """The parts of a path, each percent-encoded; those that a URL would take for a way up, too."""
    return "/v1/" + "/".join(quote(part, safe="").replace(".", "%2E") if part.strip(".") == "" else quote(part, safe="") for part in parts)


class Line:
    """The way to the service: one pool of connections, without a limit, for a claim that waits must not keep an attempt waiting."""

    def __init__(self, url: str, api_key: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"expected the service's address, such as https://reservoir.example.com, found {url!r}")
        if not (api_key and api_key.isascii() and api_key.isprintable()):
            raise ValueError("expected an API key")
        if timeout_s <= 0:
            raise ValueError(f"expected a time-out in seconds, found {timeout_s!r}")
        self.root = url.rstrip("/")
        self.timeout_s = timeout_s
        self._headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
        self._http: aiohttp.ClientSession | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._http is not None and not self._http.closed

    def open(self) -> None:
        """Makes it ready; connections are made when they are needed."""
        connector = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(connector=connector, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        """Closes all connections; what is under way fails. **Again**: nothing."""
        if self._http is not None:
            await self._http.close()

    async def send(self, asked: Asked[Told], idempotency_key: str | None) -> Answered[Told] | Failed:
        """Sends the request once, within the time-out and what it may wait besides."""
        if self._http is None or self._http.closed:
            return Failed(UnavailableError("the client was closed"), "no", again=False)
        url = URL(f"{self.root}{asked.path}{'?' if asked.query else ''}{urlencode(asked.query)}", encoded=True)
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        timeout = aiohttp.ClientTimeout(total=self.timeout_s + asked.wait_s, connect=self.timeout_s)
        try:
            async with self._http.request(asked.method, url, json=asked.body, headers=headers, timeout=timeout, allow_redirects=False) as response:
                return _judged(asked, response.status, response.headers, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            again = not isinstance(error, aiohttp.ClientConnectorCertificateError)
            return Failed(UnavailableError(f"there is no connection to {self.root}: {_said(error)}"), "no", again)
        except TimeoutError:
            return Failed(UnavailableError(f"there was no answer within {timeout.total:g} s"), "maybe", again=True)
        except (aiohttp.ClientError, OSError) as error:
            return Failed(UnavailableError(f"the answer was lost: {_said(error)}"), "maybe", again=True)


def _judged(asked: Asked[Told], status: int, headers: Mapping[str, str], body: bytes) -> Answered[Told] | Failed:
    request_id = headers.get("X-Request-Id")
    try:
        told = json.loads(body)
        if status < 300:
            return Answered(asked.read(told))
        refused = RefusedError.of(told, request_id)
    except (KeyError, TypeError, ValueError, AttributeError):
        location = f" (to {headers['Location'][:200]})" if "Location" in headers else ""
        error = UnavailableError(f"the answer was {status}{location} in a form that this client does not know; is this the address of a service?", request_id)
        return Failed(error, "maybe", again=status in _LATER, pause_s=_pause_s(headers))
    if status < 500:
        done: Literal["no", "maybe", "told"] = "told" if refused.slug in _TOLD_BY_THE_STORE else "no"
        return Failed(refused, done, again=refused.slug in _NOT_DONE, pause_s=_pause_s(headers))
    done = "no" if refused.slug in _NOT_DONE or _is_nothing_taken(asked.kind, told, refused) else "maybe"
    return Failed(UnavailableError(str(refused), request_id), done, again=status in _LATER, pause_s=_pause_s(headers))


def _is_nothing_taken(kind: Kind, told: Json, refused: RefusedError) -> bool:
    """Whether a 503 says that a claim took nothing: where it may have, it returns the idempotency key."""
    return kind == "claim" and refused.slug == "store-unavailable" and "idempotency_key" not in told


def _pause_s(headers: Mapping[str, str]) -> int:
    told = headers.get("Retry-After", "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 10 else 0


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
