"""The service as its callers meet it: on a real port, over a real store, with every answer held against what the OpenAPI document says of it."""

import base64
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from openapi_schema_validator import OAS31Validator
from yarl import URL

from reservoir.config import Config, Redis
from reservoir.domain.settings import OrgProfile, Scope
from reservoir.http import openapi
from reservoir.http.app import make_app
from reservoir.http.connections import Runner
from reservoir.storage.keys import ACTIVE, SYNCING
from reservoir.wiring import Services, services
from tests.support.commands import Commands
from tests.support.keyspace import Entry, snapshot

DOCUMENT = openapi.document()

ON_ANY_STORE = Config(redis=Redis(allow_unsafe=True))
"""For the server that tests share, which keeps nothing on a disk."""

PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"
REQUEST_ID = re.compile(r"[!-~]{1,128}")
NO_JSON: Any = object()

ANA: Mapping[str, Any] = {"rep": "ana@acme.com", "session": "s-1"}
BEN: Mapping[str, Any] = {"rep": "ben@acme.com", "session": "s-2"}


def path_part(text: str) -> str:
    """An id as a part of a path: percent-encoded, dots too, for clients take ``..`` for a way up."""
    return quote(text, safe="").replace(".", "%2E")


def operation_of(method: str, path: str) -> Mapping[str, Any] | None:
    """What the document says of this method on this path, or None."""
    for template, operations in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
            found = cast("Mapping[str, Any] | None", operations.get(method.lower()))
            if found is not None:
                return found
    return None


@cache
def _validator(schema: str) -> OAS31Validator:
    return OAS31Validator({**json.loads(schema), "components": DOCUMENT["components"]})


def flaws(value: object, schema: Mapping[str, Any]) -> list[str]:
    """Where a value is not what a schema of the document says."""
    return [f"{error.json_path}: {error.message}" for error in _validator(json.dumps(schema)).iter_errors(value)]


@dataclass(frozen=True)
class Told:
    """An answer, found to be as the document says."""

    status: int
    headers: CIMultiDictProxy[str]
    json: Any
    text: str

    @property
    def slug(self) -> str:
        """The last part of the problem's type; '' if it is none."""
        return str(self.json["type"]).removeprefix("/problems/") if self.status >= 400 else ""

    @property
    def where(self) -> set[str]:
        """The pointers and parameters of all bad fields."""
        return {error.get("pointer", error.get("parameter")) for error in self.json["errors"]}

    def refused(self, status: int, slug: str) -> "Told":
        """Itself, if it is that problem."""
        assert (self.status, self.slug) == (status, slug), f"{self.status} {self.text}"
        return self

    def invalid(self, *where: str) -> "Told":
        """Itself, if it is a 422 that names these bad fields and no others."""
        self.refused(422, "invalid-request")
        assert self.where == set(where), self.text
        return self


@dataclass
class Caller:
    """Somebody with an API key, or without one. ``app`` is where they ask; ``sent`` what goes with every request."""

    http: aiohttp.ClientSession
    root: str
    key: str | None = None
    sent: Mapping[str, str] = field(default_factory=dict)

    def at(self, other: "App") -> "Caller":
        """The same caller, asking another process."""
        return replace(self, root=other.root)

    async def __call__(
        self, method: str, path: str, body: Any = NO_JSON, *, data: Any = None, headers: Mapping[str, str] | None = None, expect: int | None = None
    ) -> Told:
        """Asks. ``body`` goes as JSON, ``data`` as it is. **Raises**: AssertionError for an answer that is not as the document says, or not ``expect``."""
        sent = CIMultiDict({"Authorization": f"Bearer {self.key}"} if self.key else {})
        if body is not NO_JSON:
            data = json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = JSON_TYPE
        sent.update(self.sent)
        sent.update(headers or {})
        url = URL(self.root + path, encoded=True)
        async with self.http.request(method, url, data=data, headers=sent, allow_redirects=False) as response:
            text = (await response.read()).decode()
            told = Told(response.status, response.headers, json.loads(text) if text and response.content_type.endswith("json") else None, text)
        _hold(method, path.partition("?")[0], told, sent.get("X-Request-Id"))
        assert expect is None or told.status == expect, f"{method} {path}: {told.status} {text}"
        return told

    async def get(self, path: str, expect: int | None = 200, **query: Any) -> Told:
        return await self("GET", f"{path}?{urlencode(query)}" if query else path, expect=expect)

    async def post(self, path: str, body: Any = NO_JSON, expect: int | None = None, **headers: str) -> Told:
        """``headers`` are named with _ for -."""
        return await self("POST", path, body, headers={name.replace("_", "-"): value for name, value in headers.items()}, expect=expect)

    async def patch(self, path: str, body: Any, expect: int | None = None, if_match: str | None = None) -> Told:
        sent = {"Content-Type": "application/merge-patch+json"} | ({} if if_match is None else {"If-Match": if_match})
        return await self("PATCH", path, body, headers=sent, expect=expect)

    async def pages(self, path: str, **query: Any) -> list[Any]:
        """All items, read page by page to the last."""
        found: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            page = (await self.get(path, **query, **cursor)).json
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    # What most tests begin with

    async def make_list(self, name: str, members: Iterable[str | Mapping[str, str]] = (), expect: int = 201) -> str:
        """A csv list with these members, in this order; one that is given by its id alone has a phone. Returns the list's id."""
        list_ = (await self.post("/v1/lists", {"name": name, "integration": "csv"}, expect)).json["id"]
        rows = [member if isinstance(member, Mapping) else {"id": member} for member in members]
        if rows:
            await self.fill(list_, rows)
        return str(list_)

    async def fill(self, list_: str, rows: Iterable[str | Mapping[str, str]]) -> Told:
        """Makes these rows the list's whole content."""
        return await self.put(list_, csv_of(rows), expect=200)

    async def put(self, list_: str, data: Any, content: str = "text/csv", expect: int | None = None) -> Told:
        return await self("PUT", f"/v1/lists/{list_}/members", data=data, headers={"Content-Type": content}, expect=expect)

    async def enable(self, integration: str = "csv", *, enabled: bool = True, **timeout: str | int) -> None:
        """Switches multi-rep dialing on, with another reservation timeout if one is given."""
        body = {"enabled": enabled} | ({"reservation_timeout": timeout} if timeout else {})
        await self.patch(f"/v1/integrations/{integration}/multi-rep-dialing", body, 200)

    async def claim(self, list_: str, count: int = 1, expect: int | None = 201, key: str | None = None, **how: Any) -> Told:
        """Claims the next of a list, as Ana and in parallel unless ``how`` says otherwise."""
        body = {**ANA, "mode": "parallel", "count": count, **how}
        return await self.post(f"/v1/lists/{list_}/claims", body, expect, **({} if key is None else {"Idempotency_Key": key}))

    async def take(self, list_: str, **how: Any) -> Any:
        """The one prospect claimed."""
        (claim,) = (await self.claim(list_, **how)).json["claims"]
        return claim

    async def claim_one(self, prospect: str, integration: str = "csv", expect: int | None = 201, key: str | None = None, **how: Any) -> Told:
        """Claims one particular prospect, as Ana and with power unless ``how`` says otherwise."""
        body = {"prospect": {"integration": integration, "id": prospect}, **ANA, "mode": "power", **how}
        return await self.post("/v1/claims", body, expect, **({} if key is None else {"Idempotency_Key": key}))

    async def after(self, claim: Mapping[str, Any], verb: str, body: Any = NO_JSON, expect: int | None = None) -> Told:
        """Does something to a claim."""
        return await self.post(f"/v1/claims/{claim['id']}/{verb}", body, expect)

    async def counts(self, list_: str) -> Any:
        return (await self.get(f"/v1/lists/{list_}")).json["counts"]


def csv_of(rows: Iterable[str | Mapping[str, str]]) -> bytes:
    """A CSV file of these rows; one without a phone column gets a phone."""
    told = [{"id": row, "phone": "+14155550100"} if isinstance(row, str) else {"phone": "+14155550100", **row} for row in rows]
    names = list(dict.fromkeys(name for row in told for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(told)
    return text.getvalue().encode()


def kept(client: Commands) -> Mapping[str, Entry]:
    """Every key but those in which a process notes that an org, its syncs and its API keys are in use, for these change though nothing was done."""
    return {key: entry for key, entry in snapshot(client).items() if key not in {ACTIVE, SYNCING} and not key.endswith(":keys-used")}


def ids_of(claims: Iterable[Mapping[str, Any]]) -> list[str]:
    """Whom the claims (or reservations, or members) are about."""
    return [str(claim["prospect"]["id"]) for claim in claims]


def at(told: str) -> datetime:
    """An instant that the service told."""
    return datetime.fromisoformat(told)


def lasts_ms(claim: Mapping[str, Any], since: str = "claimed_at") -> int:
    """For how long a claim is good, from the time at which it was claimed."""
    return (at(claim["expires_at"]) - at(claim[since])) // timedelta(milliseconds=1)


def cursor_of(value: object) -> str:
    """A cursor as the service would write it, of whatever is in it."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@dataclass
class App:
    """One process's worth of the service."""

    services: Services
    root: str
    http: aiohttp.ClientSession

    def caller(self, key: str | None = None) -> Caller:
        return Caller(self.http, self.root, key)

    async def org(self, id_: str, *, time_zone: str = "UTC", sandbox: bool = False) -> Caller:
        """Creates an org, and its first admin."""
        assert await self.services.orgs.create(OrgProfile(id_, id_.title(), time_zone, "US", sandbox))
        return await self.member_of(id_, "admin")

    async def member_of(self, org_id: str, scope: Scope) -> Caller:
        """Another caller of the org, with a key of this scope."""

        async def create(org: Any) -> str:
            return (await self.services.settings.create_key(org, f"a {scope} key", (scope,), "a test"))[1]

        return self.caller(await self.services.orgs.ask(org_id, create))


@asynccontextmanager
async def running(url: str, config: Config = ON_ANY_STORE) -> AsyncIterator[App]:
    """The service on the store at ``url``, on a port of its own."""
    async with services(config, url) as opened:
        runner = Runner(make_app(opened), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
                yield App(opened, f"http://127.0.0.1:{port}", http)
        finally:
            await runner.cleanup()


def _hold(method: str, path: str, told: Told, request_id: str | None) -> None:
    """Holds an answer against the document and against what is true of every answer. **Raises**: AssertionError."""
    said = f"{method} {path}: {told.status} {told.text}"
    echoed = told.headers["X-Request-Id"]
    assert REQUEST_ID.fullmatch(echoed), said
    if request_id is not None and REQUEST_ID.fullmatch(request_id):
        assert echoed == request_id, said
    operation = operation_of(method, path)
    content = told.headers.get("Content-Type", "").partition(";")[0]
    if told.status >= 400:
        assert content == PROBLEM_TYPE, said
        assert told.json["status"] == told.status, said
        assert not flaws(told.json, {"$ref": "#/components/schemas/Problem"}), said
        assert re.fullmatch(r"/problems/[a-z-]+", told.json["type"]), said
        assert told.json["detail"], said
        assert ("errors" in told.json) == (told.slug == "invalid-request"), said
    if operation is None or told.status == 405:
        assert told.slug in {"not-found", "method-not-allowed"}, said
        return
    assert str(told.status) in operation["responses"], f"the document knows of no such answer: {said}"
    response = operation["responses"][str(told.status)]
    if told.status >= 400:
        assert told.slug in response["description"].split(", "), f"the document knows of no such problem: {said}"
    if "content" not in response:
        assert not told.text, said
        return
    assert content in response["content"], said
    found = flaws(told.json if content.endswith("json") else told.text, response["content"][content]["schema"])
    assert not found, f"{said}\n" + "\n".join(found)
