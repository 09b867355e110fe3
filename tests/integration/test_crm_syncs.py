"""CRMs as a whole: a service with its own worker, over HTTP, on an org of Salesforce's and a portal of HubSpot's, with the vendors' own clients between."""

from collections.abc import Iterator

import pytest

from tests.contract.crm.salesforce.test_past_the_cut import by_newest, in_order, leads
from tests.support.crm_office import ENDS_S, Office, crm_office
from tests.support.hubspot.records import TOKEN
from tests.support.waiting import wait_until

ROWS = 2_500


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with crm_office(tmp_path_factory.mktemp("house"), ("claims", "budget", "cold")) as office:
        yield office


def test_a_report_is_read_past_its_cut_and_claimed_from(house: Office) -> None:
    """R11, R12: 2,500 rows through pages of 2,000 are there in order, once each; a person who was called and comes again is still reserved."""
    office = house.of("claims")
    leads(office.salesforce, range(ROWS))
    office.make_list("salesforce", "report", office.salesforce.save(by_newest()))
    office.ask("PATCH", "/integrations/salesforce/multi-rep-dialing", {"enabled": True})
    office.ask("POST", "/lists/west/sync", {})
    done = office.synced()
    assert (done["state"], done["fetched"], done["complete"], done["truncated"]) == ("done", ROWS, True, False)
    assert office.members() == in_order(range(ROWS - 1, ROWS - 2_001, -1), ROWS)
    (claim,) = office.call(1, "no_answer")
    office.ask("POST", "/lists/west/sync", {})
    again = office.synced()
    assert (again["state"], again["added"], again["left"]) == ("done", 0, 0)
    counts = office.ask("GET", "/lists/west")["counts"]
    assert (counts["members"], counts["available"], counts["reserved"]) == (ROWS, ROWS - 1, 1)
    (other,) = office.call(1, "no_answer", "bob")
    assert other["prospect"]["id"] != claim["prospect"]["id"]
    assert office.salesforce.credentials.consumer_secret not in office.service.run.err


def test_a_report_waits_for_its_budget_and_goes_on(house: Office) -> None:
    """The org has one report run left: the run waits with what it has read, which can be claimed, and says for what.

    Who asks meanwhile is answered with it, the limits are read anew, and as soon as they allow, it goes on.
    """
    office = house.of("budget")
    leads(office.salesforce, range(ROWS))
    office.salesforce.limits["HourlySyncReportRuns"]["Remaining"] = 1
    office.make_list("salesforce", "report", office.salesforce.save(by_newest()))
    asked = office.ask("POST", "/lists/west/sync", {})
    for _ in range(2):
        waiting = office.synced()
        assert (waiting["id"], waiting["state"], waiting["error"]["type"], waiting["fetched"]) == (asked["id"], "waiting", "/problems/crm-budget", 2_000)
        assert waiting["resumes_at"] is not None
        assert office.ask("GET", "/lists/west")["counts"]["available"] == 2_000
        office.salesforce.limits["HourlySyncReportRuns"]["Remaining"] = 0
        read = len([seen for seen in office.salesforce.seen if "/limits" in seen.path])
        assert office.ask("POST", "/lists/west/sync", {})["id"] == asked["id"]
        wait_until(lambda: len([seen for seen in office.salesforce.seen if "/limits" in seen.path]) > read, "the limits are read anew", ENDS_S)  # noqa: B023
    assert office.synced()["state"] == "waiting"
    office.salesforce.limits["HourlySyncReportRuns"]["Remaining"] = 400
    assert office.ask("POST", "/lists/west/sync", {})["id"] == asked["id"]
    wait_until(lambda: office.sync()["state"] == "done", "it goes on", ENDS_S)
    assert (office.sync()["id"], office.sync()["fetched"], len(office.salesforce.runs())) == (asked["id"], ROWS, 3)


def test_a_list_of_hubspots_is_read(house: Office) -> None:
    """By record id, as its memberships come."""
    office = house.of("cold")
    office.portal.make_list("42", range(1_001, 1_601))
    office.make_list("hubspot", "list", "42")
    office.ask("POST", "/lists/west/sync", {})
    done = office.synced()
    assert (done["state"], done["fetched"], done["complete"]) == ("done", 600, True), done
    assert office.members() == [str(number) for number in range(1_001, 1_601)]
    assert TOKEN not in office.service.run.err
