"""Write-back's setting over HTTP, and what of it takes effect at once: the remove."""

from typing import Any

import pytest

from tests.support.service import App, Caller, ids_of

HUBSPOT = "/v1/integrations/hubspot/write-back"
CSV = "/v1/integrations/csv/write-back"
OFF = {"log_calls": False, "dispositions": {}, "updated_at": None, "updated_by": None}
WORKING = {"fields": {"Lead.Status": "Working"}, "remove": False, "call_outcome": None}


def setting(told: Any) -> Any:
    """What was set, without who did it."""
    return {name: told.json[name] for name in ("log_calls", "dispositions")}


async def test_it_is_off_until_an_admin_sets_it(app: App) -> None:
    """For every integration, csv too."""
    acme = await app.org("acme")
    for name in ("salesforce", "hubspot", "csv"):
        assert (await acme.get(f"/v1/integrations/{name}/write-back")).json == OFF


async def test_a_patch_is_merged(admin: Caller) -> None:
    """What it names is changed and the rest stays; a null takes an outcome or a field out; who did it is told, and the history has both."""
    told = await admin.patch(HUBSPOT, {"log_calls": True, "dispositions": {"no_answer": {"fields": {"hs_lead_status": "OPEN"}}}})
    assert setting(told) == {"log_calls": True, "dispositions": {"no_answer": {"fields": {"hs_lead_status": "OPEN"}, "remove": False, "call_outcome": None}}}
    assert told.json["updated_by"].startswith("a admin key (")
    await admin.patch(HUBSPOT, {"dispositions": {"no_answer": {"fields": {"a": "1", "hs_lead_status": None}, "call_outcome": "x"}, "busy": {"remove": True}}})
    told = await admin.get(HUBSPOT)
    assert setting(told) == {
        "log_calls": True,
        "dispositions": {
            "no_answer": {"fields": {"a": "1"}, "remove": False, "call_outcome": "x"},
            "busy": {"fields": {}, "remove": True, "call_outcome": None},
        },
    }
    await admin.patch(HUBSPOT, {"log_calls": False, "dispositions": {"no_answer": None}})
    assert setting(await admin.get(HUBSPOT)) == {"log_calls": False, "dispositions": {"busy": {"fields": {}, "remove": True, "call_outcome": None}}}
    changes = [entry["detail"] for entry in await admin.pages("/v1/history?type=settings.changed&integration=hubspot")]
    assert [detail["setting"] for detail in changes] == ["write-back"] * 3
    assert changes[2]["before"]["log_calls"] is True
    assert changes[2]["after"] == setting(await admin.get(HUBSPOT))


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"log_calls": None}, "/log_calls"),
        ({"log_calls": 1}, "/log_calls"),
        ({"dispositions": None}, "/dispositions"),
        ({"dispositions": {"Busy": {}}}, "/dispositions/Busy"),
        ({"dispositions": {"busy": {"remove": "yes"}}}, "/dispositions/busy/remove"),
        ({"dispositions": {"busy": {"fields": ["a"]}}}, "/dispositions/busy/fields"),
        ({"dispositions": {"busy": {"fields": {"Lead.Status.x": "a"}}}}, "/dispositions/busy/fields/Lead.Status.x"),
        ({"dispositions": {"busy": {"fields": {"a": ["b"]}}}}, "/dispositions/busy/fields/a"),
        ({"dispositions": {"busy": {"fields": {"a": "b" * 1_001}}}}, "/dispositions/busy/fields/a"),
        ({"dispositions": {"busy": {"call_outcome": 5}}}, "/dispositions/busy/call_outcome"),
        ({"dispositions": {"busy": {"colour": "red"}}}, "/dispositions/busy/colour"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_bad_value_is_refused_and_changes_nothing(admin: Caller, patch: Any, pointer: str) -> None:
    """By its name."""
    before = (await admin.patch(HUBSPOT, {"log_calls": True, "dispositions": {"busy": WORKING}})).json
    told = (await admin.patch(HUBSPOT, patch)).refused(422, "invalid-request")
    assert [error["pointer"] for error in told.json["errors"]] == [pointer]
    assert (await admin.get(HUBSPOT)).json == before


async def test_values_keep_their_types(admin: Caller) -> None:
    """A flag is not a number, and a number no text."""
    fields = {"Lead.Flag__c": True, "Lead.Count__c": 1, "Lead.Share__c": 0.5, "Lead.Text__c": "1", "Lead.Empty__c": ""}
    told = await admin.patch("/v1/integrations/salesforce/write-back", {"dispositions": {"busy": {"fields": fields}}})
    kept = (await admin.get("/v1/integrations/salesforce/write-back")).json["dispositions"]["busy"]["fields"]
    assert [(name, type(value), value) for name, value in kept.items()] == [(name, type(value), value) for name, value in fields.items()]
    assert kept == told.json["dispositions"]["busy"]["fields"]


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"log_calls": True}, "/log_calls"),
        ({"dispositions": {"busy": {"fields": {"a": "b"}}}}, "/dispositions/busy/fields"),
        ({"dispositions": {"busy": {"call_outcome": "x", "remove": True}}}, "/dispositions/busy/call_outcome"),
    ],
)
async def test_on_csv_only_remove_may_be_set(admin: Caller, patch: Any, pointer: str) -> None:
    """There is no CRM to write into."""
    told = (await admin.patch(CSV, patch)).refused(422, "invalid-request")
    assert [error["pointer"] for error in told.json["errors"]] == [pointer]
    assert (await admin.get(CSV)).json == OFF
    await admin.patch(CSV, {"log_calls": False, "dispositions": {"busy": {"remove": True, "fields": {}, "call_outcome": None}}})
    assert (await admin.get(CSV)).json["dispositions"]["busy"]["remove"] is True


async def test_what_was_changed_meanwhile_is_not_overwritten(admin: Caller) -> None:
    """If-Match holds the version that was read."""
    tag = (await admin.get(HUBSPOT)).headers["ETag"]
    told = await admin("PATCH", HUBSPOT, {"log_calls": True}, headers={"If-Match": tag}, expect=200)
    assert told.headers["ETag"] == (await admin.get(HUBSPOT)).headers["ETag"] != tag
    (await admin("PATCH", HUBSPOT, {"log_calls": False}, headers={"If-Match": tag})).refused(412, "precondition-failed")


async def test_an_unknown_integration(admin: Caller) -> None:
    """404 before anything else that is wrong."""
    (await admin.get("/v1/integrations/pipedrive/write-back", 404)).refused(404, "integration-not-found")
    (await admin.patch("/v1/integrations/pipedrive/write-back", {"log_calls": 1})).refused(404, "integration-not-found")


async def test_r10_a_mapped_outcome_removes_when_it_is_recorded(app: App, admin: Caller) -> None:
    """R10: from the next disposition of every process on, whether or not calls are logged; other outcomes, and others' claims, remove nobody."""
    await admin.make_list("West", ["p1", "p2", "p3"])
    elsewhere = app.caller(admin.key)
    claims = [await admin.take("west") for _ in range(3)]
    await admin.after(claims[0], "disposition", {"outcome": "busy"}, 200)
    await admin.patch(CSV, {"dispositions": {"busy": {"remove": True}}})
    await elsewhere.after(claims[1], "disposition", {"outcome": "busy"}, 200)
    await elsewhere.after(claims[2], "disposition", {"outcome": "no_answer"}, 200)
    assert ids_of(await admin.pages("/v1/lists/west/removals")) == ["p2"]
    told = (await admin.get(f"/v1/claims/{claims[1]['id']}")).json["disposition"]
    assert (told["outcome"], told["remove"]) == ("busy", False)
    unlisted = (await admin.claim_one("q1")).json
    await admin.after(unlisted, "disposition", {"outcome": "busy"}, 200)
