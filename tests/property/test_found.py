"""What the state machine has found, in the fewest steps that show it."""

from dataclasses import dataclass

import pytest

from reservoir.domain.claims import Claim, Granted
from reservoir.domain.lists import ListDefinition
from reservoir.domain.refusals import Refused
from reservoir.storage.claims import ClaimStore, RequestKey, Taker
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.syncs import SyncStore
from tests.property.working import member_of
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.model import Row

ANA = Taker("ana@acme.com", "s-1", "parallel", None)
BEN = Taker("ben@acme.com", "s-2", "parallel", None)


@dataclass(frozen=True)
class Acme:
    """The org, and what is done in it."""

    orgs: OrgStore
    org: Org
    claims: ClaimStore
    client: Commands

    async def make_list(self, list_: str, *members: str, integration: str = "csv") -> None:
        lists, syncs = ListStore(self.orgs), SyncStore(self.orgs)
        assert await lists.create(self.org, ListDefinition(list_, list_, integration, None, {}, 0), exact=True, by="a test") == list_
        run = await syncs.begin(self.org, list_)
        assert isinstance(run, str)
        assert await syncs.page(self.org, list_, run, 1, [(line, member_of(integration, who, Row())) for line, who in enumerate(members, 2)], [], 0) is None
        assert await syncs.finish(self.org, list_, run) is None

    async def claim(self, list_: str, taker: Taker = ANA, count: int = 1, key: str | None = None) -> Granted:
        told = await self.claims.claim_next(self.org, list_, taker, count, RequestKey.of(key, "/v1/lists/x/claims", [list_, count]))
        assert isinstance(told, Granted)
        return told

    async def take(self, list_: str, taker: Taker = ANA) -> Claim:
        (claim,) = (await self.claim(list_, taker)).claims
        return claim


@pytest.fixture
def at_acme(orgs: OrgStore, acme: Org, client: Commands) -> Acme:
    return Acme(orgs, acme, ClaimStore(orgs), client)


async def test_a_dry_list_says_when_one_frees_whom_this_rep_may_have(at_acme: Acme) -> None:
    """R10: whom a rep removed frees for others only, so it is not the one whose end a dry list tells the rep to wait for."""
    await at_acme.make_list("west", "p1", "p2")
    removed = await at_acme.take("west")
    assert await at_acme.claims.dispose(at_acme.org, removed.id, "connected", remove=True, note=None) is None
    mine = await at_acme.take("west")
    age(at_acme.client, "acme", "csv:p1", 60_000)
    assert (await at_acme.claim("west")).next_available_at_ms == mine.expires_at_ms
    assert (await at_acme.claim("west", BEN)).next_available_at_ms == (removed.expires_at_ms or 0) - 60_000


async def test_a_repeat_counts_whom_nobody_has_any_more(at_acme: Acme) -> None:
    """R13, R15: the figures of a repeated claim are those of its instant, though nothing that is due was settled before."""
    await at_acme.make_list("west", "p1", "p2")
    await at_acme.take("west", BEN)
    mine = await at_acme.claim("west", key="mine")
    dry = await at_acme.claim("west", key="mine")
    assert (dry.claims, dry.available) == (mine.claims, 0)
    age(at_acme.client, "acme", "csv:p1", 2 * 86_400_000)
    again = await at_acme.claim("west", key="mine")
    assert (again.claims, again.available, again.next_available_at_ms) == (mine.claims, 1, None)


async def test_a_list_that_takes_a_deleted_ones_id_is_not_moved_by_its_members(at_acme: Acme) -> None:
    """An id is free at once, for another integration's list too, though nobody has untied the old members yet: claiming one of those touches none of these."""
    await at_acme.make_list("west", "101", "102")
    assert (await at_acme.orgs.write("delete_list", at_acme.org, "west", "{}"))[0] == b"deleted"
    await at_acme.make_list("west", "101", "102", integration="hubspot")
    claimed = await at_acme.claims.claim_one(at_acme.org, "csv", "101", None, ANA, RequestKey.of(None, "/v1/claims", "101"))
    assert isinstance(claimed, Claim)
    west = await ListStore(at_acme.orgs).get(at_acme.org, "west")
    assert not isinstance(west, Refused)
    assert (west.counts.available, west.counts.reserved) == (2, 0)
    assert isinstance(await at_acme.claims.release(at_acme.org, claimed.id), Refused)
    await ListStore(at_acme.orgs).sweep(at_acme.org)


@pytest.mark.parametrize("others", [("p2",), ("p2", "p3", "p4", "p5")])
async def test_a_key_that_a_hand_set_costs_nobody_their_turn(at_acme: Acme, others: tuple[str, ...]) -> None:
    """R13: where an operator's own key keeps the first of the list, the next is granted, however many this rep has removed elsewhere."""
    await at_acme.make_list("west", "r1", "r2", "r3", "p1", *others)
    for _ in range(3):
        claim = await at_acme.take("west")
        assert await at_acme.claims.dispose(at_acme.org, claim.id, "connected", remove=True, note=None) is None
    at_acme.client("SET", "reservoir:{acme}:reservation:csv:p1", "hands off", "PX", 60_000)
    assert [claim.prospect for claim in (await at_acme.claim("west")).claims] == ["p2"]
