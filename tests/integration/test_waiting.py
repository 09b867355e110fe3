"""Claims that wait, over processes that are stopped and killed."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Service, people, reservoir, service
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.waiting import wait_until

LONG = 30
DEAD_AFTER = timedelta(seconds=2)

Told = tuple[int, Any]


@dataclass
class Office:
    """Two services, each of one process, on one store, with a key to its org, in which the list "west" has one member, whom Ben holds."""

    services: tuple[Service, Service]
    key: str
    held: str
    store: Commands
    threads: ThreadPoolExecutor

    def waits(self, at: Service, rep: str, **how: Any) -> "Future[Told]":
        """A claim that waits at a service, and stands in line when this returns."""
        before = self.in_line()
        body = {"rep": rep, "session": rep, "mode": "parallel", "wait_seconds": LONG, **how}
        told = self.threads.submit(at.ask, "POST", "/v1/lists/west/claims", self.key, body)
        wait_until(lambda: self.in_line() == before + 1, f"{rep} stands in line")
        return told

    def heard_of(self) -> dict[str, datetime]:
        """When the store last heard of each process that waits."""
        told = self.store("ZRANGE", "reservoir:{acme}:waiting-processes", 0, -1, "WITHSCORES")
        return {process: datetime.fromtimestamp(int(heard_ms) / 1000, UTC) for process, heard_ms in zip(told[::2], told[1::2], strict=True)}

    def in_line(self) -> int:
        return int(self.store("ZCARD", "reservoir:{acme}:list:west:waiting"))

    def release(self, at: Service) -> None:
        assert at.ask("POST", f"/v1/claims/{self.held}/release", self.key, {})[0] == 200


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        engine = stack.enter_context(EngineProcess())
        environ = {"RESERVOIR_REDIS__URL": engine.url, "RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}
        homes = [tmp_path / name for name in ("one", "two")]
        for home in homes:
            home.mkdir()
        one, two = [stack.enter_context(service(home, "serve --port 0 --no-worker", environ)) for home in homes]
        assert reservoir(tmp_path, "org create acme", environ).code == 0
        key = str(reservoir(tmp_path, "key create --org acme --scope admin --json", environ).json["key"])
        assert one.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", key, {"enabled": True})[0] == 200
        assert one.ask("POST", "/v1/lists", key, {"id": "west", "name": "West", "integration": "csv"})[0] == 201
        assert one.put("west", key, people(1))[0] == 200
        body = {"rep": "ben", "session": "ben", "mode": "power", "hold_seconds": 600}
        held = one.ask("POST", "/v1/lists/west/claims", key, body)[1]["claims"][0]["id"]
        store = stack.enter_context(Commands(engine.port))
        yield Office((one, two), key, held, store, stack.enter_context(ThreadPoolExecutor(40)))


def who(told: Told) -> list[str]:
    return [claim["prospect"]["id"] for claim in told[1]["claims"]]


def test_the_longest_waiter_is_first_over_two_processes(office: Office) -> None:
    """Twenty wait, at either process by turns; those who stream in are theirs in that order, and nobody is served twice or forgotten."""
    told = [office.waits(office.services[number % 2], f"rep {number}") for number in range(20)]
    assert office.services[0].put("west", office.key, people(21))[0] == 200
    assert [who(one.result(LONG)) for one in told] == [[f"p{number}"] for number in range(1, 21)]
    assert office.in_line() == 0


def test_a_process_that_is_killed_costs_its_waiters_their_turn(office: Office) -> None:
    """kill -9: who waits at another process is served as soon as it is dead for two seconds, and nobody is reserved for the dead."""
    one, two = office.services
    lost = office.waits(one, "ana")
    (dead,) = office.heard_of()
    waiter = office.waits(two, "bo")
    (serving,) = one.run.children()  # the parent's end would be noticed, and the waiters answered, if there is time for it
    os.kill(serving, signal.SIGKILL)
    with pytest.raises(OSError, match=r".*"):
        lost.result(LONG)
    heard = office.heard_of()[dead]
    office.release(two)
    told = waiter.result(LONG)
    assert who(told) == ["p0"]
    served = datetime.fromisoformat(told[1]["claims"][0]["claimed_at"])
    assert served > heard + DEAD_AFTER, "until then it may live, and its turn is its own"
    counts = two.ask("GET", "/v1/lists/west", office.key)[1]["counts"]
    assert (counts["reserved"], counts["held"], office.in_line()) == (1, 0, 0)


def test_a_process_that_stops_answers_its_waiters_at_once(office: Office) -> None:
    """SIGTERM: 200 with none before their time is over, and it ends in order; who waits at another process, and for longer, waits on."""
    one, two = office.services
    other = office.waits(two, "bo")
    waiters = [office.waits(one, f"rep {number}") for number in range(10)]
    one.run.send(signal.SIGTERM)
    for waiter in waiters:
        status, told = waiter.result(LONG)
        assert (status, told["claims"], told["list"]["available"]) == (200, [], 0)
    assert (office.in_line(), other.done()) == (1, False), "who has waited longer than any of them still waits"
    assert one.run.code() == 0, one.run.err
    office.release(two)
    assert who(other.result(LONG)) == ["p0"]
