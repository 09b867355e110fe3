"""A list's members as HubSpot's memberships and contacts tell them."""

import json

import pytest

from reservoir.domain.prospects import Member, Phone
from reservoir.integrations.hubspot.contacts import time_zone
from reservoir.integrations.source import CrmError, PassingError, Source, WaitError
from tests.contract.crm.hubspot.conftest import Connect, members, pages, wanted
from tests.support.hubspot.records import SCOPES, TOKEN, Portal
from tests.support.pace import RecordedPace

BATCH = "contacts/batch/read"
MEMBERSHIPS = "/42/memberships"


def test_a_list_comes_whole_and_in_the_order_of_its_memberships(source: Source, portal: Portal) -> None:
    """250 memberships a page, the contacts of each in batches of 100, and nothing read twice."""
    read = pages(source)
    assert [member.id for page in read for member in page.members] == [str(record) for record in range(1001, 1601)]
    assert [(len(page.members), page.total, page.complete, page.truncated, page.cursor is None) for page in read] == [
        (250, 600, True, False, False),
        (250, 600, True, False, False),
        (100, 600, True, False, True),
    ]
    assert [len(asked.body["inputs"]) for asked in portal.requests(BATCH)] == [100, 100, 50, 100, 100, 50, 100]
    assert [asked.query.get("limit") for asked in portal.requests(MEMBERSHIPS)] == ["250"] * 3
    assert all(asked.status == 200 for asked in portal.asked)


def test_a_contact_becomes_a_member(source: Source, portal: Portal) -> None:
    """Mobile first, E.164 in the org's region, the owner by name, the zone by its IANA name, the address of the record in this portal."""
    portal.owners["71"] = {"firstName": "Olga", "lastName": "Nwosu", "email": "olga@acme.com"}
    portal.contact(
        1001,
        firstname="Dana",
        lastname="Ito",
        phone="(415) 555-0100 ext. 7",
        mobilephone="415 555 0101",
        fax="415 555 0102",
        company="Acme",
        jobtitle="Buyer",
        hs_timezone="america_slash_port_hyphen_au_hyphen_prince",
        hubspot_owner_id="71",
        email="dana@acme.com",
        lifecyclestage="lead",
        hs_lead_status="",
    )
    assert members(source)["1001"] == Member(
        integration="hubspot",
        id="1001",
        name="Dana Ito",
        phones=(Phone("mobile", "+14155550101"), Phone("phone", "+14155550100", "7")),
        company="Acme",
        title="Buyer",
        owner="Olga Nwosu",
        time_zone="America/Port-au-Prince",
        url="https://app-eu1.hubspot.com/contacts/4567/record/0-1/1001",
        fields={"email": "dana@acme.com", "lifecyclestage": "lead"},
    )


def test_what_is_not_known_is_null(source: Source, portal: Portal) -> None:
    """A contact of whom HubSpot knows nothing, and one whose numbers are none: undialable members, and no error."""
    portal.contacts[1001] = {}
    portal.contact(1002, firstname=None, lastname=None, phone="555-0100", mobilephone="n/a")
    told = members(source)
    url = "https://app-eu1.hubspot.com/contacts/4567/record/0-1/"
    assert told["1001"] == Member("hubspot", "1001", url=url + "1001")
    assert told["1002"] == Member("hubspot", "1002", url=url + "1002")
    assert told["1001"].undialable == told["1002"].undialable == "no-phone"


def test_the_same_number_twice_is_one(source: Source, portal: Portal) -> None:
    """A parallel dialer would ring the same person on two lines."""
    portal.contact(1001, phone="+1 415 555 0100", mobilephone="(415) 555-0100")
    assert members(source)["1001"].phones == (Phone("mobile", "+14155550100"),)


def test_a_number_that_the_region_cannot_read_is_as_hubspot_read_it(source: Source, portal: Portal) -> None:
    """HubSpot knows the contact's country; what the org's region reads itself, it reads."""
    portal.contact(1001, phone="0151 23456789", hs_calculated_phone_number="+4915123456789")
    portal.contact(1002, phone="415 555 0100", hs_calculated_phone_number="+494155550100")
    told = members(source)
    assert told["1001"].phones == (Phone("phone", "+4915123456789"),)
    assert told["1002"].phones == (Phone("phone", "+14155550100"),)
    assert members(source, region="DE")["1001"].phones == (Phone("phone", "+4915123456789"),)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("america_slash_new_york", "America/New_York"),
        ("us_slash_eastern", "US/Eastern"),
        ("america_slash_argentina_slash_buenos_aires", "America/Argentina/Buenos_Aires"),
        ("etc_slash_gmt", "Etc/GMT"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("mars_slash_olympus", None),
        (None, None),
    ],
)
def test_time_zones(told: str | None, name: str | None) -> None:
    """HubSpot writes them as words; what is no zone is none."""
    assert time_zone(told) == name


def test_archived_contacts_are_members_that_are_not_shown(source: Source, portal: Portal) -> None:
    """207: they are in the list, in their place, and nothing of them is known here."""
    portal.archived |= {1002, 1150, 1600}
    told = members(source)
    assert list(told) == [str(record) for record in range(1001, 1601)]
    assert {record for record, member in told.items() if member.unread} == {"1002", "1150", "1600"}
    assert told["1002"] == Member("hubspot", "1002", unread=True)
    assert 207 in {asked.status for asked in portal.requests(BATCH)}


def test_a_whole_batch_may_be_missing(source: Source, portal: Portal) -> None:
    """207 without any result is an answer."""
    portal.archived |= set(range(1001, 1101))
    assert sum(member.unread for member in members(source).values()) == 100


def test_a_merged_contact_that_is_left_out_is_not_shown(source: Source, portal: Portal) -> None:
    """Without a word of an error: nobody else gets its place or its data."""
    portal.merged, portal.tells_merged = {1002: 1003}, False
    told = members(source)
    assert told["1002"].unread
    assert told["1003"].name == "Person 1003"
    assert list(told) == [str(record) for record in range(1001, 1601)]


def test_a_merged_contact_keeps_the_id_that_the_list_names(source: Source, portal: Portal) -> None:
    """It comes under the id of who it became, whose data it has."""
    portal.contact(9001, firstname="Sur", lastname="Vivor")
    portal.contact(9002, firstname="Other", lastname="One")
    portal.merged = {1002: 9001, 1003: 9001, 1077: 9002}
    told = members(source)
    assert list(told) == [str(record) for record in range(1001, 1601)]
    assert [told[record].name for record in ("1002", "1003", "1077")] == ["Sur Vivor", "Sur Vivor", "Other One"]
    assert told["1002"].url == "https://app-eu1.hubspot.com/contacts/4567/record/0-1/1002"


def test_who_was_merged_is_found_by_elimination(source: Source, portal: Portal) -> None:
    """A portal that does not say whom a contact took in: the only one missing must be it; of two, nobody knows which."""
    portal.contact(9001, firstname="Sur", lastname="Vivor")
    portal.contact_properties -= {"hs_merged_object_ids"}
    page = {"results": [{"id": "9001", "properties": portal.contacts[9001]}]}
    portal.make_list("7", [5001])
    portal.fail(BATCH, body=json.dumps(page))
    assert members(source, "7")["5001"].name == "Sur Vivor"
    portal.make_list("8", [5001, 5002])
    portal.fail(BATCH, body=json.dumps(page))
    assert all(member.unread for member in members(source, "8").values())


def test_pages_hold_while_the_list_changes(source: Source, portal: Portal) -> None:
    """Who is in it all the while comes once, whoever comes and goes between two pages."""

    def change(page: int) -> None:
        list_ = portal.lists["42"]
        if page == 1:
            list_.members -= set(range(1001, 1200)) | {1251}
            portal.make_list("42", list_.members | {900, 1700})

    portal.on_page = change
    told = [member.id for page in pages(source) for member in page.members]
    assert told == [str(record) for record in (*range(1001, 1251), *range(1252, 1601), 1700)]


def test_another_process_goes_on_from_a_cursor(connect: Connect, portal: Portal) -> None:
    """A cursor is JSON, and all that is needed."""
    first = next(iter(connect().pages(wanted(), None)))
    asked = len(portal.requests(MEMBERSHIPS))
    rest = pages(connect(), cursor=json.loads(json.dumps(first.cursor)))
    assert [member.id for page in (first, *rest) for member in page.members] == [str(record) for record in range(1001, 1601)]
    assert len(portal.requests(MEMBERSHIPS)) - asked == 2


def test_a_page_is_asked_for_when_the_last_one_is_in(source: Source, portal: Portal) -> None:
    """Nothing is read ahead."""
    reading = iter(source.pages(wanted(), None))
    assert portal.asked == []
    next(reading)
    assert len(portal.requests(MEMBERSHIPS)) == 1


@pytest.mark.parametrize("status", ["PROCESSING", "QUEUED", "FAILED"])
def test_a_list_that_is_not_ready_is_never_complete(source: Source, portal: Portal, status: str) -> None:
    """What it gives is read; that somebody is absent means nothing."""
    portal.lists["42"].status = status
    read = pages(source)
    assert sum(len(page.members) for page in read) == 600
    assert [page.complete for page in read] == [True, True, False]


@pytest.mark.parametrize("status", ["COMPLETE", "COMPLETED", "complete", None])
def test_a_list_that_is_ready_is_complete(source: Source, portal: Portal, status: str | None) -> None:
    """Whichever of its words HubSpot uses."""
    portal.lists["42"].status = status
    assert pages(source)[-1].complete


@pytest.mark.parametrize("begun", [True, False])
def test_a_list_that_was_worked_on_meanwhile_is_not_complete(connect: Connect, portal: Portal, begun: bool) -> None:
    """When it began, or when it ended, in whatever process; also when its filters were changed while it was read."""
    portal.lists["42"].status = "PROCESSING" if begun else "COMPLETE"
    first = next(iter(connect().pages(wanted(), None)))
    portal.lists["42"].status = "COMPLETE" if begun else "PROCESSING"
    assert not pages(connect(), cursor=first.cursor)[-1].complete
    portal.lists["42"].status = "COMPLETE"
    first = next(iter(connect().pages(wanted(), None)))
    portal.lists["42"].filters = "2026-02-02T00:00:00.000Z"
    assert not pages(connect(), cursor=first.cursor)[-1].complete


def test_a_list_that_is_worked_on_when_it_ends_is_not_complete(source: Source, portal: Portal) -> None:
    """In one reading: what its last page did not have may be yet to come."""

    def work(page: int) -> None:
        portal.lists["42"].status = "PROCESSING" if page == 2 else "COMPLETE"

    portal.on_page = work
    assert [page.complete for page in pages(source)] == [True, True, False]


def test_an_empty_list_is_complete(source: Source, portal: Portal) -> None:
    """One page without anybody."""
    portal.make_list("7", [])
    (page,) = pages(source, "7")
    assert (page.members, page.total, page.complete) == ((), 0, True)


def test_what_hubspot_need_not_tell(source: Source, portal: Portal) -> None:
    """Without a size, the total is the memberships'; without either there is none."""
    portal.lists["42"].tells_size = False
    assert pages(source)[0].total == 600
    portal.lists["42"].tells_total = False
    assert [page.total for page in pages(source)] == [None, None, None]


def test_forms_that_are_near_enough(source: Source, portal: Portal) -> None:
    """A list that is not wrapped, ids that are numbers, a cursor that is one, null where nothing need be."""
    portal.fail("GET /crm/v3/lists/42", body='{"listId": 42, "name": "x"}')
    portal.fail(MEMBERSHIPS, body='{"results": [{"recordId": 1001}], "paging": {"next": {"after": 77}}, "total": null}')
    portal.fail(MEMBERSHIPS, body='{"results": [{"recordId": "1002"}], "paging": {"next": null}}')
    portal.contact(1001, hubspot_owner_id="71")
    portal.fail(BATCH, body='{"results": [{"id": 1001, "properties": {"phone": 4155550100}}]}')
    read = pages(source)
    assert [(member.id, member.phones[0].number) for page in read for member in page.members] == [("1001", "+14155550100"), ("1002", "+14155551002")]
    assert [asked.query.get("after") for asked in portal.requests(MEMBERSHIPS)] == [None, "77"]


def test_ids_that_are_none_are_rejected(source: Source, portal: Portal) -> None:
    """With the id and the reason; one that comes twice on a page is one."""
    portal.fail(MEMBERSHIPS, body='{"results": [{"recordId": "0001"}, {"recordId": "1001"}, {"recordId": "1001"}, {"x": 1}]}')
    (page,) = pages(source)
    assert [member.id for member in page.members] == ["1001"]
    assert [row.record for row in page.rejected] == ["0001", ""]
    assert "HubSpot id" in page.rejected[0].detail


def test_pages_that_do_not_end_are_told(source: Source, portal: Portal) -> None:
    """A cursor that leads to itself is not followed for ever."""
    portal.fail(MEMBERSHIPS, times=2, body='{"results": [{"recordId": "1001"}], "paging": {"next": {"after": "same"}}}')
    reading = iter(source.pages(wanted(), None))
    next(reading)
    with pytest.raises(CrmError) as caught:
        next(reading)
    assert caught.value.slug == "crm-no-progress"


# owners


def test_owners_are_asked_once_each_or_all_at_once(source: Source, portal: Portal) -> None:
    """A few by their ids; more by the pages in which HubSpot has them; of a former one there is no name."""
    portal.owners |= {str(owner): {"firstName": "Owner", "lastName": str(owner)} for owner in range(1, 1101)}
    portal.owners["3"] = {"firstName": "", "lastName": "", "email": "three@acme.com"}
    portal.owners["4"] = {"firstName": "Former", "archived": True}
    for record in range(1001, 1251):
        portal.contact(record, hubspot_owner_id=str(1 + record % 4))
    for record in range(1251, 1601):
        portal.contact(record, hubspot_owner_id=str(record - 500))
    told = members(source)
    assert [told[str(record)].owner for record in (1004, 1001, 1002, 1003, 1600)] == ["Owner 1", "Owner 2", "three@acme.com", None, "Owner 1100"]
    assert len(portal.requests("/owners/")) == 4 + 3
    members(source)
    assert len(portal.requests("/owners/")) == 4 + 3


def test_without_the_owners_scope_owners_have_no_names(connect: Connect, portal: Portal) -> None:
    """It is no failure, and the admin is told which scope to add."""
    portal.scopes[TOKEN] = SCOPES - {"crm.objects.owners.read"}
    for record in range(1001, 1601):
        portal.contact(record, hubspot_owner_id=str(record))
    read = pages(connect())
    assert all(member.owner is None for page in read for member in page.members)
    assert "crm.objects.owners.read" in (read[-1].advice or "")
    assert len(portal.requests("/owners/")) == 3


def test_with_all_scopes_there_is_nothing_to_advise(source: Source) -> None:
    """Advice is for who lacks something."""
    assert [page.advice for page in pages(source)] == [None, None, None]


# the list's own columns


def test_columns_outrank_what_is_usual(source: Source, portal: Portal) -> None:
    """Name, phones in their order, company, title, owner and time zone by other properties."""
    portal.contact_properties |= {"full", "direct", "firm", "role", "rep", "zone"}
    portal.owners["9"] = {"firstName": "Nine"}
    portal.contact(1001, full="D. Ito", direct="415 555 0109", firm="Firm", role="CEO", rep="9", zone="Asia/Tokyo", mobilephone="415 555 0101")
    told = members(source, name="full", phones=["direct", "phone"], company="firm", title="role", owner="rep", time_zone="zone")["1001"]
    assert (told.name, told.company, told.title, told.owner, told.time_zone) == ("D. Ito", "Firm", "CEO", "Nine", "Asia/Tokyo")
    assert told.phones == (Phone("direct", "+14155550109"), Phone("phone", "+14155551001"))
    assert "mobilephone" not in portal.requests(BATCH)[0].body["properties"]


def test_a_column_that_there_is_not_fails_with_those_that_there_are(source: Source, portal: Portal) -> None:
    """Before anybody is read."""
    with pytest.raises(CrmError) as caught:
        pages(source, phones=["direct_dial"])
    assert caught.value.slug == "crm-unsupported"
    assert "'direct_dial'" in str(caught.value)
    assert caught.value.candidates == tuple(sorted(portal.contact_properties))
    assert portal.requests(MEMBERSHIPS) == []


def test_where_properties_may_not_be_listed_columns_are_taken_at_their_word(connect: Connect, portal: Portal) -> None:
    """The scope for it is not one that syncs need."""
    portal.scopes[TOKEN] = SCOPES - {"crm.schemas.contacts.read"}
    assert members(connect(), phones=["mobilephone"])["1001"].phones == ()


def test_the_id_is_the_records(source: Source) -> None:
    """No other property can be it."""
    with pytest.raises(CrmError) as caught:
        pages(source, id="email")
    assert caught.value.slug == "crm-unsupported"
    assert len(members(source, id="hs_object_id")) == 600


# lists of others than people


@pytest.mark.parametrize(("object_type", "word"), [("0-2", "companies"), ("0-3", "deals"), ("0-5", "tickets"), ("2-1234", "2-1234")])
def test_lists_of_others_are_refused_with_the_reason(source: Source, portal: Portal, object_type: str, word: str) -> None:
    """Only people are dialed."""
    portal.lists["42"].object_type = object_type
    with pytest.raises(CrmError) as caught:
        pages(source)
    assert caught.value.slug == "crm-unsupported"
    assert word in str(caught.value)
    assert portal.requests(MEMBERSHIPS) == []


def test_the_address_of_a_record_is_null_where_the_account_may_not_be_seen(connect: Connect, portal: Portal) -> None:
    """It is asked for once, whatever comes of it."""
    portal.fail("account-info", times=5, status=403, body="{}")
    assert {member.url for member in members(connect()).values()} == {None}
    assert len(portal.requests("account-info")) == 1


def test_each_request_is_paid_for(connect: Connect, portal: Portal, pace: RecordedPace) -> None:
    """One of the smallest plan's window before the first answer, then of the portal's own; a page that there is no budget for goes on from its cursor."""
    source, portal.clock = connect(), lambda: 0.0
    first = next(iter(source.pages(wanted(), None)))
    assert pace.spent == [("requests", 100, 10), *[("requests", 190, 10)] * (len(portal.asked) - 1)]
    portal.most = len(portal.asked) + 2
    with pytest.raises(WaitError):
        pages(source, cursor=first.cursor)
    portal.most, pace.most = 10_000, 10_000
    assert sum(len(page.members) for page in pages(connect(), cursor=first.cursor)) == 350


@pytest.mark.parametrize("body", ["{}", '{"results": null}', '{"status": "error"}', "[]", "", "<html>", "null"])
@pytest.mark.parametrize("where", [MEMBERSHIPS, BATCH])
def test_an_answer_without_records_is_none(source: Source, portal: Portal, where: str, body: str) -> None:
    """Taken for an empty list it would let everybody leave."""
    portal.fail(where, body=body)
    with pytest.raises(PassingError) as caught:
        pages(source)
    assert caught.value.slug == "crm-bad-answer"
