"""Claims while multi-rep dialing is off for their integration (R9): granted, reserving nobody."""

from typing import Any

import pytest

from tests.support.builders import age, age_unreserved
from tests.support.commands import Commands
from tests.support.history import instant_ms
from tests.support.service import ANA, BEN, App, Caller, ids_of


@pytest.fixture
async def off(admin: Caller) -> Caller:
    """The admin of an org in which it is off, with a list west of p1 to p5."""
    await admin.enable(enabled=False)
    await admin.make_list("West", [f"p{number}" for number in range(1, 6)])
    return admin


async def test_r9_claims_are_granted_and_say_that_they_reserve_nobody(off: Caller) -> None:
    """R9: `unreserved`, not reserved, no expiry; the call began with the claim; nobody is reserved."""
    told = await off.claim("west", 2)
    for claim in told.json["claims"]:
        assert (claim["state"], claim["reserved"], claim["expires_at"]) == ("unreserved", False, None)
        assert claim["attempted_at"] == claim["claimed_at"]
    assert told.json["list"] == {"id": "west", "multi_rep_dialing": False, "available": 3, "next_available_at": None}
    assert await off.pages("/v1/reservations") == []
    assert (await off.counts("west"))["available"] == 5


async def test_r9_each_rep_walks_the_list_alone_in_order(off: Caller) -> None:
    """R9: each rep goes on from their own place, whatever others do, and at the end there is nothing until a reset."""
    assert ids_of((await off.claim("west", 2)).json["claims"]) == ["p1", "p2"]
    assert ids_of((await off.claim("west", 3, **BEN)).json["claims"]) == ["p1", "p2", "p3"]
    assert ids_of((await off.claim("west", 5)).json["claims"]) == ["p3", "p4", "p5"]
    told = await off.claim("west", expect=200)
    assert (told.json["claims"], told.json["list"]["available"]) == ([], 0)
    assert (await off.claim("west", **BEN)).json["list"]["available"] == 1


async def test_r9_a_claim_by_id_is_unreserved_and_moves_no_place(off: Caller) -> None:
    """R9: one particular prospect is granted to everybody, and the rep's walk goes on where it was."""
    for who in (ANA, BEN):
        assert (await off.claim_one("p4", **who)).json["state"] == "unreserved"
    assert (await off.take("west"))["prospect"]["id"] == "p1"


async def test_r9_available_is_what_lies_ahead_for_the_rep(off: Caller) -> None:
    """R9: undialable members and those that the rep removed do not count."""
    rows: list[Any] = ["p1", "p2", {"id": "p3", "do_not_call": "x"}, "p4", "p5"]
    await off.fill("west", rows)
    claim = await off.take("west")
    await off.after(claim, "disposition", {"outcome": "busy", "remove": True}, 200)
    second = await off.claim("west")
    assert (ids_of(second.json["claims"]), second.json["list"]["available"]) == (["p2"], 2)


async def test_r9_an_unreserved_claim_is_neither_released_nor_extended(off: Caller) -> None:
    """R9: 409 claim-unreserved for both, with hold_seconds or without; attempt and disposition are 200."""
    for hold in (None, 600):
        claim = await off.take("west", hold_seconds=hold)
        assert (claim["attempted_at"] is None) == (hold is not None)
        (await off.after(claim, "release")).refused(409, "claim-unreserved")
        (await off.after(claim, "extend", {"seconds": 60})).refused(409, "claim-unreserved")
        told = (await off.after(claim, "attempt", expect=200)).json
        assert (told["state"], told["reserved"], told["expires_at"]) == ("unreserved", False, None)
        assert told["attempted_at"] is not None
        await off.after(claim, "disposition", {"outcome": "connected"}, 200)


async def test_r9_with_hold_seconds_there_is_no_outcome_before_the_attempt(off: Caller) -> None:
    """R9: its call did not begin with the claim, so until the attempt there is nothing to dispose of."""
    claim = await off.take("west", hold_seconds=600)
    (await off.after(claim, "disposition", {"outcome": "busy"})).refused(409, "claim-not-attempted")


async def test_r9_a_hold_taken_while_it_was_off_has_lapsed_once_it_came_on(off: Caller) -> None:
    """R9: switched on since, even if it is off again, the claim's attempt is 409 claim-lapsed."""
    one, two = [await off.take("west", hold_seconds=600) for _ in range(2)]
    await off.enable()
    (await off.after(one, "attempt")).refused(409, "claim-lapsed")
    await off.enable(enabled=False)
    (await off.after(two, "attempt")).refused(409, "claim-lapsed")


async def test_r9_a_hold_of_seconds_that_ran_out_has_lapsed(off: Caller, client: Commands, app: App) -> None:
    """R9: an unreserved claim with hold_seconds that ran out is 409 claim-lapsed at its attempt, is told as lapsed, and the history says when, once."""
    claim = await off.take("west", hold_seconds=5)
    age_unreserved(client, "acme", claim["id"], 5_001)
    (await off.after(claim, "attempt")).refused(409, "claim-lapsed")
    assert (await off.get(f"/v1/claims/{claim['id']}")).json["state"] == "lapsed"
    for _ in range(2):
        await app.services.settling.turn()
    (lapsed,) = [one for one in await off.pages("/v1/history") if one["type"] == "claim.lapsed"]
    began = instant_ms(claim["claimed_at"]) - 5_001
    assert (lapsed["claim"], instant_ms(lapsed["at"]), lapsed["detail"]) == (claim["id"], began + 5_000, {"reserved": False})
    assert (lapsed["prospect"], lapsed["list"], lapsed["expires_at"]) == ("p1", "west", None)


async def test_r9_a_hold_taken_while_it_was_on_still_reserves(admin: Caller) -> None:
    """R9: switched off in between, its attempt reserves all the same."""
    held = (await admin.claim_one("p1", hold_seconds=600)).json
    await admin.enable(enabled=False)
    assert (await admin.after(held, "attempt", expect=200)).json["state"] == "reserved"
    assert (await admin.get("/v1/reservations/csv/p1")).json["claim"] == held["id"]


async def test_r7_switching_it_off_changes_no_reservation(admin: Caller, client: Commands) -> None:
    """R7: reservations run on, are counted and shown while it is off, and block again when it is on before they expire."""
    await admin.make_list("West", ["p1", "p2"])
    claim = await admin.take("west")
    await admin.enable(enabled=False)
    assert (await admin.counts("west"))["reserved"] == 1
    assert ids_of(await admin.pages("/v1/reservations")) == ["p1"]
    assert (await admin.claim_one("p1", **BEN)).json["state"] == "unreserved"
    (await admin.after(claim, "release")).refused(409, "reservation-not-removable")
    await admin.enable()
    (await admin.claim_one("p1", expect=409, **BEN)).refused(409, "prospect-reserved")
    assert (await admin.get("/v1/reservations/csv/p1")).json["expires_at"] == claim["expires_at"]
    age(client, "acme", "csv:p1", 86_400_001)
    await admin.claim_one("p1")


async def test_r9_each_integration_has_its_own_switch(admin: Caller) -> None:
    """R9: off for hubspot, on for csv: one reserves and the other does not."""
    assert (await admin.claim_one("1", "hubspot")).json["state"] == "unreserved"
    assert (await admin.claim_one("1", "csv")).json["state"] == "reserved"


async def test_r9_a_place_moves_with_its_prospect(off: Caller) -> None:
    """R9: if a sync moves the prospect last handed over, the rep goes on behind it; if it leaves, at the same rank."""
    await off.claim("west", 2)
    await off.fill("west", ["p5", "p4", "p2", "p3", "p1"])
    assert (await off.take("west"))["prospect"]["id"] == "p3"
    await off.fill("west", ["p5", "p4", "p2", "p1"])
    assert (await off.take("west"))["prospect"]["id"] == "p1"


async def test_r9_a_reset_puts_the_rep_s_own_place_to_the_start(off: Caller) -> None:
    """R9: theirs alone; members that arrived before the place are met then. Removals stay, and on a csv list there is nothing to sync."""
    claims = (await off.claim("west", 3)).json["claims"]
    await off.claim("west", 2, **BEN)
    await off.after(claims[1], "disposition", {"outcome": "busy", "remove": True}, 200)
    await off.fill("west", ["n1", "p1", "p2", "p3", "p4", "p5"])
    assert ids_of((await off.claim("west", 1)).json["claims"]) == ["p4"]
    for _ in range(2):
        assert (await off.post("/v1/lists/west/reset", {"rep": ANA["rep"]}, 200)).json == {"reset": True, "sync": None}
    told = (await off.claim("west", 2)).json
    assert (ids_of(told["claims"]), told["list"]["available"]) == (["n1", "p1"], 3)
    assert ids_of((await off.claim("west", 5)).json["claims"]) == ["p3", "p4", "p5"]
    assert ids_of((await off.claim("west", 1, **BEN)).json["claims"]) == ["p3"]


async def test_a_reset_names_a_rep(off: Caller) -> None:
    """A list that is not there is told first; the place of a rep whom nobody knows is at the start."""
    (await off.post("/v1/lists/nowhere/reset", {"rep": 1})).refused(404, "list-not-found")
    (await off.post("/v1/lists/west/reset", {})).invalid("/rep")
    (await off.post("/v1/lists/west/reset", {"rep": "", "sync": True})).invalid("/rep", "/sync")
    await off.post("/v1/lists/west/reset", {"rep": "nobody"}, 200)


async def test_r7_a_reset_changes_no_reservation(admin: Caller) -> None:
    """While multi-rep dialing is on, too."""
    await admin.make_list("West", ["p1", "p2"])
    await admin.take("west")
    await admin.post("/v1/lists/west/reset", {"rep": ANA["rep"]}, 200)
    assert (await admin.counts("west"))["reserved"] == 1
    assert (await admin.take("west"))["prospect"]["id"] == "p2"
