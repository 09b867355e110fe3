"""The store: how scripts reach it, and what becomes of its faults. The only place that knows that a reply can be lost."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from reservoir import metrics
from reservoir.domain.times import SECOND_MS
from reservoir.storage import keys
from reservoir.storage.clock import ClockWord, HostTime, StoreClock
from reservoir.storage.lane import Lane, LaneBrokenError, NotReplicatedError, Replication
from reservoir.storage.links import Argument, ClientLink, Link
from reservoir.storage.names import random_name
from reservoir.storage.scripts import Script

__all__ = ["SEND_WITHIN_S", "Answered", "Argument", "Reply", "Store", "StoreFaultError", "StoreUnavailableError", "open_store"]

Reply = list[object]

ANSWER_WITHIN_S = 1.0
"""How long one sending of a call may take before its connection is given up."""

SEND_WITHIN_S = 2.5
"""For how long a call is sent again before it is refused: long enough for a store that restarts, short enough for a dialer that waits."""

RESEND_AFTER_S = 0.02
RESEND_AFTER_MOST_S = 0.25
CONNECT_WITHIN_S = 1.0

NONCE_LENGTH = 14
"""Letters of 5 bits. Some scripts know by it a call of theirs that is sent again, so no other process may ever draw the same."""

_TRANSIENT = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN")
_REFUSING = ("OOM", "MISCONF", "NOREPLICAS", "NOAUTH", "WRONGPASS", "NOPERM")


class StoreUnavailableError(Exception):
    """The store is away, refuses, or cannot promise. Nothing may be granted (R14).

    ``unknown``: what was asked may have been done all the same, and only a repeat with the same key can tell.
    """

    def __init__(self, reason: str, *, unknown: bool = False, retry_after_s: int = 1) -> None:
        super().__init__(reason.rstrip("."))  # a clause, wherever it is told: the client library ends some of its own with a stop
        self.unknown = unknown
        self.retry_after_s = retry_after_s


class StoreFaultError(Exception):
    """The store replied an error that no fault explains: a defect here, or a key of the wrong type."""


class Answered(NamedTuple):
    """A script's reply, without the nonce. ``doubtful``: an earlier sending of the same call was lost, and may have been done before this one was answered."""

    reply: Reply
    doubtful: bool


@dataclass(slots=True)
class Store:
    """One store, for all orgs. Calls of scripts share a lane; what ops and start-up ask goes another way, so that neither waits for the other."""

    scripts: Link
    commands: Link
    clock: StoreClock
    url: str

    async def run(self, script: Script, prefix: str, *arguments: Argument) -> Reply:
        """Runs a script as `send` does, for whom its reply is enough."""
        return (await self.send(script, prefix, *arguments)).reply

    async def send(self, script: Script, prefix: str, *arguments: Argument, within_s: float = SEND_WITHIN_S) -> Answered:
        """Runs a script for the org whose keys begin with ``prefix``.

        **Again**: every script is safe to repeat, so one whose reply was lost is sent again, the same to the byte.

        **Raises**: StoreUnavailableError after ``within_s``; StoreFaultError.
        """
        nonce = random_name(NONCE_LENGTH)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        pause_s, unknown = RESEND_AFTER_S, False
        while True:
            sent = HostTime.read()
            try:
                reply = await self.scripts.call("EVALSHA", script.sha, 1, prefix, *arguments, nonce)
                if isinstance(reply, list) and reply and reply[-1] == nonce.encode():
                    received = HostTime.read()
                    self.clock.observe(_integer(reply[1]), sent, received)
                    metrics.STORE_CALLS.observe((received.monotonic_ms - sent.monotonic_ms) / SECOND_MS, script.verb)
                    return Answered(reply[:-1], unknown)
                unknown = unknown or not isinstance(reply, hiredis.ReplyError)
                reason = await self._mend(script, reply)
            except NotReplicatedError as error:
                unknown, reason = True, f"too few replicas confirmed the write in time: {error}"
            except LaneBrokenError as error:
                unknown, reason = unknown or error.sent, str(error)
            except StoreUnavailableError as error:
                error.unknown = unknown
                raise
            if loop.time() >= until_s:
                raise StoreUnavailableError(reason, unknown=unknown)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RESEND_AFTER_MOST_S)

    async def command(self, *command: Argument) -> object:
        """Runs one plain command, once more if its connection broke or led to a store that only reads: only for what is safe to repeat.

        **Raises**: StoreUnavailableError; StoreFaultError for an error that the store replies.
        """
        for last in (False, True):
            try:
                reply = await self.commands.ask(*command)
            except LaneBrokenError as error:
                if last:
                    raise StoreUnavailableError(str(error), unknown=error.sent) from error
                continue
            if not isinstance(reply, hiredis.ReplyError):
                return reply
            text = str(reply)
            if text.startswith("READONLY"):
                self.commands.drop("the store only reads")
                if not last:
                    continue
            elif not text.startswith(_TRANSIENT + _REFUSING):
                raise StoreFaultError(text)
            raise StoreUnavailableError(text)
        raise AssertionError("unreachable")

    async def read_clock(self) -> int:
        """The store's time in ms, held against the prediction; where it is distrusted, an operator may have accepted it. **Raises**: StoreUnavailableError."""
        sent = HostTime.read()
        seconds, micros = _pair(await self.command("TIME"))
        now_ms = seconds * 1_000 + micros // 1_000
        received = HostTime.read()
        if not self.clock.observe(now_ms, sent, received) and self.clock.heed(ClockWord.of(await self.command("GET", keys.CLOCK)), now_ms):
            self.clock.observe(now_ms, sent, received)
        return now_ms

    async def accept_clock(self) -> ClockWord:
        """Takes an operator's word that the store's clock is right as it is; every running process hears of it the next time it looks.

        **Again**: a newer word. **Raises**: StoreUnavailableError.
        """
        host = HostTime.read()
        now_ms = await self.read_clock()
        word = ClockWord(now_ms, round(now_ms - host.wall_ms))
        await self.command("SET", keys.CLOCK, word.text)
        return word

    async def close(self) -> None:
        """Closes the connections."""
        await self.scripts.close()
        await self.commands.close()

    async def _mend(self, script: Script, reply: object) -> str:
        """Does what a reply that is none of the script's asks for before it is sent again, and returns the reason for it.

        **Raises**: StoreUnavailableError where sending again cannot help; StoreFaultError.
        """
        if not isinstance(reply, hiredis.ReplyError):
            self.scripts.drop("a reply came that belongs to another call")
            return "a reply came that belongs to another call"
        text = str(reply)
        if text.startswith("NOSCRIPT"):
            await self.command("SCRIPT", "LOAD", script.source)
        elif text.startswith("READONLY"):
            self.scripts.drop("the store only reads")
        elif text.startswith(_REFUSING):
            raise StoreUnavailableError(f"the store refuses to write: {text}")
        elif not text.startswith(_TRANSIENT):
            raise StoreFaultError(f"{script.verb}: {text}")
        return text


async def open_store(url: str, replication: Replication | None = None) -> Store:
    """Connects to the store at ``url`` and reads its clock.

    **Shape**: ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://host:26379,…/service[/db]``, ``redis+cluster://host:6379,…``.

    **Raises**: StoreUnavailableError.
    """
    store = _store(url, replication)
    try:
        await store.read_clock()
    except BaseException:
        await store.close()
        raise
    return store


def _store(url: str, replication: Replication | None) -> Store:
    if url.startswith("redis+cluster://"):
        parts = urlsplit(url)
        nodes = [node.partition(":") for node in parts.netloc.rpartition("@")[2].split(",")]
        client = RedisCluster(
            startup_nodes=[ClusterNode(host, int(port or 6379)) for host, _, port in nodes],
            username=parts.username,
            password=parts.password,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_WITHIN_S,
        )
        link = ClientLink(client)
        return Store(link, link, StoreClock(), url)
    make = _maker(url)
    return Store(
        Lane(make, answer_within_s=ANSWER_WITHIN_S + (replication.timeout_ms / 1_000 if replication else 0), replication=replication),
        Lane(make, answer_within_s=ANSWER_WITHIN_S),
        StoreClock(),
        url,
    )


def _maker(url: str) -> Callable[[], Awaitable[AbstractConnection]]:
    pool = _sentinel_pool(url) if url.startswith("redis+sentinel://") else ConnectionPool.from_url(url, **_CONNECTING)

    async def make() -> AbstractConnection:
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        finally:
            if isinstance(pool, SentinelConnectionPool):  # asked once for each connection: nothing is left open to them meanwhile
                await asyncio.gather(*(one.connection_pool.disconnect() for one in pool.sentinel_manager.sentinels))
        return connection

    return make


_CONNECTING = {
    "protocol": 2,
    "socket_connect_timeout": CONNECT_WITHIN_S,
    "socket_timeout": ANSWER_WITHIN_S,
    "retry": Retry(NoBackoff(), 0),
    "client_name": "reservoir",
}


def _sentinel_pool(url: str) -> SentinelConnectionPool:
    parts = urlsplit(url)
    service, _, db = parts.path.strip("/").partition("/")
    hosts = [host.partition(":") for host in parts.netloc.rpartition("@")[2].split(",")]
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    credentials = {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [(host, int(port or 26379)) for host, _, port in hosts],
        sentinel_kwargs={"socket_timeout": CONNECT_WITHIN_S, "password": options.get("sentinel_password")},
    )
    return SentinelConnectionPool(unquote(service), sentinel, db=int(db or 0), **credentials, **_CONNECTING)  # type: ignore[no-untyped-call]


def _integer(value: object) -> int:
    if isinstance(value, int | bytes):
        return int(value)
    raise StoreFaultError(f"expected a time, found {value!r}")


def _pair(reply: object) -> tuple[int, int]:
    if isinstance(reply, list) and len(reply) == 2:
        return _integer(reply[0]), _integer(reply[1])
    raise StoreFaultError(f"expected two numbers, found {reply!r}")
