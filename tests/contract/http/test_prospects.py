"""Prospects over all lists: searched by id, number and name, and one by its id."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.keyspace import snapshot
from tests.support.service import App, Caller, ids_of

PEOPLE = [
    {"id": "P-1", "name": "Dana Núñez", "phone": "+1 415 555 0100", "company": "Northwind"},
    {"id": "P-2", "name": "Daniel O'Brien", "phone": "(415) 555-0101 ext. 7"},
    {"id": "P-3", "name": "Marta von Danzig", "phone": "+44 20 7946 0018"},
    {"id": "P-4", "name": "山田 太郎", "phone": "+14155550104", "mobile": "+14155550199"},
]


@pytest.fixture
async def acme(admin: Caller) -> Caller:
    """An org whose list west has all four people, and east two of them."""
    await admin.make_list("West", PEOPLE)
    await admin.make_list("East", [PEOPLE[0], {**PEOPLE[2], "name": "Marta Danzig-Ito"}])
    return admin


async def found(caller: Caller, q: str) -> list[str]:
    """Whom a search finds."""
    return ids_of((await caller.get("/v1/prospects", q=q)).json["items"])


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("P-1", ["P-1"]),
        (" P-1 ", ["P-1"]),
        ("+14155550100", ["P-1"]),
        ("415.555.0100", ["P-1"]),
        ("(415) 555-0100", ["P-1"]),
        ("1 415 555 0100", ["P-1"]),
        ("011 44 20 7946 0018", ["P-3"]),
        ("+44 (0)20 7946 0018", ["P-3"]),
        ("+1 415 555 0101", ["P-2"]),
        ("415-555-0101 x7", ["P-2"]),
        ("415-555-0101 x8", []),
        ("+14155550199", ["P-4"]),
        ("415 555", []),
        ("da", ["P-1", "P-2", "P-3"]),
        ("DANA", ["P-1"]),
        ("nunez", ["P-1"]),
        ("NÚÑ", ["P-1"]),
        ("o'br", ["P-2"]),
        ("obrien daniel", ["P-2"]),
        ("da nu", ["P-1"]),
        ("d núñez", ["P-1"]),
        ("dana obrien", []),
        ("anzig", []),
        ("von", ["P-3"]),
        ("ito marta", ["P-3"]),
        ("von ito", []),
        ("太郎", ["P-4"]),
        ("Northwind", []),
        ("nobody", []),
        ("[da *", ["P-1", "P-2", "P-3"]),
        ("da\N{COMBINING LATIN SMALL LETTER X}", ["P-1", "P-2", "P-3"]),
    ],
)
async def test_finds_by_id_number_and_beginnings_of_words(acme: Caller, q: str, expected: list[str]) -> None:
    """GET /v1/prospects?q=: the record id; the number however written; each word begins a word of the name, in one list or another."""
    assert sorted(await found(acme, q)) == expected


async def test_tells_the_lists_and_who_has_them(acme: Caller) -> None:
    """Each with its data, all its lists, and the reservation or null."""
    claim = await acme.take("west")
    (one,) = (await acme.get("/v1/prospects", q="dana")).json["items"]
    assert one == {"prospect": claim["prospect"], "lists": ["east", "west"], "reservation": (await acme.get("/v1/reservations/csv/P-1")).json}
    assert (await acme.get("/v1/prospects/csv/P-1")).json == one
    (other,) = (await acme.get("/v1/prospects", q="+14155550101")).json["items"]
    assert (other["lists"], other["reservation"], other["prospect"]["phones"][0]["extension"]) == (["west"], None, "7")


@pytest.mark.parametrize(("q", "name"), [("von", "Marta von Danzig"), ("ito", "Marta Danzig-Ito")])
async def test_shows_the_data_by_which_it_found(acme: Caller, q: str, name: str) -> None:
    """Where two lists know somebody by two names, the answer has the one that was asked for."""
    (one,) = (await acme.get("/v1/prospects", q=q)).json["items"]
    assert (one["prospect"]["name"], one["lists"]) == (name, ["east", "west"])


@pytest.mark.parametrize("q", ["", "a", " a ", "7", "é", "--", "+", "' '"])
async def test_fewer_than_two_letters_are_refused(acme: Caller, q: str) -> None:
    """At least 2 letters, else 422 that names q; so too where there is none."""
    (await acme.get("/v1/prospects", 422, q=q)).invalid("q")


async def test_bad_queries(acme: Caller) -> None:
    """No q, two of them, another parameter, a control character."""
    (await acme.get("/v1/prospects", 422)).invalid("q")
    (await acme("GET", "/v1/prospects?q=dana&q=ito")).invalid("q")
    (await acme.get("/v1/prospects", 422, q="dana", limit=5)).invalid("limit")
    (await acme.get("/v1/prospects", 422, q="da\nna")).invalid("q")


async def test_a_salesforce_id_however_it_is_written(acme: Caller) -> None:
    """R18: the 15 characters, the 18, and the 18 in one case, are one prospect; one that is reserved and in no list is told by id, and not found."""
    await acme.enable("salesforce")
    await acme.claim_one("00Q5e00000AbCdE", "salesforce")
    for written in ("00Q5e00000AbCdE", "00Q5e00000AbCdEEAV", "00q5e00000abcdeeav"):
        told = (await acme.get(f"/v1/prospects/salesforce/{written}")).json
        assert (told["prospect"]["id"], told["prospect"]["name"], told["prospect"]["phones"], told["lists"]) == ("00Q5e00000AbCdEEAV", None, [], [])
        assert told["reservation"]["state"] == "reserved"
        assert await found(acme, written) == []
    (await acme.get("/v1/prospects/salesforce/00Q5e00000AbCdEEAX", 422)).invalid("prospect")


async def test_one_in_no_list_and_not_reserved_is_not_found(acme: Caller, client: Commands) -> None:
    """404, until somebody takes them, and again when that has ended; an unknown integration is one of its own."""
    (await acme.get("/v1/prospects/csv/nobody", 404)).refused(404, "not-found")
    await acme.claim_one("nobody", hold_seconds=60)
    assert (await acme.get("/v1/prospects/csv/nobody")).json["reservation"]["state"] == "held"
    age(client, "acme", "csv:nobody", DAY_MS)
    (await acme.get("/v1/prospects/csv/nobody", 404)).refused(404, "not-found")
    (await acme.get("/v1/prospects/pipedrive/1", 404)).refused(404, "integration-not-found")


def index(client: Commands) -> dict[str, Any]:
    """All that the search has."""
    return {key: entry.value for key, entry in snapshot(client).items() if ":search" in key}


async def test_who_changes_is_found_by_what_they_are_now(acme: Caller) -> None:
    """An import that changes a name or a number moves the search with it; what another list still says stays."""
    await acme.fill("west", [{"id": "P-1", "name": "Dora Ito", "phone": "+14155550177"}, *PEOPLE[1:]])
    assert await found(acme, "dora") == await found(acme, "+14155550177") == ["P-1"]
    assert await found(acme, "nunez") == ["P-1"], "east still says so"
    await acme.fill("east", [{"id": "P-1", "name": "Dora Ito", "phone": "+14155550177"}])
    assert await found(acme, "nunez") == await found(acme, "+14155550100") == []
    assert await found(acme, "marta ito") == []
    assert await found(acme, "marta von") == ["P-3"]


async def test_who_leaves_the_last_list_is_found_no_more(acme: Caller, client: Commands) -> None:
    """By an import that brings them no longer, and by the list's deletion; nothing of them is left behind."""
    await acme.fill("west", PEOPLE[1:2])
    assert (await found(acme, "dana"), await found(acme, "太郎"), await found(acme, "P-4")) == (["P-1"], [], [])
    await acme("DELETE", "/v1/lists/east", expect=204)
    assert await found(acme, "da") == ["P-2"]
    await acme("DELETE", "/v1/lists/west", expect=204)
    assert await found(acme, "da") == await found(acme, "P-2") == []
    assert index(client) == {}


async def test_an_index_that_says_too_much_shows_nobody(acme: Caller, client: Commands) -> None:
    """What a deletion that was cut short leaves is held against the lists as they are."""
    client("ZADD", "reservoir:{acme}:search:csv", 0, "zacharias P-1", 0, "zacharias P-9")
    assert await found(acme, "zach") == []
    client("ZREM", "reservoir:{acme}:search:csv", "zacharias P-1", "zacharias P-9")


async def test_at_most_fifty(admin: Caller) -> None:
    """Each once, though two of their words begin so."""
    await admin.make_list("West", [{"id": f"p{number}", "name": f"Maria Martinez {'Zoe' if number == 149 else ''}"} for number in range(150)])
    told = await found(admin, "ma")
    assert len(told) == len(set(told)) == 50
    assert await found(admin, "ma zo") == await found(admin, "zo ma") == ["p149"]


async def test_two_words_that_many_have_and_one_has_together(admin: Caller) -> None:
    """Whoever has both is found behind hundreds who have either, in whichever of two lists; and nobody where none has both."""
    many = [{"id": f"p{number:03}", "name": "Maria Lopez" if number % 2 else "Pedro Ito"} for number in range(1_100)]
    await admin.make_list("West", many)
    await admin.make_list("East", [{"id": "z1", "name": "Maria Ito"}, {"id": "p001", "name": "Ito, Maria"}])
    assert sorted(await found(admin, "maria ito")) == ["p001", "z1"]
    assert await found(admin, "pedro lop") == []


async def test_two_words_where_many_lists_have_somebody(admin: Caller, client: Commands) -> None:
    """Also where one list's data is of the wrong type: it has nobody."""
    await admin.make_list("L0", [{"id": "p1", "name": "Dana Ito"}])
    await admin.make_list("L1", ["p1"])
    data = "reservoir:{acme}:list:l1:members"
    client("RENAME", data, "aside")
    client("SET", data, "nonsense")
    assert await found(admin, "dana ito") == ["p1"]
    client("RENAME", "aside", data)
    for number in range(2, 10):
        await admin.make_list(f"L{number}", ["p1"])
    assert await found(admin, "dana ito") == ["p1"]
    assert await found(admin, "dana itx") == []


async def test_r17_another_org_is_not_searched(app: App, acme: Caller) -> None:
    """R17: the same words in another org find nobody."""
    del acme
    globex = await app.org("globex")
    assert await found(globex, "dana") == await found(globex, "P-1") == await found(globex, "+14155550100") == []
    (await globex.get("/v1/prospects/csv/P-1", 404)).refused(404, "not-found")


async def test_erases_a_person(acme: Caller, client: Commands) -> None:
    """Out of every list, the search and the claims' notes; a live reservation stays (R6), and the answer says what a later sync may do."""
    claim = await acme.take("west")
    await acme.after(claim, "disposition", {"outcome": "connected", "note": "her sister is ill"}, 200)
    told = (await acme("DELETE", "/v1/prospects/csv/P-1", expect=200)).json
    assert (told["erased"], told["lists"]) == (True, 2)
    assert "sync" in told["detail"]
    assert await found(acme, "dana") == await found(acme, "P-1") == await found(acme, "+14155550100") == []
    assert ids_of(await acme.pages("/v1/lists/west/members")) == ["P-2", "P-3", "P-4"]
    assert (await acme.counts("west"))["members"] == 3
    assert not [key for key, entry in snapshot(client).items() if any(word in str(entry.value) for word in ("Dana", "dana", "sister", "5550100"))]
    kept = (await acme.get(f"/v1/claims/{claim['id']}")).json
    assert (kept["state"], kept["disposition"]["outcome"], kept["disposition"]["note"], kept["prospect"]["name"]) == ("reserved", "connected", None, None)
    reservation = (await acme.get("/v1/reservations/csv/P-1")).json
    assert (await acme.get("/v1/prospects/csv/P-1")).json == {"prospect": kept["prospect"], "lists": [], "reservation": reservation}
    (await acme.claim_one("P-1", expect=409)).refused(409, "prospect-reserved")
    (entry,) = (await acme.get("/v1/history", type="prospect.erased")).json["items"]
    assert (entry["prospect"], entry["integration"], entry["detail"]["lists"]) == ("P-1", "csv", 2)
    await acme.fill("east", [PEOPLE[0]])
    assert await found(acme, "dana") == ["P-1"]


async def test_erasing_again_and_of_nobody(acme: Caller) -> None:
    """A repeat finds nobody, as GET does."""
    await acme("DELETE", "/v1/prospects/csv/P-2", expect=200)
    for path in ("/v1/prospects/csv/P-2", "/v1/prospects/csv/nobody"):
        (await acme("DELETE", path)).refused(404, "not-found")
        (await acme("GET", path)).refused(404, "not-found")
    (await acme("DELETE", "/v1/prospects/pipedrive/1")).refused(404, "integration-not-found")
    (await acme("DELETE", "/v1/prospects/hubspot/x")).invalid("prospect")


async def test_only_an_admin_erases(app: App, acme: Caller, dialer: Caller) -> None:
    """The scope admin is needed; everybody may read."""
    del acme
    (await dialer("DELETE", "/v1/prospects/csv/P-1")).refused(403, "forbidden")
    reader = await app.member_of("acme", "read")
    assert await found(reader, "dana") == ["P-1"]
