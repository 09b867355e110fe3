"""The way to the store: one connection for many calls, and what becomes of them when replies are lost, servers die, freeze or lag."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import hiredis
import pytest
from redis.asyncio.connection import AbstractConnection, ConnectionPool

from reservoir.domain.claims import Claim, Granted
from reservoir.domain.lists import ListDefinition
from reservoir.domain.prospects import Member, Phone
from reservoir.domain.settings import OrgProfile
from reservoir.storage.claims import ClaimStore, RequestKey, Taker, UnknownOutcomeError
from reservoir.storage.lane import Lane, LaneBrokenError, Replication
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import Org, OrgStore, StaleError
from reservoir.storage.redis import StoreUnavailableError, open_store
from reservoir.storage.settings import SettingsStore
from reservoir.storage.syncs import SyncStore
from tests.conftest import INTEGRATIONS, known
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.keyspace import snapshot
from tests.support.proxy import Proxy, proxy_to
from tests.support.waiting import POLL_S, await_until

PATIENCE_S = 60.0
"""Far above what anything here may take, and far below for ever."""


class Dialer:
    """A process of the service, as far as its claims go."""

    def __init__(self, orgs: OrgStore, org: Org) -> None:
        self.orgs = orgs
        self.org = org
        self.claims = ClaimStore(orgs)

    async def claim(self, rep: str = "ana", *, count: int = 1, key: str | None = None, hold_seconds: int | None = None) -> tuple[Claim, ...]:
        """What is granted, or still stands under the key."""
        taker = Taker(rep, f"session of {rep}", "parallel", hold_seconds)
        granted = await self.claims.claim_next(self.org, "west", taker, count, RequestKey.of(key, "/", {"rep": rep}))
        assert isinstance(granted, Granted), granted
        return granted.claims

    async def claim_until(self, rep: str, key: str, **how: Any) -> tuple[Claim, ...]:
        """As `claim`, asking again under the same key as long as the store is away."""
        deadline_s = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                return await self.claim(rep, key=key, **how)
            except StoreUnavailableError:
                assert asyncio.get_running_loop().time() < deadline_s
                await asyncio.sleep(POLL_S)


@asynccontextmanager
async def dialer(url: str, *, members: int = 0, replication: Replication | None = None) -> AsyncIterator[Dialer]:
    """A dialer on the store; with ``members``, one who first makes the org and its list."""
    store = await open_store(url, replication)
    orgs = OrgStore(store, INTEGRATIONS)
    try:
        if members:
            await orgs.create(OrgProfile("acme", "Acme"))
            org = await known(orgs, "acme")
            await SettingsStore(orgs).set_multi_rep_dialing(org, "csv", replace(org.settings["csv"], enabled=True), "a test")
            org = await known(orgs, "acme")
            await ListStore(orgs).create(org, ListDefinition("west", "West", "csv", None, {}, 0), exact=True, by="a test")
            syncs = SyncStore(orgs)
            run = await syncs.begin(org, "west")
            assert isinstance(run, str)
            rows = [(line, Member("csv", f"p{line:03d}", phones=(Phone("mobile", "+14155550100"),))) for line in range(members)]
            for number, start in enumerate(range(0, members, 250)):
                assert await syncs.page(org, "west", run, number, rows[start : start + 250], [], 0) is None
            assert await syncs.finish(org, "west", run) is None
        yield Dialer(orgs, await known(orgs, "acme"))
    finally:
        await store.close()


def reserved(client: Commands) -> dict[str, str]:
    """Who has whom, as the store's own keys tell: prospect to rep."""
    start = "reservoir:{acme}:reservation:csv:"
    return {key.removeprefix(start): entry.value["rep"] for key, entry in snapshot(client).items() if key.startswith(start)}


def granted_once(client: Commands, taken: list[tuple[str, tuple[Claim, ...]]]) -> None:
    """Every caller got what it asked for, nobody got another's, and the store knows of no grant but these."""
    told = {claim.prospect: rep for rep, claims in taken for claim in claims}
    assert all(claim.rep == rep for rep, claims in taken for claim in claims)
    assert len(told) == sum(len(claims) for _, claims in taken)
    assert told == reserved(client)


@pytest.fixture
async def proxy(server: EngineProcess) -> AsyncIterator[Proxy]:
    async with proxy_to(server.port) as proxy:
        yield proxy


@pytest.fixture
async def ana(proxy: Proxy) -> AsyncIterator[Dialer]:
    """A dialer whose store is behind the proxy, with a list of 300."""
    async with dialer(proxy.url, members=300) as ana:
        yield ana


# One connection


class Counting:
    """A stream's writer that counts how often it is written to."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.transport = writer.transport
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()


def maker(url: str, counting: list[Counting] | None = None) -> Callable[[], Awaitable[AbstractConnection]]:
    pool = ConnectionPool.from_url(url, protocol=2)

    async def make() -> AbstractConnection:
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()  # type: ignore[no-untyped-call]
        if counting is not None:
            assert connection._writer is not None
            counting.append(Counting(connection._writer))
            connection._writer = counting[-1]  # type: ignore[assignment]
        return connection

    return make


@pytest.fixture
async def lane(server: EngineProcess) -> AsyncIterator[Lane]:
    lane = Lane(maker(server.url), answer_within_s=PATIENCE_S)
    yield lane
    await lane.close()


async def test_the_calls_of_one_turn_are_two_writes(server: EngineProcess) -> None:
    """The first few get the store going, the rest follow when the turn ends; and each caller gets the reply to its own."""
    counting: list[Counting] = []
    lane = Lane(maker(server.url, counting), answer_within_s=PATIENCE_S)
    assert await lane.call("PING") == b"PONG"
    (writer,) = counting
    before = writer.writes
    replies = await asyncio.gather(*(lane.call("ECHO", f"call {number}") for number in range(100)))
    assert replies == [f"call {number}".encode() for number in range(100)]
    assert writer.writes == before + 2
    await lane.close()


async def test_calls_find_a_store_that_is_busy(server: EngineProcess) -> None:
    """Then all of the turn go together: the store has enough to do."""
    counting: list[Counting] = []
    lane = Lane(maker(server.url, counting), answer_within_s=PATIENCE_S)
    assert await lane.call("PING") == b"PONG"
    (writer,) = counting
    busy = asyncio.ensure_future(lane.call("DEBUG", "SLEEP", "0.05"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    before = writer.writes
    replies = await asyncio.gather(*(lane.call("ECHO", f"call {number}") for number in range(100)))
    assert replies == [f"call {number}".encode() for number in range(100)]
    assert (await busy, writer.writes) == (b"OK", before + 1)
    await lane.close()


async def test_calls_that_find_no_connection_make_one(server: EngineProcess) -> None:
    """A hundred first callers at once share it."""
    counting: list[Counting] = []
    lane = Lane(maker(server.url, counting), answer_within_s=PATIENCE_S)
    replies = await asyncio.gather(*(lane.call("ECHO", str(number)) for number in range(100)))
    assert replies == [str(number).encode() for number in range(100)]
    assert len(counting) == 1
    await lane.close()


async def test_an_error_goes_to_whoever_caused_it(lane: Lane) -> None:
    """As a value; the calls around it have their replies."""
    replies = await asyncio.gather(*(lane.call("ECHO", "fine") if number % 3 else lane.call("NOSUCH") for number in range(30)))
    assert [isinstance(reply, hiredis.ReplyError) for reply in replies] == [number % 3 == 0 for number in range(30)]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_replies_of_any_size(lane: Lane, size: int) -> None:
    """Longer than one read, nested, empty or nil."""
    text = b"x" * size
    asked = (lane.call("ECHO", text), lane.call("GET", "nothing"), lane.call("EVAL", "return {1,{},{'a',{false}}}", 0))
    assert list(await asyncio.gather(*asked)) == [text, None, [1, [], [b"a", [None]]]]


async def test_a_cancelled_caller_takes_nobodys_reply(lane: Lane) -> None:
    """R1: the replies behind it still find their callers, wherever it was cancelled."""
    for ticks in range(8):
        tasks = [asyncio.create_task(lane.call("ECHO", f"{ticks} {number}")) for number in range(20)]
        for _ in range(ticks):
            await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            assert result == f"{ticks} {number}".encode() or (number % 3 == 0 and isinstance(result, asyncio.CancelledError))
    assert await lane.call("ECHO", "the end") == b"the end"


async def test_a_caller_that_is_cancelled_while_connecting_leaves_the_others_theirs(server: EngineProcess) -> None:
    """The connection is everybody's, not the first caller's."""
    for ticks in range(1, 12):
        lane = Lane(maker(server.url), answer_within_s=PATIENCE_S)
        first = asyncio.create_task(lane.call("ECHO", "first"))
        second = asyncio.create_task(lane.call("ECHO", "second"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        first.cancel()
        assert await second == b"second"
        await asyncio.gather(first, return_exceptions=True)
        await lane.close()


async def test_a_closed_lane_fails_what_is_under_way_and_connects_anew(proxy: Proxy) -> None:
    """What may have been done is said to be so."""
    lane = Lane(maker(proxy.url), answer_within_s=PATIENCE_S)
    await lane.call("PING")
    proxy.hold()
    under_way = asyncio.create_task(lane.call("PING"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await lane.close()
    with pytest.raises(LaneBrokenError) as caught:
        await under_way
    assert caught.value.sent
    proxy.release()
    assert await lane.call("PING") == b"PONG"
    await lane.close()


async def test_nobody_there(server: EngineProcess) -> None:
    """A connection that cannot be made fails the call, which was not sent."""
    async with proxy_to(server.port) as proxy:
        url = proxy.url
    lane = Lane(maker(url), answer_within_s=PATIENCE_S)
    with pytest.raises(LaneBrokenError) as caught:
        await lane.call("PING")
    assert not caught.value.sent
    await lane.close()


# Lost replies (R15)


async def test_an_ordinary_claim_is_one_round_trip(ana: Dialer, server: EngineProcess) -> None:
    """One EVALSHA and nothing else, once the process knows the script and the org."""
    await ana.claim()
    with Commands(server.port) as watching, Commands(server.port) as client:
        assert watching("MONITOR") == "OK"
        await ana.claim("bob", count=5, hold_seconds=30)
        client("ECHO", "that was it")
        lines = []
        while "that was it" not in (line := watching.next()):
            lines.append(line)
    sent = [line.split('"')[1] for line in lines if " lua] " not in line]
    assert [word.upper() for word in sent] == ["EVALSHA"]


@pytest.mark.parametrize("fate", ["drop", "swallow"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_lost_reply_costs_nobody(ana: Dialer, proxy: Proxy, client: Commands, fate: Any, times: int) -> None:
    """R15: sent again, the claim is the one that was granted the first time."""
    proxy.lose(lambda raw: b"claimed" in raw or b"repeated" in raw, fate=fate, times=times)
    claims = await ana.claim_until("ana", "key", count=3)
    assert proxy.lost == times
    assert [claim.prospect for claim in claims] == ["p000", "p001", "p002"]
    granted_once(client, [("ana", claims)])
    history = snapshot(client)["reservoir:{acme}:history"].value
    assert len([entry for entry in history if entry["type"] == "claim.reserved"]) == 3


@pytest.mark.parametrize("fate", ["drop", "swallow"])
async def test_of_many_at_once_one_reply_is_lost(ana: Dialer, proxy: Proxy, client: Commands, fate: Any) -> None:
    """R1, R15: nobody gets the reply of the call behind, for each carries its own nonce."""
    reps = [f"rep{number}" for number in range(40)]
    proxy.lose(b"rep7", fate=fate)
    taken = await asyncio.gather(*(ana.claim_until(rep, f"key of {rep}", count=1 + number % 3) for number, rep in enumerate(reps)))
    assert proxy.lost == 1
    assert [len(claims) for claims in taken] == [1 + number % 3 for number in range(40)]
    granted_once(client, list(zip(reps, taken, strict=True)))


async def test_replies_lost_at_random(ana: Dialer, proxy: Proxy, client: Commands) -> None:
    """R1, R15: every fifth reply of whatever kind is lost, in either way, while ten dialers claim."""
    seen = 0

    def unlucky(_: bytes) -> bool:
        nonlocal seen
        seen += 1
        return seen % 5 == 0

    async def dial(rep: str) -> tuple[str, tuple[Claim, ...]]:
        return rep, tuple([claim for number in range(4) for claim in await ana.claim_until(rep, f"{rep} {number}")])

    proxy.lose(unlucky, times=6)
    proxy.lose(unlucky, fate="swallow", times=6)
    taken = await asyncio.gather(*(dial(f"rep{number}") for number in range(10)))
    assert proxy.lost >= 6
    proxy.forgive()
    granted_once(client, list(taken))
    assert sum(len(claims) for _, claims in taken) == 40


async def test_a_reply_that_never_comes_is_an_unknown_outcome(ana: Dialer, proxy: Proxy, client: Commands) -> None:
    """R14, R15: the caller is given the key to ask again with, and gets what was granted."""
    proxy.lose(lambda raw: b"claimed" in raw or b"repeated" in raw, times=10_000)
    with pytest.raises(UnknownOutcomeError) as caught:
        await ana.claim(count=2)
    assert caught.value.unknown
    proxy.forgive()
    claims = await ana.claim(count=2, key=caught.value.key)
    granted_once(client, [("ana", claims)])


async def test_a_refusal_after_a_lost_reply_is_an_unknown_outcome(ana: Dialer, proxy: Proxy, client: Commands) -> None:
    """R14, R15: the store refuses the second sending, but the first may have been granted, and here it was."""
    proxy.lose(b"claimed", then=lambda: client("CONFIG", "SET", "maxmemory", "1"))
    try:
        with pytest.raises(UnknownOutcomeError) as caught:
            await ana.claim()
    finally:
        client("CONFIG", "SET", "maxmemory", "0")
    claims = await ana.claim(key=caught.value.key)
    granted_once(client, [("ana", claims)])


async def test_a_setting_that_changes_while_a_reply_is_lost_makes_an_unknown_outcome(ana: Dialer, proxy: Proxy, client: Commands) -> None:
    """R7, R15: the second sending is stale, but the first was granted: whoever asks anew under another key would be granted twice."""
    proxy.lose(b"claimed", then=lambda: client("INCR", "reservoir:{acme}:generation"))
    with pytest.raises(UnknownOutcomeError) as caught:
        await ana.claim(count=2)
    ana.org = await known(ana.orgs, "acme")
    claims = await ana.claim(count=2, key=caught.value.key)
    granted_once(client, [("ana", claims)])


async def test_a_setting_that_changes_is_stale(ana: Dialer, client: Commands) -> None:
    """R7: where nothing was lost, nothing was done, and the org is read anew."""
    client("INCR", "reservoir:{acme}:generation")
    with pytest.raises(StaleError):
        await ana.claim()
    assert reserved(client) == {}
    refreshed = await ana.orgs.get("acme")
    assert refreshed is not None
    ana.org = refreshed
    granted_once(client, [("ana", await ana.claim())])


async def test_a_refusal_alone_is_known(ana: Dialer, client: Commands) -> None:
    """R14: a store without memory did nothing."""
    client("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailableError) as caught:
            await ana.claim()
        assert not caught.value.unknown
    finally:
        client("CONFIG", "SET", "maxmemory", "0")
    assert reserved(client) == {}


async def test_two_at_once_with_one_key_are_one_grant(ana: Dialer, client: Commands) -> None:
    """R15: which both receive."""
    one, other = await asyncio.gather(ana.claim(count=2, key="k"), ana.claim(count=2, key="k"))
    assert one == other
    granted_once(client, [("ana", one)])


async def test_a_plain_commands_reply_is_its_own_too(ana: Dialer, proxy: Proxy) -> None:
    """R17: a reply swallowed on the way of the plain commands shifts nobody else's to the wrong caller."""
    store = ana.orgs.store
    for number in range(20):
        await store.command("SET", f"reservoir:{{acme}}:idempotency:{number}", f"value {number}", "EX", "60")
    proxy.lose(b"value 3", fate="swallow")
    values = await asyncio.gather(*(store.command("GET", f"reservoir:{{acme}}:idempotency:{number}") for number in range(20)))
    assert proxy.lost == 1
    assert values == [f"value {number}".encode() for number in range(20)]


async def test_cancelled_claims_leave_the_others_theirs(ana: Dialer, client: Commands) -> None:
    """R1: whether or not a cancelled claim was granted, no other caller is given it."""
    tasks = {rep: asyncio.create_task(ana.claim(rep)) for rep in (f"rep{number}" for number in range(40))}
    await asyncio.sleep(0)
    for rep in list(tasks)[::2]:
        tasks[rep].cancel()
    results = dict(zip(tasks, await asyncio.gather(*tasks.values(), return_exceptions=True), strict=True))
    taken = {rep: result for rep, result in results.items() if not isinstance(result, BaseException)}
    assert len(taken) >= 20
    held = reserved(client)
    for rep, claims in taken.items():
        assert [held[claim.prospect] for claim in claims] == [rep]
    assert len(set(held.values())) == len(held)


# Servers that go and come


async def test_a_store_that_forgot_the_scripts_is_taught_them(ana: Dialer, client: Commands) -> None:
    """SCRIPT FLUSH, a restart, a failover: the same call loads them and goes on."""
    first = await ana.claim()
    client("SCRIPT", "FLUSH")
    taken = await asyncio.gather(*(ana.claim(f"rep{number}") for number in range(5)))
    granted_once(client, [("ana", first), *((f"rep{number}", claims) for number, claims in enumerate(taken))])


async def test_a_cut_connection_is_made_anew(ana: Dialer, proxy: Proxy, client: Commands) -> None:
    """Idle or in the middle of calls."""
    taken = []
    for number in range(5):
        proxy.cut()
        under_way = asyncio.create_task(ana.claim_until(f"rep{number}", f"key{number}"))
        await asyncio.sleep(0)
        proxy.cut()
        taken.append((f"rep{number}", await under_way))
    granted_once(client, taken)


async def test_a_store_that_takes_no_connections_for_a_moment_is_waited_for(ana: Dialer, proxy: Proxy, client: Commands) -> None:
    """The call tries again, and is done once."""
    first = await ana.claim("first")
    proxy.refuse()
    proxy.cut()
    refused = proxy.accepted
    under_way = asyncio.create_task(ana.claim_until("ana", "key"))
    await await_until(lambda: proxy.accepted >= refused + 3, "three connections that were refused", PATIENCE_S)
    proxy.refuse(refuses=False)
    granted_once(client, [("first", first), ("ana", await under_way)])


async def test_a_store_that_takes_no_connections_is_given_up(ana: Dialer, proxy: Proxy, client: Commands) -> None:
    """R14: nothing is granted, and the next claim after it is back is the first."""
    proxy.refuse()
    proxy.cut()
    with pytest.raises(StoreUnavailableError):
        await ana.claim("ana")
    proxy.refuse(refuses=False)
    assert reserved(client) == {}
    granted_once(client, [("ana", await ana.claim_until("ana", "key"))])


@pytest.fixture
def own_server() -> Iterator[EngineProcess]:
    """A durable server of the test's own."""
    with EngineProcess(durable=True) as engine:
        yield engine


async def test_a_server_that_is_killed_and_comes_back_is_ridden_out(own_server: EngineProcess) -> None:
    """R1, R12, R15: what was acknowledged is there, and whoever asks again under the same key gets what is theirs."""
    async with dialer(own_server.url, members=300) as ana:
        taken = [("ana", await ana.claim(count=2))]
        for number in range(3):
            under_way = [(rep, asyncio.create_task(ana.claim_until(rep, f"{rep} {number}"))) for rep in ("bob", "eve", "joe")]
            await asyncio.sleep(0)
            own_server.kill9()
            under_way += [(rep, asyncio.create_task(ana.claim_until(rep, f"{rep} {number}"))) for rep in ("kim", "lee")]
            await asyncio.sleep(0)
            own_server.restart()
            taken += [(rep, await task) for rep, task in under_way]
        with Commands(own_server.port) as client:
            granted_once(client, taken)


async def test_a_frozen_server_is_refused_as_unknown_and_asked_again(own_server: EngineProcess) -> None:
    """R14, R15: thirty callers at once are all answered in bounded time, none with a claim; thawed, each key has one grant."""
    async with dialer(own_server.url, members=300) as ana:
        first = await ana.claim("first")
        own_server.pause()
        reps = [f"rep{number}" for number in range(30)]
        try:
            async with asyncio.timeout(15):
                results = await asyncio.gather(*(ana.claim(rep, key=rep) for rep in reps), return_exceptions=True)
        finally:
            own_server.resume()
        assert {type(result) for result in results} == {UnknownOutcomeError}
        taken = [(rep, await ana.claim_until(rep, rep)) for rep in reps]
        assert all(len(claims) == 1 for _, claims in taken)
        with Commands(own_server.port) as client:
            granted_once(client, [("first", first), *taken])


async def test_a_server_that_only_reads_is_not_believed(own_server: EngineProcess) -> None:
    """A demoted primary refuses; the connection is given up for the next one, and nothing was done."""
    async with dialer(own_server.url, members=10) as ana:
        with Commands(own_server.port) as client:
            client("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(StoreUnavailableError) as caught:
                await ana.claim()
            assert not caught.value.unknown
            client("REPLICAOF", "NO", "ONE")
            claims = await ana.claim_until("ana", "key")
            granted_once(client, [("ana", claims)])


# Replicas (WAIT)


@pytest.fixture
def replica(own_server: EngineProcess) -> Iterator[EngineProcess]:
    with EngineProcess("--replicaof", "127.0.0.1", str(own_server.port)) as engine:
        yield engine


async def test_a_claim_that_no_replica_confirmed_is_refused_as_unknown(own_server: EngineProcess, replica: EngineProcess) -> None:
    """R14, R15: confirmed, it is granted; while the replica is frozen it is not, though the store did it; asked again later it is the same claim."""
    with Commands(own_server.port) as client:
        await await_until(lambda: "state=online" in client("INFO", "replication"), "a replica that follows", PATIENCE_S)
        async with dialer(own_server.url, members=300, replication=Replication(1, 500)) as ana:
            first = await ana.claim("first")
            replica.pause()
            try:
                results = await asyncio.gather(*(ana.claim(rep, key=rep) for rep in ("bob", "eve")), return_exceptions=True)
                assert [type(result) for result in results] == [UnknownOutcomeError] * 2
                done = reserved(client)
                assert set(done.values()) == {"first", "bob", "eve"}
                with pytest.raises(UnknownOutcomeError):
                    await ana.claim("bob", key="bob")
                assert reserved(client) == done
            finally:
                replica.resume()
            taken = [("first", first)] + [(rep, await ana.claim_until(rep, rep)) for rep in ("bob", "eve")]
            granted_once(client, taken)
            assert reserved(client) == done
