"""What goes wrong at Salesforce: who must do what, or when to ask again; and nothing secret in it."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from reservoir.config import SalesforceConfig
from reservoir.integrations.salesforce import connection
from reservoir.integrations.source import CrmError, PassingError, Source, WaitError
from tests.support.pace import RecordedPace
from tests.support.salesforce.reading import read, read_until_error, wanted
from tests.support.salesforce.records import lead, record_id
from tests.support.salesforce.report_types import LEADS
from tests.support.salesforce.reports import report
from tests.support.salesforce.server import HTML, Fault, SalesforceOrg, Says, refuses

RUN = r"/analytics/reports/\w+$"
HOURLY = "You can't run more than 500 reports synchronously every 60 minutes. Try again later."
AT_ONCE = "We can accept only as many as 20 requests at a time to run reports synchronously. Try again later."


@pytest.fixture
def what(org: SalesforceOrg) -> Any:
    """A report of one lead."""
    org.add("Lead", lead(1))
    return wanted("report", org.save(report(LEADS, ("PHONE",))))


@pytest.mark.parametrize(
    ("answer", "slug", "status", "told"),
    [
        (refuses(403, "FORBIDDEN", "You don't have permission to run reports."), "crm-permission", 403, "Run Reports"),
        (refuses(403, "FORBIDDEN", "You don’t have sufficient privileges to perform this operation."), "crm-permission", 403, "sufficient privileges"),
        (refuses(403, "INSUFFICIENT_ACCESS", "no access"), "crm-permission", 403, "Run Reports"),
        (refuses(403, "API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner"), "crm-permission", 403, "API Enabled"),
        (refuses(403, "FORBIDDEN", "The report definition is obsolete. Your admin has disabled reports."), "crm-permission", 403, "obsolete"),
        (refuses(403, "FORBIDDEN", "The data you’re trying to access is unavailable."), "crm-not-found", 403, "deleted, or not shared"),
        (refuses(404, "NOT_FOUND", "The data you’re trying to access is unavailable."), "crm-not-found", 404, "deleted, or not shared"),
        (refuses(400, "MALFORMED_ID", "bad id"), "crm-not-found", 400, "not there"),
        (refuses(400, "BAD_REQUEST", "Specify a valid column"), "crm-unsupported", 400, "Specify a valid column"),
        (refuses(410, "UNSUPPORTED_API_VERSION", "retired"), "crm-unsupported", 410, "reservoir must be updated"),
        (refuses(415, "UNSUPPORTED_MEDIA_TYPE", "no"), "crm-unsupported", 415, "HTTP 415"),
        (refuses(501, "NOT_IMPLEMENTED", "unsupported report format"), "crm-unsupported", 501, "joined"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_a_person_must_mend(org: SalesforceOrg, source: Source, what: Any, answer: Says, slug: str, status: int, told: str) -> None:
    """The run fails at once, and says who must do what."""
    org.fail(RUN, answer)
    with pytest.raises(CrmError) as caught:
        read(source, what)
    assert (caught.value.slug, caught.value.status, told in str(caught.value)) == (slug, status, True)


@pytest.mark.parametrize(
    ("answer", "slug", "status"),
    [
        (Says(420), "crm-unavailable", 420),
        (refuses(500, "UNKNOWN_EXCEPTION", "We ran into an error when running this report"), "crm-unavailable", 500),
        (Says(502), "crm-unavailable", 502),
        (Says(503, HTML), "crm-unavailable", 503),
        (Says(503, HTML, {"Retry-After": "86400"}), "crm-unavailable", 503),
        (refuses(503, "SERVER_UNAVAILABLE", "busy"), "crm-unavailable", 503),
        (Fault.RESET, "crm-unavailable", 502),
        (Fault.SLOW, "crm-unavailable", 502),
        (Fault.TRUNCATED, "crm-bad-answer", 502),
        (Fault.EMPTY, "crm-bad-answer", 502),
        (Says(200), "crm-bad-answer", 502),
        (Says(200, 7), "crm-bad-answer", 502),
        (Says(200, []), "crm-bad-answer", 502),
        (Says(200, {"allData": True}), "crm-bad-answer", 502),
        (Says(200, {"factMap": {"T!T": {"rows": [{}]}}}), "crm-bad-answer", 502),
        (Says(200, {"factMap": {"T!T": None}}), "crm-bad-answer", 502),
        (Says(302, HTML), "crm-bad-answer", 502),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_another_try_may_cure(
    org: SalesforceOrg, source: Source, what: Any, answer: Says | Fault, slug: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker tries again; when Salesforce is well, the same source reads on."""
    if answer is Fault.SLOW:
        monkeypatch.setattr(connection, "REPORT_S", 0.05)
    org.fail(RUN, answer)
    with pytest.raises(PassingError) as caught:
        read(source, what)
    assert (caught.value.slug, caught.value.status) == (slug, status)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    monkeypatch.undo()
    org.heal()
    assert read(source, what).ids == [record_id("00Q", 1)]


@pytest.mark.parametrize(
    ("answer", "slug", "after_s"),
    [
        (refuses(403, "FORBIDDEN", HOURLY), "crm-budget", 600),
        (refuses(403, "FORBIDDEN", AT_ONCE), "crm-budget", 15),
        (refuses(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), "crm-budget", 900),
        (refuses(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."), "crm-budget", 15),
        (refuses(429, "TOO_MANY_REQUESTS", "slow down"), "crm-budget", 30),
        (refuses(429, "TOO_MANY_REQUESTS", "slow down", Retry_After="90"), "crm-budget", 90),
        (refuses(429, "TOO_MANY_REQUESTS", "slow down", Retry_After="7200"), "crm-budget", 3_600),
        (refuses(403, "FORBIDDEN", HOURLY, Retry_After="1200"), "crm-budget", 1_200),
        (Says(503, HTML, {"Retry-After": "3600"}), "crm-unavailable", 3_600),
        (refuses(404, "NOT_FOUND", "moving", Retry_After="5"), "crm-unavailable", 5),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_time_cures(org: SalesforceOrg, source: Source, pace: RecordedPace, what: Any, answer: Says, slug: str, after_s: float) -> None:
    """The run waits for as long as Salesforce says or implies, and no worker spends a run meanwhile if it is for the budget."""
    org.fail(RUN, answer)
    with pytest.raises(WaitError) as caught:
        read(source, what)
    assert (caught.value.slug, caught.value.after_s, caught.value.status) == (slug, after_s, answer.status)
    assert pace.held == ([("report_runs", after_s)] if slug == "crm-budget" else [])


def test_a_retry_after_may_be_a_date(org: SalesforceOrg, source: Source, what: Any) -> None:
    """And one that is neither a number nor a date is as absent."""
    org.fail(RUN, Says(503, HTML, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)}), times=1)
    with pytest.raises(WaitError) as caught:
        read(source, what)
    assert 200 < caught.value.after_s <= 300
    org.fail(RUN, Says(503, HTML, {"Retry-After": "soon"}))
    with pytest.raises(PassingError):
        read(source, what)


def test_a_failure_behind_the_first_page_leaves_what_came(org: SalesforceOrg, source: Source) -> None:
    """And the cursor of the last page reads on when it is over."""
    org.add("Lead", *(lead(number) for number in range(4_500)))
    what = wanted("report", org.save(report(LEADS, ("PHONE",))))

    def fail(_: object) -> None:
        if len(org.runs()) == 3:
            org.fail(RUN, Says(502))

    org.before = fail
    before, error = read_until_error(source, what)
    assert isinstance(error, PassingError)
    assert len(before.pages) == 2
    org.before = lambda _: None
    org.heal()
    rest = [member.id for page in source.pages(what, before.last.cursor) for member in page.members]
    assert set(before.ids) | set(rest) == {record_id("00Q", number) for number in range(4_500)}


@pytest.mark.parametrize(("path", "kind"), [("/describe", "report"), (RUN, "report"), ("/query/", "soql")])
def test_a_token_that_is_revoked_in_mid_sync_costs_a_login(org: SalesforceOrg, source: Source, path: str, kind: str) -> None:
    """Wherever it happens, nobody is lost."""
    org.add("Lead", *(lead(number) for number in range(2_100)))
    saved = org.save(report(LEADS, ("PHONE",)))
    org.fail(path, refuses(401, "INVALID_SESSION_ID", "Session expired or invalid"), times=1)
    what = wanted("report", saved) if kind == "report" else wanted("soql", query="SELECT Id FROM Lead")
    assert len(read(source, what).ids) == 2_100
    assert org.logins == 2


def test_no_secret_is_logged_or_told(org: SalesforceOrg, source: Source, what: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a run that goes well nor in one that fails, though Salesforce itself repeats the token."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "urllib3")  # which another CRM's client may have silenced
    read(source, what)
    (token,) = org.sessions
    org.fail(RUN, refuses(400, "BAD_REQUEST", f"bad request of {token} by {org.credentials.consumer_secret}"))
    with pytest.raises(CrmError, match=r"bad request of \*\*\* by \*\*\*") as caught:
        read(source, what)
    told = f"{caught.value!r} {caplog.text}"
    assert caplog.text
    assert [secret for secret in (token, org.credentials.consumer_secret, org.credentials.consumer_key) if secret in told] == []
    assert "4155550001" not in told


def test_check_says_what_may_be_done(org: SalesforceOrg, source: Source) -> None:
    """Who we are, what syncs need, and what is left."""
    org.add("User", {"Id": "005000000000009AAA", "Username": "reservoir@acme.example"})
    org.limits["HourlySyncReportRuns"]["Remaining"] = 371
    told = source.check()
    assert told.user == "reservoir@acme.example"
    assert (told.may_not, told.lacking) == ((), False)
    assert (told.may[0], *told.may[4:]) == ("log in", "log calls", "know a logged call again by Reservoir_Call_Id__c", "change leads", "change contacts")
    assert len(told.may) == 8
    assert told.budget["report_runs_left"] == 371
    assert 14_000 < told.budget["api_calls_left"] < 15_000


def test_check_counts_the_runs_that_we_spent(org: SalesforceOrg, source: Source, config: SalesforceConfig) -> None:
    """What is left of the hour's budget is told, also where the org would allow more, or does not tell."""
    org.add("Lead", lead(1))
    what = wanted("report", org.save(report(LEADS, ("PHONE",))))
    for _ in range(3):
        read(source, what)
    assert config.report_runs_per_hour == 400
    assert source.check().budget["report_runs_left"] == 397
    del org.limits["HourlySyncReportRuns"]
    assert source.check().budget["report_runs_left"] == 397


def test_check_says_what_may_not_be_done(org: SalesforceOrg, source: Source) -> None:
    """The permission is named, and that something which syncs need is lacking."""
    org.fail("/analytics/reports$", refuses(403, "FORBIDDEN", "You don't have permission to run reports."))
    org.unseen = {"Lead.DoNotCall"}
    org.add("Lead", lead(1))
    told = source.check()
    assert told.lacking
    assert [words.split(":")[0] for words in told.may_not] == ["run reports (the permission Run Reports)", "read leads, with phones and Do Not Call"]
    assert told.user == "005000000000009AAA"


def test_check_says_what_write_back_lacks(org: SalesforceOrg, source: Source) -> None:
    """Which syncs do not need, so that nothing is lacking; and an org that does not describe its objects says neither."""
    org.writer.denied = {"Task.create", "Lead.update"}
    org.writer.external_ids.clear()
    told = source.check()
    assert not told.lacking
    assert [words.split(":")[0] for words in told.may_not] == [
        "log calls, which write-back needs", "know a logged call again by Reservoir_Call_Id__c", "change leads, which write-back needs"
    ]  # fmt: skip
    assert ("create tasks" in told.may_not[0], "until an admin adds it" in told.may_not[1], told.may[-1]) == (True, True, "change contacts")
    org.fail("/describe$", refuses(404, "NOT_FOUND", "no"))
    told = source.check()
    assert (told.may_not, len(told.may)) == ((), 4)


def test_check_names_a_user_without_a_name_by_its_id(org: SalesforceOrg, source: Source) -> None:
    """A null is no name."""
    org.add("User", {"Id": "005000000000009AAA", "Username": None})
    assert source.check().user == "005000000000009AAA"


@pytest.mark.parametrize("answer", [refuses(404, "NOT_FOUND", "no"), refuses(405, "METHOD_NOT_ALLOWED", "no")])
def test_check_says_nothing_of_what_it_cannot_see(org: SalesforceOrg, source: Source, answer: Says) -> None:
    """A list of reports that is not there says neither."""
    org.fail("/analytics/reports$", answer)
    told = source.check()
    assert ([words for words in (*told.may, *told.may_not) if "report" in words], told.lacking) == ([], False)


def test_check_of_what_cannot_log_in_raises(org: SalesforceOrg, source: Source) -> None:
    """There is nothing to say but that."""
    org.fail("/oauth2/token", Says(401, {"error": "invalid_client", "error_description": "invalid client credentials"}))
    with pytest.raises(CrmError) as caught:
        source.check()
    assert (caught.value.slug, caught.value.status) == ("crm-credentials", 401)
