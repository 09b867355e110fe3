"""kill -9 in the middle of an import that replaces a list, while dialers claim from it: nobody is lost, and the next import is exact (R1, R12, R13)."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from reservoir.storage.syncs import FILE_LEASE_MS
from tests.support.cli import Service, running, service
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.fleet import Caller, Fleet, fleet
from tests.support.history import Record, double_dials, leaked, lost, refuted, takings
from tests.support.keyspace import contradictions, snapshot
from tests.support.load import Load
from tests.support.waiting import await_until

DIALERS = 6
OLD = [f"p{number:04}" for number in range(1_500)]
NEW = [*[f"n{number:03}" for number in range(200)], *OLD[:299:-1]]
"""Others at the head, then most of the old ones turned round: 300 leave."""

KILLED_AT = 500
"""So many of them are in, or more, when the blow comes."""

SYNC = "reservoir:{acme}:list:west:sync"

pytestmark = pytest.mark.timeout(120)


def file(members: list[str]) -> list[bytes]:
    """The lines of a file of these people."""
    return [b"id,phone\n", *(f"{who},+1415555{number % 10_000:04}\n".encode() for number, who in enumerate(members))]


def mixed(fetched: int) -> list[str]:
    """R12: the order that the rules promise while a run has brought so many."""
    brought = NEW[:fetched]
    return [*brought, *(who for who in OLD if who not in {*brought})]


@dataclass
class Upload:
    """The new file, of which so much is sent that the blow comes in its middle; the rest when it is told to go on."""

    on: asyncio.Event = field(default_factory=asyncio.Event)

    async def chunks(self) -> AsyncIterator[bytes]:
        lines = file(NEW)
        for start in range(0, KILLED_AT + 250, 50):
            yield b"".join(lines[start : start + 50])
        await self.on.wait()
        yield b"".join(lines[KILLED_AT + 250 :])

    async def put(self, http: aiohttp.ClientSession, root: str, key: str) -> tuple[int, Any]:
        """The answer, if there is one."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"}
        async with http.put(f"{root}/v1/lists/west/members", data=self.chunks(), headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)


@dataclass
class Office:
    """A list that many dial by way of one process, and an import of the new file by way of another."""

    at: Fleet
    http: aiohttp.ClientSession
    admin: Caller
    load: Load

    async def told(self, path: str) -> Any:
        status, told = await self.admin.ask("GET", path)
        assert status == 200, told
        return told

    async def half_way(self) -> int:
        """Waits until enough of the import is in; how much."""

        async def enough() -> bool:
            sync = await self.told("/v1/lists/west/sync")
            return bool(sync["state"] == "running" and sync["fetched"] >= KILLED_AT)

        await await_until(enough, "half of the file to be in", timeout_s=60)
        return int((await self.told("/v1/lists/west/sync"))["fetched"])

    async def stands(self, members: list[str], root: str | None = None) -> None:
        """The list has these, in this order, and its counts add up."""
        assert [one["prospect"]["id"] for one in await self.admin.pages("/v1/lists/west/members")] == members
        status, told = await self.admin.ask("GET", "/v1/lists/west", root=root)
        counts = told["counts"]
        assert (status, counts["members"], sum(counts.values())) == (200, len(members), 2 * len(members))

    async def judge(self) -> None:
        """Nobody was granted twice, no claim is lost or known to nobody, and the store's keys agree with each other."""
        told, live, now_ms = takings(self.load.record.path).values(), await self.admin.pages("/v1/reservations"), time.time_ns() // 1_000_000
        assert len(told) > DIALERS
        assert [*double_dials(told), *lost(told, live, now_ms), *leaked(told, live)] == []
        assert await refuted(self.at.engine.url, "acme") == []
        with Commands(self.at.engine.port) as client:
            assert contradictions(snapshot(client), "acme", time.time_ns() // 1_000_000) == []


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Fleet]:
    """The process by which they dial, on a store that writes each answer to the disk before it gives it."""
    with EngineProcess(durable=True) as engine, fleet(tmp_path, engine, processes=1) as opened:
        yield opened


@pytest.fixture
async def office(durable: Fleet, tmp_path: Path) -> AsyncIterator[Office]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)) as http:
        admin = Caller(http, durable.roots, await durable.org("acme"), random.Random(0))
        assert (await admin.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", {"enabled": True}))[0] == 200
        assert (await admin.ask("POST", "/v1/lists", {"id": "west", "name": "West", "integration": "csv"}))[0] == 201
        assert (await admin.ask("PUT", "/v1/lists/west/members", b"".join(file(OLD))))[0] == 200
        dialers = [Caller(http, durable.roots, admin.key, random.Random(number)) for number in range(DIALERS)]
        with Record(tmp_path / "told.jsonl") as record:
            yield Office(durable, http, admin, Load(dialers, record))


async def test_r12_a_process_that_is_killed_in_an_import_loses_nobody(office: Office, tmp_path: Path) -> None:
    """All that was there and all that was in is there, in R12's order; the run is lost, for it ends; the next import is taken at once then, and exact."""
    home, environ = tmp_path / "doomed", {"RESERVOIR_REDIS__URL": office.at.engine.url, "RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}
    home.mkdir()
    async with asyncio.TaskGroup() as dialing:
        for number in range(DIALERS):
            dialing.create_task(office.load.dial(number))
        with running(home, "serve --port 0 --no-worker", environ) as doomed:
            putting = asyncio.create_task(Upload().put(office.http, Service(doomed).url, office.admin.key))
            acknowledged = await office.half_way()
            doomed.process.kill()
            with pytest.raises(aiohttp.ClientError):
                await putting
        await office.load.more_answers(20)
        with Commands(office.at.engine.port) as client, service(home, "serve --port 0 --no-worker", environ) as again:
            run = await office.told("/v1/lists/west/sync")
            assert run["fetched"] >= acknowledged
            await office.stands(mixed(run["fetched"]))
            if run["state"] == "running":  # that it is refused ends soon
                seconds, _ = client("TIME")
                assert int(client("HGET", SYNC, "lease")) <= (int(seconds) + 1) * 1_000 + FILE_LEASE_MS
                client("HSET", SYNC, "lease", 1)
            status, ended = await office.admin.ask("GET", "/v1/lists/west/sync", root=again.url)
            assert (status, ended["id"], ended["state"], ended["error"]["type"]) == (200, run["id"], "failed", "/problems/lost")
            upload = Upload()
            upload.on.set()
            status, told = await upload.put(office.http, again.url, office.admin.key)
            assert (status, told["state"], told["fetched"]) == (200, "done", len(NEW))
            assert (told["added"], told["left"]) == (len({*NEW} - {*mixed(run["fetched"])}), 300)
            await office.stands(NEW, again.url)
        office.load.stopped.set()
    await office.judge()


async def test_r12_an_import_outlives_an_engine_that_is_killed(office: Office) -> None:
    """The page that was under way is written once, the file goes on where it was, and its end is exact."""
    async with asyncio.TaskGroup() as dialing:
        for number in range(DIALERS):
            dialing.create_task(office.load.dial(number))
        upload = Upload()
        putting = asyncio.create_task(upload.put(office.http, office.at.roots[0], office.admin.key))
        await office.half_way()
        office.at.engine.kill9()
        upload.on.set()
        office.at.engine.restart()
        status, told = await putting
        assert (status, told["state"], told["fetched"], told["added"], told["left"]) == (200, "done", len(NEW), 200, 300)
        await office.stands(NEW)
        office.load.stopped.set()
    await office.judge()
