"""Write-back, from the history into a portal of HubSpot's, by the real client."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr

from reservoir.config import HubspotConfig
from reservoir.domain.claims import Claim
from reservoir.domain.times import HOUR_MS
from reservoir.domain.write_back import Mapped
from reservoir.domain.write_back import WriteBack as Setting
from reservoir.storage import write_back
from reservoir.storage.budgets import BudgetStore
from reservoir.storage.claims import ClaimStore, RequestKey, Taker
from reservoir.storage.history import HistoryStore, trim
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.settings import SettingsStore
from reservoir.storage.write_back import WriteBackStore
from reservoir.sync.connections import Connections
from reservoir.sync.write_back import WriteBack
from tests.conftest import known
from tests.support.commands import Commands
from tests.support.hubspot.records import SCOPES, TOKEN, Portal
from tests.support.hubspot.server import serving

REP = "ana@acme.com"
GUID = "73a0d17f-1163-4015-bdd5-ec830791da20"


@dataclass
class Desk:
    """An org that dials a portal's contacts, and the worker that writes back into it."""

    orgs: OrgStore
    client: Commands
    portal: Portal
    worker: WriteBack
    kept: WriteBackStore
    org_id: str

    async def org(self) -> Org:
        return await known(self.orgs, self.org_id)

    async def set(self, setting: Setting, integration: str = "hubspot") -> None:
        await SettingsStore(self.orgs).set_write_back(await self.org(), integration, setting, "a test", follow=True)

    async def dial(self, prospect: str = "1001", rep: str = REP, hold: int | None = None, list_id: str | None = None) -> Claim:
        granted = await ClaimStore(self.orgs).claim_one(
            await self.org(), "hubspot", prospect, list_id, Taker(rep, "s-1", "power", hold), RequestKey.of(None, "", {})
        )
        assert isinstance(granted, Claim), granted
        return granted

    async def dispose(self, claim: Claim, outcome: str) -> None:
        assert await ClaimStore(self.orgs).dispose(await self.org(), claim.id, outcome, remove=False, note=None) is None

    async def work(self) -> None:
        await self.worker.turn(asyncio.Event())

    async def backlog(self) -> tuple[int, int]:
        told = await self.kept.backlog(await self.org(), "hubspot")
        return told.pending, told.failed

    def an_hour_later(self) -> None:
        """What waits for an hour, or for a pause to be over, has waited for it."""
        base = f"reservoir:{{{self.org_id}}}:write-back:hubspot:"
        for id_ in self.client("ZRANGE", base + "due", 0, -1):
            self.client("ZINCRBY", base + "due", -HOUR_MS, id_)
        self.client("HDEL", base + "state", "not_before")


@pytest.fixture
def portal() -> Portal:
    """A portal with contacts 1001 to 1010, and a user who is the rep."""
    portal = Portal()
    portal.make_list("42", range(1001, 1011))
    portal.owners = {"71": {"firstName": "Ana", "email": REP}, "72": {"firstName": "Gone", "email": "gone@acme.com", "archived": True}}
    portal.call_properties |= {"reservoir_call_id"}
    portal.unique = {"reservoir_call_id"}
    return portal


@pytest.fixture
def desk(acme: Org, orgs: OrgStore, client: Commands, portal: Portal) -> Iterator[Desk]:
    """The org, with multi-rep dialing off for HubSpot, so that a prospect can be dialed again."""
    kept = WriteBackStore(orgs, HistoryStore(orgs))
    with serving(portal) as server:
        config = HubspotConfig(access_token=SecretStr(TOKEN), endpoint=server.url)
        connections = Connections(orgs, BudgetStore(orgs), lambda _, integration: config if integration == "hubspot" else None)
        yield Desk(orgs, client, portal, WriteBack(orgs, kept, connections), kept, acme.id)


def _ms(time: list[str]) -> int:
    return int(time[0]) * 1_000 + int(time[1]) // 1_000


LOGS = Setting(log_calls=True)
MAPS = Setting(
    log_calls=True, dispositions={"no_answer": Mapped({"hs_lead_status": "OPEN"}), "busy": Mapped({"Contact.company": "Busy", "x.y": "no"}, call_outcome="own")}
)


async def test_a_call_is_logged_when_its_disposition_is_there(desk: Desk, portal: Portal) -> None:
    """Once, completed, outbound, with the contact, the rep's own user, the outcome, and no duration; and it is not there before."""
    await desk.set(LOGS)
    claim = await desk.dial()
    await desk.work()
    assert portal.calls == {}
    assert await desk.backlog() == (1, 0)
    await desk.dispose(claim, "no_answer")
    for _ in range(3):
        await desk.work()
    ((call, told),) = portal.calls.items()
    assert told == {
        "hs_timestamp": told["hs_timestamp"],
        "hs_call_title": "Call",
        "hs_call_direction": "OUTBOUND",
        "hs_call_status": "COMPLETED",
        "hs_call_body": "Outcome: no answer",
        "hs_call_disposition": GUID,
        "hubspot_owner_id": "71",
        "reservoir_call_id": claim.id,
    }
    assert portal.associated == {(call, 1001)}
    assert await desk.backlog() == (0, 0)


async def test_or_an_hour_after_the_attempt(desk: Desk, portal: Portal) -> None:
    """A disposition that comes later updates the logged call; so does another one."""
    await desk.set(LOGS)
    claim = await desk.dial(rep="gone@acme.com")
    await desk.work()
    desk.an_hour_later()
    await desk.work()
    ((_, told),) = portal.calls.items()
    assert not told.keys() & {"hs_call_body", "hs_call_disposition", "hubspot_owner_id"}
    for outcome, body in (("no_answer", "Outcome: no answer"), ("my_own", "Outcome: my own")):
        await desk.dispose(claim, outcome)
        await desk.work()
        ((_, told),) = portal.calls.items()
        assert told["hs_call_body"] == body
    assert len(portal.requests("POST /crm/v3/objects/calls")) == 1


async def test_it_covers_what_comes_after_the_switch(desk: Desk, portal: Portal) -> None:
    """Not a call that was attempted before it, whose disposition changes fields all the same; and what was due stays due when it is switched off."""
    before = await desk.dial("1001")
    await desk.set(MAPS)
    await desk.dispose(before, "no_answer")
    after = await desk.dial("1002")
    await desk.set(Setting())
    later = await desk.dial("1003")
    for claim in (later, after):
        await desk.dispose(claim, "no_answer")
    for _ in range(2):
        await desk.work()
    assert portal.contacts[1001]["hs_lead_status"] == "OPEN"
    assert [told["reservoir_call_id"] for told in portal.calls.values()] == [after.id]
    assert "hs_lead_status" not in portal.contacts[1002]


async def test_fields_are_changed_by_each_disposition(desk: Desk, portal: Portal) -> None:
    """Those of this CRM's contacts; of several contacts at once; an admin's own word for the outcome goes along."""
    await desk.set(MAPS)
    for prospect, outcome in (("1001", "no_answer"), ("1002", "busy"), ("1003", "connected")):
        await desk.dispose(await desk.dial(prospect), outcome)
    await desk.work()
    assert portal.contacts[1001]["hs_lead_status"] == "OPEN"
    assert portal.contacts[1002]["company"] == "Busy"
    assert "own" in {told.get("hs_call_disposition") for told in portal.calls.values()}
    assert len(portal.requests("contacts/batch/update")) == 1
    assert await desk.backlog() == (0, 0)


@pytest.mark.parametrize("multi_rep", [True, False])
async def test_holds_and_looks_are_no_calls(desk: Desk, portal: Portal, multi_rep: bool) -> None:
    """Not a hold that was never attempted, nor a click to call; one that was attempted is."""
    await desk.set(LOGS)
    org = await desk.org()
    await SettingsStore(desk.orgs).set_multi_rep_dialing(org, "hubspot", replace(org.settings["hubspot"], enabled=multi_rep), "a test")
    await desk.dial("1001", hold=60)
    await ClaimStore(desk.orgs).click_to_call(await desk.org(), "hubspot", "1002", None, REP, "s-1")
    held = await desk.dial("1003", hold=60)
    assert isinstance(await ClaimStore(desk.orgs).attempt(await desk.org(), held.id), Claim)
    await desk.work()
    desk.an_hour_later()
    await desk.work()
    assert {told["reservoir_call_id"] for told in portal.calls.values()} == {held.id}


@pytest.mark.parametrize("marked", [True, False])
async def test_a_lost_answer_logs_no_call_twice(desk: Desk, portal: Portal, marked: bool) -> None:
    """It is looked for before the repeat: by its mark, or by when it was, and with whom."""
    if not marked:
        portal.call_properties -= {"reservoir_call_id"}
        portal.unique = set()
    await desk.set(LOGS)
    await desk.dispose(await desk.dial(), "busy")
    portal.fail("POST /crm/v3/objects/calls", kind="lose")
    await desk.work()
    assert await desk.backlog() == (1, 0)
    desk.an_hour_later()
    await desk.work()
    assert len(portal.calls) == 1
    assert await desk.backlog() == (0, 0)


@pytest.mark.parametrize("unique", [True, False])
async def test_a_search_that_lags_logs_no_call_twice(desk: Desk, portal: Portal, unique: bool) -> None:
    """HubSpot finds what was written only some time after; it is read by its mark instead, or, where that is not unique, found when the search knows it."""
    portal.unique = {"reservoir_call_id"} if unique else set()
    portal.search_knows = lambda _: not unique
    await desk.set(LOGS)
    await desk.dispose(await desk.dial(), "busy")
    portal.fail("POST /crm/v3/objects/calls", kind="lose")
    await desk.work()
    desk.an_hour_later()
    await desk.work()
    assert (len(portal.calls), await desk.backlog()) == (1, (0, 0))
    assert len([asked for asked in portal.asked if asked.path == "/crm/v3/objects/calls"]) == 1


async def test_another_call_with_the_same_person_is_not_that_one(desk: Desk, portal: Portal) -> None:
    """Without a mark it is known by when it was; one that never came to the portal is logged beside those that did."""
    portal.call_properties -= {"reservoir_call_id"}
    portal.unique = set()
    await desk.set(LOGS)
    await desk.dispose(await desk.dial(), "busy")
    await desk.work()
    await desk.dispose(await desk.dial(), "no_answer")
    portal.fail("POST /crm/v3/objects/calls", kind="reset")
    await desk.work()
    desk.an_hour_later()
    await desk.work()
    assert [told["hs_call_body"] for told in portal.calls.values()] == ["Outcome: busy", "Outcome: no answer"]


async def test_a_call_that_another_logs_at_this_moment_is_that_one(desk: Desk, portal: Portal) -> None:
    """Its mark is taken, which is no refusal: it has the outcome that is known here."""
    await desk.set(LOGS)
    claim = await desk.dial()
    await desk.dispose(claim, "busy")
    portal.calls[9_000] = {"hs_timestamp": "1", "reservoir_call_id": claim.id}
    await desk.work()
    ((_, told),) = portal.calls.items()
    assert (told["hs_call_body"], await desk.backlog()) == ("Outcome: busy", (0, 0))


async def test_a_crm_that_is_down_is_waited_for(desk: Desk, portal: Portal) -> None:
    """Nothing is lost, nothing is asked before the pause is over, and a retry ends it."""
    await desk.set(LOGS)
    for prospect in ("1001", "1002", "1003"):
        await desk.dispose(await desk.dial(prospect), "busy")
    portal.fail("objects/calls", status=502, body="<html>")
    await desk.work()
    asked = len(portal.asked)
    await desk.work()
    assert len(portal.asked) == asked
    assert await desk.backlog() == (3, 0)
    assert await desk.kept.retry(await desk.org(), "hubspot") == 0
    await desk.work()
    assert len(portal.calls) == 3


async def test_a_crm_that_is_down_for_a_day_loses_nothing(desk: Desk, portal: Portal) -> None:
    """It is asked less and less often, at most every quarter of an hour; what was called meanwhile is written with the rest when it is back."""
    await desk.set(MAPS)
    portal.fail("/", status=502, body="<html>", times=100)
    base = f"reservoir:{{{desk.org_id}}}:write-back:hubspot:state"
    for number in range(30):
        if number < 10:
            await desk.dispose(await desk.dial(str(1_001 + number)), "no_answer")
        before_ms = _ms(desk.client("TIME"))
        await desk.work()
        pause_ms = min(15_000 * 2**number, 900_000)
        assert before_ms + pause_ms <= int(desk.client("HGET", base, "not_before")) <= _ms(desk.client("TIME")) + pause_ms
        assert len(portal.asked) == number + 1
        desk.client("HSET", base, "not_before", 0)
    assert await desk.backlog() == (20, 0)
    portal.faults.clear()
    await desk.work()
    assert sorted(int(contact) for _, contact in portal.associated) == [*range(1_001, 1_011)]
    assert {contact.get("hs_lead_status") for contact in portal.contacts.values()} == {"OPEN"}
    assert await desk.backlog() == (0, 0)
    assert desk.client("HGET", base, "tries") is None, "the next time it is down, it is asked again as soon"


async def test_a_portal_that_says_when_is_asked_then(desk: Desk, portal: Portal) -> None:
    """Not before it, however often it was tried."""
    await desk.set(LOGS)
    await desk.dispose(await desk.dial(), "busy")
    portal.fail("objects/calls", status=429, headers={"Retry-After": "3000"}, body="{}")
    before_ms = _ms(desk.client("TIME"))
    await desk.work()
    not_before_ms = int(desk.client("HGET", f"reservoir:{{{desk.org_id}}}:write-back:hubspot:state", "not_before"))
    assert before_ms + 3_000_000 <= not_before_ms <= _ms(desk.client("TIME")) + 3_000_000


async def test_a_long_history_is_followed_piece_by_piece(desk: Desk, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting as it was at each entry; nothing between two pieces is left out, and nothing is written twice."""
    monkeypatch.setattr(write_back, "FOLLOWED_MOST", 2)
    await desk.dispose(await desk.dial("1010"), "busy")
    await desk.set(LOGS)
    claims = [await desk.dial(str(prospect)) for prospect in range(1_001, 1_006)]
    for claim in claims:
        await desk.dispose(claim, "busy")
    await desk.set(Setting())
    for prospect, setting in (("1009", LOGS), ("1008", Setting())):
        claim = await desk.dial(prospect)
        await desk.dispose(claim, "busy")
        await desk.set(setting)
    claims.append(claim)
    await desk.work()
    assert sorted(str(told["reservoir_call_id"]) for told in portal.calls.values()) == sorted(claim.id for claim in claims)
    assert await desk.backlog() == (0, 0)


async def test_what_is_refused_for_good_is_kept_and_can_be_retried(desk: Desk, portal: Portal) -> None:
    """Each with its own reason, while the rest is written."""
    await desk.set(MAPS)
    portal.scopes[TOKEN] = SCOPES - {"crm.objects.contacts.write"}
    for prospect in ("1001", "1002"):
        await desk.dispose(await desk.dial(prospect), "no_answer")
    await desk.work()
    assert await desk.backlog() == (0, 4)
    failures, more = await desk.kept.failures(await desk.org(), "hubspot", 3, None)
    assert (len(failures), more) == (3, True)
    rest, more = await desk.kept.failures(await desk.org(), "hubspot", 3, (int(failures[-1].told["failed_at"]), failures[-1].id))
    assert (len({job.id for job in (*failures, *rest)}), more) == (4, False)
    assert failures[0].told["error"]["type"] == "crm-permission"
    portal.scopes[TOKEN] = SCOPES
    portal.archived.add(1002)
    assert await desk.kept.retry(await desk.org(), "hubspot") == 4
    await desk.work()
    assert [told["hs_call_body"] for told in portal.calls.values()] == ["Outcome: no answer"]
    assert await desk.backlog() == (0, 2)


async def test_what_was_refused_is_written_after_a_retry_though_write_back_is_off_by_then(desk: Desk, portal: Portal) -> None:
    """What was due when it was switched off is due: no reader follows the history any more, and the worker finds it all the same."""
    await desk.set(LOGS)
    portal.archived.add(1_001)
    await desk.dispose(await desk.dial(), "busy")
    await desk.work()
    await desk.set(Setting())
    for _ in range(2):
        await desk.work()
    assert (desk.client("EXISTS", "reservoir:{acme}:history-readers"), await desk.backlog()) == (0, (0, 1))
    portal.archived.clear()
    assert await desk.kept.retry(await desk.org(), "hubspot") == 1
    await desk.work()
    assert (len(portal.calls), await desk.backlog()) == (1, (0, 0))


async def test_a_token_that_is_revoked_refuses_everything_until_somebody_mends_it(desk: Desk, portal: Portal) -> None:
    """All of it is kept with who must do what; the portal is asked once, and not again by itself."""
    await desk.set(MAPS)
    for prospect in ("1001", "1002"):
        await desk.dispose(await desk.dial(prospect), "no_answer")
    scopes = portal.scopes.pop(TOKEN)
    for _ in range(2):
        await desk.work()
    assert (await desk.backlog(), len(portal.asked)) == ((0, 4), 1)
    failures, _ = await desk.kept.failures(await desk.org(), "hubspot", 10, None)
    assert {job.told["error"]["type"] for job in failures} == {"crm-credentials"}
    portal.scopes[TOKEN] = scopes
    assert await desk.kept.retry(await desk.org(), "hubspot") == 4
    await desk.work()
    assert (len(portal.calls), portal.contacts[1_002]["hs_lead_status"], await desk.backlog()) == (2, "OPEN", (0, 0))


async def test_two_workers_write_nothing_twice(desk: Desk, portal: Portal) -> None:
    """At once, over the same history and the same jobs."""
    await desk.set(MAPS)
    for prospect in range(1001, 1011):
        await desk.dispose(await desk.dial(str(prospect)), "no_answer")
    await asyncio.gather(*(desk.work() for _ in range(4)))
    await desk.work()
    assert len(portal.calls) == 10
    assert len({told["reservoir_call_id"] for told in portal.calls.values()}) == 10


async def test_the_history_is_kept_until_it_was_followed(desk: Desk, store: Any) -> None:
    """Trimming lets go of nothing that the reader has yet to come to; the reader goes when write-back is off and done."""
    await desk.set(LOGS)
    await desk.dispose(await desk.dial(), "busy")
    await trim(store, "acme", 1 << 50)
    await desk.work()
    assert len(desk.portal.calls) == 1
    await desk.set(Setting())
    for _ in range(2):
        await desk.work()
    assert desk.client("EXISTS", "reservoir:{acme}:history-readers") == 0


async def test_a_worker_that_stops_leaves_the_rest_to_another(desk: Desk, portal: Portal) -> None:
    """At the edge of a change: what is written is settled, and nothing is written twice."""
    await desk.set(LOGS)
    for prospect in range(1001, 1004):
        await desk.dispose(await desk.dial(str(prospect)), "busy")
    stop = asyncio.Event()
    portal.on_write = stop.set  # before it answers; nobody waits on the event, so that another thread may set it
    await desk.worker.turn(stop)
    assert len(portal.calls) == 1
    assert await desk.backlog() == (2, 0)
    await desk.work()
    assert len(portal.calls) == 3
