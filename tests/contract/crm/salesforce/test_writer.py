"""Write-back into Salesforce, by the real client."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from reservoir.config import SalesforceConfig
from reservoir.integrations import salesforce
from reservoir.integrations.salesforce.writer import quoted
from reservoir.integrations.source import CrmError, Pace
from reservoir.integrations.writer import Change, Writer
from tests.support.salesforce import writes
from tests.support.salesforce.records import contact, lead
from tests.support.salesforce.server import SalesforceOrg

LEAD, OTHER, CONTACT = lead(1)["Id"], lead(2)["Id"], contact(1)["Id"]
REP = "ana@acme.com"
AT_MS = 1_795_800_000_000


@pytest.fixture
def writer(org: SalesforceOrg, config: SalesforceConfig, pace: Pace) -> Iterator[Writer]:
    """Into an org with two leads, a contact, and a user who is the rep."""
    org.add("Lead", lead(1), lead(2))
    org.add("Contact", contact(1))
    org.add(
        "User",
        {"Id": "005000000000009AAA", "Email": REP, "IsActive": True},
        {"Id": "005000000000008AAA", "Email": "gone@acme.com", "IsActive": False},
    )
    made = salesforce.connect_writer(config, pace)
    yield made
    made.close()


def call(prospect: str = LEAD, claim: str = "claim1", rep: str = REP, **more: Any) -> Change:
    return Change(claim, "call", prospect, rep, AT_MS, **more)


def fields(prospect: str, claim: str = "claim1", **changed: Any) -> Change:
    return Change(claim, "fields", prospect, "ana", AT_MS, fields={name.replace("__", "."): value for name, value in changed.items()})


def tasks(org: SalesforceOrg) -> list[dict[str, Any]]:
    return [{name: value for name, value in task.items() if value is not None} for task in org.records["Task"].values()]


def test_a_call_is_a_completed_task(writer: Writer, org: SalesforceOrg) -> None:
    """With the person, the rep's own user, the outcome, and the claim by which it is known again; without a duration."""
    (told,) = writer.write([call(outcome="no_answer")])
    (task,) = tasks(org)
    assert task == {
        "Id": told.logged,
        "WhoId": LEAD,
        "Subject": "Call",
        "TaskSubtype": "Call",
        "Status": "Completed",
        "ActivityDate": "2026-11-27",
        "CallType": "Outbound",
        "CallDisposition": "no answer",
        "CallObject": "claim1",
        "OwnerId": "005000000000009AAA",
        "Reservoir_Call_Id__c": "claim1",
    }


@pytest.mark.parametrize("rep", ["gone@acme.com", "nobody@acme.com", "ana"])
def test_a_rep_who_is_no_active_user_leaves_the_connections_own(writer: Writer, org: SalesforceOrg, rep: str) -> None:
    """The owner is not named."""
    list(writer.write([call(rep=rep)]))
    assert "OwnerId" not in tasks(org)[0]


@pytest.mark.parametrize("marked", [True, False])
def test_a_repeat_logs_nothing_more(writer: Writer, org: SalesforceOrg, marked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the external id, or, where Task has no such field, by looking for it; the outcome is brought up to date."""
    if not marked:
        monkeypatch.setattr(writes, "EXTERNAL_IDS", frozenset())
    (first,) = writer.write([call()])
    (again,) = writer.write([call(repeated=True, outcome="busy", call_outcome="Busy line")])
    assert first.logged == again.logged
    (task,) = tasks(org)
    assert task["CallDisposition"] == "Busy line"
    (later,) = writer.write([call(logged=first.logged, outcome="connected")])
    assert (later.logged, later.error) == (first.logged, None)
    assert [task["CallDisposition"] for task in tasks(org)] == ["connected"]


def test_fields_are_changed_where_the_object_has_them(writer: Writer, org: SalesforceOrg) -> None:
    """A qualified one of its object alone; an unqualified one is skipped where there is none."""
    told = list(writer.write([
        fields(LEAD, "c1", Lead__Status="Working", Contact__Title="no", Company="Acme"),
        fields(CONTACT, "c2", Lead__Status="no", Title="CEO", Company="nobody has it"),
        fields(OTHER, "c3", Contact__Title="no"),
    ]))  # fmt: skip
    assert [one.error for one in told] == [None, None, None]
    changed = org.records["Lead"][LEAD]
    assert (changed["Status"], changed["Title"], changed["Company"]) == ("Working", "Director", "Acme")
    assert org.records["Contact"][CONTACT]["Title"] == "CEO"
    assert "Company" not in org.records["Contact"][CONTACT]
    assert org.records["Lead"][OTHER] == lead(2)


def test_two_changes_of_one_record_come_in_their_order(writer: Writer, org: SalesforceOrg) -> None:
    """One after the other."""
    list(writer.write([fields(LEAD, "c1", Status="First"), fields(OTHER, "c2", Status="x"), fields(LEAD, "c3", Status="Second")]))
    assert org.records["Lead"][LEAD]["Status"] == "Second"


def test_what_is_refused_is_told_of_each(writer: Writer, org: SalesforceOrg) -> None:
    """While the others are written."""
    gone, converted = lead(7)["Id"], lead(8, IsConverted=True)
    org.add("Lead", converted)
    told = list(writer.write([
        fields(LEAD, "c1", Lead__Status="Working"),
        fields(gone, "c2", Lead__Status="Working"),
        fields(converted["Id"], "c3", Lead__Status="Working"),
        call("00Q000000000000AAA", "c4", call_outcome=None),
    ]))  # fmt: skip
    by_claim = {one.change.claim: one for one in told}
    assert by_claim["c1"].error is None
    refused = [by_claim[claim].error for claim in ("c2", "c3")]
    assert [error.slug for error in refused if error] == ["crm-not-found", "crm-unsupported"]
    assert org.records["Lead"][LEAD]["Status"] == "Working"


def test_credentials_are_everybodys(org: SalesforceOrg, config: SalesforceConfig, pace: Pace) -> None:
    """Nothing more can be written by this connection, whichever change it was."""
    del org
    refused = config.model_copy(update={"consumer_secret": SecretStr("another")})
    with pytest.raises(CrmError) as caught:
        list(salesforce.connect_writer(refused, pace).write([call(), fields(LEAD, "c2", Status="x")]))
    assert caught.value.slug == "crm-credentials"


def test_text_in_a_query_stays_text() -> None:
    """A rep's name is whatever a dialer sent."""
    assert quoted("o'x\\") == "'o\\'x\\\\'"
