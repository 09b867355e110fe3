"""POST /v1/sessions/{session}/end: what a session still holds is given back."""

import pytest

from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, BEN, App, Caller, ids_of, kept, path_part


async def end(caller: Caller, session: str, expect: int = 200) -> int:
    told = await caller.post(f"/v1/sessions/{path_part(session)}/end", {}, expect)
    return int(told.json["released"])


async def test_a_sessions_end_releases_what_it_holds(dialer: Caller, admin: Caller) -> None:
    """Held ones are available again, reserved ones stay (R6), other sessions keep theirs; repeated or unknown: 0."""
    west = await admin.make_list("West", [f"p{number}" for number in range(1, 7)])
    held = (await dialer.claim(west, 3, hold_seconds=600)).json["claims"]
    reserved = await dialer.take(west)
    theirs = await dialer.take(west, hold_seconds=600, **BEN)
    await dialer.after(held[2], "attempt", expect=200)
    assert await end(dialer, "s-1") == 2
    assert await admin.counts(west) == {"members": 6, "available": 3, "held": 1, "reserved": 2, "undialable": 0}
    assert [(await admin.get(f"/v1/claims/{claim['id']}")).json["state"] for claim in (*held, reserved, theirs)] == [
        "released", "released", "reserved", "reserved", "held"
    ]  # fmt: skip
    assert await end(dialer, "s-1") == 0
    assert await end(dialer, "nobody's") == 0
    assert ids_of((await dialer.claim(west, 2, **BEN)).json["claims"]) == ["p1", "p2"]


async def test_the_body_may_be_left_out(dialer: Caller) -> None:
    """As everywhere where it is {}; anything in it is refused."""
    assert (await dialer.post("/v1/sessions/s-1/end")).json == {"released": 0}
    (await dialer.post("/v1/sessions/s-1/end", {"all": True})).invalid("/all")


async def test_a_release_repeated_after_the_end_is_200_and_an_attempt_is_not(dialer: Caller, admin: Caller) -> None:
    """A session's end is a release too: what it released is released, and not to be dialed."""
    west = await admin.make_list("West", ["p1"])
    claim = await dialer.take(west, hold_seconds=600)
    await end(dialer, "s-1")
    assert (await dialer.after(claim, "release", {}, 200)).json == {"released": True}
    (await dialer.after(claim, "attempt")).refused(409, "claim-lapsed")


@pytest.mark.parametrize("session", ["s 1", "a/b", "{acme}", "s:1*", "Zoë ☎", "100%", "..", ".", "x" * 255, "é" * 127, "?q=1#f"])
async def test_any_session_id_is_known_by_its_name(dialer: Caller, admin: Caller, session: str) -> None:
    """Percent-encoded in the path, byte by byte what the claim was made with."""
    west = await admin.make_list("West", ["p1", "p2"])
    await dialer.take(west, hold_seconds=600, session=session)
    assert await end(dialer, session) == 1


@pytest.mark.parametrize("session", ["%00", "a%0Ab", "%C2%85", "x" * 256, "%C3%A9" * 128, "%FF"])
async def test_what_can_be_no_session_is_refused(dialer: Caller, client: Commands, session: str) -> None:
    """Control characters, more than 255 bytes, bytes that are no UTF-8: 422 that names the parameter."""
    before = kept(client)
    (await dialer.post(f"/v1/sessions/{session}/end", {})).invalid("session")
    assert kept(client) == before


async def test_any_number_of_holds(dialer: Caller, admin: Caller) -> None:
    """More than one call to the store releases."""
    west = await admin.make_list("West", [f"p{number}" for number in range(250)])
    for _ in range(5):
        await dialer.claim(west, 50, hold_seconds=600)
    assert await end(dialer, "s-1") == 250
    assert (await admin.counts(west))["available"] == 250


async def test_an_extended_hold_is_released_and_a_lapsed_one_is_none(dialer: Caller, admin: Caller, client: Commands) -> None:
    """A hold counts by when it ends now, not by when it was to end as it was taken."""
    west = await admin.make_list("West", ["p1", "p2"])
    extended, lapsed = (await dialer.claim(west, 2, hold_seconds=60)).json["claims"]
    await dialer.after(extended, "extend", {"seconds": 3_600}, 200)
    for claim in (extended, lapsed):
        age(client, "acme", f"csv:{claim['prospect']['id']}", 60_001)
    assert await end(dialer, "s-1") == 1
    (await dialer.after(lapsed, "release")).refused(409, "claim-lapsed")


async def test_r17_another_orgs_session_of_the_same_name(app: App, dialer: Caller, admin: Caller) -> None:
    """R17: a session is the org's own; another org's end of that name releases nothing here."""
    west = await admin.make_list("West", ["p1"])
    claim = await dialer.take(west, hold_seconds=600, **ANA)
    globex = await app.org("globex")
    assert await end(globex, "s-1") == 0
    assert (await admin.get(f"/v1/claims/{claim['id']}")).json["state"] == "held"


async def test_the_end_needs_the_scope_dial(app: App, admin: Caller) -> None:
    """A key that only reads may not release."""
    del admin
    reader = await app.member_of("acme", "read")
    (await reader.post("/v1/sessions/s-1/end", {})).refused(403, "forbidden")
