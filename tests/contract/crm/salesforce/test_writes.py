"""The org's other side, which write-back is tested against: the real client writes, and what Salesforce would refuse is refused."""

from typing import Any

import pytest

from reservoir.config import SalesforceConfig
from reservoir.integrations.salesforce.answers import Asked
from reservoir.integrations.salesforce.connection import Connection
from reservoir.integrations.source import CrmError
from tests.support.pace import RecordedPace
from tests.support.salesforce.records import contact, lead, record_id
from tests.support.salesforce.server import SalesforceOrg

ASKED = Asked("a call")
LEAD = record_id("00Q", 1)
CALL = {"WhoId": LEAD, "Subject": "Call", "TaskSubtype": "Call", "Status": "Completed", "ActivityDate": "2026-01-31", "CallDisposition": "No answer"}


@pytest.fixture
def connection(org: SalesforceOrg, config: SalesforceConfig) -> Any:
    org.add("Lead", lead(1), lead(2, IsConverted=True))
    org.add("Contact", contact(1))
    made = Connection(config, RecordedPace())
    yield made
    made.close()


def test_a_field_is_changed(org: SalesforceOrg, connection: Connection) -> None:
    """By 15 or 18 characters; a converted lead's is not, nor one that there is not."""
    connection.ask(f"sobjects/Lead/{LEAD[:15]}", ASKED, method="PATCH", json={"Status": "Working"})
    assert org.records["Lead"][LEAD]["Status"] == "Working"
    for record, fields in ((record_id("00Q", 2), {"Status": "Working"}), (LEAD, {"NoSuch__c": 1}), (LEAD, {"Id": LEAD})):
        with pytest.raises(CrmError) as caught:
            connection.ask(f"sobjects/Lead/{record}", ASKED, method="PATCH", json=fields)
        assert caught.value.status == 400


def test_a_call_is_logged_once_by_its_external_id(org: SalesforceOrg, connection: Connection) -> None:
    """The repeat finds the first one; the subtype is set when it is created, and never after."""
    path = "sobjects/Task/Reservoir_Call_Id__c/c-1"
    made = connection.ask(path, ASKED, method="PATCH", json=CALL)
    assert made["created"]
    again = connection.ask(path, ASKED, method="PATCH", json={"CallDisposition": "Connected"})
    assert (again["created"], again["id"]) == (False, made["id"])
    assert [task["CallDisposition"] for task in org.records["Task"].values()] == ["Connected"]
    with pytest.raises(CrmError, match="TaskSubtype"):
        connection.ask(path, ASKED, method="PATCH", json=CALL)
    with pytest.raises(CrmError, match="id value of incorrect type"):
        connection.ask("sobjects/Task", ASKED, method="POST", json={**CALL, "WhoId": record_id("001", 1)})


def test_many_at_once_each_have_their_own_outcome(org: SalesforceOrg, connection: Connection) -> None:
    """In order; one that is refused stops no other."""
    records = [{"attributes": {"type": "Lead"}, "id": record_id("00Q", number), "Status": "Closed"} for number in (1, 2, 9)]
    told = connection.ask("composite/sobjects", ASKED, method="PATCH", json={"allOrNone": False, "records": records})
    assert [one["success"] for one in told] == [True, False, False]
    assert [one["errors"][0]["statusCode"] for one in told[1:]] == ["CANNOT_UPDATE_CONVERTED_LEAD", "NOT_FOUND"]
    assert org.records["Lead"][LEAD]["Status"] == "Closed"
    with pytest.raises(CrmError, match="at most 200"):
        connection.ask("composite/sobjects", ASKED, method="POST", json={"allOrNone": False, "records": records * 70})
