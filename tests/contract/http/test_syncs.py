"""Syncs over HTTP: asked for, told, and what a list says of them. Who runs them is in tests/contract/sync."""

from typing import Any

import pytest

from reservoir.integrations.source import CrmError, RejectedRecord, WaitError
from reservoir.storage.orgs import OrgStore
from tests.support.scripted import Script, Working, working
from tests.support.service import App, Caller

SOURCE = {"kind": "report", "id": "00O5e000001AbCdEAK"}


@pytest.fixture
async def leads(admin: Caller) -> str:
    """A list with a source, and multi-rep dialing for it."""
    await admin.enable("salesforce")
    await admin.post("/v1/lists", {"name": "Leads", "integration": "salesforce", "source": SOURCE}, 201)
    return "leads"


@pytest.fixture
async def worker(orgs: OrgStore) -> Working:
    return working(orgs, Script([["00Q5e00000AbCdEEA1", "00Q5e00000AbCdEEA2"]]))


async def last_sync(caller: Caller) -> Any:
    return (await caller.get("/v1/lists/leads")).json["last_sync"]


async def test_asking_for_a_sync(admin: Caller, dialer: Caller, leads: str, worker: Working) -> None:
    """202 and the run that is queued; one that is under way is the one; a reader may not, a dialer may."""
    (await admin("GET", f"/v1/lists/{leads}/sync")).refused(404, "no-sync")
    queued = (await dialer.post(f"/v1/lists/{leads}/sync", expect=202)).json
    assert (queued["state"], queued["list"], queued["finished_at"], queued["error"]) == ("queued", leads, None, None)
    assert (await dialer.post(f"/v1/lists/{leads}/sync", {}, 202)).json["id"] == queued["id"]
    assert await last_sync(admin) == queued
    await worker.once()
    done = (await admin.get(f"/v1/lists/{leads}/sync")).json
    assert (done["id"], done["state"], done["fetched"], done["complete"]) == (queued["id"], "done", 2, True)
    assert "resumes_at" not in done
    assert (await admin.counts(leads))["members"] == 2


async def test_who_may_not_and_what_is_not(app: App, admin: Caller, leads: str) -> None:
    """403, 404, 422, in the contract's order."""
    reader = await app.member_of("acme", "read")
    (await reader.post(f"/v1/lists/{leads}/sync")).refused(403, "forbidden")
    (await admin.post("/v1/lists/nowhere/sync")).refused(404, "list-not-found")
    (await admin.post("/v1/lists/nowhere/sync", {"x": 1})).refused(404, "list-not-found")
    (await admin.post(f"/v1/lists/{leads}/sync", {"x": 1})).invalid("/x")
    await admin.make_list("West", ["p1"])
    (await admin.post("/v1/lists/west/sync")).refused(422, "no-source")


async def test_a_reset_asks_for_a_sync_where_there_is_a_source(dialer: Caller, admin: Caller, leads: str) -> None:
    """R9: with what the source has by now; a csv list has none."""
    told = (await dialer.post(f"/v1/lists/{leads}/reset", {"rep": "ana"}, 200)).json
    assert (told["reset"], told["sync"]["state"], told["sync"]["id"]) == (True, "queued", (await last_sync(admin))["id"])
    await admin.make_list("West", ["p1"])
    assert (await dialer.post("/v1/lists/west/reset", {"rep": "ana"}, 200)).json == {"reset": True, "sync": None}


async def test_a_failed_and_a_waiting_sync_are_told_with_who_must_do_what(admin: Caller, leads: str, worker: Working) -> None:
    """R12: `error` is a PROBLEM with the CRM's status, candidates where there are any, and `resumes_at` while it waits; rejected rows by their record."""
    worker.script.rejected = {0: [RejectedRecord("001A", "a company")]}
    worker.script.faults = {0: [CrmError("crm-ambiguous", "Name one in source.columns.id.", status=200, candidates=("CONTACT_ID", "MANAGER"))]}
    await admin.post(f"/v1/lists/{leads}/sync", expect=202)
    await worker.once()
    failed = await last_sync(admin)
    assert failed["state"] == "failed"
    assert failed["error"] == {
        "type": "/problems/crm-ambiguous",
        "title": "It can not be told which column is meant",
        "status": 502,
        "detail": "Name one in source.columns.id.",
        "candidates": ["CONTACT_ID", "MANAGER"],
    }
    worker.script.faults = {0: [WaitError("crm-budget", "Used up.", after_s=600, status=429)]}
    await admin.post(f"/v1/lists/{leads}/sync", expect=202)
    await worker.once()
    waits = await last_sync(admin)
    assert (waits["state"], waits["error"]["type"], waits["error"]["status"], waits["resumes_at"] > waits["started_at"]) == (
        "waiting",
        "/problems/crm-budget",
        429,
        True,
    )
    await admin.post(f"/v1/lists/{leads}/sync", expect=202)
    await worker.once()
    assert (await last_sync(admin))["rejected"] == [{"record": "001A", "detail": "a company"}]


async def test_an_error_that_the_crm_did_not_answer_with_is_502(admin: Caller, leads: str, worker: Working) -> None:
    """The status is the CRM's alone: a budget that is kept here, and another source, have none."""
    worker.script.faults = {0: [WaitError("crm-budget", "Used up.", after_s=600)]}
    await admin.post(f"/v1/lists/{leads}/sync", expect=202)
    await worker.once()
    waits = await last_sync(admin)
    await admin.patch(f"/v1/lists/{leads}", {"source": {"kind": "report", "id": "00O000000000002AAA"}}, 200)
    ended = await last_sync(admin)
    assert [(told["state"], told["error"]["type"], told["error"]["status"]) for told in (waits, ended)] == [
        ("waiting", "/problems/crm-budget", 502),
        ("failed", "/problems/source-changed", 502),
    ]


async def test_a_clogged_list_says_what_to_do(admin: Caller, leads: str, worker: Working) -> None:
    """R11: nothing while all is well; then what to add in that CRM, and when the next one frees; of a list that was cut, how it is read on."""
    await admin.post(f"/v1/lists/{leads}/sync", expect=202)
    await worker.once()
    assert (await admin.get(f"/v1/lists/{leads}")).json["advice"] is None
    await admin.claim(leads, 2)
    told = (await admin.get(f"/v1/lists/{leads}")).json
    assert (told["clogged"], told["counts"]["reserved"]) == (1.0, 2)
    for words in ("2 of the 2", "cross filter", f"The next one frees at {told['next_available_at']}"):
        assert words in told["advice"]
    worker.script.last = {"truncated": True, "advice": "The report type has no Do Not Call."}
    await admin.patch(f"/v1/lists/{leads}", {"sync": {"fetch": "first_page"}}, 200)
    await admin.post(f"/v1/lists/{leads}/sync", expect=202)
    await worker.once()
    told = (await admin.get(f"/v1/lists/{leads}")).json
    assert told["truncated"] is True
    assert "past the cut" in told["advice"]
    assert "Do Not Call" in told["advice"]


async def test_what_a_connection_may_do(admin: Caller, dialer: Caller) -> None:
    """For admins; one that is not connected says so, and csv needs no connection."""
    told = (await admin.post("/v1/integrations/salesforce/check", expect=200)).json
    assert (told["connected"], "[orgs.acme.salesforce]" in told["may_not"][0]) == (False, True)
    assert (await admin.post("/v1/integrations/csv/check", {}, 200)).json == {"connected": True, "user": None, "may": [], "may_not": [], "budget": {}}
    (await admin.post("/v1/integrations/nowhere/check")).refused(404, "integration-not-found")
    (await dialer.post("/v1/integrations/csv/check")).refused(403, "forbidden")
    listed = (await admin.get("/v1/integrations")).json["items"]
    assert {one["integration"]: one["connected"] for one in listed} == {"salesforce": False, "hubspot": False, "csv": True}
