"""POST /v1/lists/{list}/claims with wait_seconds: if nothing is available, the claim waits for something to be."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from reservoir.domain.times import DAY_MS
from reservoir.storage import waiting
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.proxy import proxy_to
from tests.support.service import BEN, App, Caller, Told, at, ids_of, running
from tests.support.waiting import await_until

LONG = 30
LOOKS = 30


def waits(caller: Caller, list_: str = "west", count: int = 1, **how: Any) -> "asyncio.Task[Told]":
    """A claim that waits."""
    return asyncio.create_task(caller.claim(list_, count, **{"expect": None, "wait_seconds": LONG, **how}))


async def in_line(client: Commands, number: int, list_: str = "west") -> None:
    """So many wait."""
    await await_until(lambda: client("ZCARD", f"reservoir:{{acme}}:list:{list_}:waiting") == number, f"{number} in line")


async def lined_up(client: Commands, caller: Caller, *who: str, **how: Any) -> list["asyncio.Task[Told]"]:
    """Claims of these reps that wait, the first the longest."""
    told = []
    for number, rep in enumerate(who, 1):
        told.append(waits(caller, rep=rep, session=rep, **how))
        await in_line(client, number)
    return told


def soon(client: Commands, prospect: str, hold_s: int, left_ms: int) -> None:
    """A hold of so many seconds that was just taken has so much time left."""
    age(client, "acme", f"csv:{prospect}", hold_s * 1_000 - left_ms)


@pytest.fixture
async def west(admin: Caller) -> Any:
    """A list of one, p1, whom Ben holds: his claim."""
    await admin.make_list("West", ["p1"])
    return await admin.take("west", hold_seconds=600, **BEN)


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes look at what is waited for only where they know that something ends."""
    monkeypatch.setattr(waiting, "LOOK_S", 3_600.0)


# What is waited for


async def test_a_release_is_waited_for(admin: Caller, client: Commands, west: Any) -> None:
    """201 with the prospect who was given back, and nobody is in line any more."""
    (waiter,) = await lined_up(client, admin, "ana")
    assert not waiter.done()
    await admin.after(west, "release", expect=200)
    told = await waiter
    assert (told.status, ids_of(told.json["claims"]), told.json["claims"][0]["rep"]) == (201, ["p1"], "ana")
    await in_line(client, 0)


async def test_a_sessions_end_is_waited_for(admin: Caller, client: Commands, west: Any) -> None:
    """It is a release too."""
    (waiter,) = await lined_up(client, admin, "ana")
    await admin.post(f"/v1/sessions/{west['session']}/end", {}, 200)
    assert ids_of((await waiter).json["claims"]) == ["p1"]


@pytest.mark.usefixtures("never_looks")
async def test_r13_a_hold_that_lapses_is_served_at_that_instant(admin: Caller, client: Commands, west: Any) -> None:
    """R13: as soon as the store's clock is past the end of the hold, not at a next look, and not before."""
    soon(client, "p1", 600, 1_000)
    ends = at(west["expires_at"]) - timedelta(seconds=599)
    (claim,) = (await asyncio.wait_for(waits(admin), 20)).json["claims"]
    assert claim["id"] != west["id"]
    assert at(claim["claimed_at"]) > ends


@pytest.mark.usefixtures("never_looks", "west")
async def test_r13_a_reservation_that_expires_is_served_at_that_instant(admin: Caller, client: Commands) -> None:
    """R13: the same with one that was attempted."""
    await admin.make_list("East", ["p2"])
    await admin.claim("east", **BEN)
    age(client, "acme", "csv:p2", DAY_MS - 1_000)
    assert ids_of((await asyncio.wait_for(waits(admin, "east"), 20)).json["claims"]) == ["p2"]


@pytest.mark.usefixtures("west")
async def test_r12_members_who_stream_in_are_waited_for(admin: Caller, client: Commands) -> None:
    """R12: while the sync still runs, the first page's members go to those who wait, the longest first."""
    first, second = await lined_up(client, admin, "ana", "bo")
    going_on = asyncio.Event()

    async def rows() -> AsyncIterator[bytes]:
        yield b"id,phone\n" + b"".join(b"q%d,+14155550100\n" % number for number in range(1_000))
        await going_on.wait()
        yield b"p1,+14155550100\n"

    upload = asyncio.create_task(admin.put("west", rows()))
    assert ids_of((await first).json["claims"]) == ["q0"]
    assert ids_of((await second).json["claims"]) == ["q1"]
    assert not upload.done()
    going_on.set()
    assert (await upload).status == 200


async def test_a_switch_of_multi_rep_dialing_is_waited_for(admin: Caller, client: Commands, west: Any) -> None:
    """While it is off nobody is kept away: who waited is handed whom Ben holds, unreserved (R9), long before the wait is over."""
    del west
    await admin.make_list("East", [])
    longer = waits(admin, "east")
    await in_line(client, 1, "east")
    (waiter,) = await lined_up(client, admin, "ana")
    await admin.enable(enabled=False)
    (claim,) = (await waiter).json["claims"]
    assert (claim["prospect"]["id"], claim["state"], claim["rep"]) == ("p1", "unreserved", "ana")
    assert not longer.done(), "who began before, and has nobody to be handed, waits still"
    longer.cancel()


async def test_r9_while_it_is_off_what_a_sync_brings_is_waited_for(admin: Caller, client: Commands) -> None:
    """R9: the rep is at the end of the list, and each rep is told of what comes behind that; sessions of one rep take turns, the longest waiter first."""
    await admin.enable(enabled=False)
    await admin.make_list("West", ["p1"])
    for rep in ("ana", "bo"):
        await admin.claim("west", rep=rep)
    waiters = []
    for number, rep in enumerate(("ana", "ana", "bo"), 1):
        waiters.append(waits(admin, rep=rep, session=f"s{number}"))
        await in_line(client, number)
    await admin.fill("west", ["p1", "p2", "p3"])
    assert [ids_of((await waiter).json["claims"]) for waiter in waiters] == [["p2"], ["p3"], ["p2"]]


async def test_r9_a_reset_is_waited_for(admin: Caller, client: Commands) -> None:
    """R9: the rep, at the end of the list, begins it afresh while one of their sessions waits."""
    await admin.enable(enabled=False)
    await admin.make_list("West", ["p1"])
    await admin.claim("west", rep="ana")
    (waiter,) = await lined_up(client, admin, "ana")
    await admin.post("/v1/lists/west/reset", {"rep": "ana"}, 200)
    assert ids_of((await asyncio.wait_for(waiter, LONG / 2)).json["claims"]) == ["p1"]


async def test_r10_an_undone_removal_is_waited_for(admin: Caller, client: Commands) -> None:
    """R10: whom the rep had removed is handed to them again as soon as an admin undoes it."""
    await admin.make_list("West", ["p1"])
    removed = await admin.take("west", rep="ana", session="ana")
    await admin.after(removed, "disposition", {"outcome": "wrong_number", "remove": True}, 200)
    age(client, "acme", "csv:p1", DAY_MS + 1)
    (waiter,) = await lined_up(client, admin, "ana")
    await admin("DELETE", "/v1/lists/west/removals/ana/csv/p1", expect=204)
    assert ids_of((await asyncio.wait_for(waiter, LONG / 2)).json["claims"]) == ["p1"]


async def test_what_is_available_is_not_waited_for(admin: Caller) -> None:
    """A claim that can be served is, at once; fewer than count is an answer."""
    await admin.make_list("West", ["p1", "p2"])
    assert ids_of((await admin.claim("west", 5, wait_seconds=LONG)).json["claims"]) == ["p1", "p2"]


async def test_fewer_than_count_is_an_answer_to_who_waits(admin: Caller, client: Commands, west: Any) -> None:
    """Who waits for five is told of the first one there is."""
    (waiter,) = await lined_up(client, admin, "ana", count=5)
    await admin.after(west, "release", expect=200)
    assert ids_of((await waiter).json["claims"]) == ["p1"]


async def test_when_the_time_is_over_nothing_is_the_answer(admin: Caller, client: Commands, west: Any) -> None:
    """200 with none and with the list's figures, not before the time is over; no trace is left of it."""
    began_s = time.monotonic()
    told = await admin.claim("west", wait_seconds=1, expect=200, key="k-1")
    assert time.monotonic() - began_s >= 1
    assert told.json == {"claims": [], "list": {"id": "west", "multi_rep_dialing": True, "available": 0, "next_available_at": west["expires_at"]}}
    await in_line(client, 0)
    assert client("EXISTS", "reservoir:{acme}:idempotency:k-1") == 0


async def test_a_list_that_is_deleted_is_waited_for_no_more(admin: Caller, client: Commands, west: Any) -> None:
    """404, as for every claim on it."""
    del west
    (waiter,) = await lined_up(client, admin, "ana")
    await admin("DELETE", "/v1/lists/west", expect=204)
    (await asyncio.wait_for(waiter, LONG / 2)).refused(404, "list-not-found")
    (await admin.claim("west", wait_seconds=LONG, expect=404)).refused(404, "list-not-found")


# Who is first


async def test_the_longest_waiter_is_first_over_all_processes(admin: Caller, client: Commands, app: App, other_app: App) -> None:
    """By the start of waiting at the store, whichever process asks, and however many each wants."""
    await admin.make_list("West", [f"p{number}" for number in range(1, 7)])
    taken = (await admin.claim("west", 6, hold_seconds=600, **BEN)).json["claims"]
    waiters = []
    for number in range(6):
        waiters.append(waits(admin.at((app, other_app)[number % 2]), rep=f"rep-{number}", session=f"s{number}"))
        await in_line(client, number + 1)
    for number, claim in enumerate(taken):
        await admin.after(claim, "release", expect=200)
        assert ids_of((await waiters[number]).json["claims"]) == [claim["prospect"]["id"]]
        assert sum(waiter.done() for waiter in waiters) == number + 1


@asynccontextmanager
async def asleep(server: EngineProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """Another process, that lives and serves nobody: it never notices that its claims could be served."""
    async with running(server.url) as one:
        monkeypatch.setattr(one.services.claims.waiting, "waits", lambda *_: {})
        yield one


def time_is_over(app: App) -> None:
    """Those who wait there have waited for long enough."""
    for wait in app.services.claims.waiting._waits["acme"]["west"].values():
        wait.until_s = asyncio.get_running_loop().time()
        wait.wake()


async def test_a_claim_that_does_not_wait_overtakes_nobody(admin: Caller, client: Commands, server: EngineProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waiters could be served with is left to them, as many as they want; what is beyond is anybody's."""
    await admin.make_list("West", [f"p{number}" for number in range(1, 6)])
    taken = (await admin.claim("west", 5, hold_seconds=600, **BEN)).json["claims"]
    async with asleep(server, monkeypatch) as other:
        waiter = waits(admin.at(other), count=2, rep="ana")
        await in_line(client, 1)
        await admin.after(taken[0], "release", expect=200)
        assert (await admin.claim("west", 5, expect=200, **BEN)).json["claims"] == []
        await admin.after(taken[2], "release", expect=200)
        assert (await admin.claim("west", 5, expect=200, **BEN)).json["claims"] == []
        await admin.after(taken[4], "release", expect=200)
        assert ids_of((await admin.claim("west", 5, **BEN)).json["claims"]) == ["p5"]
        later = waits(admin, rep="bo", session="bo")
        await in_line(client, 2)
        time_is_over(other)
        assert ids_of((await waiter).json["claims"]) == ["p1", "p3"], "when its time is over it takes what is its own"
        await admin.after(taken[1], "release", expect=200)
        assert ids_of((await later).json["claims"]) == ["p2"]


async def test_r10_a_waiter_who_removed_the_only_free_one_keeps_nobody_waiting(admin: Caller, client: Commands) -> None:
    """R10: that waiter could not be served by it; another waiter is, and so is a claim that does not wait."""
    await admin.make_list("West", ["p1"])
    removed = await admin.take("west", rep="ana", session="ana")
    await admin.after(removed, "disposition", {"outcome": "wrong_number", "remove": True}, 200)
    ana, bo = await lined_up(client, admin, "ana", "bo")
    age(client, "acme", "csv:p1", DAY_MS + 1)
    (claim,) = (await bo).json["claims"]
    assert (claim["prospect"]["id"], claim["rep"], ana.done()) == ("p1", "bo", False)
    age(client, "acme", "csv:p1", DAY_MS + 1)
    assert ids_of((await admin.claim("west", **BEN)).json["claims"]) == ["p1"]
    ana.cancel()


async def test_a_process_that_died_costs_its_waiters_their_turn_after_two_seconds(
    admin: Caller, client: Commands, server: EngineProcess, monkeypatch: pytest.MonkeyPatch, west: Any
) -> None:
    """Silent for so long, it is dead: what its waiters could have been served with goes to the next. Its tickets go with it."""
    async with asleep(server, monkeypatch) as other:
        waiter = waits(admin.at(other), rep="ana")
        await in_line(client, 1)
        await admin.after(west, "release", expect=200)
        assert (await admin.claim("west", expect=200, **BEN)).json["claims"] == []
        await other.services.claims.waiting.close()
        client("ZADD", "reservoir:{acme}:waiting-processes", int(time.time() * 1_000) - 2_500, other.services.claims.waiting.process)
        assert (await admin.take("west", **BEN))["prospect"]["id"] == "p1"
        waiter.cancel()


async def test_a_process_that_was_taken_for_dead_and_is_not_waits_anew(admin: Caller, client: Commands, app: App, other_app: App, west: Any) -> None:
    """It was silent for too long, and others took its tickets out of the line: as soon as it can, its claims stand in line again, behind the others."""
    waiter = waits(admin, rep="ana", session="ana")
    await in_line(client, 1)
    other = waits(admin.at(other_app), rep="bo", session="bo")
    await in_line(client, 2)
    look = app.services.claims.waiting._looks["acme"]
    client("ZREM", "reservoir:{acme}:list:west:waiting", f"{app.services.claims.waiting.process}:1")
    look._heard_s -= 2 * waiting.SILENT_MOST_S
    await in_line(client, 2)
    await admin.after(west, "release", expect=200)
    assert ids_of((await other).json["claims"]) == ["p1"]
    assert not waiter.done()
    waiter.cancel()


# Clients that go


@asynccontextmanager
async def own_connection(caller: Caller) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as http:
        yield Caller(http, caller.root, caller.key)


async def test_a_client_that_is_gone_takes_nothing(admin: Caller, client: Commands, west: Any) -> None:
    """Its wait ends as soon as its connection does, and the next in line is served."""
    async with own_connection(admin) as other:
        waiter = waits(other, rep="ana")
        await in_line(client, 1)
        waiter.cancel()
    await in_line(client, 0)
    await admin.after(west, "release", expect=200)
    assert (await admin.take("west", **BEN))["prospect"]["id"] == "p1"


@pytest.mark.parametrize("hold_seconds", [600, None])
@pytest.mark.parametrize("lost", [False, True])
async def test_what_was_granted_as_the_client_went_stands(
    server: EngineProcess, client: Commands, monkeypatch: pytest.MonkeyPatch, hold_seconds: int | None, lost: bool
) -> None:
    """A hold is released at once; a reservation stays, and its Idempotency-Key returns it. So too if the store's reply was lost, and the call sent again."""
    gone, give_up = asyncio.Event(), waiting.Wait.give_up

    def notices(wait: waiting.Wait) -> None:
        give_up(wait)
        gone.set()

    monkeypatch.setattr(waiting.Wait, "give_up", notices)
    async with proxy_to(server.port) as proxy, running(proxy.url) as app, running(server.url) as direct:
        admin = await app.org("acme")
        await admin.enable()
        await admin.make_list("West", ["p1"])
        taken = await admin.take("west", hold_seconds=600, **BEN)
        ticket = f"{app.services.claims.waiting.process}:1".encode()

        def holds(raw: bytes) -> bool:
            if b"tended" in raw and ticket in raw:
                proxy.hold()  # from the next reply on: the grant's
            return False

        async with own_connection(admin) as other:
            waiter = waits(other, key="k-1", hold_seconds=hold_seconds)
            await in_line(client, 1)
            proxy.lose(holds)
            await admin.at(direct).after(taken, "release", expect=200)
            await await_until(lambda: client("EXISTS", "reservoir:{acme}:idempotency:k-1") == 1, "the grant")
            waiter.cancel()
        await gone.wait()
        proxy.lose(b"claimed", times=int(lost))
        proxy.release()
        id_, state = client("GET", "reservoir:{acme}:idempotency:k-1").split()[1], "released" if hold_seconds else "reserved"
        await await_until(lambda: client("HGET", f"reservoir:{{acme}}:claim:{id_}", "state") == state, state)
        await await_until(lambda: proxy.lost == int(lost), "the reply to the claim")
        again = await admin.at(direct).claim("west", key="k-1", hold_seconds=hold_seconds, wait_seconds=LONG, expect=409 if hold_seconds else 201)
        assert hold_seconds or [claim["id"] for claim in again.json["claims"]] == [id_]


# One key, several requests


async def test_r15_two_that_wait_with_one_key_are_one_grant_which_both_receive(admin: Caller, client: Commands, app: App, other_app: App, west: Any) -> None:
    """R15: over two processes, and twice in one of them."""
    waiters = [waits(admin.at(one), key="k-1") for one in (app, other_app, other_app)]
    await in_line(client, 3)
    await admin.after(west, "release", expect=200)
    told = [(await waiter).json["claims"] for waiter in waiters]
    assert len(told[0]) == 1
    assert told[1] == told[2] == told[0]
    await in_line(client, 0)


async def test_r15_one_that_waits_and_one_that_does_not(admin: Caller, client: Commands, other_app: App, west: Any) -> None:
    """R15: another body is another request, whichever comes first, so the second to be served is refused."""
    waiter = waits(admin, key="k-1")
    await in_line(client, 1)
    assert (await admin.at(other_app).claim("west", key="k-1", expect=200)).json["claims"] == [], "nothing is remembered of who has nothing yet"
    await admin.after(west, "release", expect=200)
    assert ids_of((await waiter).json["claims"]) == ["p1"]
    (await admin.at(other_app).claim("west", key="k-1", expect=422)).refused(422, "idempotency-key-reused")


# What changes meanwhile


async def test_a_key_that_is_revoked_ends_its_waits(app: App, admin: Caller, client: Commands, west: Any) -> None:
    """401, by the next look of every process, and nothing is taken."""
    dialer = await app.member_of("acme", "dial")
    longer = waits(admin, rep="bo")
    await in_line(client, 1)
    waiter = waits(dialer, rep="ana")
    await in_line(client, 2)
    assert dialer.key is not None
    await admin("DELETE", f"/v1/api-keys/{dialer.key.split('_')[2]}", expect=204)
    (await waiter).refused(401, "unauthenticated")
    assert not longer.done(), "who began before, with a key that stands, waits still"
    longer.cancel()
    await in_line(client, 0)
    await admin.after(west, "release", expect=200)
    assert (await admin.counts("west"))["available"] == 1


async def test_r7_a_setting_that_changes_is_obeyed_and_costs_nobody_their_place(admin: Caller, client: Commands, west: Any) -> None:
    """R7: what is granted lasts as long as the new timeout says; the longest waiter is still first."""
    first, second = await lined_up(client, admin, "ana", "bo")
    await admin.enable(unit="hour", duration=2)
    await admin.after(west, "release", expect=200)
    (claim,) = (await first).json["claims"]
    assert (at(claim["expires_at"]) - at(claim["claimed_at"])).total_seconds() == 7_200
    assert not second.done()
    second.cancel()


async def test_r14_a_store_that_goes_away_ends_the_wait(client: Commands, server: EngineProcess) -> None:
    """R14: 503, nothing granted, nothing guessed; the key in the answer, if any, is what to ask again with."""
    async with proxy_to(server.port) as proxy, running(proxy.url) as app:
        admin = await app.org("acme")
        await admin.enable()
        await admin.make_list("West", [])
        waiter = waits(admin)
        await in_line(client, 1)
        proxy.refuse()
        proxy.cut()
        (await waiter).refused(503, "store-unavailable")


async def test_a_process_that_stops_answers_at_once_with_none(admin: Caller, app: App, client: Commands, west: Any) -> None:
    """Who waits is told the list's figures; from then on nobody waits, and what is available is granted still."""
    waiter = waits(admin)
    await in_line(client, 1)
    app.services.claims.waiting.stop()
    told = await waiter
    assert (told.status, told.json["claims"], told.json["list"]["next_available_at"]) == (200, [], west["expires_at"])
    await in_line(client, 0)
    assert (await admin.claim("west", wait_seconds=LONG, expect=200)).json["claims"] == []
    await admin.after(west, "release", expect=200)
    assert ids_of((await admin.claim("west", wait_seconds=LONG)).json["claims"]) == ["p1"]


# What it costs


async def test_five_hundred_who_wait_cost_the_store_next_to_nothing(
    admin: Caller, client: Commands, app: App, west: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than 20 calls a second by the store's own count and clock, all in all, however many wait for a dry list."""
    del west
    monkeypatch.setattr(waiting, "SILENT_MOST_S", 3_600.0)  # a machine that stands still for 2 s would have all of them claim anew
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)) as http:
        caller = Caller(http, app.root, admin.key)
        waiters = [waits(caller, rep=f"rep-{number}", session=f"s{number}") for number in range(500)]
        await in_line(client, 500)

        def calls() -> tuple[int, int]:
            told = client("INFO", "commandstats")
            micros = int(client("TIME")[0]) * 1_000_000 + int(client("TIME")[1])
            return sum(int(line.split("calls=")[1].split(",")[0]) for line in told.splitlines() if line.startswith("cmdstat_evalsha")), micros

        before, since = calls()
        await await_until(lambda: calls()[0] - before >= LOOKS, f"{LOOKS} calls", timeout_s=60)
        after, until = calls()
        assert (after - before) / ((until - since) / 1e6) < 20
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
    await in_line(client, 0)
