"""Calls written into an org by the real client: each once, whatever becomes of the answers, and what is refused is told by who must act."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from reservoir.config import SalesforceConfig
from reservoir.integrations.salesforce import connect_writer
from reservoir.integrations.source import CrmError, PassingError, WaitError
from reservoir.integrations.writer import Change, Writer, Written
from tests.support.pace import RecordedPace
from tests.support.salesforce.records import contact, lead, record_id
from tests.support.salesforce.refusing import SalesforceRefusalError
from tests.support.salesforce.server import Fault, SalesforceOrg, Says, refuses
from tests.support.salesforce.writes import CALL_ID

LEAD = record_id("00Q", 1)
IN_THE_EVENING_MS = int(datetime(2026, 2, 1, 3, 0, tzinfo=UTC).timestamp() * 1_000)
"""The last of January, in California."""


@pytest.fixture
def writer(org: SalesforceOrg, config: SalesforceConfig) -> Iterator[Writer]:
    """Into an org with ten leads, a contact, and two users of whom one is active."""
    org.add("Lead", *(lead(number) for number in range(10)))
    org.add("Contact", contact(1))
    org.add("User", _user(1, "Ann@acme.example"), _user(2, "bob@acme.example", IsActive=False), _user(3, "o'hara@acme.example"))
    made = connect_writer(config, RecordedPace())
    yield made
    made.close()


@pytest.fixture(params=["marked", "unmarked"])
def marked(request: pytest.FixtureRequest, org: SalesforceOrg) -> bool:
    """Whether the org has the external id on Task."""
    if request.param == "unmarked":
        org.writer.external_ids.clear()
    return bool(request.param == "marked")


def _user(number: int, email: str, **fields: Any) -> dict[str, Any]:
    return {"Id": record_id("005", number), "Email": email, "IsActive": True, **fields}


def call(number: int = 1, **fields: Any) -> Change:
    """A call with the number-th lead."""
    return Change(
        **{"claim": f"c-{number}", "what": "call", "prospect": record_id("00Q", number), "rep": "ann@acme.example", "at_ms": IN_THE_EVENING_MS, **fields}
    )


def written(writer: Writer, *changes: Change) -> dict[str, Written]:
    """What became of each, by claim."""
    return {told.change.claim: told for told in writer.write(changes)}


def failing(writer: Writer, changes: Sequence[Change]) -> tuple[dict[str, Written], Exception]:
    """What was told before what is left was left."""
    found: dict[str, Written] = {}
    try:
        for told in writer.write(changes):
            found[told.change.claim] = told
    except (CrmError, PassingError, WaitError) as error:
        return found, error
    raise AssertionError("everything was written")


def tasks(org: SalesforceOrg) -> list[dict[str, Any]]:
    return [*org.records["Task"].values()]


def asked(org: SalesforceOrg, method: str, path: str = "") -> list[str]:
    """The paths below the version that were asked so."""
    return [seen.path.split("/v59.0/")[1] for seen in org.seen if seen.method == method and "/v59.0/" in seen.path and path in seen.path]


def test_a_call_is_a_completed_task_of_who_was_called(org: SalesforceOrg, writer: Writer, marked: bool) -> None:
    """On the day that it was in the org, by the rep's own user, with no duration and no note."""
    told = written(writer, call(outcome="no_answer"))
    [task] = tasks(org)
    assert told["c-1"] == Written(call(outcome="no_answer"), logged=task["Id"])
    assert {name: value for name, value in task.items() if value is not None} == {
        "Id": task["Id"], "WhoId": LEAD, "Subject": "Call", "TaskSubtype": "Call", "Status": "Completed", "ActivityDate": "2026-01-31", "CallType": "Outbound",
        "CallDisposition": "no_answer", "CallObject": "c-1", "OwnerId": record_id("005", 1), **({CALL_ID: "c-1"} if marked else {}),
    }  # fmt: skip


def test_the_orgs_own_word_is_told_if_it_has_one(org: SalesforceOrg, writer: Writer) -> None:
    """And none at all while there is no outcome."""
    written(writer, call(1, outcome="no_answer", call_outcome="Nobody there"), call(2, prospect=record_id("003", 1)))
    assert {task["CallObject"]: (task["CallDisposition"], task["WhoId"][:3]) for task in tasks(org)} == {"c-1": ("Nobody there", "00Q"), "c-2": (None, "003")}


def test_the_owner_is_the_active_user_whose_email_is_the_rep(org: SalesforceOrg, writer: Writer) -> None:
    """Asked for once for all; else nobody is named, so that Salesforce takes the connection's own user."""
    reps = {"c-1": "ann@ACME.example", "c-2": "bob@acme.example", "c-3": "o'hara@acme.example", "c-4": "rep-4"}
    written(writer, *(call(int(claim[2:]), rep=rep) for claim, rep in reps.items()))
    owners = {task["CallObject"]: task["OwnerId"] for task in tasks(org)}
    assert owners == {"c-1": record_id("005", 1), "c-2": None, "c-3": record_id("005", 3), "c-4": None}
    assert len([seen for seen in org.seen if "FROM User" in seen.query.get("q", "")]) == 1


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.TRUNCATED, Fault.EMPTY])
def test_a_call_is_logged_once_though_the_answer_is_lost(org: SalesforceOrg, writer: Writer, marked: bool, count: int, fault: Fault) -> None:
    """The first time Salesforce does it and nobody hears of it; the repeat finds them, and says more of one."""
    org.before = lambda seen: org.fail(seen.path, fault, 1) if seen.method in ("POST", "PATCH") and _writes(seen.path, marked) else None
    first, error = failing(writer, [call(number) for number in range(count)])
    assert (first, type(error), len(tasks(org))) == ({}, PassingError, count)
    org.before = lambda _: None
    org.heal()
    told = written(writer, *(call(number, repeated=True, outcome="connected" if number == 0 else None) for number in range(count)))
    assert {claim: one.logged for claim, one in told.items()} == {task["CallObject"]: task["Id"] for task in tasks(org)}
    assert [task["CallDisposition"] for task in tasks(org)] == ["connected", *[None] * (count - 1)]


def _writes(path: str, marked: bool) -> bool:
    """Whether it is the request that makes the tasks."""
    return "Task/" in path if marked else "oauth" not in path and "Task/" not in path


def test_many_calls_are_one_request(org: SalesforceOrg, writer: Writer) -> None:
    """With the external id each may be repeated for ever; without it, they are looked for together before they are made together."""
    calls = [call(number) for number in range(10)]
    written(writer, *calls)
    assert (asked(org, "PATCH"), asked(org, "POST")) == ([f"composite/sobjects/Task/{CALL_ID}"], [])
    org.writer.external_ids.clear()
    org.seen.clear()
    again = [call(number, claim=f"d-{number}") for number in range(10)]
    written(writer, *again[:9])
    assert asked(org, "POST") == ["composite/sobjects"]
    assert not [seen for seen in org.seen if "FROM Task" in seen.query.get("q", "")]
    org.seen.clear()
    written(writer, *(call(number, claim=f"d-{number}", repeated=True) for number in range(10)))
    assert asked(org, "POST") == ["sobjects/Task"]
    assert (len(tasks(org)), len([seen for seen in org.seen if "FROM Task" in seen.query.get("q", "")])) == (20, 1)


def test_what_is_said_later_is_added_to_the_call(org: SalesforceOrg, writer: Writer, marked: bool) -> None:
    """And nothing else of it is touched: it is the rep's, who may have written into it. With nothing to say, nothing is asked."""
    del marked
    logged = {claim: one.logged for claim, one in written(writer, call(1), call(2), call(3)).items()}
    for task in tasks(org):
        task["Subject"] = "Ann's own words"
    org.seen.clear()
    told = written(writer, call(1, logged=logged["c-1"], outcome="connected"), call(2, logged=logged["c-2"]), call(3, logged=logged["c-3"], outcome="busy"))
    assert [(seen.method, set(record) - {"attributes", "id"}) for seen in org.seen for record in seen.json["records"]] == [("PATCH", {"CallDisposition"})] * 2
    assert {claim: one.logged for claim, one in told.items()} == logged
    assert [(task["Subject"], task["CallDisposition"]) for task in tasks(org)] == [("Ann's own words", word) for word in ("connected", None, "busy")]
    written(writer, call(1, logged=logged["c-1"], outcome="no_answer"))
    assert tasks(org)[0]["CallDisposition"] == "no_answer"


@pytest.mark.parametrize(
    ("code", "message", "slug", "words"),
    [
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Calls need a campaign.", "crm-unsupported", "a validation rule .* Salesforce says: Calls need a campaign"),
        ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", "crm-not-found", "deleted in Salesforce, or not shared"),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", "crm-permission", "an admin must grant"),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: CallType.", "crm-permission", "CallType"),
        ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", "crm-unsupported", "make room"),
        ("REQUIRED_FIELD_MISSING", "Required fields are missing: [Region__c]", "crm-unsupported", "Region__c"),
    ],
)
def test_one_that_is_refused_stops_no_other(org: SalesforceOrg, writer: Writer, marked: bool, code: str, message: str, slug: str, words: str) -> None:
    """It says who must do what; the others are logged."""
    del marked
    org.writer.refuses = lambda _, fields: SalesforceRefusalError(400, code, message) if fields.get("WhoId") == LEAD else None
    for number in (1, 3):
        told = written(writer, *(call(one) for one in range(number)), call(1, claim="c-x"))
        assert {claim for claim, one in told.items() if one.error is not None} == ({"c-1", "c-x"} if number > 1 else {"c-x"})
        error = told["c-x"].error
        assert error is not None
        assert error.slug == slug
        assert error.status == 400
        with pytest.raises(CrmError, match=words):
            raise error
    assert {task["CallObject"] for task in tasks(org)} == {"c-0", "c-2"}


def test_a_record_that_is_locked_is_written_later(org: SalesforceOrg, writer: Writer, marked: bool) -> None:
    """The others at once, and a trigger's lock is one, too."""
    del marked
    locks = {
        record_id("00Q", 1): SalesforceRefusalError(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"),
        record_id("00Q", 2): SalesforceRefusalError(
            400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Trigger: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access"
        ),
    }
    org.writer.refuses = lambda _, fields: locks.get(str(fields.get("WhoId")))
    told, error = failing(writer, [call(number) for number in range(4)])
    assert ({claim for claim, one in told.items() if one.logged}, set(told), type(error).__mro__[1]) == ({"c-0", "c-3"}, {"c-0", "c-3"}, PassingError)
    org.fail("/composite/", refuses(404, "NOT_FOUND", "The requested resource does not exist"))
    assert set(failing(writer, [call(1), call(4)])[0]) == {"c-4"}
    org.writer.refuses = lambda *_: None
    assert set(written(writer, *(call(number, repeated=True) for number in (1, 2)))) == {"c-1", "c-2"}
    assert sorted(task["CallObject"] for task in tasks(org)) == ["c-0", "c-1", "c-2", "c-3", "c-4"]


@pytest.mark.parametrize("count", [1, 3])
def test_an_owner_who_is_not_taken_is_left_out(org: SalesforceOrg, writer: Writer, marked: bool, count: int) -> None:
    """The connection's own user stands for one whom Salesforce lets own nothing."""
    del marked
    org.writer.refuses = lambda _, fields: SalesforceRefusalError(400, "INACTIVE_OWNER_OR_USER", "no") if "OwnerId" in fields else None
    told = written(writer, *(call(number) for number in range(count)))
    assert [(task["OwnerId"], task["TaskSubtype"]) for task in tasks(org)] == [(None, "Call")] * count
    assert all(one.logged for one in told.values())


@pytest.mark.parametrize("what", ["User", "Organization"])
def test_a_user_who_may_not_ask_logs_all_the_same(org: SalesforceOrg, writer: Writer, what: str) -> None:
    """Without the owner, or on the day that it was in Greenwich."""
    org.records.pop(what)
    written(writer, call())
    assert [(task["OwnerId"] is None, task["ActivityDate"]) for task in tasks(org)] == [(what == "User", "2026-01-31" if what == "User" else "2026-02-01")]


def test_without_the_collections_calls_are_written_one_by_one(org: SalesforceOrg, writer: Writer, marked: bool) -> None:
    """A gateway may let through less than the API has."""
    org.fail("/composite/", refuses(404, "NOT_FOUND", "The requested resource does not exist"))
    told = written(writer, *(call(number) for number in range(3)))
    assert [(task["CallObject"], task[CALL_ID] if marked else None) for task in tasks(org)] == [(claim, claim if marked else None) for claim in told]
    told = written(writer, *(call(number, logged=told[f"c-{number}"].logged, outcome="busy") for number in range(3)))
    assert [task["CallDisposition"] for task in tasks(org)] == ["busy"] * 3
    assert all(one.error is None for one in told.values())


def test_a_call_that_cannot_be_looked_for_is_not_made_again(org: SalesforceOrg, writer: Writer) -> None:
    """In doubt none is logged twice: an admin is told."""
    org.writer.external_ids.clear()
    org.add("Task", {"Id": record_id("00T", 1), "WhoId": LEAD})
    told = written(writer, call(1, repeated=True), call(2))
    error = told["c-1"].error
    assert error is not None
    assert (error.slug, error.status) == ("crm-unsupported", 400)
    assert [task["CallObject"] for task in tasks(org)[1:]] == ["c-2"]


def test_a_call_that_is_there_twice_is_not_written_a_third_time(org: SalesforceOrg, writer: Writer) -> None:
    """Somebody copied it; the admin is told to delete one."""
    org.add("Task", *({"Id": record_id("00T", number), "WhoId": LEAD, CALL_ID: "c-1"} for number in (1, 2)))
    told = written(writer, call(1))
    with pytest.raises(CrmError, match="delete all but one"):
        raise told["c-1"].error or AssertionError
    assert len(tasks(org)) == 2


def test_one_that_another_makes_at_this_moment_is_found_the_next_time(org: SalesforceOrg, writer: Writer) -> None:
    """A unique external id refuses the second of two."""
    said = f"duplicate value found: {CALL_ID} duplicates value on record with id: 00T"
    org.writer.refuses = lambda *_: SalesforceRefusalError(400, "DUPLICATE_VALUE", said)
    told, error = failing(writer, [call(1)])
    assert (told, isinstance(error, PassingError), tasks(org)) == ({}, True, [])


@pytest.mark.parametrize(
    ("answer", "kind", "slug"),
    [
        (refuses(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), WaitError, "crm-budget"),
        (Says(429, "", {"Retry-After": "17"}), WaitError, "crm-budget"),
        (Says(503), PassingError, "crm-unavailable"),
        (Fault.RESET, PassingError, "crm-unavailable"),
        (Fault.EMPTY, PassingError, "crm-bad-answer"),
        (Says(200, [{"success": True}]), PassingError, "crm-bad-answer"),
        (refuses(401, "INVALID_SESSION_ID", "Session expired or invalid"), CrmError, "crm-credentials"),
    ],
)
def test_what_holds_for_all_is_told_once(org: SalesforceOrg, writer: Writer, answer: Fault | Says, kind: type[Exception], slug: str) -> None:
    """Of none it is said that it was refused, and no secret is told."""
    org.fail("/composite/", answer)
    told, error = failing(writer, [call(number) for number in range(3)])
    assert (told, type(error), getattr(error, "slug", None)) == ({}, kind, slug)
    assert not any(secret in str(error) for secret in (*org.sessions, org.credentials.consumer_secret))


def test_limits_that_one_record_meets_are_waited_for(org: SalesforceOrg, writer: Writer) -> None:
    """As the whole request's."""
    org.writer.refuses = lambda _, fields: (
        SalesforceRefusalError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.") if fields["WhoId"] == LEAD else None
    )
    told, error = failing(writer, [call(number) for number in range(3)])
    assert (set(told), type(error)) == ({"c-0", "c-2"}, WaitError)


def test_a_session_that_ends_is_opened_anew(org: SalesforceOrg, writer: Writer) -> None:
    """Once, in the middle of it all."""
    written(writer, call(1))
    org.revoke()
    assert written(writer, call(2))["c-2"].logged
    assert org.logins == 2


def test_credentials_are_everybodys(config: SalesforceConfig) -> None:
    """Nothing can be written by this connection, whichever change it is."""
    refused = connect_writer(config.model_copy(update={"consumer_secret": SecretStr("another")}), RecordedPace())
    told, error = failing(refused, [call(1), call(2)])
    assert (told, getattr(error, "slug", None)) == ({}, "crm-credentials")
    refused.close()
