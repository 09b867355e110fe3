"""R5, R7, R19: how long a reservation lasts once it is in the store, whose clock is the only one that counts."""

import itertools
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from reservoir.domain.claims import Claim, Granted
from reservoir.domain.lists import ListDefinition
from reservoir.domain.reservation_timeout import ReservationTimeout
from reservoir.domain.settings import OrgProfile
from reservoir.domain.times import DAY_MS, HOUR_MS, milliseconds, utc
from reservoir.storage.claims import ClaimStore, RequestKey, Taker
from reservoir.storage.clock import HostTime
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import Store, open_store
from reservoir.storage.settings import SettingsStore
from reservoir.storage.syncs import SyncStore
from tests.conftest import INTEGRATIONS, known
from tests.property.working import member_of
from tests.support.clocks import expiry_by_the_rule
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.leaping import LeapingServer, compiler
from tests.support.model import Row

ANA = Taker("ana", "s-1", "power", None)
NEW_YORK = "America/New_York"
BEFORE_MS = 1_000
BEHIND_MS = 1_500
"""How far a prediction of the store's clock may be off, and still be believed."""


@dataclass
class Office:
    """An org in New York with one list, that dials for ever."""

    orgs: OrgStore
    client: Commands

    @property
    def store(self) -> Store:
        return self.orgs.store

    async def org(self) -> Org:
        return await known(self.orgs, "acme")

    async def set(self, unit: str, duration: int) -> None:
        org = await self.org()
        timeout = ReservationTimeout("day" if unit == "day" else "hour", duration)
        await SettingsStore(self.orgs).set_multi_rep_dialing(org, "csv", replace(org.settings["csv"], enabled=True, timeout=timeout), "a test")

    async def claim_one(self, org: Org, number: int) -> Claim:
        """One of the people whom no list knows."""
        told = await ClaimStore(self.orgs).claim_one(org, "csv", f"x{number}", None, ANA, RequestKey.of(None, "", ""))
        assert isinstance(told, Claim)
        return told

    async def claim(self, org: Org | None = None, hold_seconds: int | None = None) -> Claim:
        told = await ClaimStore(self.orgs).claim_next(org or await self.org(), "west", replace(ANA, hold_seconds=hold_seconds), 1, RequestKey.of(None, "", ""))
        assert isinstance(told, Granted)
        (claim,) = told.claims
        return claim

    def ends(self, claim: Claim) -> int:
        """Until when the store keeps it, by its own word."""
        return int(self.client("PEXPIRETIME", f"reservoir:{{acme}}:reservation:csv:{claim.prospect}"))

    def scripts_run(self) -> int:
        found = re.search(r"cmdstat_evalsha:calls=(\d+)", self.client("INFO", "commandstats"))
        return int(found[1]) if found else 0


@asynccontextmanager
async def office(server: EngineProcess) -> AsyncIterator[Office]:
    store = await open_store(server.url)
    with Commands(server.port) as client:
        opened = Office(OrgStore(store, INTEGRATIONS), client)
        await opened.orgs.create(OrgProfile("acme", "Acme", time_zone=NEW_YORK))
        await opened.set("day", 1)
        org, lists, syncs = await opened.org(), ListStore(opened.orgs), SyncStore(opened.orgs)
        await lists.create(org, ListDefinition("west", "West", "csv", None, {}, 0), exact=True, by="a test")
        run = await syncs.begin(org, "west")
        assert isinstance(run, str)
        assert await syncs.page(org, "west", run, 1, [(line, member_of("csv", f"p{line}", Row())) for line in range(20)], [], 0) is None
        await syncs.finish(org, "west", run)
        yield opened
    await store.close()


@pytest.mark.parametrize(("unit", "duration"), [("day", 1), ("day", 120), ("day", 240), ("day", 365), ("hour", 1), ("hour", 8_760)])
async def test_the_store_keeps_a_reservation_until_the_rule_says(server: EngineProcess, unit: str, duration: int) -> None:
    """R5: through the settings, the script and the key: a claim, and the attempt of a hold, end when the rule says, over both changes of the clocks."""
    async with office(server) as at:
        await at.set(unit, duration)
        claim = await at.claim()
        held = await at.claim(hold_seconds=600)
        attempted = await ClaimStore(at.orgs).attempt(await at.org(), held.id)
        assert isinstance(attempted, Claim)
        for told in (claim, attempted):
            assert told.attempted_at_ms is not None
            assert told.expires_at_ms == at.ends(told) == expiry_by_the_rule(unit, duration, NEW_YORK, told.attempted_at_ms)


async def test_two_hundred_days_end_at_the_same_time_on_the_wall(server: EngineProcess) -> None:
    """R5: 200 days from now the clocks of New York have been changed; the reservation ends by them, not 200 times 24 h later."""
    async with office(server) as at:
        claim, lengths = None, set()
        for days in (120, 200, 300):
            await at.set("day", days)
            claim = await at.claim()
            begun, ended = (utc(at_ms or 0).astimezone(ZoneInfo(NEW_YORK)) for at_ms in (claim.attempted_at_ms, claim.expires_at_ms))
            assert (begun.hour, begun.minute, begun.second, begun.microsecond) == (ended.hour, ended.minute, ended.second, ended.microsecond)
            lengths.add((claim.expires_at_ms or 0) - (claim.attempted_at_ms or 0) - days * DAY_MS)
        assert lengths - {0} <= {HOUR_MS, -HOUR_MS}
        assert lengths != {0}, "no change of the clocks within 300 days"


async def test_a_zone_changes_attempts_from_then_on_only(server: EngineProcess) -> None:
    """R7: who was reserved before the org moved stays so until when it was said, and the next one ends by the new zone's clocks."""
    async with office(server) as at:
        await at.set("day", 200)
        before = await at.claim()
        held = await at.claim(hold_seconds=600)
        org = await at.org()
        await SettingsStore(at.orgs).set_profile(org, replace(org.profile, time_zone="Australia/Lord_Howe"), "a test")
        after = await ClaimStore(at.orgs).attempt(await at.org(), held.id)
        assert isinstance(after, Claim)
        assert at.ends(before) == before.expires_at_ms == expiry_by_the_rule("day", 200, NEW_YORK, before.claimed_at_ms)
        assert at.ends(after) == after.expires_at_ms == expiry_by_the_rule("day", 200, "Australia/Lord_Howe", after.attempted_at_ms or 0)


async def test_terms_that_are_not_right_at_the_stores_own_time_are_computed_anew(server: EngineProcess) -> None:
    """R19: what a process holds ready is for a later minute than the store's; the store says so, and the reservation is as long as it should be."""
    async with office(server) as at:
        while True:  # until it is done in less time than the process is ahead
            at.store.clock.accept()
            await at.store.read_clock()
            org = await at.org()
            assert at.store.clock._ahead_ms is not None
            at.store.clock._ahead_ms += BEHIND_MS
            ahead_ms = at.store.clock.predict(HostTime.read())
            org._terms = ("csv 1 60000 1 hubspot 0 60000 0 salesforce 0 60000 0", ahead_ms - BEHIND_MS // 2, ahead_ms + HOUR_MS)
            before = at.scripts_run()
            claim = await at.claim(org)
            if claim.claimed_at_ms < ahead_ms - BEHIND_MS // 2:
                break
        assert at.scripts_run() == before + 2
        assert at.ends(claim) == claim.expires_at_ms == expiry_by_the_rule("day", 1, NEW_YORK, claim.claimed_at_ms)


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler here to build what moves a server's clock")
@pytest.mark.parametrize(
    ("at_instant", "hours_before", "hours_after"),
    [
        pytest.param("2027-03-13T03:00-05:00", 24, 23, id="the eve of the change in March, as the hour ends that the next day does not have"),
        pytest.param("2027-11-06T01:00-04:00", 24, 25, id="the eve of the change in November, as the hour begins that comes twice"),
        pytest.param("2027-11-07T01:00-05:00", 25, 24, id="the night in November, as that hour begins anew"),
    ],
)
async def test_a_process_dials_through_the_instant_at_which_a_day_changes_its_length(
    tmp_path: Path, at_instant: str, hours_before: int, hours_after: int
) -> None:
    """R5, R19: with the store's clock at that instant, and the host's in another year, each claim is as long as a day is from its own millisecond."""
    instant_ms = milliseconds(datetime.fromisoformat(at_instant))
    with LeapingServer(tmp_path) as server:
        async with office(server) as at:
            org, number, claims = await at.org(), itertools.count(), list[Claim]()
            before_ms = BEFORE_MS
            while not claims or claims[0].claimed_at_ms >= instant_ms:  # on a slow machine it may be over before it has begun
                server.leap(instant_ms - before_ms - time.time_ns() // 1_000_000)
                at.store.clock.accept()
                await at.store.read_clock()
                claims = [await at.claim_one(org, next(number))]
                before_ms *= 2
            while claims[-1].claimed_at_ms < instant_ms + BEFORE_MS // 2:
                claims.append(await at.claim_one(org, next(number)))
            for claim in claims:
                hours = hours_before if claim.claimed_at_ms < instant_ms else hours_after
                assert claim.expires_at_ms == claim.claimed_at_ms + hours * HOUR_MS == at.ends(claim)
            assert claims[0].claimed_at_ms < instant_ms < claims[-1].claimed_at_ms
