"""POST /v1/lists/{list}/claims: the next prospects of a list."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, BEN, App, Caller, ids_of, kept, lasts_ms


async def test_a_claim_is_told_whole(admin: Caller) -> None:
    """The answer is the CLAIM of the contract, field by field, with the member's data as the list has it."""
    row = {
        "id": "c-1", "name": "Dana Ito", "mobile": "+1 415 555 0100", "phone": "4155550101 x 7", "company": "Initech", "title": "CTO", "owner": "ana@acme.com",
        "time_zone": "America/New_York", "url": "https://crm.example/c-1", "email": "dana@initech.com", "tier": "gold",
    }  # fmt: skip
    west = await admin.make_list("Q4 West", [row])
    told = await admin.claim(west, mode="parallel", count=5)
    (claim,) = told.json["claims"]
    assert claim == {
        "id": claim["id"], "state": "reserved", "reserved": True, **ANA, "mode": "parallel", "list": "q4-west",
        "claimed_at": claim["claimed_at"], "attempted_at": claim["claimed_at"], "expires_at": claim["expires_at"],
        "prospect": {
            "integration": "csv", "id": "c-1", "name": "Dana Ito",
            "phones": [
                {"label": "mobile", "number": "+14155550100", "extension": None},
                {"label": "phone", "number": "+14155550101", "extension": "7"},
            ],
            "company": "Initech", "title": "CTO", "owner": "ana@acme.com", "time_zone": "America/New_York", "url": "https://crm.example/c-1",
            "fields": {"email": "dana@initech.com", "tier": "gold"},
        },
    }  # fmt: skip
    assert told.json["list"] == {"id": "q4-west", "multi_rep_dialing": True, "available": 0, "next_available_at": claim["expires_at"]}


async def test_r13_prospects_are_handed_out_in_list_order(admin: Caller) -> None:
    """R13: one after the other and several at once, prospects come in the order of the list."""
    west = await admin.make_list("West", ["p3", "p1", "p5", "p2", "p4"])
    assert ids_of((await admin.claim(west, mode="power")).json["claims"]) == ["p3"]
    assert ids_of((await admin.claim(west, 3)).json["claims"]) == ["p1", "p5", "p2"]
    assert ids_of((await admin.claim(west, 3)).json["claims"]) == ["p4"]


async def test_r13_one_whose_reservation_expired_is_back_in_its_own_place_at_that_instant(admin: Caller, client: Commands) -> None:
    """R13: nobody has swept, and the next claim finds the prospect at its own place all the same."""
    west = await admin.make_list("West", ["p1", "p2", "p3", "p4"])
    await admin.claim(west, 3)
    age(client, "acme", "csv:p2", DAY_MS + 1)
    assert (await admin.counts(west))["available"] == 2
    assert ids_of((await admin.claim(west, 2)).json["claims"]) == ["p2", "p4"]


async def test_r1_a_prospect_is_granted_to_one_however_many_claim_at_once(admin: Caller, app: App, other_app: App) -> None:
    """R1: forty sessions on two processes claim a list of a hundred at once, and nobody is handed out twice or lost."""
    west = await admin.make_list("West", [f"p{number}" for number in range(100)])

    async def dial(number: int) -> list[str]:
        caller, granted = admin.at((app, other_app)[number % 2]), list[str]()
        for _ in range(2):
            told = await caller.claim(west, 2, expect=None, rep=f"rep-{number}", session=f"s-{number}", hold_seconds=None if number % 3 else 60)
            granted += ids_of(told.json["claims"])
        return granted

    granted = Counter(one for taken in await asyncio.gather(*(dial(number) for number in range(40))) for one in taken)
    assert granted == Counter(f"p{number}" for number in range(100))


async def test_r2_a_reserved_prospect_is_in_no_list_of_the_integration_for_anybody(admin: Caller) -> None:
    """R2: once attempted, a prospect is handed out by no list of that integration, to nobody, its own rep included."""
    west = await admin.make_list("West", ["p1", "p2"])
    east = await admin.make_list("East", ["p1", "p3"])
    assert ids_of((await admin.claim(west, mode="power")).json["claims"]) == ["p1"]
    for caller in (ANA, BEN):
        for mode in ("power", "parallel"):
            (await admin.claim_one("p1", expect=409, **caller, mode=mode)).refused(409, "prospect-reserved")
    assert ids_of((await admin.claim(east, 5)).json["claims"]) == ["p3"]
    assert ids_of((await admin.claim(west, 5, **BEN)).json["claims"]) == ["p2"]


async def test_r2_the_same_id_in_another_integration_is_another_prospect(admin: Caller) -> None:
    """R2: a reservation holds in its own integration, and says nothing of an id in another."""
    await admin.enable("hubspot")
    await admin.claim_one("77", "csv")
    await admin.claim_one("77", "hubspot")
    (await admin.claim_one("77", "hubspot", expect=409)).refused(409, "prospect-reserved")


@pytest.mark.parametrize("count", [1, 50])
async def test_count_is_how_many_at_most(admin: Caller, count: int) -> None:
    """A claim takes as many as it asks for, 1 unless it says, and fewer where there are fewer."""
    west = await admin.make_list("West", [f"p{number}" for number in range(60)])
    assert len((await admin.claim(west, count)).json["claims"]) == count
    assert len((await admin.post(f"/v1/lists/{west}/claims", {**BEN, "mode": "parallel"}, 201)).json["claims"]) == 1


async def test_an_attempt_starts_with_the_claim_unless_it_holds(admin: Caller) -> None:
    """hold_seconds absent or null reserves from now; given, the claim is held for so long and has no attempt."""
    west = await admin.make_list("West", ["p1", "p2", "p3"])
    body = {**ANA, "mode": "power"}
    for hold in ({}, {"hold_seconds": None}):
        (claim,) = (await admin.post(f"/v1/lists/{west}/claims", body | hold, 201)).json["claims"]
        assert (claim["state"], claim["reserved"], claim["attempted_at"]) == ("reserved", True, claim["claimed_at"])
        assert lasts_ms(claim) == DAY_MS
    (held,) = (await admin.post(f"/v1/lists/{west}/claims", body | {"hold_seconds": 3_600}, 201)).json["claims"]
    assert (held["state"], held["reserved"], held["attempted_at"]) == ("held", False, None)
    assert lasts_ms(held) == HOUR_MS


async def test_nothing_available_is_an_answer_and_takes_nothing(admin: Caller, client: Commands) -> None:
    """200 with no claims, the time at which the next one frees, and not a trace in the store."""
    west = await admin.make_list("West", ["p1", "p2"])
    first = await admin.take(west, hold_seconds=600)
    await admin.take(west)
    before = kept(client)
    told = await admin.claim(west, expect=200, key="k-1")
    assert told.json == {"claims": [], "list": {"id": west, "multi_rep_dialing": True, "available": 0, "next_available_at": first["expires_at"]}}
    assert kept(client) == before


async def test_an_empty_list_has_nothing_and_never_will(admin: Caller) -> None:
    """next_available_at is null where nothing will free."""
    west = await admin.make_list("West")
    told = await admin.claim(west, expect=200)
    assert told.json["list"] == {"id": west, "multi_rep_dialing": True, "available": 0, "next_available_at": None}


async def test_available_and_next_available_are_the_reps_own(admin: Caller) -> None:
    """What the rep removed counts neither as available nor as what frees next; for another rep it does."""
    west = await admin.make_list("West", ["p1", "p2"])
    claim = await admin.take(west, mode="power")
    await admin.after(claim, "disposition", {"outcome": "wrong_number", "remove": True}, 200)
    last = await admin.take(west, mode="power", hold_seconds=3_600)
    for_ana = (await admin.claim(west, expect=200)).json["list"]
    assert (for_ana["available"], for_ana["next_available_at"]) == (0, last["expires_at"])
    await admin.after(last, "attempt", expect=200)
    await admin.after(last, "disposition", {"outcome": "wrong_number", "remove": True}, 200)
    assert (await admin.claim(west, expect=200)).json["list"]["next_available_at"] is None
    assert (await admin.claim(west, expect=200, **BEN)).json["list"]["next_available_at"] == claim["expires_at"]


async def test_undialable_members_are_passed_over(admin: Caller) -> None:
    """Nobody is handed a member that the CRM flags as not to be called."""
    west = await admin.make_list("West", [{"id": "p1", "do_not_call": "yes"}, {"id": "p2"}])
    assert ids_of((await admin.claim(west, 5)).json["claims"]) == ["p2"]
    assert (await admin.claim(west, 5, expect=200)).json["claims"] == []


async def test_claim_ids_are_unique_over_all_orgs(app: App, admin: Caller) -> None:
    """No two claims of one answer, one org or two orgs share an id."""
    west = await admin.make_list("West", [f"p{number}" for number in range(50)])
    globex = await app.org("globex")
    await globex.enable()
    await globex.make_list("West", [f"p{number}" for number in range(50)])
    claims: list[Any] = (await admin.claim(west, 25)).json["claims"] + (await admin.claim(west, 25)).json["claims"]
    claims += (await globex.claim(west, 50)).json["claims"]
    assert len({claim["id"] for claim in claims}) == 100


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"count": 0}, "/count"),
        ({"count": 51}, "/count"),
        ({"count": 1.0}, "/count"),
        ({"count": "1"}, "/count"),
        ({"count": True}, "/count"),
        ({"count": None}, "/count"),
        ({"count": 2, "mode": "power"}, "/count"),
        ({"mode": "click_to_call"}, "/mode"),
        ({"mode": "progressive"}, "/mode"),
        ({"mode": None}, "/mode"),
        ({"hold_seconds": 4}, "/hold_seconds"),
        ({"hold_seconds": 3_601}, "/hold_seconds"),
        ({"hold_seconds": 60.0}, "/hold_seconds"),
        ({"wait_seconds": -1}, "/wait_seconds"),
        ({"wait_seconds": 31}, "/wait_seconds"),
        ({"wait_seconds": None}, "/wait_seconds"),
        ({"rep": ""}, "/rep"),
        ({"rep": "x" * 256}, "/rep"),
        ({"rep": 7}, "/rep"),
        ({"session": "a\nb"}, "/session"),
        ({"session": "\u0085"}, "/session"),
        ({"hold_second": 60}, "/hold_second"),
        ({"a/b~c": 1}, "/a~1b~0c"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_taken(admin: Caller, client: Commands, change: dict[str, Any], where: str) -> None:
    """Each field out of its bounds is a 422 that points at it and at nothing else, and nobody is taken."""
    west = await admin.make_list("West", ["p1"])
    before = kept(client)
    told = await admin.post(f"/v1/lists/{west}/claims", {**ANA, "mode": "parallel"} | change)
    told.invalid(where)
    assert kept(client) == before


async def test_every_bad_field_is_named_at_once(admin: Caller) -> None:
    """Missing, unknown and wrong fields of the body, the query and the headers are all named by one answer."""
    west = await admin.make_list("West", ["p1"])
    told = await admin.post(f"/v1/lists/{west}/claims?limit=3&page=2", {"mode": "power", "count": 2, "colour": "red"}, Idempotency_Key="k" * 256)
    told.invalid("/rep", "/session", "/count", "/colour", "limit", "page", "Idempotency-Key")
    details = {error.get("pointer"): error["detail"] for error in told.json["errors"]}
    assert (details["/rep"], details["/colour"]) == ("missing", "unknown field")


async def test_a_list_that_is_not_there(admin: Caller) -> None:
    """404 list-not-found, whether the id could be a list's or not."""
    for list_ in ("nowhere", "No%20List", "a--b", "x" * 65, "%7Bacme%7D"):
        (await admin.claim(list_, expect=404)).refused(404, "list-not-found")
