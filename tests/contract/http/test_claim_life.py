"""What is done to a claim after it was made: looked at, attempted, released, extended, disposed of."""

import asyncio
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, App, Caller, at, kept, lasts_ms

NOWHERE = "aaaaaaaaaaaaaaaa00"


@pytest.fixture
async def held(admin: Caller) -> Any:
    """A hold of ten minutes on p1 of the list west, which has p2, too."""
    await admin.make_list("West", ["p1", "p2"])
    return await admin.take("west", hold_seconds=600)


@pytest.fixture
async def reserved(admin: Caller) -> Any:
    """A reservation of p1 of the list west, which has p2, too."""
    await admin.make_list("West", ["p1", "p2"])
    return await admin.take("west")


async def state_of(admin: Caller, claim: Any) -> Any:
    return (await admin.get(f"/v1/claims/{claim['id']}")).json["state"]


# Looking


async def test_a_claim_is_told_as_it_stands(admin: Caller, held: Any) -> None:
    """GET tells the CLAIM with its disposition, null at first."""
    assert (await admin.get(f"/v1/claims/{held['id']}")).json == held | {"disposition": None}


async def test_states_of_a_claim(admin: Caller, client: Commands) -> None:
    """A claim is held, then reserved, then expired; or released; or lapsed: seen at the instant, with nobody sweeping."""
    await admin.make_list("West", ["p1", "p2", "p3"])
    one, two, three = [await admin.take("west", hold_seconds=600) for _ in range(3)]
    assert await state_of(admin, one) == "held"
    await admin.after(one, "attempt", expect=200)
    assert await state_of(admin, one) == "reserved"
    age(client, "acme", "csv:p1", DAY_MS + 1)
    assert await state_of(admin, one) == "expired"
    await admin.after(two, "release", expect=200)
    assert await state_of(admin, two) == "released"
    age(client, "acme", "csv:p3", 600_001)
    assert await state_of(admin, three) == "lapsed"


@pytest.mark.parametrize("forged", [NOWHERE, "AAAAAAAAAAAAAAAA00", "x", "%00", "..", "%2E%2E", "a" * 500, "*", "{acme}"])
@pytest.mark.parametrize("verb", ["", "/attempt", "/release", "/extend", "/disposition"])
async def test_a_claim_that_is_not_there(admin: Caller, forged: str, verb: str) -> None:
    """404 claim-not-found for a claim that never was, here and in all that can be done to one."""
    if forged == "..":
        forged = "%2E%2E"
    bodies = {"/extend": {"seconds": 60}, "/disposition": {"outcome": "busy"}}
    told = await (admin.post(f"/v1/claims/{forged}{verb}", bodies.get(verb, {})) if verb else admin.get(f"/v1/claims/{forged}", 404))
    told.refused(404, "claim-not-found")


async def test_a_claim_is_known_for_seven_days_after_its_end(admin: Caller, reserved: Any, client: Commands) -> None:
    """An expired reservation's claim is told until 7 days later; a hold's until 24 h after its end."""
    hold = await admin.take("west", hold_seconds=600)
    ends = {name: client("PEXPIRETIME", f"reservoir:{{acme}}:claim:{claim['id']}") for name, claim in (("reserved", reserved), ("held", hold))}
    assert ends["reserved"] == round(at(reserved["expires_at"]).timestamp() * 1_000) + 7 * DAY_MS
    assert ends["held"] == round(at(hold["expires_at"]).timestamp() * 1_000) + DAY_MS


# Attempting


async def test_an_attempt_reserves_from_now(admin: Caller, held: Any) -> None:
    """The claim is now reserved, and its timeout runs from the attempt, not from the claim."""
    told = (await admin.after(held, "attempt", {}, 200)).json
    assert (told["state"], told["reserved"], told["claimed_at"]) == ("reserved", True, held["claimed_at"])
    assert told["attempted_at"] >= told["claimed_at"]
    assert lasts_ms(told, "attempted_at") == DAY_MS


async def test_an_attempt_repeated_moves_nothing(admin: Caller, held: Any) -> None:
    """Again and again, also many at once, it is the same claim with the same expiry, and the history has one attempt."""
    first = (await admin.after(held, "attempt", expect=200)).json
    again = await asyncio.gather(*(admin.after(held, "attempt", expect=200) for _ in range(8)))
    assert all(told.json == first for told in again)
    assert (await admin.after(first, "attempt", expect=200)).json == first


async def test_a_dead_hold_is_not_attempted(admin: Caller, client: Commands) -> None:
    """409 claim-lapsed for a hold that ran out or was released, and for a reservation that expired: the dialer must not dial."""
    await admin.make_list("West", ["p1", "p2", "p3"])
    lapsed, released = [await admin.take("west", hold_seconds=600) for _ in range(2)]
    expired = await admin.take("west")
    age(client, "acme", "csv:p1", 600_001)
    await admin.after(released, "release", expect=200)
    age(client, "acme", "csv:p3", DAY_MS + 1)
    for claim in (lapsed, released, expired):
        (await admin.after(claim, "attempt")).refused(409, "claim-lapsed")
    assert (await admin.counts("west"))["available"] == 3


async def test_the_prospect_of_a_dead_hold_stays_with_whoever_has_it_now(admin: Caller, held: Any, client: Commands) -> None:
    """A claim is attempted, released or extended only by its own id, and frees or takes nothing of the one who came after."""
    age(client, "acme", "csv:p1", 600_001)
    new = (await admin.claim_one("p1", hold_seconds=600, rep="ben")).json
    (await admin.after(held, "attempt")).refused(409, "claim-lapsed")
    (await admin.after(held, "release")).refused(409, "claim-lapsed")
    (await admin.after(held, "extend", {"seconds": 3_600})).refused(409, "claim-lapsed")
    assert (await admin.get("/v1/reservations/csv/p1")).json["claim"] == new["id"]
    assert (await admin.get(f"/v1/claims/{new['id']}")).json == new | {"disposition": None}


@pytest.mark.parametrize("body", [{}, None])
@pytest.mark.parametrize("verb", ["attempt", "release"])
async def test_an_empty_body_may_be_left_out(admin: Caller, held: Any, verb: str, body: Any) -> None:
    """Where the body is {}, it may be left out, whatever the content type says."""
    headers = {} if body is None else {"Content-Type": "application/json"}
    await admin("POST", f"/v1/claims/{held['id']}/{verb}", data=None if body is None else b"{}", headers=headers, expect=200)


@pytest.mark.parametrize("verb", ["attempt", "release"])
async def test_what_is_not_empty_is_refused(admin: Caller, held: Any, verb: str) -> None:
    """A field in a body that has none is unknown; null and [] are no {}; nothing is done."""
    (await admin.after(held, verb, {"now": True})).invalid("/now")
    values: tuple[Any, ...] = (None, [], 0)
    for other in values:
        (await admin.after(held, verb, other)).invalid("")
    assert await state_of(admin, held) == "held"


# Releasing


async def test_a_released_prospect_is_available_again_in_its_place_in_all_its_lists(admin: Caller, held: Any) -> None:
    """A release gives the prospect back everywhere, at once, before those behind it."""
    east = await admin.make_list("East", ["p0", "p1"])
    assert (await admin.counts(east))["held"] == 1
    assert (await admin.after(held, "release", {}, 200)).json == {"released": True}
    assert (await admin.counts(east))["available"] == 2
    assert (await admin.take("west"))["prospect"]["id"] == "p1"


async def test_a_release_repeated_is_a_release(admin: Caller, held: Any) -> None:
    """200 again, and whoever claimed the prospect in between keeps it."""
    await admin.after(held, "release", expect=200)
    new = await admin.take("west")
    assert (await admin.after(held, "release", expect=200)).json == {"released": True}
    assert await state_of(admin, new) == "reserved"


async def test_r6_a_reserved_claim_cannot_be_released(admin: Caller, reserved: Any) -> None:
    """R6: 409 with the time at which it expires, however it came to be reserved, and even after the outcome is recorded."""
    held = await admin.take("west", hold_seconds=600)
    for claim in (reserved, (await admin.after(held, "attempt", expect=200)).json):
        for _ in range(2):
            told = (await admin.after(claim, "release")).refused(409, "reservation-not-removable")
            assert told.json["expires_at"] == claim["expires_at"]
            await admin.after(claim, "disposition", {"outcome": "cancelled"}, 200)
        assert (await admin.get(f"/v1/claims/{claim['id']}")).json["expires_at"] == claim["expires_at"]


async def test_r6_an_expired_reservation_cannot_be_released_either(admin: Caller, reserved: Any, client: Commands) -> None:
    """R6: expired after a reservation it is 409 with the time at which it did."""
    age(client, "acme", "csv:p1", DAY_MS + 1)
    expired_at = (await admin.get(f"/v1/claims/{reserved['id']}")).json["expires_at"]
    assert (await admin.after(reserved, "release")).refused(409, "reservation-not-removable").json["expires_at"] == expired_at


async def test_a_lapsed_hold_cannot_be_released(admin: Caller, held: Any, client: Commands) -> None:
    """409 claim-lapsed: there is nothing to give back."""
    age(client, "acme", "csv:p1", 600_001)
    (await admin.after(held, "release")).refused(409, "claim-lapsed")


# Extending


@pytest.mark.parametrize("state", ["held", "reserved"])
async def test_r16_an_extension_keeps_the_prospect_for_at_least_so_long(admin: Caller, state: str, client: Commands) -> None:
    """R16: what ends sooner than asked is moved to so long from now, in the claim, the reservation and the lists alike."""
    await admin.make_list("West", ["p1"])
    claim = await admin.take("west", hold_seconds=600 if state == "held" else None)
    age(client, "acme", "csv:p1", lasts_ms(claim) - 60_000)
    before = (await admin.get(f"/v1/claims/{claim['id']}")).json
    told = (await admin.after(claim, "extend", {"seconds": 3_600}, 200)).json
    assert at(told["expires_at"]) >= at(before["expires_at"]) + timedelta(minutes=58)
    assert {name: told[name] for name in ("id", "state", "claimed_at", "attempted_at")} == {
        name: before[name] for name in ("id", "state", "claimed_at", "attempted_at")
    }
    assert (await admin.get("/v1/reservations/csv/p1")).json["expires_at"] == told["expires_at"]
    assert (await admin.get("/v1/lists/west")).json["next_available_at"] == told["expires_at"]


async def test_an_extension_never_shortens(admin: Caller, reserved: Any) -> None:
    """Less than what is left is 200 and moves nothing."""
    assert (await admin.after(reserved, "extend", {"seconds": 5}, 200)).json == reserved


@pytest.mark.parametrize(("hold", "limit_ms"), [(3_600, 8 * HOUR_MS), (None, HOUR_MS + DAY_MS)])
async def test_r16_the_limit_of_extensions(admin: Caller, client: Commands, hold: int | None, limit_ms: int) -> None:
    """R16: a hold until 8 h after its claim, a reservation until 24 h past its first expiry; beyond, 409 extension-limit, and nothing is moved."""
    await admin.enable(unit="hour", duration=1)
    claim = (await admin.claim_one("p1", hold_seconds=hold)).json
    standing, extended = claim, 0
    while (told := await admin.after(claim, "extend", {"seconds": 3_600})).status == 200:
        standing = told.json
        extended += 1
        age(client, "acme", "csv:p1", HOUR_MS - 60_000)
    told.refused(409, "extension-limit")
    assert extended == limit_ms // HOUR_MS
    assert limit_ms - HOUR_MS < lasts_ms(standing) <= limit_ms
    state = kept(client)
    (await admin.after(claim, "extend", {"seconds": 3_600})).refused(409, "extension-limit")
    assert kept(client) == state
    (await admin.after(claim, "extend", {"seconds": 60}, 200))


@pytest.mark.parametrize("seconds", [4, 3_601, 0, -5, 60.0, "60", None, True])
async def test_seconds_are_5_to_3600(admin: Caller, held: Any, seconds: Any) -> None:
    """Anything else is a 422 that points at it, and moves nothing."""
    (await admin.after(held, "extend", {"seconds": seconds})).invalid("/seconds")
    assert (await admin.get(f"/v1/claims/{held['id']}")).json["expires_at"] == held["expires_at"]


async def test_what_has_run_out_is_not_extended(admin: Caller, held: Any, client: Commands) -> None:
    """409 claim-lapsed for a hold that ran out or was released, and for a reservation that expired."""
    age(client, "acme", "csv:p1", 600_001)
    (await admin.after(held, "extend", {"seconds": 60})).refused(409, "claim-lapsed")
    second = await admin.take("west", hold_seconds=60)
    await admin.after(second, "release", expect=200)
    (await admin.after(second, "extend", {"seconds": 60})).refused(409, "claim-lapsed")
    third = await admin.take("west")
    age(client, "acme", "csv:p1", DAY_MS + 1)
    (await admin.after(third, "extend", {"seconds": 60})).refused(409, "claim-lapsed")


# Disposing


async def test_a_disposition_is_kept_with_the_claim(admin: Caller, reserved: Any) -> None:
    """The outcome and the note are told with the claim; another one replaces them."""
    assert (await admin.after(reserved, "disposition", {"outcome": "voicemail", "note": "try in May"}, 200)).json == {"recorded": True}
    first = (await admin.get(f"/v1/claims/{reserved['id']}")).json["disposition"]
    assert first == {"outcome": "voicemail", "remove": False, "note": "try in May", "at": first["at"]}
    await admin.after(reserved, "disposition", {"outcome": "connected", "remove": False, "note": None}, 200)
    second = (await admin.get(f"/v1/claims/{reserved['id']}")).json["disposition"]
    assert second == {"outcome": "connected", "remove": False, "note": None, "at": second["at"]}


async def test_the_same_disposition_again_records_nothing_more(admin: Caller, reserved: Any, client: Commands) -> None:
    """Defaults filled in, the same body is the same disposition: the store is as it was; another one is in the history, too."""
    await admin.after(reserved, "disposition", {"outcome": "busy"}, 200)
    before = kept(client)
    await admin.after(reserved, "disposition", {"outcome": "busy", "remove": False, "note": None}, 200)
    assert kept(client) == before
    await admin.after(reserved, "disposition", {"outcome": "failed"}, 200)
    kinds = [entry["type"] for entry in kept(client)["reservoir:{acme}:history"].value]
    assert kinds.count("disposition.recorded") == 2


async def test_a_disposition_comes_after_an_attempt(admin: Caller, held: Any, client: Commands) -> None:
    """409 claim-not-attempted while it is held, released or lapsed undialed; 200 after the attempt, and after the reservation expired."""
    (await admin.after(held, "disposition", {"outcome": "busy"})).refused(409, "claim-not-attempted")
    await admin.after(held, "attempt", expect=200)
    await admin.after(held, "disposition", {"outcome": "busy"}, 200)
    age(client, "acme", "csv:p1", DAY_MS + 1)
    await admin.after(held, "disposition", {"outcome": "voicemail"}, 200)
    released = (await admin.claim_one("p2", hold_seconds=60)).json
    await admin.after(released, "release", expect=200)
    (await admin.after(released, "disposition", {"outcome": "busy"})).refused(409, "claim-not-attempted")


@pytest.mark.parametrize(
    "outcome", ["cancelled", "failed", "no_answer", "busy", "do_not_call", "wrong_number", "voicemail", "connected", "left_with_neighbour"]
)
async def test_r4_how_the_call_ended_changes_no_reservation(admin: Caller, reserved: Any, outcome: str) -> None:
    """R4: cancelled or whatever else, once the attempt started the prospect stays reserved until the same time."""
    await admin.after(reserved, "disposition", {"outcome": outcome}, 200)
    assert (await admin.get("/v1/reservations/csv/p1")).json["expires_at"] == reserved["expires_at"]
    (await admin.claim_one("p1", expect=409)).refused(409, "prospect-reserved")


async def test_remove_is_for_that_rep_in_that_list(admin: Caller, reserved: Any, client: Commands) -> None:
    """R10: that rep is not handed the prospect again from that list; others are, and so is the rep by id."""
    await admin.after(reserved, "disposition", {"outcome": "wrong_number", "remove": True}, 200)
    age(client, "acme", "csv:p1", DAY_MS + 1)
    assert (await admin.take("west", hold_seconds=60))["prospect"]["id"] == "p2"
    other = await admin.take("west", rep="ben", hold_seconds=60)
    assert other["prospect"]["id"] == "p1"
    await admin.after(other, "release", expect=200)
    await admin.claim_one("p1", list="west")


async def test_remove_needs_a_list(admin: Caller) -> None:
    """On a claim without a list it is a 422 that points at it, and nothing is recorded."""
    claim = (await admin.claim_one("p1")).json
    (await admin.after(claim, "disposition", {"outcome": "busy", "remove": True})).invalid("/remove")
    assert (await admin.get(f"/v1/claims/{claim['id']}")).json["disposition"] is None


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "/outcome"),
        ({"outcome": None}, "/outcome"),
        ({"outcome": ""}, "/outcome"),
        ({"outcome": "Busy"}, "/outcome"),
        ({"outcome": "busy\n"}, "/outcome"),
        ({"outcome": "1st"}, "/outcome"),
        ({"outcome": "a" * 41}, "/outcome"),
        ({"outcome": "b\N{LATIN SMALL LETTER U WITH DIAERESIS}sy"}, "/outcome"),
        ({"outcome": "busy", "remove": None}, "/remove"),
        ({"outcome": "busy", "remove": 1}, "/remove"),
        ({"outcome": "busy", "note": "x" * 2_001}, "/note"),
        ({"outcome": "busy", "note": 1}, "/note"),
        ({"outcome": "busy", "removed": True}, "/removed"),
    ],
)
async def test_a_bad_disposition_is_refused(admin: Caller, reserved: Any, body: Any, where: str) -> None:
    """A 422 that points at the field, and nothing is recorded."""
    (await admin.after(reserved, "disposition", body)).invalid(where)
    assert (await admin.get(f"/v1/claims/{reserved['id']}")).json["disposition"] is None


@pytest.mark.parametrize("note", ["", "x" * 2_000, "\N{PARTY POPPER}" * 2_000, 'a "quoted" \\ / line\nand\ttab\0\x7f\u2028', "{} [] null"])
async def test_a_note_is_kept_as_it_was_written(admin: Caller, reserved: Any, note: str) -> None:
    """Up to 2,000 characters, whatever they are."""
    await admin.after(reserved, "disposition", {"outcome": "a" * 40, "note": note}, 200)
    assert (await admin.get(f"/v1/claims/{reserved['id']}")).json["disposition"]["note"] == note


async def test_a_note_is_not_in_the_history(admin: Caller, reserved: Any, client: Commands) -> None:
    """The history has ids only."""
    await admin.after(reserved, "disposition", {"outcome": "busy", "note": "his mother picked up"}, 200)
    assert "mother" not in str(kept(client)["reservoir:{acme}:history"].value)


# Time


async def test_r5_an_hour_is_3600_s_and_a_day_the_same_wall_clock_time(app: App) -> None:
    """R5: the reservation runs from the attempt: N x 3,600 s, or to the same wall-clock time N days later in the org's zone."""
    admin = await app.org("acme", time_zone="America/New_York")
    await admin.enable(unit="hour", duration=7)
    assert lasts_ms((await admin.claim_one("c-1")).json, "attempted_at") == 7 * HOUR_MS
    zone = ZoneInfo("America/New_York")
    for days in (1, 200):  # 200 days from any day lie behind a change of New York's clocks
        await admin.enable(unit="day", duration=days)
        claim = (await admin.claim_one(f"d-{days}")).json
        start, end = at(claim["attempted_at"]).astimezone(zone), at(claim["expires_at"]).astimezone(zone)
        wall = start.replace(tzinfo=None) + timedelta(days=days)
        moved = end.replace(tzinfo=None) - wall
        assert moved in {timedelta(0), timedelta(hours=1)}, "only a wall time that does not exist is read an hour later"
        assert moved == timedelta(0) or wall.replace(tzinfo=zone).astimezone(ZoneInfo("UTC")).astimezone(zone).replace(tzinfo=None) != wall


async def test_r19_expiry_is_by_the_stores_clock(admin: Caller, client: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """R19: an API host whose clock is a year ahead grants, tells and ends reservations at the store's times."""
    import time as real

    class Ahead:
        monotonic = staticmethod(real.monotonic)

        @staticmethod
        def time() -> float:
            return real.time() + 365 * 86_400

    monkeypatch.setattr("reservoir.storage.clock.time", Ahead)
    seconds, _ = client("TIME")
    claim = (await admin.claim_one("c-1")).json
    assert 0 <= at(claim["claimed_at"]).timestamp() - int(seconds) < 60
    (await admin.claim_one("c-1", expect=409, **ANA)).refused(409, "prospect-reserved")
