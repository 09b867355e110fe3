"""What a dialer asks of the service, and what it is told: as values, or as the refusal of its kind."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from reservoir.client import (
    ClaimLapsedError,
    ClaimNotAttemptedError,
    ClaimUnreservedError,
    DoNotCallError,
    ExtensionLimitError,
    InvalidRequestError,
    KeyRefusedError,
    NotFoundError,
    Phone,
    ProspectId,
    ProspectReservedError,
    ReservationNotRemovableError,
    Reservoir,
    Session,
    keeping,
)
from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.http_proxy import Proxy, Says, in_turn
from tests.support.service import App, Caller
from tests.support.waiting import await_until

REP, SESSION = "ana@acme.com", "s-1"


def csv(id_: str) -> ProspectId:
    return ProspectId("csv", id_)


def ben(client: Reservoir) -> Session:
    """Another rep's sitting, which nothing ends."""
    return client.session("ben@acme.com", "s-2")


async def test_a_claim_is_a_value(reservoir: Reservoir, admin: Caller) -> None:
    """Who was claimed, how, since when and until when: typed, with times that know their zone."""
    row = {"id": "c-1", "name": "Dana Ito", "mobile": "+1 415 555 0100", "phone": "4155550101 x 7", "company": "Initech", "tier": "gold"}
    west = await admin.make_list("Q4 West", [row])
    before = datetime.now(UTC)
    granted = await reservoir.claim(west, rep=REP, session=SESSION, mode="parallel", count=5)
    (claim,) = granted.claims
    assert (claim.state, claim.reserved, claim.rep, claim.session, claim.mode, claim.list) == ("reserved", True, REP, SESSION, "parallel", "q4-west")
    assert claim.attempted_at == claim.claimed_at
    assert claim.expires_at == claim.claimed_at + timedelta(days=1)
    assert abs(claim.claimed_at - before) < timedelta(minutes=1)
    prospect = claim.prospect
    assert (prospect.integration, prospect.id, prospect.name, prospect.company, prospect.title) == ("csv", "c-1", "Dana Ito", "Initech", None)
    assert prospect.phones == (Phone("mobile", "+14155550100"), Phone("phone", "+14155550101", "7"))
    assert prospect.fields == {"tier": "gold"}
    assert (granted.list, granted.multi_rep_dialing, granted.available, granted.next_available_at) == ("q4-west", True, 0, claim.expires_at)
    assert len({claim, claim}) == 1


async def test_nothing_available_is_an_answer(reservoir: Reservoir, admin: Caller) -> None:
    """A dry list grants nobody and says when the next one frees."""
    west = await admin.make_list("West", ["p1"])
    taken = await admin.take(west)
    granted = await reservoir.claim(west, rep=REP, session=SESSION, mode="power")
    assert granted.claims == ()
    assert granted.next_available_at == datetime.fromisoformat(taken["expires_at"])


async def test_a_hold_is_attempted_kept_and_disposed_of(reservoir: Reservoir, admin: Caller) -> None:
    """The way of a claim from its hold to its disposition, each step as the service has it."""
    west = await admin.make_list("West", ["p1"])
    (held,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power", hold_seconds=600)).claims
    assert (held.state, held.attempted_at, held.expires_at) == ("held", None, held.claimed_at + timedelta(seconds=600))
    with pytest.raises(ClaimNotAttemptedError):
        await reservoir.record_disposition(held, "busy")
    longer = await reservoir.extend(held, 1_200)
    assert longer.expires_at is not None
    assert longer.expires_at >= held.claimed_at + timedelta(seconds=1_200)
    reserved = await reservoir.attempt(held)
    assert (reserved.id, reserved.state) == (held.id, "reserved")
    assert await reservoir.attempt(held.id) == reserved
    await reservoir.record_disposition(reserved, "connected", note="wants a demo")
    found = await reservoir.get_claim(held.id)
    assert found.disposition is not None
    assert (found.disposition.outcome, found.disposition.remove, found.disposition.note) == ("connected", False, "wants a demo")
    assert found.disposition.at >= found.claimed_at


async def test_remove_takes_the_prospect_out_of_the_reps_dialing(reservoir: Reservoir, admin: Caller, client: Commands) -> None:
    """R10: a disposition that removes keeps the rep from being handed the prospect again, and nobody else."""
    west = await admin.make_list("West", ["p1"])
    (claim,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power")).claims
    await reservoir.record_disposition(claim, "wrong_number", remove=True)
    age(client, "acme", "csv:p1", DAY_MS + 1)
    assert not (await reservoir.claim(west, rep=REP, session=SESSION, mode="power")).claims
    assert (await ben(reservoir).claim(west, mode="power")).claims


async def test_a_released_prospect_is_available_again(reservoir: Reservoir, admin: Caller) -> None:
    """Release gives back, again and again; what was attempted stays, and says until when (R6)."""
    west = await admin.make_list("West", ["p1", "p2"])
    held, other = (await reservoir.claim(west, rep=REP, session=SESSION, mode="parallel", count=2, hold_seconds=600)).claims
    await reservoir.release(held)
    await reservoir.release(held)
    assert (await admin.counts(west))["available"] == 1
    with pytest.raises(ClaimLapsedError):
        await reservoir.attempt(held)
    reserved = await reservoir.attempt(other)
    with pytest.raises(ReservationNotRemovableError) as refused:
        await reservoir.release(other)
    assert refused.value.expires_at == reserved.expires_at


async def test_a_hold_that_ran_out_is_not_to_be_dialed(reservoir: Reservoir, admin: Caller, client: Commands) -> None:
    """Attempt, release and extend of a hold that lapsed are refused as such."""
    west = await admin.make_list("West", ["p1"])
    (held,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power", hold_seconds=60)).claims
    age(client, "acme", "csv:p1", 60_001)
    for asking in (reservoir.attempt(held), reservoir.release(held), reservoir.extend(held, 60)):
        with pytest.raises(ClaimLapsedError) as refused:
            await asking
        assert (refused.value.slug, refused.value.status) == ("claim-lapsed", 409)
        assert refused.value.request_id


async def test_an_extension_has_a_limit(reservoir: Reservoir, admin: Caller, client: Commands) -> None:
    """A hold can not be kept for more than eight hours."""
    west = await admin.make_list("West", ["p1"])
    (held,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power", hold_seconds=3_600)).claims
    for _ in range(8):
        age(client, "acme", "csv:p1", HOUR_MS - 60_000)
        try:
            await reservoir.extend(held, 3_600)
        except ExtensionLimitError:
            break
    else:
        pytest.fail("it was never refused")
    assert (await reservoir.get_claim(held)).state == "held"


async def test_a_prospect_by_id(reservoir: Reservoir, admin: Caller) -> None:
    """One particular prospect is claimed, or the refusal says who has them."""
    claim = await reservoir.claim_prospect(csv("p1"), rep=REP, session=SESSION, mode="power")
    assert (claim.state, claim.list, claim.prospect.name, claim.prospect.phones) == ("reserved", None, None, ())
    with pytest.raises(ProspectReservedError) as refused:
        await ben(reservoir).claim_prospect(csv("p1"), mode="power")
    reservation = refused.value.reservation
    assert (reservation.rep, reservation.claim, reservation.prospect, reservation.expires_at) == (REP, claim.id, csv("p1"), claim.expires_at)
    west = await admin.make_list("West", [{"id": "p2", "do_not_call": "yes"}])
    with pytest.raises(DoNotCallError):
        await reservoir.claim_prospect(csv("p2"), rep=REP, session=SESSION, mode="power")
    with pytest.raises(NotFoundError) as missing:
        await reservoir.claim_prospect(csv("p3"), rep=REP, session=SESSION, mode="power", list_id=west)
    assert missing.value.slug == "not-a-member"


async def test_r3_click_to_call_is_told_and_never_blocked(reservoir: Reservoir, admin: Caller) -> None:
    """R3: the answer says who has the prospect, and nobody is taken."""
    del admin
    assert (await reservoir.click_to_call(csv("p1"), rep=REP, session=SESSION)).reservation is None
    claim = await ben(reservoir).claim_prospect(csv("p1"), mode="power")
    told = await reservoir.click_to_call(csv("p1"), rep=REP, session=SESSION)
    assert not told.do_not_call
    assert told.reservation is not None
    assert told.reservation.claim == claim.id


async def test_r9_while_multi_rep_dialing_is_off_claims_say_so(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """R9: an unreserved claim keeps nobody away, and has nothing to release or to extend."""
    west = await admin.make_list("West", ["p1", "p2"])
    await admin.enable(enabled=False)
    (claim,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power")).claims
    assert (claim.state, claim.reserved, claim.expires_at) == ("unreserved", False, None)
    for asking in (reservoir.release(claim), reservoir.extend(claim, 60)):
        with pytest.raises(ClaimUnreservedError):
            await asking
    async with reservoir.keep(claim) as kept:
        await reservoir.get_claim(claim)
    assert (kept.claim, kept.ended) == (claim, None)
    assert [seen.path for seen in proxy.seen].count(f"/v1/claims/{claim.id}/extend") == 1


async def test_reservations_are_read_one_by_one_many_at_once_and_to_the_last(reservoir: Reservoir, admin: Caller) -> None:
    """Who has a prospect, who has each of many in their order, and all of a session, over the bound of a page."""
    west = await admin.make_list("West", [f"p{number:04}" for number in range(1_050)])
    taken = [claim for _ in range(21) for claim in (await reservoir.claim(west, rep=REP, session=SESSION, mode="parallel", count=50, hold_seconds=600)).claims]
    found = [one async for one in reservoir.reservations(session=SESSION, state="held")]
    assert sorted(one.claim or "" for one in found) == sorted(claim.id for claim in taken)
    assert [one async for one in reservoir.reservations(session="another")] == []
    one = await reservoir.reservation(csv("p0007"))
    assert one is not None
    assert (one.state, one.list, one.claim) == ("held", west, next(claim.id for claim in taken if claim.prospect.id == "p0007"))
    assert await reservoir.reservation(csv("nobody")) is None
    assert await reservoir.look_up([csv("nobody"), csv("p0007")]) == [None, one]
    with pytest.raises(NotFoundError):
        await reservoir.reservation(ProspectId("nowhere", "p1"))


@pytest.mark.parametrize("odd", ["a/b", "..", ".", "%2F", "a?b#c", "é:{}*", "p 1", "a%", "+"])
async def test_ids_are_data_in_a_path(reservoir: Reservoir, admin: Caller, odd: str) -> None:
    """Whatever is in an id, the path names that prospect and that session."""
    del admin
    claim = await reservoir.claim_prospect(csv(odd), rep=REP, session=odd, mode="power", hold_seconds=600)
    found = await reservoir.reservation(csv(odd))
    assert found is not None
    assert (found.claim, found.session) == (claim.id, odd)
    assert [one.claim async for one in reservoir.reservations(session=odd)] == [claim.id]


async def test_a_key_that_is_refused_is_told_as_such(reservoir: Reservoir, app: App, admin: Caller) -> None:
    """An unknown key is 401 and one that does not reach is 403, and neither is tried again."""
    reader = await app.member_of("acme", "read")
    west = await admin.make_list("West", ["p1"])
    for key, status in ((f"{reader.key}a", 401), (str(reader.key), 403)):
        async with Reservoir(app.root, key) as other:
            with pytest.raises(KeyRefusedError) as refused:
                await other.claim(west, rep=REP, session=SESSION, mode="power")
        assert refused.value.status == status
        assert key not in str(refused.value)
    assert (await reservoir.claim(west, rep=REP, session=SESSION, mode="power")).claims


async def test_what_is_asked_wrongly_is_named(reservoir: Reservoir, admin: Caller) -> None:
    """A list that is not there, and every bad field of a body."""
    with pytest.raises(NotFoundError) as missing:
        await reservoir.claim("nowhere", rep=REP, session=SESSION, mode="power")
    assert missing.value.slug == "list-not-found"
    west = await admin.make_list("West", ["p1"])
    with pytest.raises(InvalidRequestError) as invalid:
        await reservoir.claim(west, rep="", session=SESSION, mode="power", count=2)
    assert {error["pointer"] for error in invalid.value.errors} == {"/rep", "/count"}
    assert (await admin.counts(west))["available"] == 1


async def test_a_closed_client_asks_nothing(app: App, dialer: Caller) -> None:
    """A client that was never entered, or left, says so."""
    client = Reservoir(app.root, str(dialer.key))
    with pytest.raises(RuntimeError, match="async with"):
        await client.reservation(csv("p1"))
    async with client:
        assert await client.reservation(csv("p1")) is None
    with pytest.raises(RuntimeError, match="async with"):
        await client.reservation(csv("p1"))


# ---- keeping -----------------------------------------------------------------------------------------------------------------------------


async def test_r16_a_conversation_outlives_no_reservation(reservoir: Reservoir, admin: Caller, client: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """R16: five minutes of conversation on a reservation that has one minute left, and the prospect stays reserved by the same claim throughout."""
    monkeypatch.setattr(keeping, "AGAIN_AFTER", 0.001)
    await admin.enable(unit="hour", duration=1)
    west = await admin.make_list("West", ["p1"])
    (claim,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power")).claims
    age(client, "acme", "csv:p1", HOUR_MS - 60_000)
    async with reservoir.keep(claim, seconds=120) as kept:
        for _ in range(5):
            before = kept.claim
            await await_until(lambda before=before: kept.claim is not before, "an extension", 60)  # type: ignore[misc]
            age(client, "acme", "csv:p1", 60_000)
            assert (await reservoir.get_claim(claim)).state == "reserved"
    assert kept.ended is None
    found = await reservoir.reservation(csv("p1"))
    assert found is not None
    assert (found.claim, found.expires_at) == (claim.id, (await reservoir.get_claim(claim)).expires_at)


async def test_keeping_ends_with_the_call(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """After the block nothing extends the claim any more."""
    west = await admin.make_list("West", ["p1"])
    (claim,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power")).claims
    before = asyncio.all_tasks()
    async with reservoir.keep(claim):
        await await_until(lambda: any(seen.path.endswith("/extend") for seen in proxy.seen), "an extension")
    assert {task.get_name() for task in asyncio.all_tasks() - before if task.get_name().startswith("keep")} == set()


async def test_keeping_never_breaks_into_a_call(reservoir: Reservoir, admin: Caller, client: Commands, proxy: Proxy) -> None:
    """A network that fails is outlasted, and a claim that can be kept no longer is told, not raised."""
    west = await admin.make_list("West", ["p1"])
    (claim,) = (await reservoir.claim(west, rep=REP, session=SESSION, mode="power")).claims
    proxy.decide = in_turn(Says(500))
    async with reservoir.keep(claim, seconds=5) as kept:
        await await_until(lambda: kept.claim is not claim, "an extension after one that failed", 60)
        age(client, "acme", "csv:p1", 2 * DAY_MS)
        await await_until(lambda: kept.ended is not None, "the end", 60)
    assert isinstance(kept.ended, ClaimLapsedError)
