"""Sessions that end and claims that wait, by the client, before the real service."""

import asyncio
from typing import Any

import pytest

from reservoir.client import ClaimLapsedError, Granted, Reservoir
from reservoir.storage import waiting
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.http_proxy import Fate, Proxy, in_turn
from tests.support.service import BEN, App, Caller
from tests.support.waiting import await_until

ANA: dict[str, Any] = {"rep": "ana@acme.com", "session": "s-1", "mode": "power"}


@pytest.fixture
async def west(admin: Caller) -> Any:
    """A list of one, whom Ben holds: his claim."""
    await admin.make_list("West", ["p1"])
    return await admin.take("west", hold_seconds=600, **BEN)


async def in_line(client: Commands, number: int = 1) -> None:
    await await_until(lambda: client("ZCARD", "reservoir:{acme}:list:west:waiting") == number, f"{number} in line")


async def test_the_end_of_a_session_gives_back_what_it_holds(reservoir: Reservoir, admin: Caller) -> None:
    """At the end of its block nothing is held, what was attempted stays, and a claim that was kept aside is not to be dialed."""
    west = await admin.make_list("West", ["p1", "p2", "p3"])
    async with reservoir.session("ana@acme.com") as session:
        held, other, third = (await session.claim(west, mode="parallel", count=3, hold_seconds=600)).claims
        await reservoir.attempt(other)
    assert (await admin.counts(west))["available"] == 2
    with pytest.raises(ClaimLapsedError):
        await reservoir.attempt(held)
    await reservoir.release(third)
    assert await session.end() == 0


async def test_a_wait_is_no_time_out(dialer: Caller, app: App, client: Commands, admin: Caller, west: Any) -> None:
    """What a claim waits comes on top of the time that one sending may take; a time-out would be an error here, for nothing is sent again."""
    async with Reservoir(app.root, str(dialer.key), timeout_s=1, retry_for_s=0) as impatient:
        claiming = asyncio.create_task(impatient.claim("west", **ANA, wait_seconds=30))
        await in_line(client)
        began = int(client("TIME")[0])
        await await_until(lambda: int(client("TIME")[0]) - began > 2, "longer than the time-out")
        await admin.after(west, "release", expect=200)
        assert [claim.prospect.id for claim in (await claiming).claims] == ["p1"]


async def test_who_stops_waiting_takes_nothing(dialer: Caller, app: App, admin: Caller, client: Commands, west: Any) -> None:
    """A claim that is cancelled is gone from the line, and the prospect is anybody's."""
    async with Reservoir(app.root, str(dialer.key)) as direct:
        claiming = asyncio.create_task(direct.claim("west", **ANA, wait_seconds=30))
        await in_line(client)
        claiming.cancel()
        await asyncio.wait([claiming])
        await in_line(client, 0)
    await admin.after(west, "release", expect=200)
    assert (await admin.counts("west"))["available"] == 1


async def test_an_answer_that_is_lost_after_a_wait_is_asked_for_again(reservoir: Reservoir, proxy: Proxy, admin: Caller, client: Commands, west: Any) -> None:
    """The same key brings the same claim, and nobody is taken twice."""
    proxy.decide = in_turn(Fate.LOSE)
    claiming = asyncio.create_task(reservoir.claim("west", **ANA, wait_seconds=30))
    await in_line(client)
    await admin.after(west, "release", expect=200)
    (claim,) = (await claiming).claims
    assert [seen.key for seen in proxy.seen] == [proxy.seen[0].key] * 2
    assert [one["claim"] for one in await admin.pages("/v1/reservations")] == [claim.id]
    assert reservoir.unanswered == ()


async def test_a_loop_over_claims_waits_on_though_a_process_stops(
    reservoir: Reservoir, app: App, client: Commands, west: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer with nobody that comes too soon is none: the loop asks again, here a process that waits, and has its prospect."""
    del west

    async def first() -> str:
        async for claim in reservoir.session("ana@acme.com", "s-1").claims("west", mode="power", wait_seconds=30):
            return claim.prospect.id
        raise AssertionError("the loop ended")

    dialing = asyncio.create_task(first())
    await in_line(client)
    app.services.claims.waiting.stop()
    await in_line(client, 0)
    monkeypatch.setattr(app.services.claims, "waiting", waiting.Waiting(app.services.orgs))
    await in_line(client)
    age(client, "acme", "csv:p1", 600_001)
    assert await dialing == "p1"
    await app.services.claims.waiting.close()


async def test_two_who_ask_with_one_key_have_one_grant(reservoir: Reservoir, admin: Caller, client: Commands, west: Any) -> None:
    """R15: a dialer that asks twice at once with its own key is told the same twice."""
    asked = [asyncio.create_task(reservoir.claim("west", **ANA, wait_seconds=30, idempotency_key="mine")) for _ in range(2)]
    await in_line(client, 2)
    await admin.after(west, "release", expect=200)
    one, other = await asyncio.gather(*asked)
    assert isinstance(one, Granted)
    assert len(one.claims) == 1
    assert other.claims == one.claims
