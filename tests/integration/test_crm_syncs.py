"""CRMs as a whole: a service with its own worker, over HTTP, on an org of Salesforce's and a portal of HubSpot's, with the vendors' own clients between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.crm.salesforce.test_past_the_cut import by_newest, in_order, leads
from tests.support.cli import Service, service
from tests.support.hubspot.records import TOKEN, Portal
from tests.support.hubspot.server import serving
from tests.support.salesforce.server import SalesforceOrg, salesforce_org
from tests.support.waiting import wait_until

SYNCED_S = 110
ROWS = 5_000


@pytest.fixture
def org() -> Iterator[SalesforceOrg]:
    with salesforce_org() as org:
        leads(org, range(ROWS))
        yield org


def sync(at: Service, key: str, list_: str) -> Any:
    """The newest run, once it has ended or waits."""
    assert at.ask("POST", f"/v1/lists/{list_}/sync", key, {})[0] == 202
    path = f"/v1/lists/{list_}/sync"
    wait_until(lambda: at.ask("GET", path, key)[1]["state"] not in {"queued", "running"}, "the run ends", SYNCED_S)
    return at.ask("GET", path, key)[1]


def members(at: Service, key: str, list_: str) -> list[str]:
    """All of them, page by page."""
    found: list[str] = []
    cursor = ""
    while True:
        told = at.ask("GET", f"/v1/lists/{list_}/members?limit=1000&cursor={cursor}", key)[1]
        found += [one["prospect"]["id"] for one in told["items"]]
        cursor = told["next_cursor"] or ""
        if not cursor:
            return found


def test_a_report_is_read_past_its_cut_and_claimed_from(tmp_path: Path, org: SalesforceOrg) -> None:
    """R11, R12: 5,000 rows through pages of 2,000 are there in order, once each; a person who was called and comes again is still reserved."""
    known = org.credentials
    environ = {
        "RESERVOIR_ORGS__ACME__SALESFORCE__ENDPOINT": org.url,
        "RESERVOIR_ORGS__ACME__SALESFORCE__DOMAIN": "acme.my",
        "RESERVOIR_ORGS__ACME__SALESFORCE__CONSUMER_KEY": known.consumer_key,
        "RESERVOIR_ORGS__ACME__SALESFORCE__CONSUMER_SECRET": known.consumer_secret,
    }
    with service(tmp_path, "serve --port 0", environ) as at:
        key = at.key()
        source = {"kind": "report", "id": org.save(by_newest())}
        assert at.ask("POST", "/v1/lists", key, {"id": "west", "name": "West", "integration": "salesforce", "source": source})[0] == 201
        assert at.ask("PATCH", "/v1/integrations/salesforce/multi-rep-dialing", key, {"enabled": True})[0] == 200
        done = sync(at, key, "west")
        assert (done["state"], done["fetched"], done["complete"], done["truncated"]) == ("done", ROWS, True, False)
        assert members(at, key, "west") == in_order(range(ROWS - 1, ROWS - 2_001, -1), ROWS)
        status, told = at.ask("POST", "/v1/lists/west/claims", key, {"rep": "ana", "session": "s", "mode": "power"})
        assert status == 201
        again = sync(at, key, "west")
        assert (again["state"], again["added"], again["left"]) == ("done", 0, 0)
        counts = at.ask("GET", "/v1/lists/west", key)[1]["counts"]
        assert (counts["members"], counts["available"], counts["reserved"]) == (ROWS, ROWS - 1, 1)
        other = at.ask("POST", "/v1/lists/west/claims", key, {"rep": "bob", "session": "t", "mode": "power"})[1]
        assert other["claims"][0]["prospect"]["id"] != told["claims"][0]["prospect"]["id"]
        assert known.consumer_secret not in at.run.err


def test_a_report_waits_for_its_budget_and_goes_on(tmp_path: Path, org: SalesforceOrg) -> None:
    """Two report runs an hour are too few: the same run waits with what it has read, which can be claimed, and says for what."""
    known = org.credentials
    environ = {
        "RESERVOIR_ORGS__ACME__SALESFORCE__ENDPOINT": org.url,
        "RESERVOIR_ORGS__ACME__SALESFORCE__DOMAIN": "acme.my",
        "RESERVOIR_ORGS__ACME__SALESFORCE__CONSUMER_KEY": known.consumer_key,
        "RESERVOIR_ORGS__ACME__SALESFORCE__CONSUMER_SECRET": known.consumer_secret,
        "RESERVOIR_ORGS__ACME__SALESFORCE__REPORT_RUNS_PER_HOUR": "2",
    }
    with service(tmp_path, "serve --port 0", environ) as at:
        key = at.key()
        source = {"kind": "report", "id": org.save(by_newest())}
        assert at.ask("POST", "/v1/lists", key, {"id": "west", "name": "West", "integration": "salesforce", "source": source})[0] == 201
        waiting = sync(at, key, "west")
        assert (waiting["state"], waiting["error"]["type"]) == ("waiting", "/problems/crm-budget")
        assert waiting["resumes_at"] is not None
        assert 0 < waiting["fetched"] < ROWS
        assert at.ask("GET", "/v1/lists/west", key)[1]["counts"]["available"] == waiting["fetched"]


def test_a_list_of_hubspots_is_read(tmp_path: Path) -> None:
    """By record id, as its memberships come."""
    portal = Portal()
    portal.make_list("42", range(1001, 1601))
    with serving(portal) as server:
        environ = {"RESERVOIR_ORGS__ACME__HUBSPOT__ENDPOINT": server.url, "RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN": TOKEN}
        with service(tmp_path, "serve --port 0", environ) as at:
            key = at.key()
            body = {"id": "cold", "name": "Cold", "integration": "hubspot", "source": {"kind": "list", "id": "42"}}
            assert at.ask("POST", "/v1/lists", key, body)[0] == 201
            done = sync(at, key, "cold")
            assert (done["state"], done["fetched"], done["complete"]) == ("done", 600, True), done
            assert members(at, key, "cold") == [str(number) for number in range(1001, 1601)]
            assert TOKEN not in at.run.err
