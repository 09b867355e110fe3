"""What goes wrong at HubSpot, said in the words of a source: who must do what, what another try may cure, what time cures."""

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from reservoir.config import HubspotConfig
from reservoir.integrations import hubspot
from reservoir.integrations.hubspot import transport
from reservoir.integrations.source import CrmError, PassingError, Source, WaitError
from tests.contract.crm.hubspot.conftest import Connect, pages, wanted
from tests.support.hubspot.records import SCOPES, TOKEN, Portal
from tests.support.hubspot.server import Server
from tests.support.pace import RecordedPace

LIST = "GET /crm/v3/lists/42"
BATCH = "contacts/batch/read"
HTML = "<html><body>Bad gateway \xe9</body></html>".encode("latin-1")


def failure(source: Source, list_id: str = "42") -> CrmError | PassingError | WaitError:
    """How reading the list ends."""
    try:
        pages(source, list_id)
    except (CrmError, PassingError, WaitError) as error:
        return error
    pytest.fail("the list was read")


# what a person must mend


def test_a_token_that_is_refused(connect: Connect) -> None:
    """401: credentials, and what to do; the token is not told."""
    error = failure(connect("pat-na1-revoked"))
    assert isinstance(error, CrmError)
    assert (error.slug, error.status) == ("crm-credentials", 401)
    assert "access token" in str(error)
    assert "revoked" not in str(error)


@pytest.mark.parametrize("scope", ["crm.lists.read", "crm.objects.contacts.read"])
def test_a_scope_that_is_missing_is_named(connect: Connect, portal: Portal, scope: str) -> None:
    """403 with HubSpot's own word for it."""
    portal.scopes[TOKEN] = SCOPES - {scope}
    error = failure(connect())
    assert isinstance(error, CrmError)
    assert (error.slug, error.status) == ("crm-permission", 403)
    assert scope in str(error)


def test_a_403_that_names_no_scope_names_the_one_that_the_call_needs(source: Source, portal: Portal) -> None:
    """Whatever its body."""
    portal.fail(LIST, status=403, body='{"category": "BANNED", "message": "secret words"}')
    error = failure(source)
    assert isinstance(error, CrmError)
    assert error.slug == "crm-permission"
    assert "BANNED" in str(error)
    assert "crm.lists.read" in str(error)
    assert "secret words" not in str(error)


@pytest.mark.parametrize("status", [404, 410])
def test_a_list_that_is_gone(source: Source, portal: Portal, status: int) -> None:
    """Deleted before, or between two pages."""
    error = failure(source, "43")
    assert isinstance(error, CrmError)
    assert (error.slug, error.status) == ("crm-not-found", 404)
    assert "'43'" in str(error)
    portal.fail("/memberships", after=1, status=status, body="{}")
    reading = iter(source.pages(wanted(), None))
    next(reading)
    with pytest.raises(CrmError) as caught:
        next(reading)
    assert (caught.value.slug, caught.value.status) == ("crm-not-found", status)


def test_a_request_that_hubspot_does_not_take(source: Source, portal: Portal) -> None:
    """400 will be 400 again."""
    portal.fail(BATCH, status=400, body='{"category": "VALIDATION_ERROR"}')
    error = failure(source)
    assert isinstance(error, CrmError)
    assert (error.slug, error.status) == ("crm-unsupported", 400)
    assert "VALIDATION_ERROR" in str(error)


def test_a_token_that_is_revoked_half_way(source: Source, portal: Portal) -> None:
    """The pages before stand."""
    reading = iter(source.pages(wanted(), None))
    next(reading)
    portal.scopes.clear()
    with pytest.raises(CrmError) as caught:
        next(reading)
    assert caught.value.slug == "crm-credentials"


# what another try may cure


@pytest.mark.parametrize("status", [408, 420, 423, 477, 500, 502, 503, 504, 521, 522, 523, 524, 525, 526])
@pytest.mark.parametrize("body", [HTML, b"", b'{"status": "error"}'])
def test_hubspot_is_down(source: Source, portal: Portal, status: int, body: bytes) -> None:
    """Whatever the edge says, in whatever bytes."""
    portal.fail(BATCH, status=status, body=body)
    error = failure(source)
    assert isinstance(error, PassingError)
    assert (error.slug, error.status) == ("crm-unavailable", status)
    assert len(pages(source)) == 3


@pytest.mark.parametrize("status", [200, 204, 302])
def test_hubspot_answers_nonsense(source: Source, portal: Portal, status: int) -> None:
    """HTML with 200, nothing, a way to somewhere else that is not followed."""
    portal.fail(LIST, status=status, headers={"Location": "/elsewhere"}, body=b"" if status == 204 else HTML)
    error = failure(source)
    assert isinstance(error, PassingError)
    assert (error.slug, error.status) == ("crm-bad-answer", 502)
    assert portal.requests("elsewhere") == []


@pytest.mark.parametrize("kind", ["reset", "truncate"])
@pytest.mark.parametrize("where", [LIST, BATCH])
def test_a_connection_that_breaks(source: Source, portal: Portal, kind: str, where: str) -> None:
    """It is tried once, and the next request has a connection of its own."""
    portal.fail(where, kind=kind)
    error = failure(source)
    assert isinstance(error, PassingError)
    assert error.slug == "crm-unavailable"
    assert len(portal.requests(where)) == 1
    assert len(pages(source)) == 3


def test_an_answer_that_never_comes(source: Source, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the time-out; each call has one."""
    monkeypatch.setattr(transport, "SILENT_S", 0.1)
    portal.fail(LIST, kind="silent")
    error = failure(source)
    assert isinstance(error, PassingError)
    assert (error.slug, "ReadTimeoutError" in str(error)) == ("crm-unavailable", True)


def test_an_answer_that_does_not_end(source: Source, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is no answer either, nor is a flood."""
    monkeypatch.setattr(transport, "WHOLE_S", 0.1)
    portal.fail(LIST, kind="drip")
    error = failure(source)
    assert isinstance(error, PassingError)
    assert error.slug == "crm-unavailable"
    monkeypatch.setattr(transport, "ANSWER_MAX_BYTES", 1_000)
    error = failure(source)
    assert isinstance(error, PassingError)
    assert error.slug == "crm-bad-answer"


def test_nobody_is_there(pace: RecordedPace) -> None:
    """A port at which nobody listens, and one that does not speak TLS."""
    for root in ("http://127.0.0.1:9", "https://127.0.0.1:9"):
        source = hubspot.connect(HubspotConfig(access_token=SecretStr(TOKEN), endpoint=root), pace)
        error = failure(source)
        assert isinstance(error, PassingError)
        assert error.slug == "crm-unavailable"
        assert TOKEN not in str(error)


def test_another_protocol(server: Server, pace: RecordedPace) -> None:
    """TLS to one that has none fails as any other connection does."""
    source = hubspot.connect(HubspotConfig(access_token=SecretStr(TOKEN), endpoint=server.url.replace("http:", "https:")), pace)
    error = failure(source)
    assert isinstance(error, PassingError)
    assert error.slug == "crm-unavailable"


# what time cures


class Unheeding(RecordedPace):
    """A budget that somebody else spends too: it never says no."""

    def spend(self, what: str, most: int, per_s: int) -> None:
        self.spent.append((what, most, per_s))


def test_the_window_is_used_up(server: Server, portal: Portal) -> None:
    """The real one of ten seconds, with HubSpot's own body and without Retry-After: ten seconds, for every request of the org."""
    portal.clock, portal.most, pace = lambda: 0.0, 3, Unheeding()
    source = hubspot.connect(HubspotConfig(access_token=SecretStr(TOKEN), endpoint=server.url), pace)
    with pytest.raises(WaitError) as caught:
        pages(source)
    error = caught.value
    assert (error.slug, error.after_s, error.status) == ("crm-budget", 10, 429)
    assert pace.held == [("requests", 10)]
    assert [asked.status for asked in portal.asked] == [200, 200, 200, 429]


def test_what_hubspot_says_is_left_is_told(source: Source, portal: Portal, pace: RecordedPace) -> None:
    """Before a 429 comes of it: the budget is at an end first."""
    portal.clock, portal.most = lambda: 0.0, 3
    error = failure(source)
    assert isinstance(error, WaitError)
    assert pace.told_left == [("requests", 2), ("requests", 1), ("requests", 0)]
    assert [asked.status for asked in portal.asked] == [200, 200, 200]


@pytest.mark.parametrize(("retry_after", "after_s"), [("17", 17), ("0", 0), ("3600", 3_600), ("3601", 10), ("86400", 10), ("soon", 10), ("-5", 10)])
def test_a_429_is_kept_as_it_asks(source: Source, portal: Portal, pace: RecordedPace, retry_after: str, after_s: float) -> None:
    """Up to an hour; what is longer or none is as absent."""
    portal.fail(BATCH, status=429, headers={"Retry-After": retry_after}, body='{"policyName": "TEN_SECONDLY_ROLLING"}')
    error = failure(source)
    assert isinstance(error, WaitError)
    assert (error.slug, error.after_s) == ("crm-budget", after_s)
    assert pace.held == [("requests", after_s)]


def test_a_date_is_a_time_to_wait_too(source: Source, portal: Portal) -> None:
    """RFC 9110 allows both."""
    portal.fail(BATCH, status=429, headers={"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)})
    error = failure(source)
    assert isinstance(error, WaitError)
    assert 60 < error.after_s <= 100


def test_the_day_is_used_up(source: Source, portal: Portal, pace: RecordedPace) -> None:
    """Until it turns, as HubSpot says, or, where it does not, for an hour."""
    portal.daily = 0
    error = failure(source)
    assert isinstance(error, WaitError)
    assert (error.slug, error.after_s) == ("crm-budget", 3_600)
    assert "daily" in str(error)
    portal.fail("api-usage", body=json.dumps({"results": [{"resetsAt": (datetime.now(UTC) + timedelta(hours=5)).isoformat()}]}))
    error = failure(source)
    assert isinstance(error, WaitError)
    assert 4.9 * 3_600 < error.after_s <= 5 * 3_600
    assert pace.held == [("requests", 3_600), ("requests", error.after_s)]


def test_the_day_that_turns_in_milliseconds(source: Source, portal: Portal) -> None:
    """An instant may be a number; one that is past or beyond a day is none."""
    portal.daily = 0
    for instant, expected_s in ((time.time() + 7_200, 7_200), (time.time() - 60, 3_600), (time.time() + 10**6, 3_600)):
        portal.fail("api-usage", body=json.dumps([{"resetsAt": int(instant * 1_000)}]))
        error = failure(source)
        assert isinstance(error, WaitError)
        assert error.after_s == pytest.approx(expected_s, abs=60)


def test_a_daily_limit_that_says_when(source: Source, portal: Portal) -> None:
    """Its Retry-After is believed first."""
    portal.daily, portal.retry_after = 0, "120"
    error = failure(source)
    assert isinstance(error, WaitError)
    assert error.after_s == 120
    assert portal.requests("api-usage") == []


@pytest.mark.parametrize("status", [403, 423, 477, 500, 503])
def test_whoever_asks_to_be_left_alone_is(source: Source, portal: Portal, pace: RecordedPace, status: int) -> None:
    """Up to an hour, whatever the status; more than that is a failure as without."""
    portal.fail(BATCH, status=status, headers={"Retry-After": "90"}, body=HTML)
    error = failure(source)
    assert isinstance(error, WaitError)
    assert (error.slug, error.after_s, error.status) == ("crm-unavailable", 90, status)
    assert pace.held == [("requests", 90)]
    portal.fail(BATCH, status=status, headers={"Retry-After": "86400"}, body=HTML)
    assert not isinstance(failure(source), WaitError)


# what is told


def test_nothing_secret_is_logged(source: Source, portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the token nor what HubSpot sends, whatever the level."""
    caplog.set_level(logging.DEBUG)
    for name in ("hubspot", "urllib3", "hubspot.crm.lists.rest"):
        caplog.set_level(logging.DEBUG, name)
    pages(source)
    portal.fail(LIST, status=500, body="Dana's secret")
    failure(source)
    assert TOKEN not in caplog.text
    assert "Person" not in caplog.text
    assert "secret" not in caplog.text


# check


def test_check_says_what_the_connection_may(source: Source) -> None:
    """Everything, and the budget that is left."""
    checked = source.check()
    assert (checked.user, checked.may_not, checked.lacking) == ("private app 89 of portal 4567", (), False)
    for scope in ("crm.lists.read", "crm.objects.contacts.read", "crm.objects.owners.read", "crm.objects.contacts.write"):
        assert any(scope in words for words in checked.may)
    assert checked.budget.keys() == {"api_calls_left", "api_calls_left_10_s"}
    assert checked.budget["api_calls_left"] > 600_000


@pytest.mark.parametrize(
    ("scope", "lacking"),
    [("crm.lists.read", True), ("crm.objects.contacts.read", True), ("crm.objects.owners.read", False), ("crm.objects.contacts.write", False)],
)
def test_check_says_what_the_connection_may_not(connect: Connect, portal: Portal, scope: str, lacking: bool) -> None:
    """By the name of the scope, and whether syncs need it."""
    portal.scopes[TOKEN] = SCOPES - {scope}
    checked = connect().check()
    assert [scope in words for words in checked.may_not] == [True]
    assert checked.lacking == lacking
    assert len(checked.may) == 3


def test_check_needs_a_token_that_holds(connect: Connect) -> None:
    """Otherwise there is nothing to say."""
    with pytest.raises(CrmError) as caught:
        connect("pat-na1-revoked").check()
    assert caught.value.slug == "crm-credentials"


def test_check_of_a_portal_that_tells_nothing_of_itself(connect: Connect, portal: Portal) -> None:
    """What cannot be known without writing is not said."""
    portal.fail("/oauth/", status=404)
    portal.fail("account-info", status=403)
    checked = connect().check()
    assert (checked.user, len(checked.may), checked.may_not, checked.lacking) == (None, 3, (), False)
