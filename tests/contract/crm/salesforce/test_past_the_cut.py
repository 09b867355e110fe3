"""Reports of more than 2,000 rows: complete, in order, once each, however the org lets us read on, and whoever goes on."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from reservoir.config import SalesforceConfig
from reservoir.integrations.salesforce import connect
from reservoir.integrations.source import CrmError, Source, WaitError
from tests.support.pace import RecordedPace
from tests.support.salesforce.reading import Reading, read, read_by_many, read_until_error, wanted
from tests.support.salesforce.records import contact, lead, record_id
from tests.support.salesforce.report_types import ACTIVITIES, LEADS
from tests.support.salesforce.reports import Report, report
from tests.support.salesforce.server import SalesforceOrg, Seen, refuses

COLUMNS = ("LAST_NAME", "PHONE", "CREATED_DATE")


def leads(org: SalesforceOrg, numbers: Iterable[int], **fields: object) -> None:
    org.add("Lead", *(lead(number, **fields) for number in numbers))


def in_order(first: Iterable[int], count: int) -> list[str]:
    """The ids of a reading that was cut: those of the report's own first page, then all others by id."""
    own = [record_id("00Q", number) for number in first]
    return [*own, *(one for number in range(count) if (one := record_id("00Q", number)) not in set(own))]


def by_newest(**more: Any) -> Report:
    return report(LEADS, COLUMNS, sort=("CREATED_DATE", "Desc"), **more)


@pytest.mark.parametrize("compares_ids", [True, False])
def test_ten_thousand_rows_arrive_complete_in_order_once_each(org: SalesforceOrg, source: Source, pace: RecordedPace, *, compares_ids: bool) -> None:
    """First the report's own first page in its own order, then the rest by id, or by date where the org takes no comparison of ids (R11)."""
    leads(org, range(10_000))
    org.reports.compares_ids = compares_ids
    reading = read(source, wanted("report", org.save(by_newest())))
    assert reading.ids == in_order(range(9_999, 7_999, -1), 10_000)
    assert (reading.last.truncated, reading.last.complete, reading.last.cursor) == (False, True, None)
    # Its own first page and five by id; or one by id, one refused, and by date five that overlap in a row each, and the sixth that they leave.
    assert len(pace.spent) == len(org.runs()) == (6 if compares_ids else 9)
    assert set(pace.spent) == {("report_runs", 400, 3_600)}


@pytest.mark.parametrize("compares_ids", [True, False])
def test_another_process_goes_on_from_any_page(org: SalesforceOrg, config: SalesforceConfig, *, compares_ids: bool) -> None:
    """A cursor is all that it needs."""
    leads(org, range(7_000))
    org.reports.compares_ids = compares_ids
    sources = [connect(config, RecordedPace()) for _ in range(3)]
    reading = read_by_many(sources, wanted("report", org.save(by_newest())))
    assert reading.ids == in_order(range(6_999, 4_999, -1), 7_000)
    for one in sources:
        one.close()


@pytest.mark.parametrize("tells_row_limit", [True, False])
def test_both_signs_of_a_cut_are_seen(org: SalesforceOrg, source: Source, *, tells_row_limit: bool) -> None:
    """Older versions tell it in one way, newer ones in two; one row more than fits is enough, and one less is none."""
    org.reports.tells_row_limit = tells_row_limit
    leads(org, range(2_000))
    what = wanted("report", org.save(by_newest()))
    assert len(read(source, what).pages) == 1
    leads(org, [2_000])
    reading = read(source, what)
    assert (len(reading.ids), len(reading.pages)) == (2_001, 3)
    assert reading.pages[0].total == 2_001


def test_a_summary_is_read_on_without_its_groups(org: SalesforceOrg, source: Source) -> None:
    """Its first page in the order of its groups; behind it one column more for each group, and the same fields in every member."""
    for number in range(2_500):
        leads(org, [number], Status=("Open", "Working")[number % 2])
    reading = read(source, wanted("report", org.save(report(LEADS, ("PHONE", "LAST_NAME"), down=["STATUS"], across=["OWNER"]))))
    own = [*range(0, 2_500, 2), *range(1, 2_500, 2)][:2_000]
    assert reading.ids == in_order(own, 2_500)
    assert {member.fields["STATUS"] for member in reading.members[-5:]} == {"Working"}
    assert {member.owner for member in reading.members} == {"Olga Owner"}
    assert org.runs()[1]["reportFormat"] == "TABULAR"


def test_filters_and_their_logic_keep_applying(org: SalesforceOrg, source: Source) -> None:
    """The old logic is kept in brackets, or an OR in it would let everybody in again; cross filters stay too."""
    for number in range(5_000):
        leads(org, [number], Status=("Open", "Working", "Closed")[number % 3])
    org.add("Task", *({"Id": record_id("00T", number), "WhoId": record_id("00Q", number)} for number in range(0, 5_000, 100)))
    filters = [("STATUS", "equals", "Open"), ("STATUS", "equals", "Working")]
    cross = [{"primaryEntityField": "Id", "relatedEntity": "Task", "relatedEntityJoinField": "WhoId", "includesObject": False, "criteria": []}]
    reading = read(source, wanted("report", org.save(report(LEADS, COLUMNS, filters=filters, logic="1 OR 2"))))
    assert reading.ids == [record_id("00Q", number) for number in range(5_000) if number % 3 != 2]
    assert [run["reportBooleanFilter"] for run in org.runs()] == ["1 OR 2", "1 OR 2", "(1 OR 2) AND 3"]
    crossed = read(source, wanted("report", org.save(report(LEADS, COLUMNS, crossFilters=cross))))
    assert crossed.ids == [record_id("00Q", number) for number in range(5_000) if number % 100]
    assert {run["reportBooleanFilter"] for run in org.runs()[3:]} == {None}


def test_the_first_page_alone_is_the_crms_own_cut(org: SalesforceOrg, source: Source, pace: RecordedPace) -> None:
    """With first_page that page is the list: truncated, and complete."""
    leads(org, range(2_500))
    reading = read(source, wanted("report", org.save(by_newest()), fetch="first_page"))
    assert reading.ids == [record_id("00Q", number) for number in range(2_499, 499, -1)]
    assert (reading.last.truncated, reading.last.complete, len(pace.spent)) == (True, True, 1)


def test_a_reports_own_row_limit_is_no_cut(org: SalesforceOrg, source: Source) -> None:
    """The admin wants so many; they are all there are."""
    leads(org, range(2_500))
    reading = read(source, wanted("report", org.save(by_newest(topRows={"rowLimit": 50, "direction": "Desc"}))))
    assert (len(reading.ids), reading.last.truncated) == (50, False)


def test_two_thousand_of_one_moment_are_no_progress(org: SalesforceOrg, source: Source) -> None:
    """A bulk import gave them all one date, and ids cannot be compared: the run fails and says so, with what it has read."""
    leads(org, range(2_500), CreatedDate="2026-01-01T00:00:00Z")
    org.reports.compares_ids = False
    reading, error = read_until_error(source, wanted("report", org.save(by_newest())))
    assert isinstance(error, CrmError)
    assert (error.slug, "2026-01-01T00:00:00Z" in str(error)) == ("crm-no-progress", True)
    assert len(reading.ids) == 2_000


def test_a_report_type_without_id_and_date_is_no_progress(org: SalesforceOrg, source: Source) -> None:
    """A name links to who is meant, but nothing can be gone on from: a formula's text, though it looks like an id, is never tried."""
    leads(org, range(2_500))
    bare = LEADS.without_columns("LEAD_ID", "CREATED_DATE")
    with pytest.raises(CrmError) as caught:
        read(source, wanted("report", org.save(report(bare, ("LAST_NAME", "PHONE")))))
    assert caught.value.slug == "crm-no-progress"


def test_twenty_filters_leave_no_room(org: SalesforceOrg, source: Source) -> None:
    """Salesforce takes twenty, and ours would be the next."""
    leads(org, range(4_500))
    what = org.save(report(LEADS, COLUMNS, filters=[("STATUS", "equals", "Open")] * 20))
    with pytest.raises(CrmError, match="20 filters") as caught:
        read(source, wanted("report", what))
    assert caught.value.slug == "crm-unsupported"


def test_a_report_that_is_edited_between_pages_is_read_as_it_was(org: SalesforceOrg, source: Source) -> None:
    """The run keeps the definition of its start; the next one has the new."""
    leads(org, range(4_500))
    saved = by_newest()
    what = wanted("report", org.save(saved))
    edited: list[int] = []

    def edit(_: Seen) -> None:
        if len(org.runs()) == 3 and not edited:
            edited.append(1)
            saved.metadata |= {"detailColumns": ["COMPANY"], "reportFilters": [{"column": "COMPANY", "operator": "equals", "value": "Company 7"}], "sortBy": []}

    org.before = edit
    assert len(read(source, what).ids) == 4_500
    assert edited
    assert read(source, what).ids == [record_id("00Q", 7)]


def test_rows_that_move_between_pages_cost_nobody(org: SalesforceOrg, source: Source) -> None:
    """Those who are in the report all the time are all read, whoever leaves it in front of the cursor or behind."""
    leads(org, range(6_000))
    gone = {*range(0, 1_000, 7), *range(5_000, 5_100)}

    def leave(_: Seen) -> None:
        if len(org.runs()) == 3:
            for number in gone:
                org.records["Lead"].pop(record_id("00Q", number), None)

    org.before = leave
    reading = read(source, wanted("report", org.save(by_newest())))
    assert {record_id("00Q", number) for number in range(6_000) if number not in gone} <= set(reading.ids)
    assert len(set(reading.ids)) == len(reading.ids)


def test_activities_are_read_on_by_their_own_ids(org: SalesforceOrg, source: Source) -> None:
    """Five calls with each: by whom they are with, rows would be left out at a page's edge."""
    people = [contact(number) for number in range(900)]
    for number in range(4_500):
        person = people[number // 5]
        told = {"Name": person["Name"], "Phone": person["Phone"]}
        org.add("Task", {"Id": record_id("00T", number), "Subject": "Call", "Who": told, "WhoId": person["Id"], "Owner": None, "OwnerId": None})
    reading = read(source, wanted("report", org.save(report(ACTIVITIES, ("SUBJECT",)))))
    assert reading.ids == [person["Id"] for person in people]
    assert [run["sortBy"] for run in org.runs()[1:]] == [[{"sortColumn": "ACTIVITY_ID", "sortOrder": "Asc"}]] * 3


def test_a_rejected_row_is_told_once(org: SalesforceOrg, source: Source) -> None:
    """It comes with the first page and again by the cursor."""
    org.add("Task", *({"Id": record_id("00T", number), "Subject": "", "Who": None, "WhoId": None, "Owner": None, "OwnerId": None} for number in range(2_500)))
    reading = read(source, wanted("report", org.save(report(ACTIVITIES, ("SUBJECT",)))))
    assert [row.record for row in reading.rejected] == [record_id("00T", number) for number in range(2_500)]


def test_a_page_without_budget_waits_where_it_is(org: SalesforceOrg, source: Source, pace: RecordedPace) -> None:
    """The reading stops before the run that it may not spend, and goes on from its cursor."""
    leads(org, range(6_000))
    what = wanted("report", org.save(by_newest()))
    org.limits["HourlySyncReportRuns"]["Remaining"] = 2
    before, error = read_until_error(source, what)
    assert isinstance(error, WaitError)
    assert (error.slug, len(before.pages), len(org.runs())) == ("crm-budget", 2, 2)
    assert pace.told_left == [("report_runs", 2)]
    pace.most = 1_000
    rest = [*source.pages(what, before.last.cursor)]
    assert len(Reading([*before.pages, *rest]).ids) == 6_000


def test_limits_are_read_anew_with_each_reading(org: SalesforceOrg, source: Source) -> None:
    """Whoever asks again goes on at once if they allow, though the last reading of them was a moment ago."""
    leads(org, [1])
    what = wanted("report", org.save(by_newest()))
    org.limits["HourlySyncReportRuns"]["Remaining"] = 0
    with pytest.raises(WaitError):
        read(source, what)
    org.limits["HourlySyncReportRuns"]["Remaining"] = 5
    assert read(source, what).ids == [record_id("00Q", 1)]


def test_limits_that_may_not_be_read_stop_nothing(org: SalesforceOrg, source: Source, pace: RecordedPace, refusing: Callable[[str], None]) -> None:
    """Some users may run reports and not see the org's limits."""
    leads(org, [1])
    refusing("/limits")
    assert read(source, wanted("report", org.save(by_newest()))).ids == [record_id("00Q", 1)]
    assert pace.told_left == []


@pytest.fixture
def refusing(org: SalesforceOrg) -> Callable[[str], None]:
    """Makes the org refuse what goes to a path."""
    return lambda path: org.fail(path, refuses(403, "INSUFFICIENT_ACCESS", "no access"))
