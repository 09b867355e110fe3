"""R14: when in doubt, nobody is dialed. What is answered while the store is away, frozen, full or back again."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.keyspace import names
from tests.support.service import App, Caller, ids_of, running
from tests.support.walk import Named, ask, in_order


@pytest.fixture
def own_engine() -> Iterator[EngineProcess]:
    """A server of the test's own, durable, to be killed and frozen."""
    with EngineProcess(durable=True) as engine:
        yield engine


@pytest.fixture
async def own_app(own_engine: EngineProcess) -> AsyncIterator[App]:
    """The service on it."""
    async with running(own_engine.url) as app:
        yield app


@pytest.fixture
async def acme(own_app: App) -> Caller:
    """The admin of an org with a list west of p1 to p5, of which p1 is reserved and p2 held."""
    admin = await own_app.org("acme")
    await admin.enable()
    await admin.make_list("West", [f"p{number}" for number in range(1, 6)])
    await admin.take("west", mode="power")
    await admin.take("west", mode="power", hold_seconds=3_600)
    return admin


async def test_r14_a_store_that_is_gone(own_app: App, own_engine: EngineProcess, acme: Caller) -> None:
    """R14: every route is 503 store-unavailable with Retry-After, also for whom nobody knows; the process is alive and not ready; then all is as it was."""
    claims = (await acme.get("/v1/reservations")).json["items"]
    own_engine.kill9()
    asked = [ask(acme, route, Named(claim=claims[0]["claim"])) for route in in_order()]
    asked += [own_app.caller("rsv_globex_aaaaaaaaaaaa_" + "a" * 52).get("/v1/org", None)]
    for told in await asyncio.gather(*asked):
        told.refused(503, "store-unavailable")
        assert int(told.headers["Retry-After"]) >= 1
        assert "Traceback" not in told.text
    await own_app.caller().get("/healthz")
    not_ready = (await own_app.caller().get("/readyz", 503)).refused(503, "not-ready")
    assert not_ready.json["reasons"]
    (await own_app.caller().get("/v1/org", 401)).refused(401, "unauthenticated")
    own_engine.restart()
    assert (await acme.get("/v1/reservations")).json["items"] == claims
    assert ids_of((await acme.claim("west", 2)).json["claims"]) == ["p3", "p4"]


async def test_r14_a_store_that_does_not_answer(own_engine: EngineProcess, acme: Caller) -> None:
    """R14: a claim whose outcome nobody knows is 503 with the key to ask again with; asked again, it is one grant."""
    own_engine.pause()
    try:
        mine, made = await asyncio.gather(acme.claim("west", expect=503, key="mine"), acme.claim_one("c-1", expect=503))
    finally:
        own_engine.resume()
    mine.refused(503, "store-unavailable")
    made.refused(503, "store-unavailable")
    assert mine.json["idempotency_key"] == "mine"
    assert int(mine.headers["Retry-After"]) >= 1
    again = (await acme.claim("west", key=mine.json["idempotency_key"])).json["claims"]
    assert ids_of(again) == ["p3"]
    assert (await acme.claim("west", key="mine")).json["claims"] == again
    one = (await acme.claim_one("c-1", key=made.json["idempotency_key"])).json
    assert (await acme.get("/v1/reservations/csv/c-1")).json["claim"] == one["id"]
    assert (await acme.counts("west"))["reserved"] == 2


async def test_r14_a_store_that_is_full(own_engine: EngineProcess, acme: Caller) -> None:
    """R14: out of memory, a claim is refused before its first write; what is reserved stays reserved."""
    with Commands(own_engine.port) as client:
        before = set(names(client))
        client("CONFIG", "SET", "maxmemory", "1mb")
        try:
            (await acme.claim("west", expect=503)).refused(503, "store-unavailable")
            (await acme.claim_one("c-1", expect=503)).refused(503, "store-unavailable")
            assert set(names(client)) == before
            assert (await acme.counts("west"))["reserved"] == 1
        finally:
            client("CONFIG", "SET", "maxmemory", "0")
    await acme.claim_one("c-1")


async def test_an_upload_while_the_store_goes_away(own_engine: EngineProcess, acme: Caller) -> None:
    """503, and the list has everybody whom it had once the store is back."""
    own_engine.kill9()
    (await acme.put("west", b"id,phone\nx,+14155550100\n")).refused(503, "store-unavailable")
    own_engine.restart()
    assert (await acme.counts("west"))["members"] == 5
