"""The portal's server, in a thread with a loop of its own: the client blocks whatever loop it is called on."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from tests.support.hubspot.reading import Reading, answered
from tests.support.hubspot.records import Asked, Fault, Portal
from tests.support.hubspot.refusing import RefusalError, invalid, missing_scopes
from tests.support.hubspot.writing import Writing

WINDOW_S = 10
LISTS, CONTACTS, WRITES, OWNERS, SCHEMAS = (
    "crm.lists.read",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.owners.read",
    "crm.schemas.contacts.read",
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Call = Callable[[Asked], Any]
ASKED = web.RequestKey("asked", Asked)
BEARER = web.RequestKey("bearer", str)


class Server:
    """A portal behind an address."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.url = ""
        self._times: deque[float] = deque()
        self._over = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._asked])
        read, write = Reading(self.portal), Writing(self.portal)
        routes: tuple[tuple[str, str, str, Call], ...] = (
            ("GET", "/crm/v3/lists/{id}", LISTS, lambda it: read.definition(it.parts["id"])),
            ("POST", "/crm/v3/lists/search", LISTS, lambda it: read.search_lists(it.body)),
            ("GET", "/crm/v3/lists/{id}/memberships", LISTS, lambda it: read.memberships(it.parts["id"], it.query)),
            ("GET", "/crm/v3/objects/contacts", CONTACTS, lambda it: read.contacts(it.query)),
            ("POST", "/crm/v3/objects/contacts/batch/read", CONTACTS, lambda it: read.batch_read(it.body)),
            ("POST", "/crm/v3/objects/contacts/batch/update", WRITES, lambda it: write.update_contacts(it.body)),
            ("PATCH", "/crm/v3/objects/contacts/{id}", WRITES, lambda it: write.update_contact(it.parts["id"], it.body)),
            ("POST", "/crm/v3/objects/calls", WRITES, lambda it: (201, write.create_call(it.body))),
            ("POST", "/crm/v3/objects/calls/search", CONTACTS, lambda it: write.search_calls(it.body)),
            ("POST", "/crm/v3/objects/calls/batch/create", WRITES, lambda it: write.create_calls(it.body)),
            ("POST", "/crm/v3/objects/calls/batch/update", WRITES, lambda it: write.update_calls(it.body)),
            ("GET", "/crm/v3/objects/calls/{id}", CONTACTS, lambda it: read.call(it.parts["id"], it.query)),
            ("PATCH", "/crm/v3/objects/calls/{id}", WRITES, lambda it: write.update_call(it.parts["id"], it.body)),
            ("PUT", "/crm/v4/objects/calls/{id}/associations/default/contacts/{contact}", WRITES,
             lambda it: write.associate(it.parts["id"], it.parts["contact"])),
            ("GET", "/crm/v3/owners/", OWNERS, lambda it: read.owners(it.query)),
            ("GET", "/crm/v3/owners/{id}", OWNERS, lambda it: read.owner(it.parts["id"], it.query)),
            ("GET", "/crm/v3/properties/calls/{id}", CONTACTS, lambda it: read.call_property(it.parts["id"])),
            ("GET", "/crm/v3/properties/{id}", SCHEMAS, lambda it: read.properties(it.parts["id"])),
            ("GET", "/account-info/v3/details", "oauth", lambda _: read.account()),
            ("GET", "/account-info/v3/api-usage/daily/private-apps", "oauth", lambda _: read.daily_use()),
            ("POST", "/oauth/v2/private-apps/get/access-token-info", "oauth", lambda it: read.token(it.body)),
        )  # fmt: skip
        for method, path, scope, call in routes:
            app.router.add_route(method, path, self._handler(scope, call))
        return app

    def _handler(self, scope: str, call: Call) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if scope not in self.portal.scopes[request[BEARER]]:
                raise missing_scopes(scope)
            asked = request[ASKED]
            asked.parts = dict(request.match_info)
            told = call(asked)
            return answered(told[1], told[0]) if isinstance(told, tuple) else answered(told)

        return handle

    @web.middleware
    async def _asked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        raw = await request.read()
        asked = Asked(request.method, request.path, dict(request.query), _decoded(raw))
        request[ASKED] = asked
        self.portal.asked.append(asked)
        fault = self._fault(asked)
        if fault is not None and fault.kind not in {"lose", "truncate"}:
            answer = await self._wrong(request, fault)
        else:
            answer = await self._right(request, handler, raw)
            if fault is not None:
                answer = await self._cut(request, answer, whole=fault.kind == "lose")
        asked.status = answer.status
        return answer

    async def _right(self, request: web.Request, handler: Handler, raw: bytes) -> web.Response:
        try:
            left = self._spend()
            self._known(request, raw)
            answer = await handler(request)
        except RefusalError as refusal:
            left, answer = self._left(), refusal.answer()
            if refusal.status == 429 and self.portal.retry_after is not None:
                answer.headers["Retry-After"] = self.portal.retry_after
        except web.HTTPException as error:
            left, answer = self._left(), answered({"status": "error", "message": error.reason}, error.status)
        assert isinstance(answer, web.Response)
        told = {"Max": self.portal.most, "Remaining": left, "Interval-Milliseconds": WINDOW_S * 1_000, "Daily": 650_000, "Daily-Remaining": self.portal.daily}
        answer.headers.update({f"X-HubSpot-RateLimit-{name}": str(count) for name, count in told.items()})
        return answer

    def _known(self, request: web.Request, raw: bytes) -> None:
        request[BEARER] = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request[BEARER] not in self.portal.scopes:
            raise RefusalError(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        if raw and request.content_type != "application/json":
            raise RefusalError(415, "VALIDATION_ERROR", "a body is JSON")
        if raw and request[ASKED].body is None:
            raise invalid("Invalid input JSON")

    def _left(self) -> int:
        now = self.portal.clock()
        while self._times and self._times[0] <= now - WINDOW_S:
            self._times.popleft()
        return max(0, self.portal.most - len(self._times))

    def _spend(self) -> int:
        """**Source**: hubspot-api-python issue 117 for the body of a 429."""
        for policy, left in (("DAILY", self.portal.daily), ("TEN_SECONDLY_ROLLING", self._left())):
            if left <= 0:
                message = f"You have reached your {policy.lower()} limit."
                raise RefusalError(429, "RATE_LIMITS", message, errorType="RATE_LIMIT", policyName=policy, groupName="publicapi:private-apps")
        self._times.append(self.portal.clock())
        self.portal.daily -= 1
        return self._left()

    def _fault(self, asked: Asked) -> Fault | None:
        for fault in self.portal.faults:
            if fault.where in f"{asked.method} {asked.path}" and fault.times > 0:
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    async def _wrong(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "answer":
            body = fault.body.encode() if isinstance(fault.body, str) else fault.body
            return web.Response(status=fault.status, headers=fault.headers, body=body)
        if fault.kind == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.kind == "drip":
            drip = web.StreamResponse()
            await drip.prepare(request)
            while not self._over.is_set():
                try:
                    await drip.write(b" ")
                    await asyncio.wait_for(self._over.wait(), 0.02)
                except (TimeoutError, ConnectionError):
                    if request.transport is None or request.transport.is_closing():
                        break
            return drip
        await self._over.wait()
        return web.Response()

    async def _cut(self, request: web.Request, answer: web.Response, *, whole: bool) -> web.Response:
        """Sends half of a right answer, or none of it: what was done is done."""
        assert request.transport is not None
        body = answer.body
        assert isinstance(body, bytes)
        if not whole:
            head = f"HTTP/1.1 {answer.status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            request.transport.write(head.encode() + body[: len(body) // 2])
            request.transport.close()
        else:
            request.transport.abort()
        return answer


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


@contextmanager
def serving(portal: Portal) -> Iterator[Server]:
    """The portal on a port of its own, for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="hubspot")
    thread.start()

    async def start() -> tuple[Server, web.AppRunner]:
        server = Server(portal)
        runner = web.AppRunner(server.app(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        return server, runner

    server, runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)

    async def stop() -> None:
        server._over.set()
        await runner.cleanup()

    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
