"""Sixty-four dialers at once, over two processes of the service on one store: what each was told is written down, and then judged."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.cli import Service, people, reservoir, service
from tests.support.history import Record, double_dials, leaked, lost, takings

DIALERS = 64
ASKED_AGAIN_MOST = 400
ANSWER_S = 20
LISTS = {"west": (0, 400), "east": (200, 400)}
"""Each list's first person, and how many: half of each is in the other, too."""
EVERYBODY = {f"csv:p{number}" for number in range(600)}


@contextmanager
def two_services(directory: Path, url: str) -> Iterator[tuple[list[Service], str]]:
    """Two services on the store, an org whose lists share people, and a key to it."""
    environ = {"RESERVOIR_REDIS__URL": url, "RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}
    with ExitStack() as stack:
        running = [stack.enter_context(service(directory, environ=environ)) for _ in range(2)]
        assert reservoir(directory, "org create acme", environ).code == 0
        key = str(reservoir(directory, "key create --org acme --scope admin --json", environ).json["key"])
        setting = {"enabled": True, "reservation_timeout": {"unit": "hour", "duration": 1}}
        assert running[0].ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", key, setting)[0] == 200
        for name, (first, count) in LISTS.items():
            assert running[0].ask("POST", "/v1/lists", key, {"id": name, "name": name, "integration": "csv"})[0] == 201
            assert running[0].put(name, key, people(count, first))[0] == 200
        yield running, key


async def dial_everybody(services: Sequence[Service], key: str, record: Record) -> None:
    """All dialers claim until their lists are dry, each asking again with its key until it knows what became of a claim."""
    numbers = itertools.count()
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}, connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as client:

        async def dial(number: int) -> None:
            url, name = services[number % 2].url, ("west", "east")[number // 2 % 2]
            body = {"rep": f"rep {number}", "session": f"s{number}", "mode": "parallel", "count": 1 + number % 4}
            while claims := await ask(url, name, body, f"key {next(numbers)}"):
                record.granted(claims)

        async def ask(url: str, name: str, body: object, idempotency_key: str) -> list[dict[str, Any]]:
            for _ in range(ASKED_AGAIN_MOST):
                try:
                    async with client.post(f"{url}/v1/lists/{name}/claims", json=body, headers={"Idempotency-Key": idempotency_key}) as answer:
                        told = await answer.json()
                except (aiohttp.ClientError, TimeoutError):
                    continue
                if answer.status == 503:
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status in {200, 201}, told
                claims: list[dict[str, Any]] = told["claims"]
                return claims
            raise AssertionError(f"nobody could tell what became of {idempotency_key}")

        await asyncio.gather(*(dial(number) for number in range(DIALERS)))


def live(running: Service, key: str) -> list[dict[str, Any]]:
    """All live reservations, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        status, page = running.ask("GET", f"/v1/reservations?limit=250&cursor={cursor}", key)
        assert status == 200, page
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = page["next_cursor"]


def judge(path: Path, standing: list[dict[str, Any]]) -> None:
    """Nobody was granted twice, nothing acknowledged is lost, nothing is held that nobody knows of, and everybody was dialed."""
    told = takings(path).values()
    assert double_dials(told) == []
    assert lost(told, standing, min(taking.from_ms for taking in told)) == []
    assert leaked(told, standing) == []
    assert {taking.prospect for taking in told} == EVERYBODY
