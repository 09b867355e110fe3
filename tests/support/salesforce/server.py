"""The org itself: an HTTP server in its own thread, since a client that blocks the loop of its server would wait for ever."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from tests.support.salesforce import logins, soql
from tests.support.salesforce.logins import INSTANCE, Credentials
from tests.support.salesforce.records import Record
from tests.support.salesforce.refusing import SalesforceRefusalError
from tests.support.salesforce.reports import Report, Reports
from tests.support.salesforce.writes import Writer

VERSION = "59.0"
HTML = "<html><head><title>Salesforce - Maintenance</title></head><body>We'll be right back.</body></html>"


class Fault(Enum):
    """What may go wrong with an answer besides what it says."""

    SLOW = auto()
    """No answer for as long as the client waits."""
    RESET = auto()
    """The connection ends before the answer."""
    TRUNCATED = auto()
    """The connection ends in the middle of the answer."""
    EMPTY = auto()
    """200, and nothing."""


@dataclass(frozen=True)
class Says:
    """An answer in place of the org's own."""

    status: int
    body: Any = HTML
    headers: Mapping[str, str] = field(default_factory=dict)


def refuses(status: int, code: str, message: str, **headers: str) -> Says:
    """A refusal in Salesforce's form."""
    return Says(status, [{"errorCode": code, "message": message}], {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    host: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class SalesforceOrg:
    """What a test sets up, and what it can see of what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.credentials: Credentials = logins.credentials()
        self.records: dict[str, dict[str, Record]] = {name: {} for name in ("Lead", "Contact", "Account", "Campaign", "CampaignMember", "Task", "User", "Case")}
        self.records["Organization"] = {"00D000000000001AAA": {"Id": "00D000000000001AAA", "TimeZoneSidKey": "America/Los_Angeles"}}
        self.reports = Reports(self.records)
        self.writer = Writer(self.records)
        self.list_views: dict[str, tuple[str, str]] = {}
        """Object and query by id."""
        self.unseen: set[str] = set()
        """Fields, as ``Lead.DoNotCall``, that the user has no right to read."""
        self.batch = 2_000
        """Records in one answer to a query."""
        self.limits: dict[str, Any] = {
            "DailyApiRequests": {"Max": 15_000, "Remaining": 14_998},
            "HourlySyncReportRuns": {"Max": 500, "Remaining": 500},
            "HourlyAsyncReportRuns": {"Max": 1_200, "Remaining": 1_200},
        }
        self.seen: list[Seen] = []
        self.logins = 0
        self.sessions: set[str] = set()
        self.before: Callable[[Seen], None] = lambda _: None
        """Called with each request, to change the org between two of them."""
        self._faults: list[tuple[re.Pattern[str], Fault | Says, int]] = []
        self._locators: dict[str, tuple[list[Record], int]] = {}
        self._closing: asyncio.Event | None = None

    # ---- what a test does ----

    def add(self, name: str, *records: Record) -> None:
        """More records."""
        self.records[name] |= {record["Id"]: record for record in records}

    def save(self, report: Report) -> str:
        """A saved report: its id."""
        self.reports.saved[report.metadata["id"]] = report
        return str(report.metadata["id"])

    def fail(self, path: str, fault: Fault | Says, times: int = 1_000_000) -> None:
        """From now on requests whose path matches fare so, so many times."""
        self._faults.append((re.compile(path), fault, times))

    def heal(self) -> None:
        """No fault any more."""
        self._faults.clear()

    def revoke(self) -> None:
        """Every session ends."""
        self.sessions.clear()

    def runs(self) -> list[Any]:
        """The definitions of the report runs that were asked for."""
        return [seen.json["reportMetadata"] for seen in self.seen if seen.method == "POST" and "/analytics/reports/" in seen.path]

    # ---- what the client meets ----

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Every request."""
        body = (await request.read()).decode()
        seen = Seen(request.method, request.path, request.headers.get("X-Original-Host", ""), dict(request.query), dict(request.headers), body)
        self.seen.append(seen)
        self.before(seen)
        fault = self._fault(seen)
        if isinstance(fault, Says):
            return _written(fault)
        answer = self._answer(seen)
        return await self._faulty(request, fault, answer) if fault is not None else answer

    def _fault(self, seen: Seen) -> Fault | Says | None:
        for index, (pattern, fault, times) in enumerate(self._faults):
            if pattern.search(seen.path) and times > 0:
                self._faults[index] = (pattern, fault, times - 1)
                return fault
        return None

    async def _faulty(self, request: web.Request, fault: Fault, answer: web.Response) -> web.StreamResponse:
        assert request.transport is not None
        if fault is Fault.SLOW:
            assert self._closing is not None
            await self._closing.wait()
        elif fault is Fault.EMPTY:
            return web.Response(body=b"", content_type="application/json")
        elif fault is Fault.TRUNCATED:
            whole = str(answer.text).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n".encode()
            request.transport.write(head + whole[: len(whole) // 2])
        request.transport.close()
        return answer

    def _answer(self, seen: Seen) -> web.Response:
        try:
            if seen.path == "/services/oauth2/token":
                return self._token(seen)
            if found := re.fullmatch(r"/services/Soap/u/([\d.]+)", seen.path):
                return self._soap(seen, found[1])
            self._admit(seen)
            status, body = self._rest(seen)
        except SalesforceRefusalError as error:
            status, body = error.status, error.body
        used = 2 + len(self.seen)
        headers = {"Sforce-Limit-Info": f"api-usage={used}/15000"}
        return web.Response(status=status, headers=headers) if body is None else web.json_response(body, status=status, headers=headers)

    def _token(self, seen: Seen) -> web.Response:
        if seen.method != "POST" or not seen.host.endswith(".salesforce.com"):
            return _written(Says(404))
        status, body = logins.token(self.credentials, dict(parse_qsl(seen.body)), seen.headers, seen.host)
        return web.json_response({**body, "access_token": self._session()} if status == 200 else body, status=status)

    def _soap(self, seen: Seen, version: str) -> web.Response:
        status, body, let_in = logins.soap(self.credentials, seen.body, version)
        return web.Response(text=body.replace("%TOKEN%", self._session()) if let_in else body, status=status, content_type="text/xml")

    def _session(self) -> str:
        self.logins += 1
        token = f"00D!session.{self.logins}"
        self.sessions.add(token)
        return token

    def _admit(self, seen: Seen) -> None:
        if seen.host != INSTANCE:
            raise SalesforceRefusalError(404, "NOT_FOUND", f"there is no instance {seen.host!r}")
        if seen.headers.get("Authorization", "").removeprefix("Bearer ") not in self.sessions:
            raise SalesforceRefusalError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if seen.method in ("POST", "PATCH") and seen.headers.get("Content-Type") != "application/json":
            raise SalesforceRefusalError(415, "UNSUPPORTED_MEDIA_TYPE", "expected application/json")

    def _rest(self, seen: Seen) -> tuple[int, Any]:
        version, _, path = seen.path.removeprefix("/services/data/v").partition("/")
        if version != VERSION:
            raise SalesforceRefusalError(410, "UNSUPPORTED_API_VERSION", "this version is retired")
        for method, pattern, answer in self._routes():
            if method == seen.method and (found := re.fullmatch(pattern, path)):
                return answer(seen, *found.groups())
        raise SalesforceRefusalError(404, "NOT_FOUND", "The requested resource does not exist")

    def _routes(self) -> Iterator[tuple[str, str, Callable[..., tuple[int, Any]]]]:
        yield "GET", "limits/?", lambda _: (200, self.limits)
        yield "GET", "query/?", lambda seen: (200, self._query(seen.query["q"]))
        yield "GET", r"query/(01g\w+)-(\d+)", lambda _, locator, start: (200, self._more(locator, int(start)))
        yield "GET", "analytics/reports/?", lambda _: (200, [{"id": report, "name": "…"} for report in self.reports.saved])
        yield "GET", r"analytics/reports/(\w+)/describe", lambda _, report: (200, self.reports.describe(report))
        yield "GET", r"analytics/reports/(\w+)", lambda seen, report: (200, _with_details(seen, self.reports.run(report, None)))
        yield "POST", r"analytics/reports/(\w+)", lambda seen, report: (200, _with_details(seen, self.reports.run(report, seen.json["reportMetadata"])))
        yield "GET", r"sobjects/(\w+)/listviews/(\w+)/describe", lambda _, name, view: (200, self._list_view(name, view))
        yield "GET", r"sobjects/(\w+)/describe", lambda _, name: (200, self.writer.describe(name))
        yield "POST", r"sobjects/(\w+)/?", lambda seen, name: self.writer.create(name, seen.json)
        yield "PATCH", r"sobjects/(\w+)/(\w+)", lambda seen, name, record: self.writer.update(name, record, seen.json)
        yield "PATCH", r"sobjects/(\w+)/(\w+)/([\w.-]+)", lambda seen, name, external, value: self.writer.upsert(name, external, value, seen.json)
        yield "PATCH", r"composite/sobjects/(\w+)/(\w+)", lambda seen, name, external: self.writer.upsert_all(name, external, seen.json)
        for method in ("POST", "PATCH"):
            yield method, "composite/sobjects/?", lambda seen: self.writer.composite(seen.method, seen.json)

    def _query(self, query: str) -> dict[str, Any]:
        found = soql.run(query, self.records, self.unseen)
        locator = f"01g{len(self._locators):015}"
        self._locators[locator] = (found, len(found))
        return self._more(locator, 0)

    def _more(self, locator: str, start: int) -> dict[str, Any]:
        if locator not in self._locators:
            raise SalesforceRefusalError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        found, total = self._locators[locator]
        answer: dict[str, Any] = {"totalSize": total, "done": start + self.batch >= total, "records": found[start : start + self.batch]}
        return answer if answer["done"] else {**answer, "nextRecordsUrl": f"/services/data/v{VERSION}/query/{locator}-{start + self.batch}"}

    def forget_queries(self) -> None:
        """Salesforce puts the results of queries away."""
        self._locators.clear()

    def _list_view(self, name: str, view: str) -> dict[str, Any]:
        found, query = self.list_views.get(view, ("", ""))
        if found != name:
            raise SalesforceRefusalError(404, "NOT_FOUND", "The requested resource does not exist")
        return {"id": view, "sobjectType": name, "query": query, "columns": [], "scope": "everything"}

    # ---- the thread ----

    async def run(self, ready: Callable[[asyncio.AbstractEventLoop], None], stop: asyncio.Event) -> None:
        """Serves until it is told to stop."""
        self._closing = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready(asyncio.get_running_loop())
        await stop.wait()
        self._closing.set()
        await runner.cleanup()


@contextmanager
def salesforce_org() -> Iterator[SalesforceOrg]:
    """An org that answers at its ``url``, with nobody in it."""
    org = SalesforceOrg()
    stop = asyncio.Event()
    started = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def ready(loop: asyncio.AbstractEventLoop) -> None:
        loops.append(loop)
        started.set()

    thread = threading.Thread(target=lambda: asyncio.run(org.run(ready, stop)), name="salesforce")
    thread.start()
    try:
        assert started.wait(10)
        yield org
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


def _with_details(seen: Seen, answer: dict[str, Any]) -> dict[str, Any]:
    """Without ``includeDetails`` there are totals alone."""
    if seen.query.get("includeDetails") != "true":
        answer["factMap"] = {key: {**fact, "rows": []} for key, fact in answer["factMap"].items()}
    return answer


def _written(says: Says) -> web.Response:
    if isinstance(says.body, str):
        return web.Response(text=says.body, status=says.status, headers=says.headers, content_type="text/html")
    return web.json_response(says.body, status=says.status, headers=says.headers)
