"""Write-back's setting over HTTP, and what of it takes effect at once: the remove."""

import json
from typing import Any

import pytest

from reservoir.storage.orgs import OrgStore
from tests.support.builders import Bench
from tests.support.commands import Commands
from tests.support.scripted import Script, working
from tests.support.service import App, Caller, at, ids_of, kept

HUBSPOT = "/v1/integrations/hubspot/write-back"
CSV = "/v1/integrations/csv/write-back"
OFF = {"log_calls": False, "dispositions": {}, "updated_at": None, "updated_by": None, "write_back": None}
NOTHING_LEFT = {"pending": 0, "oldest_at": None, "failed": 0}
WORKING = {"fields": {"Lead.Status": "Working"}, "remove": False, "call_outcome": None}


def setting(told: Any) -> Any:
    """What was set, without who did it."""
    return {name: told.json[name] for name in ("log_calls", "dispositions")}


async def test_it_is_off_until_an_admin_sets_it(app: App) -> None:
    """For every integration, csv too."""
    acme = await app.org("acme")
    for name in ("salesforce", "hubspot", "csv"):
        left = None if name == "csv" else NOTHING_LEFT
        assert (await acme.get(f"/v1/integrations/{name}/write-back")).json == OFF | {"write_back": left}


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


# what is still to be written


@pytest.fixture
async def left(admin: Caller, client: Commands) -> Caller:
    """Three calls of claims of west and one of none; the CRM refused one of west's, and the one of none."""
    await admin.post("/v1/lists", {"name": "West", "integration": "hubspot", "source": {"kind": "list", "id": "42"}}, 201)
    bench = Bench(client)
    bench.generation = client("GET", bench.key("generation"))
    client("HSET", bench.key("history-readers"), "write-back:hubspot", "0-0")
    told = []
    for number, claim in enumerate(("c1", "c2", "c3", "c4"), 1):
        job = {"claim": claim, "what": "call", "prospect": f"100{number}", "rep": "ana", "at": f"{number}000", "rev": 0, "sent": 1}
        told.append(json.dumps({"kind": "attempt", "job": job | ({"list": "west"} if number < 4 else {}), "due": str(1 << 45), "unsure": False}))
    assert bench.call("follow_write_back", "hubspot", "0-0", "0-1", "{}", *told)[0] == "followed"
    error = json.dumps({"type": "crm-permission", "detail": "The scope x is lacking.", "status": 403})
    for claim in ("c3", "c4"):
        assert bench.call("settle_write_back", "hubspot", 60_000, 3, f"{claim}:call", 0, "failed", error)[0] == "settled"
    return admin


async def test_what_is_left_is_told_of_a_list_and_of_the_whole(left: Caller) -> None:
    """Claims by id are in the whole alone."""
    assert (await left.get("/v1/lists/west")).json["write_back"] == {"pending": 2, "oldest_at": "1970-01-01T00:00:01.000Z", "failed": 1}
    assert (await left.get(HUBSPOT)).json["write_back"] == {"pending": 2, "oldest_at": "1970-01-01T00:00:01.000Z", "failed": 2}
    assert (await left.get("/v1/integrations/salesforce/write-back")).json["write_back"] == NOTHING_LEFT


async def test_what_was_called_a_moment_ago_is_left_though_no_worker_is_there(admin: Caller, orgs: OrgStore) -> None:
    """Of its list, of all lists, and of the whole: how much, and since when."""
    await admin.enable("salesforce")
    await admin.post("/v1/lists", {"id": "west", "name": "West", "integration": "salesforce", "source": {"kind": "report", "id": "00O5e000001AbCdEAK"}}, 201)
    await admin.post("/v1/lists/west/sync", {}, 202)
    await working(orgs, Script([["00Q5e00000AbCdEEAV", "00Q5e00000AbCdFEAV"]])).once()
    await admin.patch("/v1/integrations/salesforce/write-back", {"log_calls": True})
    assert (await admin.get("/v1/lists/west")).json["write_back"] == NOTHING_LEFT
    claim = await admin.take("west")
    expected = {"pending": 1, "oldest_at": claim["attempted_at"], "failed": 0}
    assert (await admin.get("/v1/lists/west")).json["write_back"] == expected
    await admin.take("west")
    (listed,) = await admin.pages("/v1/lists")
    assert listed["write_back"] == {**expected, "pending": 2}
    await admin.claim_one("00Q5e00000AbCdGEAV", "salesforce")
    assert (await admin.get("/v1/integrations/salesforce/write-back")).json["write_back"] == {**expected, "pending": 3}


async def test_what_the_crm_refused_is_told_with_its_reason(left: Caller) -> None:
    """In pages, in the order of its refusal."""
    first = (await left.get(f"{HUBSPOT}/failures?limit=1")).json
    (item,) = first["items"]
    assert item == {
        "id": "c3:call",
        "claim": "c3",
        "prospect": "1003",
        "what": "call",
        "at": item["at"],
        "error": {"type": "/problems/crm-permission", "title": item["error"]["title"], "status": 403, "detail": "The scope x is lacking."},
    }
    assert at(item["at"]).year > 2000
    second = (await left.get(f"{HUBSPOT}/failures?limit=1&cursor={first['next_cursor']}")).json
    assert ([item["id"] for item in second["items"]], second["next_cursor"]) == (["c4:call"], None)
    assert (await left.get("/v1/integrations/salesforce/write-back/failures")).json == {"items": [], "next_cursor": None}


async def test_a_retry_makes_it_due_again_and_ends_a_pause(left: Caller, client: Commands) -> None:
    """202 with how many; repeated, there are none."""
    state = "reservoir:{acme}:write-back:hubspot:state"
    assert client("HGET", state, "tries") == "3"
    for count in (2, 0):
        assert (await left.post(f"{HUBSPOT}/retry", {}, 202)).json == {"retrying": count}
    assert client("HGET", state, "not_before") is None
    assert (await left.get(HUBSPOT)).json["write_back"] == {"pending": 4, "oldest_at": "1970-01-01T00:00:01.000Z", "failed": 0}
    assert (await left.get(f"{HUBSPOT}/failures")).json["items"] == []
    (await left.post("/v1/integrations/pipedrive/write-back/retry", {}, 404)).refused(404, "integration-not-found")


async def test_r17_what_another_org_has_to_write_is_nobody_elses(left: Caller, app: App, client: Commands) -> None:
    """R17: neither what is left nor what was refused is seen or tried again by the key of another org, and a cursor of one opens nothing of the other."""
    cursor = (await left.get(f"{HUBSPOT}/failures?limit=1")).json["next_cursor"]
    before = {key: entry for key, entry in kept(client).items() if "{acme}" in key}
    globex = await app.org("globex")
    assert (await globex.get(HUBSPOT)).json["write_back"] == NOTHING_LEFT
    for query in ("", f"?cursor={cursor}", "?limit=1"):
        assert (await globex.get(f"{HUBSPOT}/failures{query}")).json == {"items": [], "next_cursor": None}
    assert (await globex.post(f"{HUBSPOT}/retry", {}, 202)).json == {"retrying": 0}
    assert {key: entry for key, entry in kept(client).items() if "{acme}" in key} == before


async def test_nothing_of_a_sandbox_org_goes_anywhere(app: App) -> None:
    """Its settings are kept; there is nothing to be written, and the history is not followed."""
    sandbox = await app.org("sand", sandbox=True)
    told = (await sandbox.patch(HUBSPOT, {"log_calls": True})).json
    assert (told["log_calls"], told["write_back"]) == (True, None)
    await sandbox.post("/v1/lists", {"name": "West", "integration": "hubspot", "source": {"kind": "list", "id": "42"}}, 201)
    assert (await sandbox.get("/v1/lists/west")).json["write_back"] is None
    org = await app.services.orgs.get("sand", fresh=True)
    assert org is not None
    assert await app.services.write_back.followed(org) == []
