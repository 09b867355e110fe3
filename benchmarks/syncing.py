"""A sync of many members by a worker of its own, while dialers claim: how long claims take with and without it, in turns, and the worker's memory.

The worker is stopped (SIGSTOP) for a moment and goes on for a moment, again and again, so that whatever else the machine does falls to both alike.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import filling
from reservoir.config import Config
from reservoir.domain.lists import ListDefinition, Sync
from reservoir.storage.embedded import EmbeddedEngine
from reservoir.wiring import Services, services

SOURCE = """
from reservoir.config import Table
from reservoir.domain.prospects import Member
from reservoir.integrations import phones
from reservoir.integrations.base import Integration
from reservoir.integrations.source import Checked, Page


class Settings(Table):
    members: int


class Big:
    def __init__(self, settings, pace):
        self._members = settings.members

    def pages(self, wanted, cursor):
        for start in range(cursor["from"] if cursor else 0, self._members, 1000):
            end = min(start + 1000, self._members)
            members = tuple(
                Member("big", str(number), f"Dana Ito {number}", (phones.read(f"(415) 555-{number % 10000:04}", "US", "mobile"),),
                       "Northwind Traders", "Head of Operations", fields={"email": f"dana.{number}@northwind.example"})
                for number in range(start, end)
            )
            yield Page(members, cursor={"from": end} if end < self._members else None, total=self._members)

    def check(self):
        return Checked(None, (), (), {})

    def close(self):
        pass


integration = Integration("big", str.strip, ("all",), connect=Big, table=Settings)
"""
DIALERS = 4
TURN_S = 0.7
"""How long the worker works, or is stopped; no longer than a call of its own that is under way may take."""


def install(directory: Path) -> str:
    """Puts the source where a process finds it."""
    info = directory / "big-1.0.dist-info"
    info.mkdir(parents=True)
    (directory / "big.py").write_text(SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: big\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[reservoir.integrations]\nbig = big:integration\n")
    return str(directory)


class Turns:
    """Whether the worker works just now. ``number`` moves on with each change: a claim that spans one counts for neither."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.number = 0

    @property
    def works(self) -> bool:
        return self.number % 2 == 0

    async def take(self) -> None:
        """Turn after turn, until it is cancelled; then the worker works."""
        try:
            while True:
                await asyncio.sleep(TURN_S)
                os.kill(self._pid, signal.SIGSTOP if self.works else signal.SIGCONT)
                self.number += 1
        finally:
            os.kill(self._pid, signal.SIGCONT)


async def claim(url: str, key: str, turns: Turns, until: asyncio.Event) -> tuple[list[float], list[float]]:
    """How long each claim took (ms) while the worker was stopped, and while it worked, by a few dialers who claim one after the other."""
    took: tuple[list[float], list[float]] = ([], [])

    async def dial(http: aiohttp.ClientSession, number: int) -> None:
        while not until.is_set():
            body = {"rep": f"rep-{number}", "session": f"s-{number}", "mode": "power"}
            turn, begun = turns.number, time.perf_counter()
            async with http.post(f"{url}/v1/lists/{filling.LIST}/claims", json=body, headers={"Authorization": f"Bearer {key}"}) as answer:
                await answer.read()
                if answer.status not in {200, 201}:
                    raise RuntimeError(f"a claim was answered {answer.status}")
            if turn == turns.number:
                took[turns.works].append((time.perf_counter() - begun) * 1_000)
            await asyncio.sleep(0.02)

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(dial(http, number) for number in range(DIALERS)))
    return took


def memory_mb(pid: int, field: str) -> float:
    """A process's memory as the system counts it."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


async def measured(url: str, key: str, pid: int, work: "asyncio.Future[Any]") -> tuple[list[float], list[float]]:
    """The claims while the sync goes on, in turns."""
    until, turns = asyncio.Event(), Turns(pid)
    work.add_done_callback(lambda _: until.set())
    taking = asyncio.ensure_future(turns.take())
    try:
        took = await claim(url, key, turns, until)
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    await work
    return took


async def synced(opened: Services, pid: int, total: int) -> list[float]:
    """Asks for the sync and waits for its end; the worker's memory at each tenth."""
    org = await filling.current(opened)
    await opened.syncs.ask(org, "big")
    seen: list[float] = []
    while True:
        run = await opened.syncs.newest(org, "big")
        if not isinstance(run, Sync):
            raise TypeError(run.detail)
        if run.fetched * 10 // total > len(seen):
            seen.append(memory_mb(pid, "VmRSS"))
        if run.state in {"done", "failed"}:
            if run.state == "failed" or run.fetched != total:
                raise RuntimeError(f"it is {run}")
            return seen
        await asyncio.sleep(0.1)


def told(name: str, took: list[float]) -> str:
    """One line of figures."""
    cuts = statistics.quantiles(took, n=100)
    return f"{name:14} {len(took):6} claims   p50 {cuts[49]:6.2f} ms   p95 {cuts[94]:6.2f} ms   p99 {cuts[98]:6.2f} ms"


def started(directory: Path, environ: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    """A process of reservoir."""
    return subprocess.Popen([sys.executable, "-m", "reservoir", *words], cwd=directory, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def main(members: int, directory: Path, environ: dict[str, str], url: str) -> None:
    """One sync, and claims beside it."""
    async with services(Config(), url) as opened:
        key = await filling.fill(opened, 20_000)
        org = await filling.current(opened)
        await opened.lists.create(org, ListDefinition("big", "Big", "big", {"kind": "all", "id": "x"}, {}, 0), exact=True, by="bench")
    serve = started(directory, environ, "serve", "--port", "8479", "--no-worker")
    worker = started(directory, environ, "worker")
    try:
        await ready("http://127.0.0.1:8479", serve, worker)
        async with services(Config(), url) as opened:
            at = "http://127.0.0.1:8479"
            idle_mb = memory_mb(worker.pid, "VmRSS")
            begun = time.perf_counter()
            work = asyncio.ensure_future(synced(opened, worker.pid, members))
            without, beside = await measured(at, key, worker.pid, work)
            took_s = time.perf_counter() - begun
            print(told("without", without), told("with the sync", beside), sep="\n")
            grown = ", ".join(f"{one:.0f}" for one in work.result())
            print(f"{members:,} members in {took_s:.1f} s, for half of which the worker was stopped")
            print(f"the worker's memory: {idle_mb:.0f} MB idle, then at each tenth {grown} MB")
    finally:
        for process in (worker, serve):
            process.terminate()
            process.wait()


async def ready(url: str, *processes: subprocess.Popen[bytes]) -> None:
    """The service answers. **Raises**: RuntimeError if one of the processes has ended."""
    async with aiohttp.ClientSession() as http:
        while True:
            if any(process.poll() is not None for process in processes):
                raise RuntimeError("the service or the worker did not start")
            try:
                async with http.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=100_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        place = Path(home)
        path = os.pathsep.join([str(Path.cwd()), install(place / "site")])
        sys.path.append(str(place / "site"))
        with EmbeddedEngine.start(place / "data") as engine:
            found = engine.engine.url
            environ = {**os.environ, "PYTHONPATH": path, "RESERVOIR_REDIS__URL": found, "RESERVOIR_ORGS__BENCH__BIG__MEMBERS": str(wanted.members)}
            asyncio.run(main(wanted.members, place, environ, found))
