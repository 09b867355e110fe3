"""A TCP proxy before a server that knows where one reply ends and the next begins: it loses exactly the one that a test wants lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

Fate = Literal["drop", "swallow"]
"""``drop``: the reply is gone, and so is the connection. ``swallow``: the reply is gone, and the connection goes on as if it had never been."""

CHUNK = 1 << 16


@dataclass
class _Order:
    """What is to become of the next replies that fit."""

    fate: Fate
    fits: Callable[[bytes], bool]
    left: int
    then: Callable[[], object]


@dataclass
class Proxy:
    """Connections to ``server_port`` by way of another port. Change what it does between calls, from the same event loop."""

    server_port: int
    port: int = 0
    lost: int = 0
    accepted: int = 0
    _orders: list[_Order] = field(default_factory=list)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _refuses: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def lose(self, fits: bytes | Callable[[bytes], bool], *, fate: Fate = "drop", times: int = 1, then: Callable[[], object] = lambda: None) -> None:
        """Loses the next replies that have these bytes in them, or that the function admits; ``then`` is done as each is lost."""
        self._orders.append(_Order(fate, fits if callable(fits) else lambda raw: fits in raw, times, then))

    def forgive(self) -> None:
        """Loses nothing more."""
        self._orders.clear()

    def hold(self) -> None:
        """Lets no reply through, until `release`."""
        self._flows.clear()

    def release(self) -> None:
        """Lets through what was held, and what comes."""
        self._flows.set()

    def cut(self) -> None:
        """Closes all connections; new ones are welcome."""
        for writer in list(self._writers):
            writer.close()

    def refuse(self, *, refuses: bool = True) -> None:
        """Closes every new connection as it comes, or no more."""
        self._refuses = refuses

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        try:
            if self._refuses:
                return
            with contextlib.suppress(OSError):
                their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
                self._writers |= {writer, their_writer}
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._forward(reader, their_writer))
                    both.create_task(self._back(their_reader, writer))
        except* asyncio.CancelledError:
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while not writer.is_closing() and (data := await reader.read(CHUNK)):
                buffer += data
                while (end := reply_end(buffer, 0)) is not None:
                    raw, buffer = buffer[:end], buffer[end:]
                    await self._flows.wait()
                    if not self._passes(raw, writer):
                        return
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    def _passes(self, raw: bytes, writer: asyncio.StreamWriter) -> bool:
        """Sends a reply on, or loses it. False: the connection is closed by that."""
        order = next((order for order in self._orders if order.left and order.fits(raw)), None)
        if order is None:
            writer.write(raw)
            return True
        order.left -= 1
        self.lost += 1
        order.then()
        if order.fate == "drop":
            writer.transport.abort()
        return order.fate == "swallow"


def reply_end(buffer: bytes, start: int) -> int | None:
    """Where the reply that begins at ``start`` ends, or None if it is not all there. **Source**: the RESP2 specification on redis.io."""
    line_end = buffer.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, end = buffer[start : start + 1], line_end + 2
    if kind == b"$":
        length = int(buffer[start + 1 : line_end])
        end += length + 2 if length >= 0 else 0
        return end if end <= len(buffer) else None
    if kind == b"*":
        for _ in range(int(buffer[start + 1 : line_end])):
            after = reply_end(buffer, end)
            if after is None:
                return None
            end = after
    return end


@asynccontextmanager
async def proxy_to(server_port: int) -> AsyncIterator[Proxy]:
    """A proxy before the server on that loopback port, for as long as the block lasts."""
    proxy = Proxy(server_port)
    proxy.release()
    listener = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        for task in list(proxy._tasks):
            task.cancel()
        await asyncio.gather(*proxy._tasks, return_exceptions=True)
        await listener.wait_closed()
