"""The Python around the store: which orgs there are, when a key was last used, which org is active. A fake serves here, for no script is judged."""

from collections.abc import AsyncIterator

import pytest
from fakeredis import FakeAsyncRedis

from reservoir.domain.settings import ApiKey, OrgProfile
from reservoir.domain.times import MINUTE_MS
from reservoir.storage import keys
from reservoir.storage.clock import StoreClock
from reservoir.storage.links import ClientLink
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import Argument, Reply, Store, StoreFaultError
from reservoir.storage.scripts import Verb
from reservoir.storage.settings import SettingsStore

KEY = ApiKey("abcdefghijkl", "dialer", ("dial",), 0, "00")
ACME = Org(OrgProfile("acme", "Acme"), "7", {KEY.id: KEY}, {}, {})


class Remembered(OrgStore):
    """An OrgStore that has read acme before."""

    async def get(self, org_id: str, *, fresh: bool = False) -> Org | None:  # noqa: ARG002 - it is always fresh
        return ACME if org_id == "acme" else None

    async def write(self, verb: Verb, org: Org, *arguments: Argument) -> Reply:
        """What `note_used` does, which is judged elsewhere."""
        assert (verb, len(arguments)) == ("note_used", 2)
        return [await self.store.command("HSET", f"{org.prefix}keys-used", *arguments)]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    link = ClientLink(FakeAsyncRedis(protocol=2))
    fake = Store(link, link, StoreClock(), "redis://fake")
    await fake.read_clock()
    yield fake
    await fake.close()


async def test_the_orgs_are_told_in_order(store: Store) -> None:
    """Whatever the store's own order is."""
    for org_id in ("zed", "acme", "mid"):
        await store.command("SADD", keys.ORGS, org_id)
    assert await OrgStore(store, ("csv",)).ids() == ["acme", "mid", "zed"]


async def test_what_is_remembered_is_current_as_long_as_the_generation_stands(store: Store) -> None:
    """Another generation, or none, and it is not."""
    orgs = OrgStore(store, ("csv",))
    assert not await orgs.is_current(ACME)
    await store.command("SET", "reservoir:{acme}:generation", "7")
    assert await orgs.is_current(ACME)
    await store.command("INCR", "reservoir:{acme}:generation")
    assert not await orgs.is_current(ACME)


async def test_a_keys_last_use_is_told_to_the_minute(store: Store) -> None:
    """And is at the store as soon as anybody asks."""
    settings = SettingsStore(Remembered(store, ("csv",)))
    assert await settings.last_used(ACME) == {}
    settings.key_used(ACME, KEY.id)
    (at,) = (await settings.last_used(ACME)).values()
    now_ms = await store.read_clock()
    assert at % MINUTE_MS == 0
    assert now_ms - 2 * MINUTE_MS < at <= now_ms


async def test_a_revoked_keys_use_is_told_to_nobody(store: Store) -> None:
    """It is no key of the org any more."""
    settings = SettingsStore(Remembered(store, ("csv",)))
    settings.key_used(ACME, "zzzzzzzzzzzz")
    assert await settings.last_used(ACME) == {}


async def test_an_org_is_marked_active_once_in_a_while(store: Store) -> None:
    """Not at each claim."""
    orgs = OrgStore(store, ("csv",))
    await orgs.mark_active(ACME)
    assert await store.command("ZRANGE", keys.ACTIVE, "0", "-1") == [b"acme"]
    await store.command("DEL", keys.ACTIVE)
    await orgs.mark_active(ACME)
    assert await store.command("EXISTS", keys.ACTIVE) == 0


async def test_an_error_of_the_store_is_a_fault(store: Store) -> None:
    """It names what the store said."""
    await store.command("SET", "reservoir:orgs", "a text")
    with pytest.raises(StoreFaultError, match="WRONGTYPE"):
        await OrgStore(store, ("csv",)).ids()
