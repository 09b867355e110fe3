"""Every form of a store's URL leads to a store on which claims are granted: a port, a socket file, a Sentinel's primary, a cluster."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reservoir.domain.claims import Granted
from reservoir.domain.lists import ListDefinition
from reservoir.domain.prospects import Member, Phone
from reservoir.domain.settings import MultiRepDialing, OrgProfile
from reservoir.storage.claims import ClaimStore, RequestKey, Taker
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import StoreUnavailableError, open_store
from reservoir.storage.settings import SettingsStore
from reservoir.storage.syncs import SyncStore
from tests.support.engine import EngineProcess, wheel_binary
from tests.support.processes import tied
from tests.support.waiting import wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def claim_on(url: str) -> list[str]:
    """Whom two claims on a new list of three take, on the store at the URL."""
    store = await open_store(url)
    try:
        orgs = OrgStore(store, ("csv",))

        async def acme() -> Org:
            org = await orgs.get("acme", fresh=True)
            assert org is not None
            return org

        assert await orgs.create(OrgProfile("acme", "Acme"))
        await SettingsStore(orgs).set_multi_rep_dialing(await acme(), "csv", MultiRepDialing(enabled=True), "a test")
        lists, syncs, claims = ListStore(orgs), SyncStore(orgs), ClaimStore(orgs)
        await lists.create(await acme(), ListDefinition("q4", "Q4", "csv", None, {}, 0), exact=True, by="a test")
        sync = await syncs.begin(await acme(), "q4")
        assert isinstance(sync, str)
        people = [(line, Member("csv", f"p{line}", phones=(Phone("mobile", "+14155550100"),))) for line in range(3)]
        assert await syncs.page(await acme(), "q4", sync, 1, people, [], 0) is None
        assert await syncs.finish(await acme(), "q4", sync) is None
        taken = []
        for rep in ("ana", "bo"):
            granted = await claims.claim_next(await acme(), "q4", Taker(rep, "s", "power", None), 1, RequestKey.of(None, "/", {}))
            assert isinstance(granted, Granted)
            taken += [claim.prospect for claim in granted.claims]
        assert await orgs.ids() == ["acme"]
        return taken
    finally:
        await store.close()


async def test_a_port() -> None:
    """redis:// with a database of its own."""
    with EngineProcess() as engine:
        assert await claim_on(f"redis://127.0.0.1:{engine.port}/3") == ["p0", "p1"]


async def test_a_password() -> None:
    """redis:// with a user and a password; a wrong one is a refusal that names no password."""
    with EngineProcess() as engine:
        assert engine.say("CONFIG", "SET", "requirepass", "s3cret") == "OK"
        assert await claim_on(f"redis://:s3cret@127.0.0.1:{engine.port}/0") == ["p0", "p1"]
        with pytest.raises(StoreUnavailableError) as refused:
            await open_store(f"redis://:wr0ng@127.0.0.1:{engine.port}/0")
        assert "wr0ng" not in str(refused.value)


async def test_a_socket_file(tmp_path: Path) -> None:
    """unix:// to a server's socket."""
    path = tmp_path / "s"
    with EngineProcess("--unixsocket", str(path)):
        assert await claim_on(f"unix://{path}?db=0") == ["p0", "p1"]


@contextmanager
def sentinel(primary: EngineProcess, directory: Path) -> Iterator[int]:
    port = free_port()
    config = directory / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor main 127.0.0.1 {primary.port} 1\n")
    process = subprocess.Popen(tied(str(wheel_binary()), str(config), "--sentinel"), stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def test_a_sentinel(tmp_path: Path) -> None:
    """redis+sentinel:// asks any of the sentinels for the primary."""
    with EngineProcess() as primary, sentinel(primary, tmp_path) as port:

        def up() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(up, "the sentinel to listen")
        assert await claim_on(f"redis+sentinel://127.0.0.1:{port}/main/0") == ["p0", "p1"]


async def test_a_cluster() -> None:
    """redis+cluster:// sends an org's scripts to the node that has its slot."""
    with EngineProcess("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as node:
        assert node.say("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == "OK"
        wait_until(lambda: "cluster_state:ok" in node.say("CLUSTER", "INFO"), "the cluster to be whole")
        assert await claim_on(f"redis+cluster://127.0.0.1:{node.port}") == ["p0", "p1"]


async def test_nobody_there() -> None:
    """A store that does not answer is refused with a sentence."""
    port = free_port()
    with pytest.raises(StoreUnavailableError, match=str(port)):
        await open_store(f"redis://127.0.0.1:{port}/0")
