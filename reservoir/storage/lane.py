"""A lane: one connection to the store that many calls share.

The calls of one turn of the event loop go out as one write, or two, and their replies come back in order. That is what makes a claim cheap: one system call
here, one in the store, and one fsync there for all of them.

The connection itself is redis-py's, so every form of URL, TLS, ACL and Sentinel stays the library's; only its stream is read and written here, with hiredis.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from reservoir import metrics

READ_BYTES = 1 << 16

SENT_AT_ONCE = 8
"""So many calls of a turn are sent before it ends, if the store has nothing to do: else it would rest while a long turn goes on here, and this process while
the store works off all of it. Where every write waits for replicas they go together, for behind each write the connection stands still."""


class LaneBrokenError(Exception):
    """The connection could not be made or broke. ``sent``: the command may have reached the store, and may have been done."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class NotReplicatedError(Exception):
    """The store did what it was told, but too few replicas have confirmed it in time."""


@dataclass(frozen=True, slots=True)
class Replication:
    """How many replicas must have a write before it counts, and how long they may take. **Units**: ms."""

    replicas: int
    timeout_ms: int


@dataclass(slots=True)
class _Batch:
    """Calls whose replies are kept back until the WAIT behind them is answered."""

    answered: list[tuple["asyncio.Future[object]", object]] = field(default_factory=list)


class Lane:
    """One shared connection.

    **Again**: after a break the next call connects anew; a call that was under way is not sent again here, for only its caller knows whether that is safe.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[AbstractConnection]],
        *,
        answer_within_s: float,
        replication: Replication | None = None,
    ) -> None:
        self._make = make
        self._answer_within_s = answer_within_s
        self._replication = replication
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._asked = 0
        self._opened = False
        self._outbox: list[bytes] = []
        self._outbox_futures: list[asyncio.Future[object]] = []
        self._waiting: deque[tuple[asyncio.Future[object] | None, _Batch | None]] = deque()
        self._heard_s = 0.0
        self._watch: asyncio.TimerHandle | None = None

    async def call(self, *command: bytes | str | float) -> object:
        """Sends a command with the others of this turn and returns its reply; an error that the store replies is returned, not raised.

        **Raises**: LaneBrokenError, NotReplicatedError.
        """
        if self._writer is None:
            await self._connect()
        return await self._send(command)

    async def ask(self, *command: bytes | str | float) -> object:
        """As `call`, for a command whose reply does not tell whose it is. Another one right behind it does: should a reply ever be lost on the way while
        the connection goes on, no caller is told what another one asked for.

        **Raises**: LaneBrokenError, NotReplicatedError.
        """
        if self._writer is None:
            await self._connect()
        self._asked += 1
        mark = b"reply %d" % self._asked
        reply, echo = await asyncio.gather(self._send(command), self._send(("ECHO", mark)))
        if echo != mark:
            self.drop("a reply came that belongs to another call")
            raise LaneBrokenError("a reply came that belongs to another call", sent=True)
        return reply

    def drop(self, reason: str) -> None:
        """Breaks the connection on purpose: what comes from it is not to be believed, or it leads to a store that only reads."""
        self._break(LaneBrokenError(reason, sent=True))

    async def close(self) -> None:
        """Closes the connection. Calls under way fail."""
        tasks = [task for task in (self._listener, self._connecting) if task is not None]
        if self._connecting is not None:
            self._connecting.cancel()
        self._break(LaneBrokenError("the connection was closed", sent=True))
        await asyncio.gather(*tasks, return_exceptions=True)

    def _send(self, command: tuple[bytes | str | float, ...]) -> "asyncio.Future[object]":
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub says a tuple of one
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        if not self._outbox:
            loop.call_soon(self._flush)
        self._outbox.append(packed)
        self._outbox_futures.append(future)
        if len(self._outbox) == SENT_AT_ONCE and not self._waiting and self._replication is None:
            self._flush()
        return future

    async def _connect(self) -> None:
        """Waits for the one attempt that all callers share: where each made its own, the last of many would wait for all the others' to fail."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._open(), name="lane's connection")
            self._connecting.add_done_callback(self._attempted)
        attempt = self._connecting
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():
                raise LaneBrokenError("the connection was closed as it was made", sent=False) from None
            raise

    def _attempted(self, attempt: "asyncio.Task[None]") -> None:
        self._connecting = None
        if not attempt.cancelled():
            attempt.exception()  # every caller may have gone by now, and then nobody would look at it

    async def _open(self) -> None:
        try:
            connection = await self._make()
        except (RedisError, OSError, TimeoutError) as error:
            raise LaneBrokenError(str(error) or type(error).__name__, sent=False) from error
        reader, writer = connection._reader, connection._writer  # noqa: SLF001 - the library keeps its stream private; see the module's docstring
        if reader is None or writer is None:
            raise LaneBrokenError("the connection closed as it was made", sent=False)
        connection._reader = connection._writer = None  # noqa: SLF001 - the lane closes it; else the library warns that nobody did
        writer.transport.set_write_buffer_limits(high=0)  # a loop may otherwise keep small writes back until its turn ends
        if self._opened:
            metrics.RECONNECTS.add(1)
        self._opened = True
        self._writer = writer
        self._heard_s = asyncio.get_running_loop().time()
        self._listener = asyncio.create_task(self._listen(reader), name="lane")

    def _flush(self) -> None:
        packed, futures = self._outbox, self._outbox_futures
        self._outbox, self._outbox_futures = [], []
        if not futures:  # they were sent before the turn ended
            return
        if self._writer is None:
            _fail(futures, LaneBrokenError("the connection broke before the command was sent", sent=False))
            return
        if not self._waiting:
            self._heard_s = asyncio.get_running_loop().time()
        batch = _Batch() if self._replication else None
        self._waiting.extend((future, batch) for future in futures)
        if self._replication:
            packed.append(_wait(self._replication))
            self._waiting.append((None, batch))
        self._writer.write(b"".join(packed))
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(self._answer_within_s, self._look)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader()
        reason = "the store closed the connection"
        try:
            while data := await reader.read(READ_BYTES):
                self._heard_s = asyncio.get_running_loop().time()
                parser.feed(data)
                while (reply := parser.gets()) is not False:
                    self._answered(reply)
        except (OSError, hiredis.ProtocolError, IndexError) as error:
            reason = f"the connection broke: {str(error) or type(error).__name__}"
        self._break(LaneBrokenError(reason, sent=True))

    def _answered(self, reply: object) -> None:
        future, batch = self._waiting.popleft()
        if batch is None:
            if future is not None and not future.done():
                future.set_result(reply)
        elif future is not None:
            batch.answered.append((future, reply))
        else:
            self._release(batch, reply)

    def _release(self, batch: _Batch, confirmed: object) -> None:
        enough = self._replication is not None and isinstance(confirmed, int) and confirmed >= self._replication.replicas
        for future, reply in batch.answered:
            if future.done():
                continue
            if enough or isinstance(reply, hiredis.ReplyError):
                future.set_result(reply)
            else:
                future.set_exception(NotReplicatedError(f"{confirmed} replicas have it"))

    def _look(self) -> None:
        """Breaks a connection over which nothing comes though something is due: a frozen store, a lost reply."""
        self._watch = None
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        left_s = self._heard_s + self._answer_within_s - loop.time()
        if left_s <= 0:
            self._break(LaneBrokenError(f"no answer within {self._answer_within_s:g} s", sent=True))
        else:
            self._watch = loop.call_later(left_s, self._look)

    def _break(self, error: LaneBrokenError) -> None:
        waiting, self._waiting = self._waiting, deque()
        writer, self._writer = self._writer, None
        listener, self._listener = self._listener, None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if writer is not None:
            writer.close()
        if listener is not None and listener is not asyncio.current_task():
            listener.cancel()
        _fail([future for future, _ in waiting if future is not None], error)
        for _, batch in waiting:
            _fail([future for future, _ in batch.answered] if batch else [], error)


def _wait(replication: Replication) -> bytes:
    packed: bytes = hiredis.pack_command(("WAIT", replication.replicas, replication.timeout_ms))  # type: ignore[arg-type]  # as above
    return packed


def _fail(futures: list["asyncio.Future[object]"], error: LaneBrokenError) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
