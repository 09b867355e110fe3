"""kill -9 of the store under load: whatever was acknowledged is there afterwards, with its owner, and nobody was granted twice (R1, R12, R15)."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.cli import people
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.fleet import Caller, Fleet, fleet
from tests.support.history import Record, double_dials, leaked, lost, refuted, takings
from tests.support.keyspace import contradictions, snapshot
from tests.support.load import Load
from tests.support.waiting import await_until

DIALERS = 16
PROSPECTS = 4_000
KILLS = 5
ANSWERS_BETWEEN = 80
FORGOTTEN_BYTES = 60_000

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Fleet]:
    """One process of the service on a store that writes each answer to the disk before it gives it."""
    with EngineProcess(durable=True) as engine, fleet(tmp_path, engine, processes=1) as opened:
        yield opened


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def loaded(at: Fleet, http: aiohttp.ClientSession, path: Path) -> tuple[Caller, Load]:
    """A list that many may dial, and those who will."""
    admin = Caller(http, at.roots, await at.org("acme"), random.Random(0))
    assert (await admin.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", {"enabled": True}))[0] == 200
    assert (await admin.ask("POST", "/v1/lists", {"id": "west", "name": "West", "integration": "csv"}))[0] == 201
    assert (await admin.ask("PUT", "/v1/lists/west/members", people(PROSPECTS)))[0] == 200
    return admin, Load([Caller(http, at.roots, admin.key, random.Random(number)) for number in range(DIALERS)], Record(path))


async def test_nothing_acknowledged_is_lost_when_the_store_is_killed(durable: Fleet, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    """R12, R15: after each of several kill -9 under load, what dialers were told stands, what they were not told nobody has, and nobody was granted twice."""
    admin, load = await loaded(durable, http, tmp_path / "told.jsonl")
    async with asyncio.TaskGroup() as dialing:
        for number in range(DIALERS):
            dialing.create_task(load.dial(number))
        for kill in range(KILLS):
            await load.more_answers(ANSWERS_BETWEEN)
            before = load.repeats
            durable.engine.kill9()
            if kill % 2:  # every other time somebody meets the store while it is away
                await await_until(lambda before=before: load.repeats > before, "a dialer who is told that the store is away", timeout_s=60)  # type: ignore[misc]
            durable.engine.restart()
        await load.more_answers(ANSWERS_BETWEEN)
        load.stopped.set()
    load.record.close()
    told, live = takings(load.record.path).values(), await admin.pages("/v1/reservations")
    assert len(told) > KILLS * ANSWERS_BETWEEN
    assert lost(told, live, time.time_ns() // 1_000_000) == []
    assert leaked(told, live) == []
    assert double_dials(told) == []
    assert await refuted(durable.engine.url, "acme") == []
    with Commands(durable.engine.port) as client:
        state = snapshot(client)
    assert contradictions(state, "acme", time.time_ns() // 1_000_000) == []
    granted = Counter(entry["claim"] for entry in state["reservoir:{acme}:history"].value if entry["type"] in {"claim.held", "claim.reserved"})
    attempted = {line["claim"] for line in state["reservoir:{acme}:history"].value if line["type"] == "claim.reserved"}
    held = {line["claim"] for line in state["reservoir:{acme}:history"].value if line["type"] == "claim.held"}
    assert all(count == (2 if claim in attempted & held else 1) for claim, count in granted.items()), "the history has a claim twice"
    assert {taking.claim for taking in told} == granted.keys()


async def test_a_disk_that_forgets_is_seen(durable: Fleet, http: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The verdict is not blind: where a disk loses the last that it said it had, by a power cut, claims are missed and granted anew, and that is told."""
    admin, load = await loaded(durable, http, tmp_path / "told.jsonl")
    async with asyncio.TaskGroup() as dialing:
        for number in range(DIALERS):
            dialing.create_task(load.dial(number))
        await load.more_answers(ANSWERS_BETWEEN)
        load.stopped.set()
    durable.engine.kill9()
    (log,) = (durable.engine.directory / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - FORGOTTEN_BYTES)
    durable.engine.restart()
    told = list(takings(load.record.path).values())
    assert lost(told, await admin.pages("/v1/reservations"), time.time_ns() // 1_000_000) != []
    load.stopped.clear()
    async with asyncio.TaskGroup() as dialing:
        for number in range(DIALERS):
            dialing.create_task(load.dial(number + DIALERS))
        await load.more_answers(ANSWERS_BETWEEN)
        load.stopped.set()
    load.record.close()
    assert double_dials(takings(load.record.path).values()) != []
