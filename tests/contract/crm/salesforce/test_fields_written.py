"""What dispositions change on leads and contacts, written by the real client: where the object has the field, together, and each with its own outcome."""

from collections.abc import Iterator
from typing import Any

import pytest

from reservoir.config import SalesforceConfig
from reservoir.domain.write_back import FieldValue
from reservoir.integrations.salesforce import connect_writer
from reservoir.integrations.source import CrmError, PassingError
from reservoir.integrations.writer import Change, Writer, Written
from tests.support.pace import RecordedPace
from tests.support.salesforce.records import contact, lead, record_id
from tests.support.salesforce.refusing import SalesforceRefusalError
from tests.support.salesforce.server import SalesforceOrg, Says, refuses

LEAD, CONTACT = record_id("00Q", 1), record_id("003", 1)


@pytest.fixture
def writer(org: SalesforceOrg, config: SalesforceConfig) -> Iterator[Writer]:
    """Into an org with ten leads, of whom the last is converted, and two contacts, who have no Status."""
    org.add("Lead", *(lead(number, Tries__c=0, IsConverted=number == 9) for number in range(10)))
    org.add("Contact", *(contact(number, Level__c=None) for number in (1, 2)))
    made = connect_writer(config, RecordedPace())
    yield made
    made.close()


def change(prospect: str, claim: str = "", **fields: FieldValue) -> Change:
    """Of a disposition; ``Lead__Status`` stands for ``Lead.Status``."""
    named = {name.replace("Lead__", "Lead.").replace("Contact__", "Contact."): value for name, value in fields.items()}
    return Change(claim or f"c-{prospect}", "fields", prospect, "ann@acme.example", 1_769_900_000_000, outcome="no_answer", fields=named)


def told(writer: Writer, *changes: Change) -> list[tuple[str, str | None]]:
    """The claims whose changes were written or refused, with the problem's type."""
    return [(one.change.claim, one.error.slug if one.error else None) for one in writer.write(changes)]


def writes(org: SalesforceOrg) -> list[Any]:
    """What was asked to be written: one record's fields, or a batch of records."""
    return [seen.json.get("records", seen.json) for seen in org.seen if seen.method == "PATCH"]


def test_changes_of_many_are_one_request(org: SalesforceOrg, writer: Writer) -> None:
    """Leads first, then contacts, so that they are two runs of objects and no more. Values keep their types."""
    people = [record_id(*one) for one in (("00Q", 1), ("003", 1), ("00Q", 2), ("003", 2), ("00Q", 3))]
    changes = [change(person, Lead__Status="Working", Lead__Tries__c=3, Contact__Title="None", DoNotCall=True) for person in people]
    assert sorted(told(writer, *changes)) == sorted((f"c-{person}", None) for person in people)
    assert len(writes(org)) == 1
    assert [record["attributes"]["type"] for record in writes(org)[0]] == ["Contact"] * 2 + ["Lead"] * 3
    assert {
        (one["Status"], one["Tries__c"], one["DoNotCall"], one["Title"]) for number in (1, 2, 3) for one in [org.records["Lead"][record_id("00Q", number)]]
    } == {("Working", 3, True, "Director")}
    assert {(one["Title"], one["DoNotCall"]) for one in org.records["Contact"].values()} == {("None", True)}


def test_a_field_that_is_meant_for_another_object_is_not_asked_for(org: SalesforceOrg, writer: Writer) -> None:
    """A contact has nothing of a lead's, and one to whom nothing applies is done."""
    assert told(writer, change(CONTACT, Lead__Status="Working"), change(LEAD, Contact__Title="x")) == [(f"c-{CONTACT}", None), (f"c-{LEAD}", None)]
    assert org.seen == []


@pytest.mark.parametrize("together", [True, False])
def test_an_unqualified_field_applies_where_the_object_has_it(org: SalesforceOrg, writer: Writer, together: bool) -> None:
    """Salesforce says which have not; from then on it is not asked for again. A record that has nothing else is done."""
    changes = [change(LEAD, Status="Working"), change(CONTACT, Status="Working", Tries__c=1, Title="x"), change(record_id("003", 2), Status="Working")]
    for part in [changes] if together else [[one] for one in changes]:
        assert sorted(told(writer, *part)) == sorted((one.claim, None) for one in part)
    assert org.records["Lead"][LEAD]["Status"] == "Working"
    assert (org.records["Contact"][CONTACT]["Title"], org.records["Contact"][record_id("003", 2)]["Title"]) == ("x", "CFO")
    asked = len(writes(org))
    assert told(writer, change(record_id("003", 2), Status="Closed")) == [(f"c-{record_id('003', 2)}", None)]
    assert len(writes(org)) == asked


def test_what_is_an_accounts_goes_into_the_account_of_a_person(org: SalesforceOrg, writer: Writer) -> None:
    """And never into a company's, of which the contact is one of many. The rest goes into the contact, and either that is refused is the change's refusal."""
    person, company = record_id("001", 1), record_id("001", 2)
    for account, of in ((person, CONTACT), (company, None)):
        org.add("Account", {"Id": account, "Name": "x", "PersonContactId": of, "Rating": "Cold", "Level__pc": None})
    wanted: dict[str, FieldValue] = {"Account.Rating": "Hot", "account.Level__pc": "2", "Title": "x"}
    changes = [Change(f"c-{one}", "fields", one, "ann", 1, fields=wanted) for one in (CONTACT, record_id("003", 2), LEAD)]
    assert sorted(told(writer, *changes)) == sorted((one.claim, None) for one in changes)
    assert [(one["Rating"], one["Level__pc"]) for one in org.records["Account"].values()] == [("Hot", "2"), ("Cold", None)]
    assert [one["Title"] for one in org.records["Contact"].values()] == ["x", "x"]
    org.writer.refuses = lambda name, _: SalesforceRefusalError(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "No.") if name == "Account" else None
    assert sorted(told(writer, *changes)) == sorted((one.claim, "crm-unsupported" if one.prospect == CONTACT else None) for one in changes)
    org.fail("/query/", refuses(400, "INVALID_FIELD", "No such column 'PersonContactId' on entity 'Account'."))
    assert {slug for _, slug in told(writer, *changes)} == {None}, "an org without person accounts"


def test_the_word_that_names_the_object_counts_more(org: SalesforceOrg, writer: Writer) -> None:
    """However they are ordered."""
    told(writer, change(LEAD, Lead__Status="Named", Status="Any"))
    assert org.records["Lead"][LEAD]["Status"] == "Named"


@pytest.mark.parametrize("count", [1, 3])
def test_a_field_that_is_said_to_be_the_objects_own_must_be_there(org: SalesforceOrg, writer: Writer, count: int) -> None:
    """The admin is told, by its name."""
    found = [*writer.write([change(record_id("00Q", number), Lead__Nosuch__c=1, Status="Working") for number in range(count)])]
    assert [one.error.slug for one in found if one.error] == ["crm-unsupported"] * count
    with pytest.raises(CrmError, match=r"an admin must change what is written back.*Nosuch__c"):
        raise found[0].error or AssertionError
    assert {one["Status"] for one in org.records["Lead"].values()} == {"Open"}


def test_who_is_converted_or_deleted_is_refused_and_stops_no_other(org: SalesforceOrg, writer: Writer) -> None:
    """Each with its reason, alone as among others."""
    gone = {record_id("00Q", 9): ("crm-unsupported", "converted"), record_id("00Q", 77): ("crm-not-found", "deleted")}
    changes = [change(record_id("00Q", number), Lead__Status="Working") for number in (1, 9, 77, 2)]
    found = {one.change.prospect: one for part in (changes, [changes[1]], [changes[2]]) for one in writer.write(part)}
    assert {prospect: (one.error.slug, words in str(one.error)) for prospect, one in found.items() if one.error for words in [gone[prospect][1]]} == {
        prospect: (slug, True) for prospect, (slug, _) in gone.items()
    }
    assert [org.records["Lead"][record_id("00Q", number)]["Status"] for number in (1, 2, 9)] == ["Working", "Working", "Open"]


def test_the_last_word_of_several_counts(org: SalesforceOrg, writer: Writer) -> None:
    """Salesforce takes a record once in a request."""
    assert told(writer, change(LEAD, "a", Status="Working"), change(LEAD, "b", Status="Closed", Tries__c=2)) == [("a", None), ("b", None)]
    assert (org.records["Lead"][LEAD]["Status"], org.records["Lead"][LEAD]["Tries__c"], len(writes(org))) == ("Closed", 2, 1)


def test_of_several_changes_of_one_person_only_the_bad_one_is_refused(org: SalesforceOrg, writer: Writer) -> None:
    """They went together, and then each for itself."""
    forbids = SalesforceRefusalError(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "No more than 5 tries.")
    org.writer.refuses = lambda _, fields: forbids if int(str(fields.get("Tries__c") or 0)) > 5 else None
    found = told(writer, change(LEAD, "a", Status="Working"), change(LEAD, "b", Tries__c=6), change(record_id("00Q", 2), "c", Tries__c=5))
    assert found == [("a", None), ("b", "crm-unsupported"), ("c", None)]
    assert (org.records["Lead"][LEAD]["Status"], org.records["Lead"][LEAD]["Tries__c"]) == ("Working", 0)


def test_a_request_that_is_refused_as_a_whole_is_made_for_each(org: SalesforceOrg, writer: Writer) -> None:
    """One of them may spoil it for all."""
    org.fail("/composite/", refuses(400, "JSON_PARSER_ERROR", "Unexpected character"))
    assert told(writer, *(change(record_id("00Q", number), Status="Working") for number in (1, 9, 2))) == [
        (f"c-{record_id('00Q', 1)}", None), (f"c-{record_id('00Q', 9)}", "crm-unsupported"), (f"c-{record_id('00Q', 2)}", None)
    ]  # fmt: skip
    assert told(writer, change(CONTACT, Status="x", Title="y"), change(LEAD, Status="Closed")) == [(f"c-{CONTACT}", None), (f"c-{LEAD}", None)]
    assert (org.records["Contact"][CONTACT]["Title"], org.records["Lead"][LEAD]["Status"]) == ("y", "Closed")


def test_a_lock_leaves_one_for_later_and_calls_are_written_with_fields(org: SalesforceOrg, writer: Writer) -> None:
    """A call and its fields are two, and neither waits for the other."""
    lock = SalesforceRefusalError(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
    org.writer.refuses = lambda name, fields: lock if name == "Lead" and fields["Id"] == LEAD else None
    call = Change("c-1", "call", LEAD, "ann@acme.example", 1_769_900_000_000, outcome="no_answer")
    found: list[Written] = []
    with pytest.raises(PassingError, match="somebody else at this moment"):
        found.extend(writer.write([change(LEAD, "c-1", Status="Working"), call, change(record_id("00Q", 2), "c-2", Status="Working")]))
    assert [(seen.path.rpartition("/v59.0/")[2].partition("/")[0]) for seen in org.seen if seen.method == "PATCH"] == ["sobjects", "composite"]
    assert org.records["Lead"][record_id("00Q", 2)]["Status"] == "Working"
    assert len(org.records["Task"]) == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_field_that_may_not_be_written_is_looked_for(org: SalesforceOrg, writer: Writer, there: bool) -> None:
    """Salesforce says the same of one that this user may not change; where the object has it, an admin is told."""
    forbids = SalesforceRefusalError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Level__c. Please check the security settings.")
    org.writer.refuses = lambda _, fields: forbids if "Level__c" in fields else None
    if not there:
        org.fail("/describe$", Says(200, {"fields": [{"name": "Title"}]}))
    assert told(writer, change(CONTACT, Level__c=2, Title="x")) == [(f"c-{CONTACT}", None if not there else "crm-permission")]
    assert org.records["Contact"][CONTACT]["Title"] == ("x" if not there else "CFO")
