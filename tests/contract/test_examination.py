"""What `doctor` finds on real stores: rights that lack, clocks that differ, replicas that do not confirm, writes that are slow or refused."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reservoir.config import Config, Redis
from reservoir.domain.times import HOUR_MS
from reservoir.storage import examination
from reservoir.storage.examination import commands, examine
from reservoir.storage.lane import Replication
from reservoir.storage.proof import verify
from reservoir.storage.redis import Store, open_store
from reservoir.storage.safety import Durability, Finding
from tests.contract.test_store_clock import needs_compiler
from tests.support.engine import EngineProcess
from tests.support.leaping import LeapingServer
from tests.support.service import running

STORAGE = Path(examination.__file__).parent
TO_CONNECT = ("+evalsha", "+script|load", "+hello", "+auth", "+select", "+client|setname", "+client|setinfo", "+config|get")


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    with EngineProcess(durable=True) as one:
        yield one


@asynccontextmanager
async def opened(url: str, replicas: int = 0) -> AsyncIterator[Store]:
    store = await open_store(url, Replication(replicas, 50) if replicas else None)
    yield store
    await store.close()


async def found(url: str, replicas: int = 0) -> dict[str, Finding]:
    async with opened(url, replicas) as store:
        return {finding.about: finding for finding in await examine(store, Durability(replicas))}


def user(engine: EngineProcess, name: str, *rights: str) -> str:
    """The store's address for a user with these rights."""
    assert engine.say("ACL", "SETUSER", name, "reset", "on", ">secret", *rights) == "OK"
    return engine.url.replace("redis://", f"redis://{name}:secret@")


async def test_a_durable_store_of_our_own_has_nothing_to_say(engine: EngineProcess) -> None:
    """All is safe, and each finding says what is and what should be."""
    for finding in (await found(engine.url)).values():
        assert finding.standing in {"safe", "notice" if finding.about == "what a write takes" else "safe"}, finding
        assert finding.found
        assert finding.wanted


def test_every_command_of_the_service_is_asked_for() -> None:
    """What the code gives to the store is among the commands whose rights are looked at."""
    given = {name for path in STORAGE.parent.rglob("*.py") for name in re.findall(r'\.(?:command|ask|call)\(\s*"([A-Z]+)"', path.read_text())}
    asked = {command.split()[0] for command in commands()}
    assert {"ZADD", "XADD", "TIME", "WAIT"} <= asked
    assert given - asked <= {"EVALSHA", "SCRIPT", "CONFIG"}  # two were given to ask, and CONFIG may be refused


async def test_the_rights_that_are_asked_for_are_enough(engine: EngineProcess) -> None:
    """A user who may give exactly these commands, on the service's keys alone, serves: an org, a list, a claim, all that follows."""
    rights = sorted({f"+{command.split()[0].lower()}" for command in commands()})
    url = user(engine, "exact", "~reservoir:*", *TO_CONNECT, *rights)
    assert (await found(url))["what the store's user may do"].standing == "safe"
    async with running(url, Config(redis=Redis())) as app:
        acme = await app.org("acme")
        await acme.enable()
        list_ = await acme.make_list("West", ["p1", "p2"])
        held = await acme.take(list_, hold_seconds=60)
        await acme.after(held, "attempt", {}, 200)
        await acme.after(held, "disposition", {"outcome": "busy", "remove": True}, 200)
        await app.services.settling.everything()
        await app.services.settling.turn()
        await app.caller().get("/readyz")
        await acme("GET", "/v1/prospects?q=p1", expect=200)
        assert not (await verify(app.services.orgs, "acme")).violations
        await acme("DELETE", f"/v1/lists/{list_}", expect=204)
        assert await app.services.orgs.delete("acme")
        assert engine.say("ACL", "LOG") in {"", "0"}, "a command was refused"


@pytest.mark.parametrize("lacking", ["zadd", "xadd", "wait"])
async def test_a_right_that_lacks_is_named(engine: EngineProcess, lacking: str) -> None:
    """Before a claim finds out."""
    finding = (await found(user(engine, "short", "~reservoir:*", "+@all", f"-{lacking}")))["what the store's user may do"]
    assert (finding.standing, finding.found) == ("unusable", f"all but {lacking.upper()}")


@pytest.mark.parametrize("rights", [("~reservoir:*", "+@all", "-evalsha"), ("~elsewhere:*", "+@all"), ("~reservoir:*", "+@all", "-info")])
async def test_what_cannot_be_found_out_is_a_finding(engine: EngineProcess, rights: tuple[str, ...]) -> None:
    """A user who may not even ask: one finding says so with the store's own words, and the others are there all the same."""
    findings = await found(user(engine, "blind", *rights))
    (unknown,) = [finding for finding in findings.values() if "not to be known" in finding.found and "NOPERM" in finding.found][:1]
    assert unknown.standing == "unusable"
    assert len(findings) >= 3


async def test_replicas_that_do_not_confirm(engine: EngineProcess) -> None:
    """wait_replicas without as many that answer in time: claims would all be refused, and so it says."""
    finding = (await found(engine.url, 1))["the replicas that confirm a write"]
    assert finding.standing == "unusable"
    assert "1 to confirm" in finding.wanted


async def test_a_store_that_only_reads(engine: EngineProcess) -> None:
    """A write that is refused is told in the store's words."""
    engine.say("REPLICAOF", "127.0.0.1", "1")
    try:
        finding = (await found(engine.url))["a write"]
        assert finding.standing == "unusable"
        assert "READONLY" in finding.found
    finally:
        engine.say("REPLICAOF", "NO", "ONE")


@needs_compiler
async def test_a_clock_that_differs_is_told_until_it_is_accepted(tmp_path: Path) -> None:
    """By how much, and that an operator accepted it; one that moves on after that is told again."""
    with LeapingServer(tmp_path) as server:
        assert (await found(server.url))["the store's clock"].standing == "safe"
        server.leap(HOUR_MS)
        finding = (await found(server.url))["the store's clock"]
        assert finding.standing == "unsafe"
        assert re.match(r"\+(3599|3600)\.\d+ s from", finding.found)
        async with opened(server.url) as store:
            await store.accept_clock()
        finding = (await found(server.url))["the store's clock"]
        assert (finding.standing, finding.found.endswith("as an operator accepted it")) == ("safe", True)
        server.leap(2 * HOUR_MS)
        assert (await found(server.url))["the store's clock"].standing == "unsafe"
