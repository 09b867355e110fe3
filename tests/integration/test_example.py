"""The small dialers that are there to be copied, the client's and the README's, run before a real service."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_readme import blocks
from tests.support.cli import Service, environment, people, service
from tests.support.processes import tied
from tests.support.waiting import wait_until

PEOPLE = 3
CALLS = """

async def call(prospect):
    print("calling", prospect.id)
    return "connected"

if __name__ == "__main__":
    import asyncio, sys
    asyncio.run(dial(*sys.argv[1:], call))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("house"), environ={"RESERVOIR_ORGS__ACME__NAME": "Acme"}) as started:
        yield started


@pytest.fixture(scope="module")
def key(house: Service) -> str:
    admin = house.key()
    assert house.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", admin, {"enabled": True})[0] == 200
    return admin


def make_list(house: Service, key: str, id_: str, first: int, count: int = PEOPLE) -> None:
    assert house.ask("POST", "/v1/lists", key, {"id": id_, "name": id_, "integration": "csv"})[0] == 201
    assert house.put(id_, key, people(count, first))[0] == 200


def dialer(*words: str) -> "subprocess.Popen[str]":
    environ = {**environment(), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(tied(sys.executable, *words), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def called(house: Service, key: str, list_: str) -> list[Any]:
    """What the service has of a list that was dialed: each reserved."""
    items = house.ask("GET", f"/v1/reservations?list={list_}", key)[1]["items"]
    assert {one["state"] for one in items} <= {"reserved"}
    return list(items)


def outcomes(house: Service, key: str, found: list[Any]) -> list[str]:
    return [house.ask("GET", f"/v1/claims/{one['claim']}", key)[1]["disposition"]["outcome"] for one in found]


def test_the_example_calls_a_list_from_first_to_last(house: Service, key: str) -> None:
    """Everybody is called once, in order, by a dialer's key, and each has an outcome; then it ends with 0."""
    make_list(house, key, "west", 0)
    process = dialer("-m", "reservoir.client.example", house.url, house.key(scope="dial"), "west")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert [line.split(" at ")[0].split()[-1] for line in out.splitlines() if line.startswith("calling")] == ["0", "1", "2"]
    found = called(house, key, "west")
    assert len(found) == PEOPLE
    assert set(outcomes(house, key, found)) <= {"connected", "voicemail", "no_answer"}


def test_the_example_stops_and_holds_nobody(house: Service, key: str) -> None:
    """Ctrl-C in a call: who was not attempted is given back by the session's end."""
    make_list(house, key, "north", 100, 200)
    process = dialer("-m", "reservoir.client.example", house.url, house.key(scope="dial"), "north")
    try:
        wait_until(lambda: len(called_or_held(house, key)) > 1, "calls", 60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "")
        assert called(house, key, "north")
    finally:
        process.kill()
        process.communicate()


def called_or_held(house: Service, key: str) -> list[Any]:
    return list(house.ask("GET", "/v1/reservations?list=north", key)[1]["items"])


def test_the_example_says_why_it_cannot(house: Service) -> None:
    """A key that is none is one sentence and 1; too few words are 2."""
    for words, code in (((house.url, "rsv_acme_none", "west"), 1), ((house.url,), 2)):
        process = dialer("-m", "reservoir.client.example", *words)
        _, err = process.communicate(timeout=60)
        assert process.returncode == code
        assert err.count("\n") == 1
        assert "Traceback" not in err


def test_the_readmes_dialer_dials(tmp_path: Path, house: Service, key: str) -> None:
    """Its block, with a telephony, calls everybody once and records each outcome."""
    (block,) = blocks("python", "A dialer in Python")
    make_list(house, key, "sample", 500)
    (tmp_path / "dialer.py").write_text(block + CALLS)
    process = dialer(str(tmp_path / "dialer.py"), house.url, house.key(scope="dial"))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == ["calling p500", "calling p501", "calling p502"]
    assert outcomes(house, key, called(house, key, "sample")) == ["connected"] * PEOPLE
