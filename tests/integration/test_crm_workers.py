"""CRMs and workers as processes: killed, told to stop, thrown out and told to wait in the middle, they bring everybody once and log every call."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.contract.crm.salesforce.test_past_the_cut import by_newest, in_order, leads
from tests.support.crm_office import ENDS_S, Office, crm_office
from tests.support.salesforce.records import record_id
from tests.support.salesforce.report_types import LEADS
from tests.support.salesforce.reports import report
from tests.support.waiting import wait_until

ORGS = ("pages", "session", "leaves", "waits", "killed", "stopped")
ROWS = 10_000
CALLS = 5


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Without a worker of its own."""
    with crm_office(tmp_path_factory.mktemp("house"), ORGS, "serve --port 0 --no-worker") as office:
        yield office


def once(count: int, reached: Callable[[], int], what: Callable[[], object]) -> Callable[..., None]:
    """Something that is done when the CRM has been asked so often, before it answers."""
    done: list[object] = []

    def look(_: object = None) -> None:
        if reached() == count and not done:
            done.append(None)
            what()

    return look


def test_ten_thousand_rows_and_a_worker_killed_in_the_middle(house: Office) -> None:
    """R11, R12: another goes on under the same id; everybody is there, in order, once each, and whom it had brought before could be called."""
    office = house.of("pages")
    leads(office.salesforce, range(ROWS))
    office.make_list("salesforce", "report", office.salesforce.save(by_newest()))
    office.ask("PATCH", "/integrations/salesforce/multi-rep-dialing", {"enabled": True})
    asked = office.ask("POST", "/lists/west/sync", {})
    with office.worker() as worker:
        office.salesforce.before = once(4, lambda: len(office.salesforce.runs()), lambda: os.kill(worker.pid, signal.SIGKILL))
        assert worker.code() == -signal.SIGKILL
    assert (office.sync()["state"], office.sync()["fetched"]) == ("running", 6_000)
    office.call(3, "no_answer")
    office.let_go()
    with office.worker() as worker:
        done = office.synced()
        assert worker.stop() == 0
    assert (done["id"], done["state"], done["fetched"], done["complete"], done["truncated"]) == (asked["id"], "done", ROWS, True, False), done
    assert office.members() == in_order(range(ROWS - 1, ROWS - 2_001, -1), ROWS)
    counts = office.ask("GET", "/lists/west")["counts"]
    assert (counts["members"], counts["reserved"], counts["available"]) == (ROWS, 3, ROWS - 3)
    office.proves()


def test_a_session_that_ends_in_the_middle_is_opened_anew(house: Office) -> None:
    """Once, and nobody notices."""
    office = house.of("session")
    leads(office.salesforce, range(30))
    office.salesforce.batch = 10
    office.salesforce.list_views["00B000000000001AAA"] = ("Lead", "SELECT Id, Name, Phone FROM Lead ORDER BY Id")
    office.make_list("salesforce", "list_view", "00B000000000001AAA")
    seen = lambda: len([seen for seen in office.salesforce.seen if "/query/01g" in seen.path])  # noqa: E731
    office.salesforce.before = once(1, seen, office.salesforce.revoke)
    office.ask("POST", "/lists/west/sync", {})
    with office.worker():
        done = office.synced()
    assert (done["state"], done["fetched"], office.salesforce.logins) == ("done", 30, 2), done
    assert office.members() == [record_id("00Q", number) for number in range(30)]


def test_a_portal_that_wants_to_be_left_alone_is(house: Office) -> None:
    """A short while is waited for; a long one is told, with its end, and who asks then goes on at once, under the same id, where it was."""
    office = house.of("waits")
    office.portal.make_list("42", range(1_001, 1_601))
    office.make_list("hubspot", "list", "42")
    for after, wait in ((1, "0.5"), (3, "600")):
        office.portal.fail("contacts/batch/read", status=429, headers={"Retry-After": wait}, body='{"status": "error", "policyName": "SECONDLY"}', after=after)
    asked = office.ask("POST", "/lists/west/sync", {})
    with office.worker():
        waits = office.synced()
        assert (waits["id"], waits["state"], waits["error"]["type"], waits["error"]["status"]) == (asked["id"], "waiting", "/problems/crm-budget", 429), waits
        assert waits["resumes_at"] is not None
        assert office.ask("POST", "/lists/west/sync", {})["id"] == asked["id"]
        wait_until(lambda: office.sync()["state"] == "done", "it goes on", ENDS_S)
    done = office.sync()
    assert (done["id"], done["fetched"], done["complete"]) == (asked["id"], 600, True)
    assert office.members() == [str(number) for number in range(1_001, 1_601)]


def test_who_was_called_leaves_the_report_by_themselves(house: Office) -> None:
    """Each call is a task of Salesforce's, once; what its outcome is mapped to changes the lead, whom the report does not have any more, nor the list."""
    office = house.of("leaves")
    leads(office.salesforce, range(CALLS + 3))
    office.make_list("salesforce", "report", office.salesforce.save(report(LEADS, ("LAST_NAME", "PHONE"), filters=[("STATUS", "equals", "Open")])))
    office.ask("PATCH", "/integrations/salesforce/multi-rep-dialing", {"enabled": True})
    mapped = {"no_answer": {"fields": {"Lead.Status": "Working", "Contact.Title": "none"}, "call_outcome": "No Answer"}}
    office.ask("PATCH", "/integrations/salesforce/write-back", {"log_calls": True, "dispositions": mapped})
    office.ask("POST", "/lists/west/sync", {})
    with office.worker():
        assert office.synced()["fetched"] == CALLS + 3
        claims = office.call(CALLS, "no_answer")
        wait_until(lambda: office.left("salesforce") == (0, 0), "all is written back", ENDS_S)
        tasks = office.salesforce.records["Task"].values()
        assert sorted((one["Reservoir_Call_Id__c"], one["WhoId"], one["CallDisposition"], one["Status"]) for one in tasks) == sorted(
            (claim["id"], claim["prospect"]["id"], "No Answer", "Completed") for claim in claims
        )
        gone = {claim["prospect"]["id"] for claim in claims}
        assert {one["Id"] for one in office.salesforce.records["Lead"].values() if one["Status"] == "Working"} == gone
        office.ask("POST", "/lists/west/sync", {})
        done = office.synced()
    assert (done["state"], done["fetched"], done["left"]) == ("done", 3, CALLS)
    assert gone.isdisjoint(office.members())
    assert office.ask("GET", "/lists/west")["write_back"] == {"pending": 0, "oldest_at": None, "failed": 0}


@pytest.mark.parametrize(("org", "number"), [("killed", signal.SIGKILL), ("stopped", signal.SIGTERM)])
def test_a_worker_that_ends_while_it_writes_back_leaves_no_call_out_and_none_twice(house: Office, org: str, number: signal.Signals) -> None:
    """Killed after the call is logged and before it hears of it, or told to stop: another writes the rest, and HubSpot has each call once, by its mark."""
    office = house.of(org)
    office.portal.make_list("42", range(1_001, 1_001 + CALLS))
    office.portal.call_properties |= {"reservoir_call_id"}
    office.portal.unique = {"reservoir_call_id"}
    office.portal.search_knows = lambda _: False  # HubSpot's search lags behind what is written
    office.make_list("hubspot", "list", "42")
    office.ask("PATCH", "/integrations/hubspot/write-back", {"log_calls": True})
    office.ask("POST", "/lists/west/sync", {})
    with office.worker() as worker:
        office.synced()
        office.portal.on_write = once(3, lambda: len(office.portal.calls), lambda: os.kill(worker.pid, number))
        claims = office.call(CALLS, "busy")
        assert worker.code() == (0 if number == signal.SIGTERM else -number)
    assert (len(office.portal.calls), office.left("hubspot")) == (3, (2 if number == signal.SIGTERM else CALLS, 0))
    if number == signal.SIGKILL:
        office.let_go("hubspot")
    with office.worker():
        wait_until(lambda: office.left("hubspot") == (0, 0), "another writes the rest", ENDS_S)
    assert sorted(str(told["reservoir_call_id"]) for told in office.portal.calls.values()) == sorted(claim["id"] for claim in claims)
    assert len(office.portal.associated) == CALLS
