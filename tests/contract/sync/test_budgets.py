"""An org's budgets of calls: shared by all workers, spent once each, held and told by the CRM."""

import asyncio

import pytest

from reservoir.integrations.source import WaitError
from reservoir.storage.budgets import BudgetStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.sync.pacing import SharedPace
from tests.support.commands import Commands


async def test_two_workers_share_a_sliding_window(orgs: OrgStore, acme: Org) -> None:
    """Whoever spends: the one too many waits until the oldest is out of the window; another integration has its own."""
    one, other = (SharedPace(orgs, BudgetStore(orgs), "acme", "salesforce") for _ in range(2))
    for pace in (one, other, one):
        await asyncio.to_thread(pace.spend, "report_runs", 3, 3_600)
    with pytest.raises(WaitError) as waits:
        await asyncio.to_thread(other.spend, "report_runs", 3, 3_600)
    assert (waits.value.slug, waits.value.status, 3_590 < waits.value.after_s <= 3_600) == ("crm-budget", 502, True)
    assert "3 report runs in an hour" in str(waits.value)
    assert await BudgetStore(orgs).spend(acme, "hubspot", "report_runs", 1, 3_600) is None


async def test_the_window_slides(orgs: OrgStore, acme: Org, client: Commands) -> None:
    """What was spent an hour ago is free again, and no more than that."""
    budgets = BudgetStore(orgs)
    for _ in range(2):
        assert await budgets.spend(acme, "salesforce", "report_runs", 2, 3_600) is None
    key = acme.prefix + "spent:salesforce:report_runs"
    client("ZINCRBY", key, -3_600_001, client("ZRANGE", key, 0, 0)[0])
    assert await budgets.spend(acme, "salesforce", "report_runs", 2, 3_600) is None
    assert await budgets.spend(acme, "salesforce", "report_runs", 2, 3_600) is not None


async def test_what_is_free_is_told_without_spending(orgs: OrgStore, acme: Org, client: Commands) -> None:
    """What was spent in the window, by whomever, is not free; what was spent before it, is."""
    one, other = (SharedPace(orgs, BudgetStore(orgs), "acme", "salesforce") for _ in range(2))
    assert await asyncio.to_thread(one.free, "report_runs", 5, 3_600) == 5
    for pace in (one, other, one):
        await asyncio.to_thread(pace.spend, "report_runs", 5, 3_600)
    assert [await asyncio.to_thread(pace.free, "report_runs", 5, 3_600) for pace in (one, other)] == [2, 2]
    assert await asyncio.to_thread(one.free, "report_runs", 2, 3_600) == 0
    key = acme.prefix + "spent:salesforce:report_runs"
    client("ZINCRBY", key, -3_600_001, client("ZRANGE", key, 0, 0)[0])
    assert await asyncio.to_thread(one.free, "report_runs", 5, 3_600) == 3


async def test_what_the_crm_says_holds_for_all_workers(orgs: OrgStore, acme: Org) -> None:
    """A hold, and how many are left, until somebody who is asked anew forgets it."""
    budgets = BudgetStore(orgs)
    await budgets.left(acme, "hubspot", "requests", 1, 60)
    assert await budgets.spend(acme, "hubspot", "requests", 100, 10) is None
    after_s = await budgets.spend(acme, "hubspot", "requests", 100, 10)
    assert after_s is not None
    assert 50 < after_s <= 60
    await budgets.hold(acme, "hubspot", "requests", 600)
    held_s = await budgets.spend(acme, "hubspot", "requests", 100, 10)
    assert held_s is not None
    assert held_s > 590
    anew = SharedPace(orgs, budgets, "acme", "hubspot", anew=True)
    await asyncio.to_thread(anew.spend, "requests", 100, 10)


@pytest.mark.parametrize("said", ["left", "hold"])
async def test_what_the_crm_says_to_who_asks_anew_is_not_forgotten(orgs: OrgStore, acme: Org, said: str) -> None:
    """Only what it said before is."""
    budgets = BudgetStore(orgs)
    await budgets.hold(acme, "salesforce", "report_runs", 600)
    anew = SharedPace(orgs, budgets, "acme", "salesforce", anew=True)
    if said == "left":
        await asyncio.to_thread(anew.left, "report_runs", 1, 60)
        await asyncio.to_thread(anew.spend, "report_runs", 100, 10)
    else:
        await asyncio.to_thread(anew.hold, "report_runs", 60)
    with pytest.raises(WaitError) as waits:
        await asyncio.to_thread(anew.spend, "report_runs", 100, 10)
    assert 50 < waits.value.after_s <= 60


async def test_what_the_crm_says_after_it_was_asked_anew_holds(orgs: OrgStore, acme: Org) -> None:
    """It is forgotten once for each thing that is spent, before the first of it; what the CRM answers then is what it says now."""
    budgets = BudgetStore(orgs)
    for what in ("requests", "report_runs"):
        await budgets.hold(acme, "hubspot", what, 600)
    anew = SharedPace(orgs, budgets, "acme", "hubspot", anew=True)
    for what in ("requests", "report_runs"):
        await asyncio.to_thread(anew.spend, what, 100, 10)
    await asyncio.to_thread(anew.left, "requests", 0, 60)
    with pytest.raises(WaitError):
        await asyncio.to_thread(anew.spend, "requests", 100, 10)
    await asyncio.to_thread(anew.spend, "report_runs", 100, 10)
