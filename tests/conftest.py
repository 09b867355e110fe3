"""Real servers for the tests, one of each kind per worker process, empty before each test and looked over after it."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reservoir.domain.settings import OrgProfile
from reservoir.storage.keys import ORGS
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import Store, open_store
from reservoir.storage.settings import SettingsStore
from tests.support.commands import Commands
from tests.support.engine import EngineProcess, wheel_binary
from tests.support.keyspace import contradictions, snapshot, strays

INTEGRATIONS = ("salesforce", "hubspot", "csv")

Engines = Callable[[Path], EngineProcess]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "leaves(why): the test leaves keys behind on purpose that the service itself would never leave so")


def redis_server() -> Path | None:
    """Debian's redis-server, or what else goes by that name; None if there is none that is new enough for the scripts."""
    found = shutil.which("redis-server")
    if found is None:
        return None
    said = subprocess.run([found, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    return Path(found) if int(said.split("v=")[1].split(".")[0]) >= 7 else None


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """One server for each program, started when it is first asked for, for as long as this worker process lives."""
    started: dict[Path, EngineProcess] = {}

    def engine(binary: Path) -> EngineProcess:
        if binary not in started:
            started[binary] = EngineProcess("--enable-debug-command", "yes", binary=binary)
        return started[binary]

    yield engine
    for process in started.values():
        process.close()


@pytest.fixture
def server(engines: Engines, request: pytest.FixtureRequest) -> Iterator[EngineProcess]:
    """The server that tests run on unless they say otherwise: the embedded engine's, or the one that RESERVOIR_TEST_SERVER names. It is empty.

    It is shared with the tests that follow: one that kills, freezes or fills a server starts an `EngineProcess` of its own.
    """
    engine = engines(Path(os.environ.get("RESERVOIR_TEST_SERVER") or wheel_binary()))
    engine.flush()
    yield engine
    look_over(engine, request)


def look_over(engine: EngineProcess, request: pytest.FixtureRequest) -> None:
    """Fails the test that left what the service would never leave: a key that is not declared, or two that contradict each other."""
    if request.node.get_closest_marker("leaves"):
        return
    with Commands(engine.port) as client:
        state = snapshot(client)
        seconds, micros = map(int, client("TIME"))
    now_ms = seconds * 1_000 + micros // 1_000
    orgs = state[ORGS].value if ORGS in state else {key.split("{")[1].split("}")[0] for key in state if "{" in key}
    found = strays(state) + [f"{org}: {wrong}" for org in sorted(orgs) for wrong in contradictions(state, org, now_ms)]
    if found:
        pytest.fail("the test left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture
def client(server: EngineProcess) -> Iterator[Commands]:
    """A plain connection to the server, for what a test does and sees behind the service's back."""
    with Commands(server.port) as commands:
        yield commands


@pytest.fixture
async def store(server: EngineProcess) -> AsyncIterator[Store]:
    """The store, as the service opens it."""
    opened = await open_store(server.url)
    yield opened
    await opened.close()


@pytest.fixture
def orgs(store: Store) -> OrgStore:
    """All orgs of the store, as one process remembers them."""
    return OrgStore(store, INTEGRATIONS)


@pytest.fixture
async def acme(orgs: OrgStore) -> Org:
    """An org with multi-rep dialing on for csv, and off for the others."""
    await orgs.create(OrgProfile("acme", "Acme"))
    org = await known(orgs, "acme")
    await SettingsStore(orgs).set_multi_rep_dialing(org, "csv", replace(org.settings["csv"], enabled=True), "a test")
    return await known(orgs, "acme")


async def known(orgs: OrgStore, org_id: str) -> Org:
    """The org as the store has it now."""
    org = await orgs.get(org_id, fresh=True)
    assert org is not None
    return org
