"""Lists: created, told, changed, deleted, and how they stand."""

import asyncio
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import Caller, cursor_of, ids_of, kept, lasts_ms
from tests.support.waiting import await_until

NO_PLAN = {"every_minutes": None, "refill_below": None, "fetch": "all"}
SOQL = {"kind": "soql", "query": "SELECT Id FROM Lead"}
REPORT: dict[str, Any] = {"kind": "report", "id": "00O5e000001AbCd"}


async def test_a_list_is_told_whole(admin: Caller) -> None:
    """201 with LIST, all that was given and nothing that was not; GET tells the same."""
    plan = {"every_minutes": 30, "refill_below": 50, "fetch": "all"}
    body = {"id": "q4-west", "name": "Q4 West", "integration": "salesforce", "source": REPORT, "sync": plan}
    told = (await admin.post("/v1/lists", body, 201)).json
    assert told == {
        "id": "q4-west", "name": "Q4 West", "integration": "salesforce", "source": REPORT, "sync": plan, "created_at": told["created_at"],
        "multi_rep_dialing": False, "counts": {"members": 0, "available": 0, "held": 0, "reserved": 0, "undialable": 0}, "fetched": 0, "truncated": False,
        "clogged": 0, "next_available_at": None, "advice": None, "write_back": {"pending": 0, "oldest_at": None, "failed": 0}, "last_sync": None,
    }  # fmt: skip
    assert (await admin.get("/v1/lists/q4-west")).json == told


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("Q4 West", ["q4-west", "q4-west-2", "q4-west-3"]),
        ("  Zoë's   list!! ", ["zoe-s-list", "zoe-s-list-2"]),
        ("\u9867\u5ba2", ["list", "list-2"]),
        ("---", ["list", "list-2"]),
        ("a" * 100, ["a" * 64, "a" * 62 + "-2"]),
        ("a" * 61 + " b c", ["a" * 61 + "-b", "a" * 61 + "-2"]),
    ],
)
async def test_an_id_is_made_from_the_name(admin: Caller, name: str, ids: list[str]) -> None:
    """Without an id, or with null, it is the name's letters and digits; where that is taken, -2, -3 and so on."""
    made = [(await admin.post("/v1/lists", {"name": name, "integration": "csv"} | given, 201)).json["id"] for given in ({}, {"id": None}, {})[: len(ids)]]
    assert made == ids
    assert all(len(id_) <= 64 for id_ in made)


async def test_many_at_once_get_ids_of_their_own(admin: Caller) -> None:
    """Lists of one name that are created at once are all there, under different ids."""
    told = await asyncio.gather(*(admin.post("/v1/lists", {"name": "West", "integration": "csv"}, 201) for _ in range(12)))
    assert {one.json["id"] for one in told} == {"west", *(f"west-{number}" for number in range(2, 13))}


async def test_a_given_id_that_is_taken(admin: Caller, client: Commands) -> None:
    """409 list-exists, and the list that has it stays as it is."""
    await admin.make_list("West", ["p1"])
    before = kept(client)
    (await admin.post("/v1/lists", {"id": "west", "name": "Another", "integration": "csv"})).refused(409, "list-exists")
    assert kept(client) == before


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["/name", "/integration"]),
        ({"name": "", "integration": "csv"}, ["/name"]),
        ({"name": "   ", "integration": "csv"}, ["/name"]),
        ({"name": "x" * 256, "integration": "csv"}, ["/name"]),
        ({"name": "a\nb", "integration": "csv"}, ["/name"]),
        ({"name": "a", "integration": "pipedrive"}, ["/integration"]),
        ({"name": "a", "integration": "csv", "id": "A"}, ["/id"]),
        ({"name": "a", "integration": "csv", "id": "a--b"}, ["/id"]),
        ({"name": "a", "integration": "csv", "id": "-a"}, ["/id"]),
        ({"name": "a", "integration": "csv", "id": "a" * 65}, ["/id"]),
        ({"name": "a", "integration": "csv", "id": ""}, ["/id"]),
        ({"name": "a", "integration": "csv", "source": REPORT}, ["/source"]),
        ({"name": "a", "integration": "salesforce"}, ["/source"]),
        ({"name": "a", "integration": "salesforce", "source": {"kind": "list", "id": "1"}}, ["/source/kind"]),
        ({"name": "a", "integration": "hubspot", "source": REPORT}, ["/source/kind"]),
        ({"name": "a", "integration": "salesforce", "source": {"kind": "report"}}, ["/source/id"]),
        ({"name": "a", "integration": "salesforce", "source": {"kind": "soql", "id": "1"}}, ["/source/id", "/source/query"]),
        ({"name": "a", "integration": "salesforce", "source": {"kind": "soql", "query": "SELECT Id FROM Account"}}, ["/source/query"]),
        ({"name": "a", "integration": "salesforce", "source": {"kind": "soql", "query": "SELECT Id FROM Lead", "id": "1"}}, ["/source/id"]),
        ({"name": "a", "integration": "salesforce", "source": {"kind": "view", "id": "1"}}, ["/source/kind"]),
        ({"name": "a", "integration": "salesforce", "source": REPORT | {"query": "SELECT Id FROM Lead"}}, ["/source/query"]),
        ({"name": "a", "integration": "salesforce", "source": {"id": "1"}}, ["/source/kind"]),
        ({"name": "a", "integration": "hubspot", "source": {"kind": "list", "id": "1"}, "sync": {"fetch": "first_page"}}, ["/sync/fetch"]),
        ({"name": "a", "integration": "csv", "sync": {"fetch": "first_page"}}, ["/sync/fetch"]),
        (
            {"name": "a", "integration": "salesforce", "source": REPORT | {"columns": {"phones": [1], "colour": "x"}}},
            ["/source/columns/phones/0", "/source/columns/colour"],
        ),
        (
            {"name": "a", "integration": "csv", "sync": {"every_minutes": 0, "refill_below": -1, "fetch": "some", "x": 1}},
            ["/sync/every_minutes", "/sync/refill_below", "/sync/fetch", "/sync/x"],
        ),
        ({"name": "a", "integration": "csv", "sync": {"every_minutes": 1.0}}, ["/sync/every_minutes"]),
        ({"name": "a", "integration": "csv", "colour": "red", "created_at": "now"}, ["/colour", "/created_at"]),
    ],
)
async def test_a_bad_list_is_refused(admin: Caller, body: Any, where: list[str]) -> None:
    """A 422 that points at every bad field, and no list."""
    (await admin.post("/v1/lists", body)).invalid(*where)
    assert await admin.pages("/v1/lists") == []


@pytest.mark.parametrize(
    ("integration", "source"),
    [
        ("salesforce", {"kind": "report", "id": "00O5e000001AbCd"}),
        ("salesforce", {"kind": "list_view", "id": "00B5e000001AbCd", "columns": {"name": "Full_Name__c", "phones": ["Phone", "Mobile__c"]}}),
        ("salesforce", {"kind": "soql", "query": "SELECT Id, Name, Phone FROM Lead"}),
        ("salesforce", {"kind": "campaign", "id": "7015e000001AbCd"}),
        ("hubspot", {"kind": "list", "id": "42"}),
    ],
)
async def test_sources(admin: Caller, integration: str, source: dict[str, Any]) -> None:
    """Each kind of source is kept and told as it was given."""
    await admin.post("/v1/lists", {"id": "a", "name": "A", "integration": integration, "source": source}, 201)
    assert (await admin.get("/v1/lists/a")).json["source"] == source


async def test_every_key_of_sync_is_optional_and_may_be_null(admin: Caller) -> None:
    """No schedule and no refill, be they left out or null, or the whole of it."""
    plans: list[dict[str, Any] | None] = [{}, {"every_minutes": None, "refill_below": None}, {"refill_below": 5}, None]
    for number, plan in enumerate(plans):
        body = {"id": f"l-{number}", "name": "A", "integration": "salesforce", "source": REPORT, "sync": plan}
        assert (await admin.post("/v1/lists", body, 201)).json["sync"] == NO_PLAN | (plan or {})


async def test_pages_of_lists(admin: Caller) -> None:
    """All lists by id, in pages of any size, each told as it is alone."""
    await asyncio.gather(*(admin.make_list(f"L {number:02d}") for number in range(11)))
    expected = [f"l-{number:02d}" for number in range(11)]
    for limit in (1, 4, 11, 1_000):
        assert [one["id"] for one in await admin.pages("/v1/lists", limit=limit)] == expected
    assert (await admin.get("/v1/lists", limit=1)).json["items"] == [(await admin.get("/v1/lists/l-00")).json]
    for cursor in ("x", cursor_of([1]), cursor_of("l-00"), cursor_of([]), cursor_of(["l-00", "l-01"])):
        (await admin.get("/v1/lists", 422, cursor=cursor)).invalid("cursor")
    (await admin.get("/v1/lists", 422, limit=0, colour="red")).invalid("limit", "colour")


async def test_a_list_that_is_not_there(admin: Caller) -> None:
    """404 list-not-found, for everything that can be asked of a list."""
    for path in ("/v1/lists/nowhere", "/v1/lists/nowhere/members", "/v1/lists/nowhere/sync", "/v1/lists/No%20List"):
        (await admin.get(path, 404)).refused(404, "list-not-found")
    (await admin.patch("/v1/lists/nowhere", {"name": "x"})).refused(404, "list-not-found")
    (await admin("DELETE", "/v1/lists/nowhere")).refused(404, "list-not-found")
    (await admin.put("nowhere", b"id,phone\np1,+14155550100\n")).refused(404, "list-not-found")


# Changing


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({}, {}),
        ({"name": "New"}, {"name": "New"}),
        ({"sync": {"every_minutes": 5}}, {"sync": {"every_minutes": 5, "refill_below": 50, "fetch": "all"}}),
        ({"sync": {"every_minutes": None, "refill_below": None}}, {"sync": NO_PLAN}),
        ({"sync": None}, {"sync": NO_PLAN}),
        ({"source": {"id": "00O5e000001AbCe"}}, {"source": {"kind": "report", "id": "00O5e000001AbCe", "columns": {"name": "N", "owner": "O"}}}),
        ({"source": {"columns": {"name": None}}}, {"source": REPORT | {"columns": {"owner": "O"}}}),
        ({"source": {"columns": None}}, {"source": REPORT}),
        ({"source": SOQL | {"id": None, "columns": None}}, {"source": SOQL}),
    ],
)
async def test_a_patch_is_merged(admin: Caller, patch: dict[str, Any], expected: dict[str, Any]) -> None:
    """What a patch names is changed, null takes away what may go, and the rest stays."""
    body = {"id": "a", "name": "A", "integration": "salesforce", "source": REPORT | {"columns": {"name": "N", "owner": "O"}},
            "sync": {"every_minutes": 30, "refill_below": 50}}  # fmt: skip
    before = (await admin.post("/v1/lists", body, 201)).json
    assert (await admin.patch("/v1/lists/a", patch, 200)).json == before | expected
    assert (await admin.get("/v1/lists/a")).json == before | expected


@pytest.mark.parametrize(
    ("patch", "where"),
    [
        ({"name": None}, ["/name"]),
        ({"name": 1, "colour": "red"}, ["/name", "/colour"]),
        ({"id": "b"}, ["/id"]),
        ({"integration": "csv"}, ["/integration"]),
        ({"integration": "salesforce", "name": ""}, ["/integration", "/name"]),
        ({"source": None}, ["/source"]),
        ({"source": {"id": None}}, ["/source/id"]),
        ({"source": {"kind": "soql"}}, ["/source/id", "/source/query"]),
        ({"sync": {"every_minutes": 0}}, ["/sync/every_minutes"]),
        ({"created_at": "2026-01-01T00:00:00.000Z"}, ["/created_at"]),
        ([], [""]),
        ("x", [""]),
        (None, [""]),
    ],
)
async def test_a_bad_patch_changes_nothing(admin: Caller, patch: Any, where: list[str], client: Commands) -> None:
    """The whole is checked as it would be; a 422 points at what is wrong, and the list is as it was."""
    await admin.post("/v1/lists", {"id": "a", "name": "A", "integration": "salesforce", "source": REPORT}, 201)
    before = kept(client)
    (await admin.patch("/v1/lists/a", patch)).invalid(*where)
    assert kept(client) == before


async def test_if_match(admin: Caller) -> None:
    """An ETag comes with the list; a patch under one that holds no longer is 412, * and the current one hold."""
    created = await admin.post("/v1/lists", {"name": "A", "integration": "csv"}, 201)
    read = await admin.get("/v1/lists/a")
    assert read.headers["ETag"] == created.headers["ETag"]
    changed = await admin.patch("/v1/lists/a", {"name": "B"}, 200, if_match=read.headers["ETag"])
    assert changed.headers["ETag"] != read.headers["ETag"]
    (await admin.patch("/v1/lists/a", {"name": "C"}, if_match=read.headers["ETag"])).refused(412, "precondition-failed")
    for tag in ("*", f'"x", {changed.headers["ETag"]}'):
        await admin.patch("/v1/lists/a", {"name": "B"}, 200, if_match=tag)
    assert (await admin.get("/v1/lists/a")).json["name"] == "B"


async def test_two_admins_at_once_lose_no_update(admin: Caller) -> None:
    """Patches of different parts of one list at once are all there afterwards."""
    await admin.post("/v1/lists", {"id": "a", "name": "A", "integration": "salesforce", "source": REPORT}, 201)
    patches: list[dict[str, Any]] = [{"name": "B"}, {"sync": {"every_minutes": 7}}, {"sync": {"refill_below": 9}}, {"source": {"id": "00O5e000001AbCe"}}]
    await asyncio.gather(*(admin.patch("/v1/lists/a", patch, 200) for patch in patches))
    told = (await admin.get("/v1/lists/a")).json
    assert (told["name"], told["source"]["id"], told["sync"]) == ("B", "00O5e000001AbCe", {"every_minutes": 7, "refill_below": 9, "fetch": "all"})


# Deleting


async def test_a_deleted_list_is_gone_and_its_id_is_free_at_once(admin: Caller, client: Commands) -> None:
    """204; nothing of it is left but the reservations, and a new list of the same id has members, removals and places of its own."""
    await admin.make_list("West", [f"p{number}" for number in range(600)])
    claim = await admin.take("west")
    await admin.after(claim, "disposition", {"outcome": "busy", "remove": True}, 200)
    assert (await admin("DELETE", "/v1/lists/west", expect=204)).text == ""
    (await admin("DELETE", "/v1/lists/west")).refused(404, "list-not-found")
    assert not [key for key in kept(client) if ":list:" in key or "lists-of" in key or "sweep:" in key]
    assert await admin.make_list("West", ["p1", "p0"]) == "west"
    assert (await admin.counts("west"))["reserved"] == 1
    age(client, "acme", "csv:p0", DAY_MS + 1)
    assert ids_of((await admin.claim("west", 2)).json["claims"]) == ["p1", "p0"]


async def test_reservations_and_claims_outlive_their_list(admin: Caller) -> None:
    """R12: after the list's deletion its holds are attempted and released, its reservations stay, and their data is unknown."""
    await admin.make_list("West", [{"id": "p1", "name": "Dana"}, {"id": "p2"}, {"id": "p3"}])
    one, two = [await admin.take("west", hold_seconds=600) for _ in range(2)]
    three = await admin.take("west")
    await admin("DELETE", "/v1/lists/west", expect=204)
    attempted = (await admin.after(one, "attempt", expect=200)).json
    assert (attempted["list"], attempted["prospect"]["name"], attempted["prospect"]["phones"]) == ("west", None, [])
    await admin.after(two, "release", expect=200)
    (await admin.after(three, "disposition", {"outcome": "busy", "remove": True}, 200))
    assert ids_of(await admin.pages("/v1/reservations")) == ["p3", "p1"]


# How it stands


async def test_counts_are_exact_at_every_moment(admin: Caller, client: Commands) -> None:
    """available + held + reserved + undialable = members, after everything that changes them, swept or not."""
    await admin.make_list("West", [*(f"p{number}" for number in range(6)), {"id": "d1", "do_not_call": "x"}])

    async def stands(**expected: int) -> None:
        counts = await admin.counts("west")
        assert counts == {"members": 7, "available": 6, "held": 0, "reserved": 0, "undialable": 1} | expected

    await stands()
    held = await admin.take("west", hold_seconds=600)
    await stands(available=5, held=1)
    await admin.after(held, "attempt", expect=200)
    await stands(available=5, reserved=1)
    second = await admin.take("west", hold_seconds=600)
    await stands(available=4, held=1, reserved=1)
    await admin.after(second, "release", expect=200)
    await stands(available=5, reserved=1)
    await admin.claim_one("p5", hold_seconds=600)
    await stands(available=4, held=1, reserved=1)
    age(client, "acme", "csv:p5", 600_001)
    await stands(available=5, reserved=1)
    age(client, "acme", "csv:p0", DAY_MS + 1)
    await stands()


async def test_clogged_is_not_rounded(admin: Caller) -> None:
    """reserved / (members - undialable): 1/3 is 1/3; 0 where nothing is dialable; holds do not count."""
    await admin.make_list("West", ["p1", "p2", "p3", {"id": "d1", "do_not_call": "x"}])
    await admin.claim("west")
    await admin.claim("west", hold_seconds=600)
    assert (await admin.get("/v1/lists/west")).json["clogged"] == 1 / 3
    await admin.make_list("East", [{"id": "d1", "do_not_call": "x"}])
    assert (await admin.get("/v1/lists/east")).json["clogged"] == 0


async def test_an_undialable_member_counts_as_undialable_only(admin: Caller) -> None:
    """Reserved through another list, where it can be dialed, it is still undialable here, and clogs nothing."""
    await admin.make_list("West", ["p1", "p2"])
    await admin.make_list("East", [{"id": "p1", "do_not_call": "x"}, {"id": "p2"}])
    assert ids_of((await admin.claim("west", 2)).json["claims"]) == ["p1", "p2"]
    told = (await admin.get("/v1/lists/east")).json
    assert told["counts"] == {"members": 2, "available": 0, "held": 0, "reserved": 1, "undialable": 1}
    assert told["clogged"] == 1


async def test_next_available_at(admin: Caller) -> None:
    """null while some are available; else when the first of the held and reserved frees; null if none will."""
    await admin.make_list("West", ["p1", "p2"])
    held = await admin.take("west", hold_seconds=600)
    assert (await admin.get("/v1/lists/west")).json["next_available_at"] is None
    await admin.take("west")
    assert (await admin.get("/v1/lists/west")).json["next_available_at"] == held["expires_at"]
    await admin.make_list("Empty")
    assert (await admin.get("/v1/lists/empty")).json["next_available_at"] is None


async def test_multi_rep_dialing_is_told(admin: Caller) -> None:
    """A list says whether the mode is on for its integration, at once after it is switched."""
    await admin.make_list("West")
    for enabled in (True, False, True):
        await admin.enable(enabled=enabled)
        assert (await admin.get("/v1/lists/west")).json["multi_rep_dialing"] is enabled


# Members


async def test_members_in_list_order_each_with_how_it_stands(admin: Caller) -> None:
    """The first of undialable, held or reserved, removed (for that rep), available that is true, and who has it whatever the status."""
    await admin.make_list("West", ["p1", "p2", "p3", {"id": "d1", "do_not_call": "x"}, "p4"])
    reserved, held = await admin.take("west"), await admin.take("west", hold_seconds=600)
    gone = await admin.take("west")
    await admin.after(gone, "disposition", {"outcome": "busy", "remove": True}, 200)
    members = await admin.pages("/v1/lists/west/members")
    assert [(one["prospect"]["id"], one["status"], one["reason"]) for one in members] == [
        ("p1", "reserved", None), ("p2", "held", None), ("p3", "reserved", None), ("d1", "undialable", "do-not-call"), ("p4", "available", None),
    ]  # fmt: skip
    assert [one["reservation"] and one["reservation"]["claim"] for one in members] == [reserved["id"], held["id"], gone["id"], None, None]
    assert members[0]["reservation"] == (await admin.get("/v1/reservations/csv/p1")).json
    assert members[4]["prospect"]["phones"] == [{"label": "phone", "number": "+14155550100", "extension": None}]


async def test_removed_is_for_that_rep(admin: Caller, client: Commands) -> None:
    """Once it is free again, the member is `removed` for the rep who removed it and `available` for others."""
    await admin.make_list("West", ["p1"])
    claim = await admin.take("west")
    await admin.after(claim, "disposition", {"outcome": "busy", "remove": True}, 200)
    age(client, "acme", "csv:p1", DAY_MS + 1)
    for rep, status in (("ana@acme.com", "removed"), ("ben@acme.com", "available"), ("", "available")):
        assert [one["status"] for one in await admin.pages("/v1/lists/west/members", rep=rep)] == [status]


@pytest.mark.parametrize("limit", [1, 3, 1_000])
async def test_status_filters(admin: Caller, limit: int) -> None:
    """Each status alone, in pages, in list order."""
    await admin.make_list("West", ["p1", "p2", "p3", {"id": "d1", "do_not_call": "x"}, "p4", "p5", {"id": "d2", "do_not_call": "x"}])
    await admin.claim("west", 2)
    await admin.claim("west", hold_seconds=600)
    for status, expected in {
        "available": ["p4", "p5"], "reserved": ["p1", "p2"], "held": ["p3"], "undialable": ["d1", "d2"], "removed": [],
        "": ["p1", "p2", "p3", "d1", "p4", "p5", "d2"],
    }.items():  # fmt: skip
        assert ids_of(await admin.pages("/v1/lists/west/members", status=status, limit=limit)) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("dana", ["c-1"]),
        ("ANA", ["c-1"]),
        ("O\N{MODIFIER LETTER APOSTROPHE}", []),
        ("555010", ["c-1", "c-2"]),
        ("+1415", ["c-1", "c-2"]),
        ("(415) 555-01", ["c-1", "c-2"]),
        ("415 555 0101", ["c-2"]),
        ("( )", []),
        ("c-", ["c-1", "c-2", "c-3"]),
        ("\N{LATIN SMALL LETTER SHARP S}", ["c-3"]),
        ("STRASSE", ["c-3"]),
        (".*", []),
        ("", ["c-1", "c-2", "c-3"]),
    ],
)
async def test_q_is_a_part_of_name_number_or_id(admin: Caller, q: str, expected: list[str]) -> None:
    """Case aside, as text and never as a pattern."""
    rows = [
        {"id": "c-1", "name": "Dana Ito", "phone": "+14155550100"},
        {"id": "c-2", "name": "Kim", "phone": "+14155550101"},
        {"id": "c-3", "name": "Frau Stra\N{LATIN SMALL LETTER SHARP S}e", "phone": "+4930123456"},
    ]
    await admin.make_list("West", rows)
    assert ids_of(await admin.pages("/v1/lists/west/members", q=q)) == expected


async def test_pages_of_members(admin: Caller) -> None:
    """A thousand members and more in pages of any size, once each and in order, also after another run."""
    first = [f"p{number:04d}" for number in range(1_010)]
    await admin.make_list("West", first)
    assert ids_of(await admin.pages("/v1/lists/west/members", limit=1_000)) == first
    second = first[300::-1]
    await admin.fill("west", second)
    for limit in (7, 301):
        assert ids_of(await admin.pages("/v1/lists/west/members", limit=limit)) == second
    page = (await admin.get("/v1/lists/west/members")).json
    assert (len(page["items"]), page["next_cursor"] is None) == (100, False)


async def test_with_a_filter_a_page_may_be_empty_and_goes_on(admin: Caller) -> None:
    """A filter that finds the last of six thousand members only is answered in short pages whose cursors lead there."""
    await admin.make_list("West", [*({"id": f"p{number}", "phone": "+14155550100"} for number in range(6_000)), {"id": "last-one", "phone": "+14155550100"}])
    first = (await admin.get("/v1/lists/west/members", q="last-one")).json
    assert first["items"] == []
    assert first["next_cursor"] is not None
    assert ids_of(await admin.pages("/v1/lists/west/members", q="last-one")) == ["last-one"]


BAD_CURSORS = ["x", *map(cursor_of, (["abc"], ["-inf"], ["("], ["1"], [1.5], [True], [], [1, 2], [10**30]))]


@pytest.mark.parametrize("cursor", BAD_CURSORS)
async def test_a_bad_cursor_of_members(admin: Caller, cursor: str) -> None:
    """422 that names the cursor."""
    await admin.make_list("West", ["p1"])
    (await admin.get("/v1/lists/west/members", 422, cursor=cursor)).invalid("cursor")


async def test_bad_parameters_of_members(admin: Caller) -> None:
    """All of them are named; on a list that is not there, 404 comes first."""
    await admin.make_list("West", ["p1"])
    bad = {"status": "gone", "limit": 0, "rep": "a\0", "session": "s-1"}
    (await admin.get("/v1/lists/west/members", 422, **bad)).invalid("status", "limit", "rep", "session")
    (await admin.get("/v1/lists/nowhere/members", 404, **bad)).refused(404, "list-not-found")


async def test_a_hold_that_lapses_is_seen_to(admin: Caller, client: Commands) -> None:
    """R13: counts, members and reservations tell of the same instant, though nobody sweeps."""
    await admin.make_list("West", ["p1"])
    held = await admin.take("west", hold_seconds=5)
    age(client, "acme", "csv:p1", lasts_ms(held) - 300)

    async def available() -> bool:
        return bool((await admin.counts("west"))["available"])

    await await_until(available, "the hold to lapse")
    assert [one["status"] for one in await admin.pages("/v1/lists/west/members")] == ["available"]
    assert await admin.pages("/v1/reservations") == []
    assert (await admin.get("/v1/lists/west")).json["next_available_at"] is None


async def test_a_null_fetch_is_the_default(admin: Caller) -> None:
    """Every key of a plan may be null: what is to be fetched is then all, told so, at creation as after a patch."""
    nothing = {"every_minutes": None, "refill_below": None, "fetch": None}
    told = (await admin.post("/v1/lists", {"id": "west", "name": "West", "integration": "salesforce", "source": REPORT, "sync": nothing}, 201)).json
    assert told["sync"] == NO_PLAN
    await admin.patch("/v1/lists/west", {"sync": {"fetch": "first_page"}}, 200)
    assert (await admin.patch("/v1/lists/west", {"sync": {"fetch": None}}, 200)).json["sync"] == NO_PLAN
