"""A file of many rows over HTTP: how fast its people come in beside plain variadic writes of as many, and what the service's memory does meanwhile.

``python -m benchmarks.imports [--rows 100000]``
"""

import argparse
import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import filling
from benchmarks.claims import service, store
from reservoir.storage.redis import open_store

BATCH = 1_000
HEADER = "id,first_name,last_name,mobile,phone_work,company,title,owner,email\n"


def row(number: int) -> str:
    """A row of typical size, whose two numbers are checked."""
    return (
        f"P-{number:08d},Dana,Ito-{number % 5_000},+1415555{number % 10_000:04d},(212) 555-{number % 10_000:04d},"
        f"Northwind Traders,Head of Operations,lee@acme.example,dana.{number}@northwind.example\n"
    )


async def file(rows: int) -> AsyncIterator[bytes]:
    """The file, made as it is sent."""
    yield HEADER.encode()
    for start in range(0, rows, BATCH):
        yield "".join(row(number) for number in range(start, min(start + BATCH, rows))).encode()


class Memory(threading.Thread):
    """Looks at what a process has in memory, in MB, until it is told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self.first = self.most = self._now()

    def _now(self) -> float:
        return int(self._status.read_text().split("VmRSS:")[1].split()[0]) / 1_024

    def run(self) -> None:
        """Looks ten times a second."""
        while not self._over.wait(0.1):
            self.most = max(self.most, self._now())

    def grown(self) -> float:
        """By how much it grew at most."""
        self._over.set()
        return self.most - self.first


async def variadic(port: int, rows: int) -> float:
    """Members a second by the plainest way to write as many: a sorted set and a hash, a thousand a command, the next when the last is done."""
    opened = await open_store(f"redis://127.0.0.1:{port}/0")
    begun = time.perf_counter()
    for start in range(0, rows, BATCH):
        numbers = range(start, min(start + BATCH, rows))
        await opened.command("ZADD", "plain:order", *(part for number in numbers for part in (number, f"P-{number:08d}")))
        await opened.command("HSET", "plain:members", *(part for number in numbers for part in (f"P-{number:08d}", row(number))))
    took = time.perf_counter() - begun
    await opened.command("UNLINK", "plain:order")
    await opened.command("UNLINK", "plain:members")
    await opened.close()
    return rows / took


async def upload(port: int, key: str, rows: int) -> tuple[float, dict[str, Any]]:
    """Members a second of the import, and the sync that it was."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as http:
        async with http.post("/v1/lists", json={"id": "big", "name": "Big", "integration": "csv"}) as made:
            made.raise_for_status()
        begun = time.perf_counter()
        async with http.put("/v1/lists/big/members", data=file(rows), headers={"Content-Type": "text/csv"}) as answer:
            told: dict[str, Any] = await answer.json()
            if answer.status != 200:
                raise RuntimeError(str(told))
        return rows / (time.perf_counter() - begun), told


def main() -> None:
    """Prints both rates, their ratio, and how the memory grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with store(durable=False) as port, service("reservoir", port, 1_000) as (service_port, pid):
        plain = asyncio.run(variadic(port, rows))
        memory = Memory(pid)
        memory.start()
        rate, told = asyncio.run(upload(service_port, filling.KEY_FILE.read_text(), rows))
        grown = memory.grown()
        filling.KEY_FILE.unlink()
    print(f"variadic  {plain:9,.0f} members/s")
    print(f"import    {rate:9,.0f} rows/s, {rate / plain:.2f} of that; {told['fetched']:,} fetched, {told['rejected_count']} rejected")
    print(f"memory    {memory.first:.0f} MB before, {grown:.0f} MB more at most")


if __name__ == "__main__":
    main()
