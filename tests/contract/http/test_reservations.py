"""Reservations: read, looked up, never removed."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, BEN, App, Caller, cursor_of, ids_of, kept, path_part


@pytest.fixture
async def taken(admin: Caller) -> Caller:
    """An org in which Ana has p1 to p4 of west in parallel, Ben holds p5 for an hour, and has c-1 of no list and 7 of hubspot with power."""
    await admin.enable("hubspot")
    await admin.make_list("West", [f"p{number}" for number in range(1, 8)])
    await admin.claim("west", 4)
    await admin.claim("west", 1, **BEN, hold_seconds=3_600)
    await admin.claim_one("c-1", **BEN)
    await admin.claim_one("7", "hubspot", **BEN)
    return admin


async def test_soonest_to_end_first(taken: Caller) -> None:
    """Holds and reservations together, those that end first in front, each as RESERVATION tells it."""
    told = await taken.pages("/v1/reservations")
    assert ids_of(told) == ["p5", "p1", "p2", "p3", "p4", "c-1", "7"]
    assert [one["expires_at"] for one in told] == sorted(one["expires_at"] for one in told)
    first, second = told[0], told[1]
    assert (first["state"], first["attempted_at"], first["rep"], first["mode"], first["list"]) == ("held", None, "ben@acme.com", "parallel", "west")
    assert second == {
        "prospect": {"integration": "csv", "id": "p1"}, "state": "reserved", **ANA, "mode": "parallel", "list": "west", "claim": second["claim"],
        "claimed_at": second["claimed_at"], "attempted_at": second["claimed_at"], "expires_at": second["expires_at"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"rep": "ana@acme.com"}, ["p1", "p2", "p3", "p4"]),
        ({"rep": "ben@acme.com"}, ["p5", "c-1", "7"]),
        ({"session": "s-2"}, ["p5", "c-1", "7"]),
        ({"list": "west"}, ["p5", "p1", "p2", "p3", "p4"]),
        ({"list": "elsewhere"}, []),
        ({"integration": "hubspot"}, ["7"]),
        ({"state": "held"}, ["p5"]),
        ({"state": "reserved"}, ["p1", "p2", "p3", "p4", "c-1", "7"]),
        ({"rep": "ben@acme.com", "integration": "csv", "state": "reserved"}, ["c-1"]),
        ({"rep": "ANA@acme.com"}, []),
        ({"rep": "", "state": "", "list": "", "integration": "", "session": "", "limit": "", "cursor": ""}, ["p5", "p1", "p2", "p3", "p4", "c-1", "7"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 1_000])
async def test_filters_and_pages(taken: Caller, query: dict[str, str], expected: list[str], limit: int) -> None:
    """Each filter and all together, in pages of any size, to the end without a repeat or a gap; an empty value is as none."""
    if "limit" not in query:
        query = query | {"limit": str(limit)}
    assert ids_of(await taken.pages("/v1/reservations", **query)) == expected


async def test_pages_through_many_that_end_at_one_instant(admin: Caller) -> None:
    """Fifty that were taken together are told in pages once each, the last page full or not."""
    await admin.make_list("West", [f"p{number:02d}" for number in range(50)])
    await admin.claim("west", 50)
    for limit in (7, 10, 50, 49):
        told = ids_of(await admin.pages("/v1/reservations", limit=limit))
        assert sorted(told) == [f"p{number:02d}" for number in range(50)]


async def test_an_exact_last_page_has_no_cursor(taken: Caller) -> None:
    """next_cursor is null on the last page, also where it is just full."""
    page = (await taken.get("/v1/reservations", limit=7)).json
    assert (len(page["items"]), page["next_cursor"]) == (7, None)


async def test_live_ones_only(taken: Caller, client: Commands) -> None:
    """What has ended is not told, swept or not."""
    age(client, "acme", "csv:p1", DAY_MS + 1)
    age(client, "acme", "csv:p5", 3_600_001)
    assert ids_of(await taken.pages("/v1/reservations")) == ["p2", "p3", "p4", "c-1", "7"]
    (await taken.get("/v1/reservations/csv/p1", 404)).refused(404, "not-reserved")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"state": "released"}, {"state"}),
        ({"integration": "pipedrive"}, {"integration"}),
        ({"list": "Not A List"}, {"list"}),
        ({"rep": "a\nb"}, {"rep"}),
        ({"session": "x" * 256}, {"session"}),
        ({"limit": "0"}, {"limit"}),
        ({"limit": "1001"}, {"limit"}),
        ({"limit": "1e2"}, {"limit"}),
        ({"limit": "-5"}, {"limit"}),
        ({"limit": "1.0"}, {"limit"}),
        ({"limit": "\N{ARABIC-INDIC DIGIT FIVE}"}, {"limit"}),
        ({"colour": "red"}, {"colour"}),
        ({"limit": "0", "state": "x", "integration": "x", "colour": "red", "cursor": "x"}, {"limit", "state", "integration", "colour", "cursor"}),
    ],
)
async def test_bad_parameters_are_all_named(taken: Caller, query: dict[str, str], where: set[str]) -> None:
    """A parameter that is unknown or has a value that it cannot have is a 422; all of them are named."""
    (await taken.get("/v1/reservations", 422, **query)).invalid(*where)


BAD_CURSORS = [
    "x", "!!!", "\N{LATIN SMALL LETTER E WITH ACUTE}", cursor_of(None), cursor_of([]), cursor_of([1]), cursor_of(["1", "csv:p1"]), cursor_of([1.5, "x"]),
    cursor_of([True, "x"]), cursor_of([1, 2]), cursor_of([1, "x", 3]), cursor_of({"a": 1}), cursor_of([10**30, "x"]), cursor_of([None, None]),
]  # fmt: skip


@pytest.mark.parametrize("cursor", BAD_CURSORS)
async def test_a_bad_cursor_is_refused(taken: Caller, cursor: str) -> None:
    """What no page of this kind ended with is a 422 that names the cursor."""
    (await taken.get("/v1/reservations", 422, cursor=cursor)).invalid("cursor")


@pytest.mark.parametrize("after", [[0, ""], [-1, "x"], [2**62, "zzz"], [1, "\0{}*"], [1, "no colon"], [0, "\N{PARTY POPPER}" * 50]])
async def test_a_cursor_that_somebody_made_harms_nobody(taken: Caller, after: list[Any], client: Commands) -> None:
    """A well-formed cursor that no page ended with is answered with a page, from wherever it points to."""
    before = kept(client)
    told = await taken.get("/v1/reservations", cursor=cursor_of(after))
    assert set(ids_of(told.json["items"])) <= {"p1", "p2", "p3", "p4", "p5", "c-1", "7"}
    assert kept(client) == before


async def test_a_parameter_given_twice(taken: Caller) -> None:
    """Twice the same parameter is a 422, for nobody could tell which one is meant."""
    (await taken("GET", "/v1/reservations?rep=ana&rep=ben")).invalid("rep")


@pytest.mark.parametrize("query", ["rep=%FF", "rep=%ED%A0%80", "rep=%zz", "rep=100%", "rep=%00"])
async def test_a_parameter_that_is_no_text(taken: Caller, query: str) -> None:
    """What is not percent-encoded UTF-8 without control characters is a 422 that names it, and never another value."""
    (await taken("GET", f"/v1/reservations?{query}")).invalid("rep")


async def test_one_prospect(taken: Caller) -> None:
    """The RESERVATION of the list, for one; 404 not-reserved where nobody has the prospect, known or not."""
    (listed,) = [one for one in await taken.pages("/v1/reservations") if one["prospect"]["id"] == "c-1"]
    assert (await taken.get("/v1/reservations/csv/c-1")).json == listed
    (await taken.get("/v1/reservations/csv/p7", 404)).refused(404, "not-reserved")
    (await taken.get("/v1/reservations/csv/nobody", 404)).refused(404, "not-reserved")
    (await taken.get("/v1/reservations/pipedrive/1", 404)).refused(404, "integration-not-found")


async def test_a_bad_id_in_a_path(taken: Caller) -> None:
    """An id that the integration cannot have is a 422 that names it."""
    for integration, id_ in (("salesforce", "xyz"), ("hubspot", "07"), ("csv", "a%00b"), ("csv", "%20"), ("csv", "x" * 256)):
        (await taken.get(f"/v1/reservations/{integration}/{id_}", 422)).invalid("prospect")


STRANGE = [
    "{acme}", "}{", "a:b", "csv:p1", "*", "p?", "[a-z]", "a/b", "..", ".", "../p1", "%41", "%", "100%", "a%2Fb", "a b", "a+b", "a;b", "a#b", "a?b=c", "a&b",
    "a\\b", '"', "'", "a\N{NO-BREAK SPACE}b", "\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{GREEK CAPITAL LETTER OMEGA}",
    "\N{PARTY POPPER}", "\u65e5\u672c", "\u200b", "a\u2028b", "\ufeffx", "!p1", "~", "-", "_", "null", "0", "p1 p2", "$(x)", "x" * 255, "\N{PARTY POPPER}" * 63,
]  # fmt: skip


@pytest.mark.parametrize("id_", STRANGE)
async def test_strange_ids_are_data(admin: Caller, client: Commands, id_: str) -> None:
    """A prospect, rep and session of any characters go through claims, paths, look-ups, filters and lists as they were sent, and are nobody else."""
    await admin.make_list("West", [{"id": id_}, {"id": "plain"}])
    claim = await admin.take("west", rep=id_, session=id_, hold_seconds=600)
    assert (claim["prospect"]["id"], claim["rep"], claim["session"]) == (id_, id_, id_)
    assert (await admin.get(f"/v1/reservations/csv/{path_part(id_)}")).json["claim"] == claim["id"]
    assert (await admin.post("/v1/reservations/lookup", {"prospects": [{"integration": "csv", "id": id_}]}, 200)).json["reservations"][0]["rep"] == id_
    for filters in ({"rep": id_}, {"session": id_}):
        assert ids_of(await admin.pages("/v1/reservations", **filters)) == [id_]
    members = await admin.pages("/v1/lists/west/members", rep=id_)
    assert [(one["prospect"]["id"], one["status"]) for one in members] == [(id_, "held"), ("plain", "available")]
    assert id_ in ids_of(await admin.pages("/v1/lists/west/members", q=id_))
    (await admin.claim_one(id_, expect=409)).refused(409, "prospect-reserved")
    await admin.after(claim, "attempt", expect=200)
    await admin.after(claim, "disposition", {"outcome": "busy", "remove": True}, 200)
    age(client, "acme", f"csv:{id_}", DAY_MS + 1)
    assert (await admin.take("west", rep=id_))["prospect"]["id"] == "plain"
    assert (await admin.take("west", rep=id_ + "!" if len(id_) < 200 else "other"))["prospect"]["id"] == id_


@pytest.mark.parametrize("part", ["%FF", "%ED%A0%80", "%C3", "%zz", "%", "100%", "a%2"])
async def test_a_path_that_is_no_text_is_nobody(admin: Caller, part: str) -> None:
    """An id in a path that is not percent-encoded UTF-8 is a 422, and never taken for the one that is written so."""
    await admin.claim_one(part)
    told = await admin.get(f"/v1/reservations/csv/{path_part(part)}")
    assert told.json["prospect"]["id"] == part
    (await admin.get(f"/v1/reservations/csv/{part}", 422)).invalid("prospect")


async def test_lookup_answers_in_order(taken: Caller) -> None:
    """One answer for each that was asked, in the same order, null where nobody has the prospect; the same one twice is told twice."""
    asked = [("csv", "p2"), ("csv", "nobody"), ("hubspot", "7"), ("csv", "p2"), ("salesforce", "00Q5e00000AbCdE"), ("csv", "p5")]
    told = (await taken.post("/v1/reservations/lookup", {"prospects": [{"integration": name, "id": id_} for name, id_ in asked]}, 200)).json["reservations"]
    assert [one and (one["prospect"]["integration"], one["prospect"]["id"], one["state"]) for one in told] == [
        ("csv", "p2", "reserved"), None, ("hubspot", "7", "reserved"), ("csv", "p2", "reserved"), None, ("csv", "p5", "held"),
    ]  # fmt: skip
    assert told[0] == (await taken.get("/v1/reservations/csv/p2")).json


async def test_lookup_of_a_thousand_and_of_none(taken: Caller) -> None:
    """Up to 1,000 at once; none is an answer with none."""
    prospects = [{"integration": "csv", "id": f"p{number}"} for number in range(1_000)]
    told = (await taken.post("/v1/reservations/lookup", {"prospects": prospects}, 200)).json["reservations"]
    assert [number for number, one in enumerate(told) if one] == [1, 2, 3, 4, 5]
    assert (await taken.post("/v1/reservations/lookup", {"prospects": []}, 200)).json == {"reservations": []}


async def test_a_bad_lookup_names_each_bad_prospect(taken: Caller) -> None:
    """1,001, and each bad id or integration, are a 422 that points at it."""
    prospects = [{"integration": "csv", "id": f"p{number}"} for number in range(1_001)]
    (await taken.post("/v1/reservations/lookup", {"prospects": prospects})).invalid("/prospects")
    named: list[Any] = [{"integration": integration, "id": id_} for integration, id_ in (("csv", "p1"), ("csv", ""), ("x", "1"), ("hubspot", "a"))]
    bad = [*named[:3], {"id": "1"}, named[3], 5]
    where = ["/prospects/1/id", "/prospects/2/integration", "/prospects/3/integration", "/prospects/4/id", "/prospects/5"]
    (await taken.post("/v1/reservations/lookup", {"prospects": bad})).invalid(*where)
    (await taken.post("/v1/reservations/lookup", {})).invalid("/prospects")


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST"])
async def test_r6_there_is_no_way_to_remove_a_reservation(taken: Caller, method: str, client: Commands) -> None:
    """R6: no method but GET is allowed on a reservation, and none on all of them, for the admin either."""
    before = kept(client)
    for path in ("/v1/reservations/csv/p1", "/v1/reservations"):
        told = (await taken(method, path, {} if method != "DELETE" else {"expires_at": None})).refused(405, "method-not-allowed")
        assert told.headers["Allow"] == "GET"
    assert kept(client) == before


async def test_r6_nothing_an_admin_may_do_removes_a_reservation(app: App, admin: Caller) -> None:
    """R6: not release, not a list's deletion or new content, not a shorter timeout, not switching the mode off, not another time zone, not a revoked key."""
    await admin.make_list("West", ["p1", "p2"])
    dialer = await app.member_of("acme", "dial")
    claim = await dialer.take("west")
    await admin.after(claim, "release", expect=409)
    await admin.after(claim, "extend", {"seconds": 5}, 200)
    await admin.after(claim, "disposition", {"outcome": "wrong_number", "remove": True}, 200)
    await admin.enable(enabled=False, unit="hour", duration=1)
    await admin.patch("/v1/org", {"time_zone": "Asia/Tokyo"}, 200)
    await admin.fill("west", ["p9"])
    await admin("DELETE", "/v1/lists/west", expect=204)
    for key in (await admin.get("/v1/api-keys")).json["items"]:
        if key["scopes"] == ["dial"]:
            await admin("DELETE", f"/v1/api-keys/{key['id']}", expect=204)
    told = (await admin.get("/v1/reservations/csv/p1")).json
    assert (told["claim"], told["expires_at"], told["list"]) == (claim["id"], claim["expires_at"], "west")


async def test_a_key_that_an_operator_set_by_hand_is_told(admin: Caller, client: Commands) -> None:
    """A reservation that is a key and nothing else blocks, and is told as what it is: by nobody, and until its key ends."""
    client("SET", "reservoir:{acme}:reservation:csv:p1", "an operator's", "EX", 600)
    told = (await admin.get("/v1/reservations/csv/p1")).json
    assert (told["state"], told["rep"], told["session"], told["mode"], told["claim"], told["claimed_at"]) == ("reserved", None, None, None, None, None)
    refused = (await admin.claim_one("p1", expect=409)).refused(409, "prospect-reserved")
    assert refused.json["reservation"] == told
