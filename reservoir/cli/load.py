"""Load, for `reservoir bench`: so many who ask over and over, each on a connection of its own, and what their asking took."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from reservoir.cli.failing import FailedError
from reservoir.storage import keys
from reservoir.storage.lane import Replication
from reservoir.storage.redis import open_store

Ask = Callable[[], Awaitable[bool]]
"""Something done once; False: there is nothing left to do it with."""

KEPT_S = 60


@dataclass(slots=True)
class Measured:
    """One kind's turns together."""

    about: str
    at_once: int
    took_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    async def turn(self, asks: Sequence[Ask], seconds: float) -> None:
        """All ask over and over for so long, or until nothing is left."""
        begun_s = time.perf_counter()

        async def one(ask: Ask) -> None:
            while (sent_s := time.perf_counter()) < begun_s + seconds:
                if not await ask():
                    return
                self.latencies_s.append(time.perf_counter() - sent_s)

        await asyncio.gather(*map(one, asks[: self.at_once]))
        self.took_s += time.perf_counter() - begun_s

    @property
    def per_second(self) -> float:
        """How many were done in a second."""
        return len(self.latencies_s) / self.took_s if self.took_s else 0.0

    def percentile_ms(self, percent: int) -> float | None:
        """What so many of a hundred took at most; None if nothing was done."""
        found = sorted(self.latencies_s)
        return round(found[min(len(found) - 1, len(found) * percent // 100)] * 1_000, 3) if found else None

    def told(self) -> dict[str, object]:
        """For programs."""
        figures = {"per_second": round(self.per_second, 1), "p50_ms": self.percentile_ms(50), "p99_ms": self.percentile_ms(99)}
        return {"about": self.about, "at_once": self.at_once, "done": len(self.latencies_s), **figures}


async def claiming(at_the_end: AsyncExitStack, url: str, key: str, list_id: str, number: int) -> Ask:
    """One dialer, on a connection of its own, who claims one person at a time with power."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    at_the_end.callback(writer.close)
    body = json.dumps({"rep": f"rep-{number}", "session": f"session-{number}", "mode": "power"}).encode()
    head = f"POST /v1/lists/{list_id}/claims HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def ask() -> bool:
        writer.write(request)
        answered = await reader.readuntil(b"\r\n\r\n")
        content = await reader.readexactly(int(answered.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        status = answered.split(b" ", 2)[1]
        if status not in {b"200", b"201"}:
            raise FailedError(f"A claim was refused: {json.loads(content).get('detail', status)}")
        return status == b"201"

    return ask


async def writing(at_the_end: AsyncExitStack, url: str, replication: Replication | None) -> Ask:
    """One client of the store alone, on a connection of its own, that writes a key and waits until it is kept as claims are kept."""
    store = await open_store(url, replication)
    at_the_end.push_async_callback(store.close)

    async def ask() -> bool:
        if await store.scripts.call("SET", keys.DOCTOR, "bench", "EX", KEPT_S) != b"OK":
            raise FailedError("The store refused a write.")
        return True

    return ask
