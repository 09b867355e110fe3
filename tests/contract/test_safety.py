"""A store that can not keep what the service promises is refused at the start, with what was found and what to set."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from reservoir.config import Config, Redis
from reservoir.storage.safety import Finding, _version
from reservoir.wiring import UnsafeStoreError, services
from tests.support.engine import EngineProcess
from tests.support.waiting import wait_until


@contextmanager
def running(*options: str, durable: bool = True) -> Iterator[EngineProcess]:
    with EngineProcess(*options, durable=durable) as engine:
        yield engine


async def opened(engine: EngineProcess, **redis: Any) -> list[Finding]:
    """What the service finds as it starts on the store, unless it refuses it."""
    async with services(Config(redis=Redis(url=engine.url, **redis)), engine.url) as found:
        return await found.findings()


async def test_a_durable_store_is_safe() -> None:
    """What is on disk before it is acknowledged, and is never evicted, will do."""
    with running() as engine:
        assert {finding.standing for finding in await opened(engine)} == {"safe"}


@pytest.mark.parametrize(
    ("options", "durable", "said"),
    [
        (("--maxmemory-policy", "allkeys-lru"), True, ["maxmemory-policy is allkeys-lru", "noeviction"]),
        (("--maxmemory-policy", "volatile-ttl"), True, ["maxmemory-policy is volatile-ttl"]),
        ((), False, ["appendonly no", "appendfsync always", "wait_replicas"]),
        (("--appendonly", "yes", "--appendfsync", "everysec"), False, ["appendfsync everysec"]),
    ],
)
async def test_a_store_that_forgets_is_refused_unless_it_is_allowed(options: tuple[str, ...], durable: bool, said: list[str]) -> None:
    """Known unsafe: it refuses, names what it found and what to set; allowed by the operator, it starts and says so."""
    with running(*options, durable=durable) as engine:
        with pytest.raises(UnsafeStoreError) as refused:
            await opened(engine)
        for part in [*said, "redis.allow_unsafe"]:
            assert part in str(refused.value)
        assert "unsafe" in {finding.standing for finding in await opened(engine, allow_unsafe=True)}


async def test_a_store_that_will_not_say_is_believed_on_the_operators_word() -> None:
    """A managed store without CONFIG: refused as not to be known, accepted with durability_confirmed."""
    with running("--rename-command", "CONFIG", "") as engine:
        with pytest.raises(UnsafeStoreError, match="durability_confirmed"):
            await opened(engine)
        findings = await opened(engine, durability_confirmed=True)
        assert {finding.standing for finding in findings} == {"safe"}
        assert any("not told" in finding.found for finding in findings)


async def test_a_store_that_only_reads_is_refused_whatever_is_allowed() -> None:
    """A replica takes no writes: no setting helps against that."""
    with running() as primary, running("--replicaof", f"127.0.0.1 {primary.port}") as replica:
        wait_until(lambda: "role:slave" in replica.say("INFO", "replication"), "the replica to know its part")
        with pytest.raises(UnsafeStoreError, match="role is slave") as refused:
            await opened(replica, allow_unsafe=True)
        assert "allow_unsafe" not in str(refused.value)


async def test_replicas_stand_in_for_the_disk_where_claims_wait_for_them() -> None:
    """With wait_replicas a store that does not fsync is safe; with too few replicas there it is refused."""
    with running(durable=False) as primary:
        with pytest.raises(UnsafeStoreError, match="connected replicas is 0, it should be at least 1"):
            await opened(primary, wait_replicas=1)
        with running("--replicaof", f"127.0.0.1 {primary.port}", durable=False):
            wait_until(lambda: "connected_slaves:1" in primary.say("INFO", "replication"), "the replica to be connected")
            assert {finding.standing for finding in await opened(primary, wait_replicas=1)} == {"safe"}


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        ({"redis_version": "6.2.14"}, "unusable"),
        ({"redis_version": "7.0.15"}, "safe"),
        ({"redis_version": "8.2.3"}, "safe"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.11"}, "safe"),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "safe"),
        ({"redis_version": "10.0.0"}, "safe"),
        ({}, "unusable"),
    ],
)
def test_which_versions_will_do(told: dict[str, str], standing: str) -> None:
    """Redis 7.0 and Valkey 7.2 are the oldest; Valkey tells its own version beside the one of Redis that it can do."""
    assert _version(told).standing == standing
