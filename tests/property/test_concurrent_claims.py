"""R1, R2, R15: many dialers at once, through several processes, while replies are lost."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.cli import people
from tests.support.engine import EngineProcess
from tests.support.fleet import Caller, Fleet, fleet
from tests.support.history import Record, double_dials, instant_ms, leaked, lost, refuted, takings
from tests.support.proxy import Fate
from tests.support.waiting import await_until

DIALERS = 64
PROSPECTS = 2_000
COUNTS = (1, 1, 2, 5, 20)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two processes on one store, for all tests of this file; each has an org of its own."""
    with EngineProcess() as engine, fleet(tmp_path_factory.mktemp("two"), engine) as opened:
        yield opened


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def lists_that_share(caller: Caller, prospects: int) -> list[str]:
    """Two lists of so many people together, a third of whom is in both, in the same order; multi-rep dialing is on."""
    assert (await caller.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", {"enabled": True}))[0] == 200
    for name, first, count in (("west", 0, prospects * 2 // 3), ("east", prospects // 3, prospects - prospects // 3)):
        assert (await caller.ask("POST", "/v1/lists", {"id": name, "name": name, "integration": "csv"}))[0] == 201
        assert (await caller.ask("PUT", f"/v1/lists/{name}/members", people(count, first)))[0] == 200
    return ["west", "east"]


async def dial_dry(caller: Caller, number: int, lists: list[str], record: Record) -> None:
    """One dialer claims from its list until nobody is left, at times waiting for somebody, asking again with the same key whenever it is not told."""
    list_, chance = lists[number % len(lists)], random.Random(number)
    for turn in range(PROSPECTS):
        hold = chance.choice((None, None, 3_600))
        body = {"rep": f"rep-{number}", "session": f"s-{number}", "mode": "parallel", "count": chance.choice(COUNTS), "hold_seconds": hold}
        body["wait_seconds"] = chance.choice((0, 1)) if hold is None else 0  # a hold is released when its dialer does not wait for the answer
        status, told = await caller.ask("POST", f"/v1/lists/{list_}/claims", body, token=f"{number}:{turn}")
        assert status in {200, 201}, told
        record.granted(told["claims"])
        if not told["claims"]:
            return
    raise AssertionError("a dialer claimed more often than there are people")


async def verdict(caller: Caller, record: Record, prospects: int) -> None:
    """Everybody was granted once, to somebody who was told so; nobody is held by nobody; the lists say the same."""
    told = takings(record.path).values()
    live = await caller.pages("/v1/reservations")
    assert double_dials(told) == []
    assert lost(told, live, max(instant_ms(one["claimed_at"]) for one in live)) == []
    assert leaked(told, live) == []
    assert Counter(taking.prospect for taking in told) == Counter(f"csv:p{number}" for number in range(prospects))
    for list_ in await caller.pages("/v1/lists"):
        counts = list_["counts"]
        assert (counts["available"], counts["held"] + counts["reserved"]) == (0, counts["members"]), list_["id"]


async def all_at_once(
    two: Fleet, http: aiohttp.ClientSession, org: str, path: Path, prospects: int, *, gives_up: float = 0.0, losing: tuple[float, Fate] | None = None
) -> int:
    """All dialers dial the lists dry. How often somebody had to ask again."""
    caller = Caller(http, two.roots, await two.org(org), random.Random(org))
    lists = await lists_that_share(caller, prospects)
    if losing is not None:
        two.proxy.lose(*losing)
    dialers = [Caller(http, two.roots[::step], caller.key, random.Random(f"{org} {number}"), gives_up) for number, step in enumerate((1, -1) * (DIALERS // 2))]
    try:
        with Record(path) as record:
            await asyncio.gather(*(dial_dry(dialer, number, lists, record) for number, dialer in enumerate(dialers)))
    finally:
        two.proxy.forgive()
    await verdict(caller, record, prospects)
    assert await refuted(two.engine.url, org) == []
    return sum(dialer.repeats for dialer in dialers)


async def test_64_dialers_at_two_processes_are_never_granted_one_prospect_twice(two: Fleet, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    """R1, R2: however many claim at once, each prospect is granted once, in all its lists, and the last one too."""
    assert await all_at_once(two, http, "calm", tmp_path / "told.jsonl", PROSPECTS) == 0


@pytest.mark.parametrize(("fate", "share", "prospects"), [("drop", 0.02, PROSPECTS), ("swallow", 0.02, PROSPECTS), ("drop", 0.2, 200)])
async def test_lost_replies_grant_nobody_twice_and_leak_nobody(
    two: Fleet, http: aiohttp.ClientSession, tmp_path: Path, fate: Fate, share: float, prospects: int
) -> None:
    """R15: the store's replies are lost, with their connection or without; who asks again gets what they were granted, and nothing is held unknown to all."""
    before = two.proxy.proxy.lost
    await all_at_once(two, http, f"{fate}{prospects}", tmp_path / "told.jsonl", prospects, losing=(share, fate))
    assert two.proxy.proxy.lost > before


async def test_dialers_who_give_up_and_ask_again_lose_nobody(two: Fleet, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    """R15: a dialer that did not wait for its answer, and asks another process with the same key, is told what it was granted."""
    assert await all_at_once(two, http, "hasty", tmp_path / "told.jsonl", 600, gives_up=0.3) > 0


async def test_a_setting_changed_at_one_process_is_obeyed_by_the_next_claim_at_the_other(two: Fleet, http: aiohttp.ClientSession) -> None:
    """R7: off, on, and another timeout, set through either process, hold for the very next claim through the other."""
    caller = Caller(http, two.roots, await two.org("fickle"), random.Random(1))
    await lists_that_share(caller, 300)
    for turn in range(24):
        here, there = two.roots[turn % 2], two.roots[(turn + 1) % 2]
        enabled, hours = turn % 3 > 0, 1 + turn
        body = {"enabled": enabled, "reservation_timeout": {"unit": "hour", "duration": hours}}
        assert (await caller.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", body, root=here))[0] == 200
        claim = {"rep": "ana", "session": f"s-{turn}", "mode": "power"}
        status, told = await caller.ask("POST", "/v1/lists/west/claims", claim, root=there)
        assert (status, told["list"]["multi_rep_dialing"], told["claims"][0]["reserved"]) == (201, enabled, enabled)
        if enabled:
            assert instant_ms(told["claims"][0]["expires_at"]) - instant_ms(told["claims"][0]["claimed_at"]) == hours * 3_600_000


async def test_a_setting_is_obeyed_by_every_claim_begun_after_it_was_acknowledged(two: Fleet, http: aiohttp.ClientSession) -> None:
    """R7: while dialers claim without a pause through both processes, not one claim that is begun and answered between two changes heeds another setting."""
    caller = Caller(http, two.roots, await two.org("torn"), random.Random(1))
    await lists_that_share(caller, PROSPECTS)
    now = asyncio.get_running_loop().time
    changes: list[tuple[float, float, bool]] = [(0.0, now(), True)]
    claims: list[tuple[float, float, bool]] = []
    over = asyncio.Event()

    async def dial(number: int) -> None:
        own = Caller(http, two.roots[:: 1 if number % 2 else -1], caller.key, random.Random(number))
        while not over.is_set():
            begun = now()
            body = {"rep": f"rep-{number}", "session": f"s-{number}", "mode": "power", "hold_seconds": 5}
            status, told = await own.ask("POST", "/v1/lists/west/claims", body)
            assert status in {200, 201}
            claims.append((begun, now(), told["list"]["multi_rep_dialing"]))

    async def change() -> None:
        for turn in range(30):
            begun = now()
            assert (await caller.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", {"enabled": turn % 2 == 1}))[0] == 200
            changes.append((begun, now(), turn % 2 == 1))
            enough = len(claims) + 24
            await await_until(lambda enough=enough: len(claims) >= enough, "claims under the new setting", timeout_s=60)  # type: ignore[misc]
        over.set()

    await asyncio.gather(change(), *(dial(number) for number in range(12)))
    held_against = 0
    for (_, acknowledged, enabled), (next_begun, _, _) in zip(changes, [*changes[1:], (now(), 0.0, False)], strict=True):
        within = [told for begun, answered, told in claims if acknowledged <= begun and answered <= next_begun]
        assert set(within) <= {enabled}
        held_against += len(within)
    assert held_against > 300, "of 24 claims that end between two changes, 12 at most began before"


async def test_a_key_revoked_at_one_process_opens_nothing_at_the_other(two: Fleet, http: aiohttp.ClientSession) -> None:
    """A revoked key stops at once in every process, also in one that has just let it in."""
    caller = Caller(http, two.roots, await two.org("strict"), random.Random(1))
    await lists_that_share(caller, 300)
    for turn in range(20):
        here, there = two.roots[turn % 2], two.roots[(turn + 1) % 2]
        status, made = await caller.ask("POST", "/v1/api-keys", {"name": "dialer", "scopes": ["dial"]}, root=here)
        assert status == 201
        dialer = Caller(http, two.roots, made["key"], random.Random(1))
        claim = {"rep": "ana", "session": "s", "mode": "power"}
        assert (await dialer.ask("POST", "/v1/lists/west/claims", claim, root=there))[0] == 201
        assert (await caller.ask("DELETE", f"/v1/api-keys/{made['id']}", root=here))[0] == 204
        for root in (there, here):
            assert (await dialer.ask("POST", "/v1/lists/west/claims", claim, root=root))[0] == 401
            assert (await dialer.ask("GET", "/v1/lists", root=root))[0] == 401
