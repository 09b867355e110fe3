"""GET /healthz and /readyz: no key, no org's data, and the truth about the store."""

from collections.abc import Iterator

import pytest

from reservoir.config import Config
from tests.support.engine import EngineProcess
from tests.support.service import App, Caller, running
from tests.support.waiting import await_until


@pytest.fixture(scope="module")
def own_engine() -> Iterator[EngineProcess]:
    """A durable server of this module's own, for tests that spoil it, and mend it again."""
    with EngineProcess(durable=True) as engine:
        yield engine


async def ready(app: App) -> bool:
    return (await app.caller().get("/readyz", None)).status == 200


async def test_alive_and_ready_need_no_key(own_engine: EngineProcess) -> None:
    """On a store that keeps what it promises: 200, ready, and nothing unsafe; a key, good or bad, changes nothing."""
    async with running(own_engine.url, Config()) as app:
        for caller in (app.caller(), app.caller("nonsense")):
            assert (await caller.get("/healthz")).json == {"status": "ok"}
            assert (await caller.get("/readyz")).json == {"status": "ready", "unsafe": []}


@pytest.mark.parametrize(
    ("setting", "spoiled", "good", "reason"),
    [
        ("maxmemory-policy", "allkeys-lru", "noeviction", "maxmemory-policy"),
        ("maxmemory-policy", "volatile-ttl", "noeviction", "maxmemory-policy"),
        ("appendfsync", "everysec", "always", "persistence"),
        ("appendonly", "no", "yes", "persistence"),
    ],
)
async def test_a_store_that_became_unsafe(own_engine: EngineProcess, setting: str, spoiled: str, good: str, reason: str) -> None:
    """503 not-ready with the reasons as soon as the store may evict or forget; the process is still alive; 200 again once it is mended."""
    async with running(own_engine.url, Config()) as app:
        own_engine.say("CONFIG", "SET", setting, spoiled)
        try:
            told = (await app.caller().get("/readyz", 503)).refused(503, "not-ready")
            assert len(told.json["reasons"]) == 1
            assert reason in told.json["reasons"][0]
            assert spoiled in told.json["reasons"][0]
            await app.caller().get("/healthz")
        finally:
            own_engine.say("CONFIG", "SET", setting, good)

        async def mended() -> bool:
            return await ready(app)

        await await_until(mended, "the store to be ready again")


async def test_a_store_that_only_reads(own_engine: EngineProcess) -> None:
    """503 not-ready while the store is somebody's replica; claims are 503, and nobody is taken; 200 and claims again once it is a master."""
    async with running(own_engine.url, Config()) as app:
        acme = await app.org("acme")
        await acme.enable()
        own_engine.say("REPLICAOF", "127.0.0.1", "1")
        try:
            told = (await app.caller().get("/readyz", 503)).refused(503, "not-ready")
            assert any("role" in reason for reason in told.json["reasons"])
            refused = (await acme.claim_one("p1", expect=503)).refused(503, "store-unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
        finally:
            own_engine.say("REPLICAOF", "NO", "ONE")

        async def mended() -> bool:
            return await ready(app)

        await await_until(mended, "the store to be ready again")
        await acme.claim_one("p1")


async def test_allowed_to_be_unsafe_it_is_ready_and_says_so(app: App) -> None:
    """With allow_unsafe, a store that may forget is ready, and what is unsafe is listed."""
    told = (await app.caller().get("/readyz")).json
    assert told["status"] == "ready"
    assert any("persistence" in reason for reason in told["unsafe"])


async def test_no_orgs_data_is_shown(app: App, admin: Caller) -> None:
    """What needs no key names no org, whoever asks."""
    await admin.make_list("Zebra", ["p1"])
    for path in ("/healthz", "/readyz", "/openapi.json"):
        for caller in (app.caller(), admin):
            told = await caller.get(path)
            assert "acme" not in told.text
            assert "zebra" not in told.text.lower()
