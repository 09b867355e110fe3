"""Queries, list views and campaigns: people by SOQL, with the flags that are read beside them."""

import json
from typing import Any

import pytest

from reservoir.domain.prospects import Member, Phone
from reservoir.integrations.source import CrmError, Source, Wanted
from tests.support.salesforce.reading import read, wanted
from tests.support.salesforce.records import contact, lead, record_id
from tests.support.salesforce.server import SalesforceOrg

VIEW = "00B000000000001AAA"
CAMPAIGN = "701000000000001AAA"


def campaign(org: SalesforceOrg, *people: tuple[str | None, str | None]) -> Wanted:
    """A campaign with these leads and contacts."""
    org.add("Campaign", {"Id": CAMPAIGN, "Name": "Fair"})
    for number, (lead_id, contact_id) in enumerate(people):
        told = {"LeadId": lead_id, "ContactId": contact_id, "Status": ("Sent", "Responded")[number % 2]}
        org.add("CampaignMember", {"Id": record_id("00v", len(people) - number), "CampaignId": CAMPAIGN, **told})
    return wanted("campaign", CAMPAIGN)


def list_view(
    org: SalesforceOrg, name: str = "Lead", query: str = "SELECT Name, toLabel(Status), Id FROM Lead WHERE Status = 'Open' ORDER BY Name DESC"
) -> Wanted:
    org.list_views[VIEW] = (name, query)
    return wanted("list_view", VIEW)


def test_a_query_of_ids_alone_yields_all_that_is_known(org: SalesforceOrg, source: Source) -> None:
    """Flags, numbers, name, company, title and owner are read beside it, two hundred at a time; converted leads are left out."""
    org.add("Lead", lead(1, MobilePhone="9175550100", DoNotCall=True), lead(2, IsConverted=True), *(lead(number) for number in range(3, 450)))
    reading = read(source, wanted("soql", query="SELECT Id, Status FROM Lead"))
    one = reading.members[0]
    assert one == Member(
        "salesforce", record_id("00Q", 1), "Lea Lead 1", (Phone("mobile", "+19175550100"), Phone("phone", "+14155550001")), "Company 1", "Director",
        "Olga Owner", None, f"https://acme.my.salesforce.com/{one.id}", {"Status": "Open"}, do_not_call=True,
    )  # fmt: skip
    assert reading.ids == [record_id("00Q", number) for number in range(1, 450) if number != 2]
    assert (reading.last.total, reading.last.advice) == (449, None)
    assert len([seen for seen in org.seen if "WHERE Id IN" in seen.query.get("q", "")]) == 3


def test_a_query_of_contacts(org: SalesforceOrg, source: Source) -> None:
    """Their company is their account, and what the query itself has stays a field; an assistant's number is none."""
    org.add("Contact", contact(1, HomePhone="646 555 0100"))
    (member,) = read(source, wanted("soql", query="SELECT Id, AssistantPhone, Owner.Name FROM Contact")).members
    assert (member.company, member.owner, member.title) == ("Account 1", "Olga Owner", "CFO")
    assert [(phone.label, phone.number) for phone in member.phones] == [("mobile", "+19175550001"), ("phone", "+12125550001"), ("home", "+16465550100")]
    assert member.fields == {"AssistantPhone": "212-555-8888"}


def test_a_query_that_has_everything_costs_one_call(org: SalesforceOrg, source: Source) -> None:
    """Nothing is read beside it."""
    org.add("Lead", lead(1))
    query = "SELECT Id, Name, DoNotCall, IsConverted, Phone, MobilePhone FROM Lead"
    assert read(source, wanted("soql", query=query)).members[0].phones == (Phone("phone", "+14155550001"),)
    assert len([seen for seen in org.seen if "/query/" in seen.path]) == 1


def test_a_long_query_goes_on_from_its_cursor(org: SalesforceOrg, source: Source) -> None:
    """Page by page, in the query's order; if Salesforce has put its results away, from the start, and nobody is left out."""
    org.add("Lead", *(lead(number) for number in range(50)))
    org.batch = 20
    what = wanted("soql", query="SELECT Id FROM Lead ORDER BY Id DESC")
    newest_first = [record_id("00Q", number) for number in range(49, -1, -1)]
    assert read(source, what).ids == newest_first
    first = next(iter(source.pages(what, None)))
    cursor = json.loads(json.dumps(first.cursor))
    assert [member.id for page in source.pages(what, cursor) for member in page.members] == newest_first[20:]
    org.forget_queries()
    assert [member.id for page in source.pages(what, cursor) for member in page.members] == newest_first


def test_a_list_view_is_its_query(org: SalesforceOrg, source: Source) -> None:
    """Its order, its filter, its columns; of contacts it is found as well."""
    org.add("Lead", lead(1), lead(2), lead(3, Status="Closed"))
    reading = read(source, list_view(org))
    assert (reading.ids, reading.members[0].fields) == ([record_id("00Q", 2), record_id("00Q", 1)], {"Status": "Open"})
    org.add("Contact", contact(1))
    assert read(source, list_view(org, "Contact", "SELECT Name, Id FROM Contact USING SCOPE mine")).ids == [record_id("003", 1)]


def test_a_list_view_of_others_or_of_nobody_is_not_found(org: SalesforceOrg, source: Source) -> None:
    """Of accounts, say, or deleted."""
    with pytest.raises(CrmError, match="of leads or of contacts") as caught:
        read(source, list_view(org, "Account", "SELECT Id FROM Account"))
    assert (caught.value.slug, caught.value.status) == ("crm-not-found", 404)


def test_a_campaign_has_leads_and_contacts_by_member(org: SalesforceOrg, source: Source) -> None:
    """In the order of the members' own ids, those who responded too; a lead that was converted is the contact; an account is nobody."""
    org.add("Lead", lead(1), lead(2), lead(3, IsConverted=True))
    org.add("Contact", contact(4), contact(5, DoNotCall=True))
    leads, contacts = [record_id("00Q", number) for number in range(4)], [record_id("003", number) for number in range(6)]
    reading = read(source, campaign(org, (leads[1], None), (None, contacts[5]), (leads[3], contacts[4]), (leads[2], None), (None, None)))
    assert reading.ids == [leads[2], contacts[4], contacts[5], leads[1]]
    assert [member.do_not_call for member in reading.members] == [False, False, True, False]
    assert [member.fields["CampaignMember.Status"] for member in reading.members] == ["Responded", "Sent", "Responded", "Sent"]
    assert [(row.record, row.detail) for row in reading.rejected] == [(record_id("00v", 1), "neither a lead nor a contact")]


def test_a_campaign_that_is_empty_is_one(org: SalesforceOrg, source: Source) -> None:
    """And one that is not there is not found."""
    assert read(source, campaign(org)).members == []
    with pytest.raises(CrmError, match="no campaign") as caught:
        read(source, wanted("campaign", "701000000000009AAA"))
    assert caught.value.slug == "crm-not-found"


def test_a_person_out_of_sight_is_unread(org: SalesforceOrg, source: Source) -> None:
    """A campaign names somebody whom this user may not see: nothing of them is known here, their Do Not Call least of all."""
    org.add("Lead", lead(1))
    reading = read(source, campaign(org, (record_id("00Q", 1), None), (record_id("00Q", 2), None)))
    assert [(member.id, member.unread, member.undialable) for member in reading.members] == [
        (record_id("00Q", 2), True, "no-phone"),
        (record_id("00Q", 1), False, None),
    ]


def test_flags_that_the_user_may_not_see_are_told(org: SalesforceOrg, source: Source) -> None:
    """The rest is read, and the admin told what is lacking; what merely would be nice is done without."""
    org.unseen = {"Lead.DoNotCall", "Lead.Title"}
    org.add("Lead", lead(1))
    reading = read(source, wanted("soql", query="SELECT Id FROM Lead"))
    assert (reading.members[0].name, reading.members[0].title) == ("Lea Lead 1", None)
    assert "DoNotCall" in str(reading.last.advice)
    assert "Title" not in str(reading.last.advice)


@pytest.mark.parametrize("kind", ["soql", "list_view", "campaign"])
def test_field_paths_name_the_columns(org: SalesforceOrg, source: Source, kind: str) -> None:
    """Those that the source does not select are read beside it."""
    org.add("Lead", lead(1))
    base = {"soql": wanted("soql", query="SELECT Id FROM Lead"), "list_view": list_view(org), "campaign": campaign(org, (record_id("00Q", 1), None))}[kind]
    named: dict[str, Any] = {
        "name": "Company",
        "phones": ["Fax", "Phone"],
        "owner": "Title",
        "company": "Owner.Name",
        "title": "Status",
        "time_zone": "LastName",
    }
    (member,) = read(source, Wanted({**base.source, "columns": named}, "all", "US")).members
    assert (member.name, member.owner, member.company, member.title, member.time_zone) == ("Company 1", "Director", "Olga Owner", "Open", "Lead 1")
    assert [phone.label for phone in member.phones] == ["Fax", "phone"]


@pytest.mark.parametrize("kind", ["soql", "campaign"])
def test_an_unknown_field_path_is_refused_with_those_that_there_are(org: SalesforceOrg, source: Source, kind: str) -> None:
    """What the source names must be there."""
    org.add("Lead", lead(1))
    base = {"soql": wanted("soql", query="SELECT Id, Status FROM Lead"), "campaign": campaign(org, (record_id("00Q", 1), None))}[kind]
    with pytest.raises(CrmError, match="NoSuch__c") as caught:
        read(source, Wanted({**base.source, "columns": {"time_zone": "NoSuch__c"}}, "all", "US"))
    assert caught.value.slug == "crm-unsupported"
    assert {"Phone", "Owner.Name"} <= set(caught.value.candidates)


def test_a_query_that_salesforce_refuses_is_the_admins_to_mend(org: SalesforceOrg, source: Source) -> None:
    """What it says goes along; what makes no list is not even asked."""
    org.add("Lead", lead(1))
    with pytest.raises(CrmError, match="No such column 'Nonsense'") as caught:
        read(source, wanted("soql", query="SELECT Id, Nonsense FROM Lead"))
    assert (caught.value.slug, caught.value.status) == ("crm-unsupported", 400)
    asked = len(org.seen)
    with pytest.raises(CrmError, match="found FROM Account"):
        read(source, wanted("soql", query="SELECT Id FROM Account"))
    assert len(org.seen) == asked


@pytest.mark.parametrize("kind", ["report", "list_view", "campaign"])
def test_what_is_no_id_goes_nowhere(org: SalesforceOrg, source: Source, kind: str) -> None:
    """An address or a query is made of it, so nothing else may be in it."""
    for text in ("../limits", "' OR Id != '", "00O", "1"):
        with pytest.raises(CrmError, match="no Salesforce id") as caught:
            read(source, wanted(kind, text))
        assert caught.value.slug == "crm-not-found"
    assert org.seen == []
