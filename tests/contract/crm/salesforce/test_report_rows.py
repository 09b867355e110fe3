"""Reports: who is in them, by the real client against an org that is as strict as Salesforce."""

from typing import Any

import pytest

from reservoir.domain.prospects import Phone
from reservoir.integrations.source import CrmError, PassingError, Source
from tests.support.salesforce.reading import read, wanted
from tests.support.salesforce.records import contact, lead, record_id
from tests.support.salesforce.report_types import ACCOUNTS, ACTIVITIES, CASES, CONTACTS, LEADS, MEMBERS, ReportColumn, ReportType
from tests.support.salesforce.reports import report
from tests.support.salesforce.server import SalesforceOrg, Says

SHOWN = ("FIRST_NAME", "LAST_NAME", "COMPANY", "TITLE", "FAX", "PHONE", "STATUS", "OWNER", "REVENUE")


def test_a_tabular_report_yields_its_leads(org: SalesforceOrg, source: Source) -> None:
    """Everything that is known of a lead is found by entity and type, though every label says something else; numbers that the report lacks are added."""
    org.add("Lead", lead(1, MobilePhone="+49 30 901820"), lead(2, DoNotCall=True, Status=None))
    reading = read(source, wanted("report", org.save(report(LEADS, SHOWN))))
    one, two = reading.members
    assert (one.id, one.name, one.company, one.title, one.owner) == (record_id("00Q", 1), "Lea Lead 1", "Company 1", "Director", "Olga Owner")
    assert one.phones == (Phone("mobile", "+4930901820"), Phone("phone", "+14155550001"))
    assert one.url == f"https://acme.my.salesforce.com/{one.id}"
    assert one.fields == {"STATUS": "Open", "REVENUE": {"amount": 5.0, "currency": None}, "FAX": "415-555-9999"}
    assert (one.time_zone, one.do_not_call, two.do_not_call, two.undialable) == (None, False, True, "do-not-call")
    assert "STATUS" not in two.fields
    assert reading.last.advice is None
    assert (reading.last.truncated, reading.last.complete, reading.last.cursor) == (False, True, None)
    assert org.runs()[0]["detailColumns"][: len(SHOWN)] == [*SHOWN]


def test_a_contact_report_yields_contacts_and_not_their_managers(org: SalesforceOrg, source: Source) -> None:
    """The id of whom a contact reports to loses to the contact's own, which the report does not even show; an assistant's number is none."""
    boss = contact(9)
    org.add("Contact", contact(1, ReportsTo=boss, ReportsToId=boss["Id"]))
    shown = ("REPORTS_TO_ID", "REPORTS_TO", "FIRST_NAME", "LAST_NAME", "PHONE6", "PHONE2", "PHONE1", "ACCOUNT.NAME", "OWNER_FULL_NAME")
    (member,) = read(source, wanted("report", org.save(report(CONTACTS, shown)))).members
    assert (member.id, member.name, member.company, member.owner) == (record_id("003", 1), "Cora Contact 1", "Account 1", "Olga Owner")
    assert member.phones == (Phone("mobile", "+19175550001"), Phone("phone", "+12125550001"))


def test_a_summary_and_a_matrix_are_flattened(org: SalesforceOrg, source: Source) -> None:
    """The rows of a report of groups come in its own order, and a group's value is a row's value."""
    org.add("Lead", *(lead(number, Status=("Open", "Working")[number % 2], Title=("CEO", "CFO", "CTO")[number % 3]) for number in range(12)))
    expected = sorted(range(12), key=lambda number: (number % 2, number % 3))
    for across in ([], ["TITLE"]):
        down = ["STATUS"] if across else ["STATUS", "TITLE"]
        reading = read(source, wanted("report", org.save(report(LEADS, ("PHONE", "LAST_NAME"), down=down, across=across))))
        assert reading.ids == [record_id("00Q", number) for number in expected]
        assert [(member.fields["STATUS"], member.title) for member in reading.members][:1] == [("Open", "CEO")]


def test_a_report_whose_details_are_hidden_is_read(org: SalesforceOrg, source: Source) -> None:
    """A summary that was saved without its details has rows all the same."""
    org.add("Lead", lead(1))
    assert read(source, wanted("report", org.save(report(LEADS, ("PHONE",), down=["STATUS"], hasDetailRows=False)))).ids == [record_id("00Q", 1)]
    assert org.runs()[0]["hasDetailRows"] is True


@pytest.mark.parametrize("told", [{"hasDetailRows": True}, {"hasDetailRows": False}, {"hasDetailRows": False, "reportMetadata": None, "allData": None}])
def test_totals_without_their_rows_are_no_empty_report(org: SalesforceOrg, source: Source, told: dict[str, Any]) -> None:
    """Everybody would leave the list; where nobody is counted, nobody is in it."""
    org.add("Lead", lead(1))
    saved = report(LEADS, ("PHONE",), down=["STATUS"])
    what = wanted("report", org.save(saved))
    whole = org.reports.run(saved.metadata["id"], None)
    bare = {**whole, **told, "factMap": {key: {**fact, "rows": []} for key, fact in whole["factMap"].items()}}
    org.fail("/analytics/reports/00O[^/]+$", Says(200, bare))
    with pytest.raises(PassingError) as caught:
        read(source, what)
    assert caught.value.slug == "crm-bad-answer"
    org.heal()
    org.records["Lead"].clear()
    assert read(source, what).members == []


def test_converted_leads_are_left_out(org: SalesforceOrg, source: Source) -> None:
    """A lead that is a contact by now is neither a member nor rejected."""
    org.add("Lead", lead(1), lead(2, IsConverted=True))
    reading = read(source, wanted("report", org.save(report(LEADS, ("LAST_NAME",)))))
    assert (reading.ids, reading.rejected) == ([record_id("00Q", 1)], [])


def test_what_a_report_type_lacks_is_told(org: SalesforceOrg, source: Source) -> None:
    """Where no column has a flag, the advice says so, in a sentence."""
    org.add("Lead", lead(1))
    for lacking, sentence in (
        (("CONVERTED",), "no column for Converted, so reservoir cannot see it: use a report type that has it"),
        (("CONVERTED", "DO_NOT_CALL"), "no column for Do Not Call or Converted, so reservoir cannot see them: use a report type that has them"),
        (("CONVERTED", "DO_NOT_CALL", "PHONE", "MOBILE_PHONE", "FAX"), "no column for Do Not Call, Converted or a phone number, so"),
    ):
        reading = read(source, wanted("report", org.save(report(LEADS.without_columns(*lacking), ("LAST_NAME",)))))
        assert reading.ids == [record_id("00Q", 1)]
        assert sentence in str(reading.last.advice)


def test_an_empty_cell_is_no_number(org: SalesforceOrg, source: Source) -> None:
    """A dash is what people see of an empty cell."""
    org.add("Lead", lead(1, Phone=None, Company="", Title=None))
    (member,) = read(source, wanted("report", org.save(report(LEADS, SHOWN)))).members
    assert (member.phones, member.company, member.title, member.undialable) == ((), None, None, "no-phone")


def test_numbers_are_read_in_the_orgs_region(org: SalesforceOrg, source: Source) -> None:
    """A number without a country code is one of the org's own country."""
    org.add("Lead", lead(1, Phone="030 901820"))
    (member,) = read(source, wanted("report", org.save(report(LEADS, ("PHONE",))), region="DE")).members
    assert member.phones == (Phone("phone", "+4930901820"),)


def test_an_activity_report_yields_people(org: SalesforceOrg, source: Source) -> None:
    """Several calls with one person are one member, at the first one's place; an activity with nobody is rejected under its own id."""
    who = [lead(1), contact(2), lead(1)]
    for number, person in enumerate(who):
        told = {"Name": person["Name"], "Phone": person["Phone"]}
        org.add("Task", {"Id": record_id("00T", number), "Subject": "Call", "Who": told, "WhoId": person["Id"], "Owner": person["Owner"], "OwnerId": "…"})
    org.add("Task", {"Id": record_id("00T", 9), "Subject": "Call", "Who": None, "WhoId": None, "Owner": lead(1)["Owner"], "OwnerId": "…"})
    reading = read(source, wanted("report", org.save(report(ACTIVITIES, ("SUBJECT", "PHONE")))))
    assert reading.ids == [record_id("00Q", 1), record_id("003", 2)]
    assert [member.name for member in reading.members] == ["Lea Lead 1", "Cora Contact 2"]
    assert [row.record for row in reading.rejected] == [record_id("00T", 9)]


@pytest.mark.parametrize("shown", [("PHONE", "WHO_NAME"), ("SUBJECT",), ("WHO_ID",)])
def test_an_activity_is_with_whom_its_id_says(org: SalesforceOrg, source: Source, shown: tuple[str, ...]) -> None:
    """Where a name is only a text, the type's own id of them counts, though the report does not show it; a number of theirs says nothing."""
    kind = ReportType(
        "Activity",
        "Task",
        {
            **ACTIVITIES.columns,
            "PHONE": ReportColumn("Phone", "phone", "Activity.Who.Phone", "Who.Phone"),
            "WHO_NAME": ReportColumn("Name", "string", "Activity.Who.Name", "Who.Name"),
            "WHO_ID": ReportColumn("Name ID", "id", "Activity.WhoId", "WhoId"),
        },
    )
    for number, person in enumerate((lead(1), contact(2))):
        told = {"Name": person["Name"], "Phone": person["Phone"]}
        org.add("Task", {"Id": record_id("00T", number), "Subject": "Call", "Who": told, "WhoId": person["Id"], "Owner": person["Owner"], "OwnerId": "…"})
    assert read(source, wanted("report", org.save(report(kind, shown)))).ids == [record_id("00Q", 1), record_id("003", 2)]


def test_a_person_account_is_its_contact_and_a_company_nobody(org: SalesforceOrg, source: Source) -> None:
    """The contact's id comes out of the report where its type has it, else out of a query."""
    for number, person in enumerate((record_id("003", 7), None)):
        account = {"Id": record_id("001", number), "Name": f"Name {number}", "Phone": "415-555-0100", "PersonContactId": person, "PersonDoNotCall": number == 0}
        org.add("Account", account)
    for kind in (ACCOUNTS, ACCOUNTS.without_columns("PERSON_CONTACT")):
        reading = read(source, wanted("report", org.save(report(kind, ("ACCOUNT.NAME", "PHONE1")))))
        assert [(member.id, member.name, member.do_not_call) for member in reading.members] == [(record_id("003", 7), "Name 0", True)]
        assert [(row.record, row.detail) for row in reading.rejected] == [(record_id("001", 1), "a company's account, which is no person")]


def test_an_org_without_person_accounts_has_companies_alone(org: SalesforceOrg, source: Source) -> None:
    """The query for contacts of accounts is refused there, and that is the answer."""
    org.add("Account", {"Id": record_id("001", 1), "Name": "Acme", "Phone": "415-555-0100", "PersonDoNotCall": None})
    reading = read(source, wanted("report", org.save(report(ACCOUNTS.without_columns("PERSON_CONTACT"), ("PHONE1",)))))
    assert (reading.ids, [row.record for row in reading.rejected]) == ([], [record_id("001", 1)])


def test_a_campaigns_report_has_leads_and_contacts(org: SalesforceOrg, source: Source) -> None:
    """Each row is about the one of the two that is filled; where both are, the lead was converted into the contact."""
    for number, (lead_id, contact_id) in enumerate([(1, None), (None, 2), (3, 4)]):
        person = {"LeadId": lead_id and record_id("00Q", lead_id), "ContactId": contact_id and record_id("003", contact_id), "Phone": "4155550100"}
        org.add("CampaignMember", {"Id": record_id("00v", number), **person})
    reading = read(source, wanted("report", org.save(report(MEMBERS, ("PHONE",)))))
    assert reading.ids == [record_id("00Q", 1), record_id("003", 2), record_id("003", 4)]


def nameless(kind: ReportType) -> ReportType:
    """The same type in an older version, which does not tell entities, with tokens that nobody knows."""
    return ReportType("Strange", kind.object, {f"X_{token.replace('.', '_')}": column for token, column in kind.columns.items()}, entities=False)


def test_a_person_is_found_by_what_is_in_the_columns(org: SalesforceOrg, source: Source) -> None:
    """Without ids, a name that links to a lead says who; first and last name link to the same one."""
    org.add("Lead", lead(1), lead(2))
    kind = nameless(LEADS.without_columns("LEAD_ID"))
    reading = read(source, wanted("report", org.save(report(kind, ("X_OWNER", "X_FIRST_NAME", "X_LAST_NAME", "X_PHONE")))))
    assert reading.ids == [record_id("00Q", 1), record_id("00Q", 2)]
    assert reading.members[0].phones[0].number == "+14155550001"
    assert reading.members[0].name == "Lea Lead 1"


def test_a_name_is_what_links_to_who_is_meant(org: SalesforceOrg, source: Source) -> None:
    """In a type that tells nothing, with ids of 15 characters: neither the manager's name nor the owner's."""
    boss = contact(9)
    org.add("Contact", *(contact(number, Short=record_id("003", number)[:15], ReportsTo=boss, ReportsToId=boss["Id"]) for number in (1, 2)))
    kind = ReportType("ContactList", "Contact", {**CONTACTS.columns, "CONTACT_ID": ReportColumn("Contact ID", "id", "", "Short")})
    shown = ("X_CONTACT_ID", "X_OWNER_FULL_NAME", "X_REPORTS_TO", "X_FIRST_NAME", "X_LAST_NAME", "X_PHONE1")
    reading = read(source, wanted("report", org.save(report(nameless(kind), shown))))
    assert [(member.id, member.name) for member in reading.members] == [(record_id("003", number), f"Cora Contact {number}") for number in (1, 2)]


def test_an_id_column_is_added_where_nothing_else_is_known(org: SalesforceOrg, source: Source) -> None:
    """A report that shows no id gets those that its type has, and what is in them decides."""
    org.add("Contact", contact(1))
    kind = nameless(CONTACTS.without_columns("FIRST_NAME", "LAST_NAME", "REPORTS_TO", "REPORTS_TO_ID", "ACCOUNT_ID"))
    reading = read(source, wanted("report", org.save(report(kind, ("X_TITLE", "X_PHONE1")))))
    assert reading.ids == [record_id("003", 1)]


def test_several_that_could_be_meant_are_told(org: SalesforceOrg, source: Source) -> None:
    """Two columns of contacts that differ: an admin must say which, and then it is that one."""
    org.add("Case", {"Id": record_id("500", 1), "ContactId": record_id("003", 1), "Spouse__c": record_id("003", 2), "ContactPhone": "4155550100"})
    what = org.save(report(CASES, ("CASE_CONTACT", "CASE_SPOUSE", "CASE_PHONE")))
    with pytest.raises(CrmError) as caught:
        read(source, wanted("report", what))
    assert (caught.value.slug, caught.value.candidates) == ("crm-ambiguous", ("CASE_CONTACT", "CASE_SPOUSE"))
    assert read(source, wanted("report", what, id="CASE_SPOUSE")).ids == [record_id("003", 2)]


def test_columns_that_the_source_names_outrank_ours(org: SalesforceOrg, source: Source) -> None:
    """Every role can be named, one that the report does not show too."""
    org.add("Lead", lead(1))
    named: dict[str, Any] = {"name": "COMPANY", "phones": ["FAX", "PHONE"], "owner": "TITLE", "company": "STATUS", "title": "OWNER", "time_zone": "LAST_NAME"}
    (member,) = read(source, wanted("report", org.save(report(LEADS, ("PHONE",))), **named)).members
    assert (member.name, member.owner, member.company, member.title, member.time_zone) == ("Company 1", "Director", "Open", "Olga Owner", "Lead 1")
    assert [phone.label for phone in member.phones] == ["FAX", "phone"]


def test_an_unknown_column_is_refused_with_those_that_there_are(org: SalesforceOrg, source: Source) -> None:
    """What the source names must be there."""
    what = org.save(report(LEADS, ("PHONE",)))
    given: list[dict[str, Any]] = [{"id": "NO_SUCH"}, {"phones": ["PHONE", "NO_SUCH"]}]
    for named in given:
        with pytest.raises(CrmError, match="NO_SUCH") as caught:
            read(source, wanted("report", what, **named))
        assert caught.value.slug == "crm-unsupported"
        assert set(caught.value.candidates) == set(LEADS.columns)


def test_a_joined_report_is_not_for_the_api(org: SalesforceOrg, source: Source) -> None:
    """Its blocks are several reports."""
    with pytest.raises(CrmError, match="joined") as caught:
        read(source, wanted("report", org.save(report(LEADS, ("PHONE",), reportFormat="MULTI_BLOCK"))))
    assert caught.value.slug == "crm-unsupported"


def test_nobody_in_a_report_without_people(org: SalesforceOrg, source: Source) -> None:
    """Cases with nobody's id in them make no list, and with no rows at all an empty one."""
    what = wanted("report", org.save(report(CASES, ("CASE_PHONE",))))
    assert read(source, what).members == []
    org.add("Case", {"Id": record_id("500", 1), "ContactId": None, "Spouse__c": None, "ContactPhone": "4155550100"})
    with pytest.raises(CrmError) as caught:
        read(source, what)
    assert caught.value.slug == "crm-unsupported"
