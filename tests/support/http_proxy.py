"""A proxy between a client and the service, which does to requests and answers what networks do to them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import urlsplit

HOST = "127.0.0.1"


class Fate(Enum):
    """What becomes of one request."""

    PASS = auto()
    REFUSE = auto()
    """The connection ends before the service sees the request."""
    LOSE = auto()
    """The service answers, and the connection ends before the answer."""
    CUT = auto()
    """The connection ends in the middle of the answer."""
    SWALLOW = auto()
    """The service answers, and nothing arrives for as long as the client waits."""
    LATE = auto()
    """The connection ends, and the service sees the request only when `Proxy.deliver` is called."""


@dataclass(frozen=True)
class Says:
    """An answer in place of the service's, which sees nothing."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(status: int, slug: str, headers: Mapping[str, str] | None = None, **facts: object) -> Says:
    """A problem in place of the service's answer."""
    told = {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": f"a {slug} of the test", **facts}
    return Says(status, json.dumps(told), {"Content-Type": "application/problem+json", **(headers or {})})


@dataclass(frozen=True)
class Seen:
    """A request as it came to the proxy."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    raw: bytes = field(repr=False)

    @property
    def key(self) -> str | None:
        """Its idempotency key."""
        return self.headers.get("idempotency-key")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Decide = Callable[[Seen], Fate | Says]


def always(_: Seen) -> Fate:
    """Every request and every answer gets through."""
    return Fate.PASS


def in_turn(*fates: Fate | Says) -> Decide:
    """One fate after the other, and then all gets through."""
    left = iter(fates)
    return lambda _: next(left, Fate.PASS)


class Proxy:
    """Between a client and a service. ``decide`` is asked for the fate of each request; ``seen`` has all that came, in order."""

    def __init__(self, upstream: str) -> None:
        self._port = urlsplit(upstream).port
        self._late: list[Seen] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.decide: Decide = always
        self.seen: list[Seen] = []
        self.connections = 0
        self.swallowed = asyncio.Event()
        """Set when an answer has been swallowed."""
        self.url = ""

    async def deliver(self) -> None:
        """Brings the service the requests that are late, one after the other, and waits until it has answered them."""
        late, self._late = self._late, []
        for request in late:
            await self._upstream(request)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the client's, until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        finally:
            self.connections -= 1
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def close(self) -> None:
        """Ends all connections."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may come on this connection."""
        seen = _seen(await _message(reader))
        self.seen.append(seen)
        fate = self.decide(seen)
        if fate is Fate.REFUSE:
            return False
        if fate is Fate.LATE:
            self._late.append(seen)
            return False
        answer = _written(fate) if isinstance(fate, Says) else await self._upstream(seen)
        if fate is Fate.LOSE:
            return False
        if fate is Fate.SWALLOW:
            self.swallowed.set()
            await reader.read()
            return False
        writer.write(answer[: len(answer) // 2] if fate is Fate.CUT else answer)
        await writer.drain()
        return fate is not Fate.CUT

    async def _upstream(self, seen: Seen) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(seen.raw)
            return await _message(reader)
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def proxied(upstream: str) -> AsyncIterator[Proxy]:
    """A proxy before the service at this address."""
    proxy = Proxy(upstream)
    server = await asyncio.start_server(proxy.serve, HOST, 0)
    proxy.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A request or an answer, head and body. **Raises**: IncompleteReadError at the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(int(_headers(head).get("content-length", "0")))


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}


def _seen(raw: bytes) -> Seen:
    head, _, body = raw.partition(b"\r\n\r\n")
    method, path, _ = head.decode("latin-1").partition("\r\n")[0].split(" ")
    return Seen(method, path, _headers(head), body, raw)


def _written(says: Says) -> bytes:
    body = says.body.encode()
    lines: Iterable[str] = (f"{name}: {value}" for name, value in {**says.headers, "Content-Length": str(len(body))}.items())
    return "\r\n".join((f"HTTP/1.1 {says.status} Said", *lines, "", "")).encode() + body
