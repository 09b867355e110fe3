"""The client on a network that loses, cuts, swallows and delays, before a service that is away: what it returns happened once, and nothing is a guess."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reservoir.client import (
    ClaimLapsedError,
    InvalidRequestError,
    KeyRefusedError,
    OutcomeUnknownError,
    ProspectId,
    ProspectReservedError,
    Reservoir,
    TooManyRequestsError,
    UnavailableError,
)
from reservoir.client.sending import Answered, Asked, Failed
from reservoir.domain.times import MINUTE_MS
from tests.contract.client.conftest import PATIENT_S
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.http_proxy import Fate, Proxy, Says, Seen, in_turn, problem
from tests.support.keyspace import snapshot
from tests.support.service import Caller
from tests.support.waiting import await_until

REP, SESSION = "ana@acme.com", "s-1"
WHO: dict[str, Any] = {"rep": REP, "session": SESSION}

AWAY = problem(503, "store-unavailable", {"Retry-After": "0"})
UNKNOWN = problem(503, "store-unavailable", {"Retry-After": "0"}, idempotency_key="k")


def impatient(proxy: Proxy, dialer: Caller, timeout_s: float = PATIENT_S) -> Reservoir:
    """A client that sends once."""
    return Reservoir(proxy.url, str(dialer.key), timeout_s=timeout_s, retry_for_s=0)


async def held_ids(admin: Caller, session: str = SESSION) -> list[str]:
    """The claims that a session has, as the service knows."""
    return [one["claim"] for one in await admin.pages("/v1/reservations", session=session)]


# ---- sent again --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fates",
    [
        (Fate.LOSE,),
        (Fate.CUT,),
        (Fate.REFUSE,),
        (Fate.LOSE, Fate.LOSE, Fate.LOSE),
        (Fate.LOSE, AWAY, Fate.CUT),
        (AWAY,),
        (UNKNOWN, Fate.LOSE),
        (problem(429, "too-many-requests", {"Retry-After": "0"}), Fate.LOSE),
        (problem(400, "body-incomplete"),),
        (Says(502, "<html>bad gateway</html>"), Says(504, "")),
        (Says(503, "", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),),
    ],
    ids=lambda fates: "-".join(fate.name if isinstance(fate, Fate) else str(fate.status) for fate in fates),
)
async def test_r15_a_claim_is_sent_again_until_it_is_answered(reservoir: Reservoir, admin: Caller, proxy: Proxy, fates: tuple[Fate | Says, ...]) -> None:
    """R15: whatever becomes of its answers, one claim is one grant: every sending has the same key and the same body, and what is returned is all there is."""
    west = await admin.make_list("West", ["p1", "p2", "p3", "p4"])
    proxy.decide = in_turn(*fates)
    granted = await reservoir.claim(west, **WHO, mode="parallel", count=2)
    assert [claim.prospect.id for claim in granted.claims] == ["p1", "p2"]
    assert sorted(await held_ids(admin)) == sorted(claim.id for claim in granted.claims)
    assert len(proxy.seen) == len(fates) + 1
    assert len({(seen.key, seen.body) for seen in proxy.seen}) == 1
    assert proxy.seen[0].key
    assert not reservoir.unanswered


async def test_every_claim_has_a_key_of_its_own(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """Two claims that ask the same are two claims; a caller's own key is sent as it is."""
    west = await admin.make_list("West", ["p1", "p2", "p3"])
    first, second = await asyncio.gather(*(reservoir.claim(west, **WHO, mode="power") for _ in range(2)))
    assert first.claims[0].prospect != second.claims[0].prospect
    for _ in range(2):
        mine = await reservoir.claim(west, **WHO, mode="power", idempotency_key="mine")
        assert mine.claims[0].prospect.id == "p3"
    assert len({seen.key for seen in proxy.seen}) == 3
    with pytest.raises(InvalidRequestError) as refused:
        await reservoir.claim(west, **WHO, mode="parallel", idempotency_key="mine")
    assert refused.value.slug == "idempotency-key-reused"


async def test_an_answer_that_never_comes_is_asked_for_again(proxy: Proxy, admin: Caller, dialer: Caller) -> None:
    """After the time-out of one sending there is another, with the same key; the late answer of the first is nobody's."""
    west = await admin.make_list("West", ["p1", "p2"])
    proxy.decide = in_turn(Fate.SWALLOW)
    async with Reservoir(proxy.url, str(dialer.key), timeout_s=0.5, retry_for_s=PATIENT_S) as client:
        granted = await client.claim(west, **WHO, mode="power")
    assert await held_ids(admin) == [granted.claims[0].id]
    assert len({seen.key for seen in proxy.seen}) == 1


async def test_what_is_done_to_a_claim_is_sent_again(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """A release, an attempt, an extension and a disposition, each with its first answer lost, are done, and done once."""
    west = await admin.make_list("West", ["p1", "p2", "p3"])
    one, two, _ = (await reservoir.claim(west, **WHO, mode="parallel", count=3, hold_seconds=600)).claims

    async def losing(asking: Awaitable[Any]) -> Any:
        proxy.seen.clear()
        proxy.decide = in_turn(Fate.LOSE)
        told = await asking
        assert len(proxy.seen) == 2
        return told

    await losing(reservoir.release(one))
    assert (await losing(reservoir.attempt(two))).state == "reserved"
    assert (await losing(reservoir.extend(two, 60))).id == two.id
    await losing(reservoir.record_disposition(two, "busy"))
    assert (await losing(reservoir.get_claim(two))).disposition.outcome == "busy"
    counts = await admin.counts(west)
    assert (counts["available"], counts["held"], counts["reserved"]) == (1, 1, 1)


async def test_click_to_call_is_never_said_twice(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """A click whose answer is lost may be in the history: it is not sent again, and the caller is told so. One that never arrived is."""
    del admin
    proxy.decide = in_turn(problem(429, "too-many-requests", {"Retry-After": "0"}), Fate.LOSE)
    with pytest.raises(OutcomeUnknownError) as unknown:
        await reservoir.click_to_call(ProspectId("csv", "p1"), **WHO)
    assert unknown.value.idempotency_key is None
    assert len(proxy.seen) == 2
    assert all(seen.key is None for seen in proxy.seen)


async def test_retry_after_is_obeyed(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """The next sending comes no sooner than the service said."""
    west = await admin.make_list("West", ["p1"])
    proxy.decide = in_turn(problem(503, "store-unavailable", {"Retry-After": "1"}))
    begun_s = time.monotonic()
    await reservoir.claim(west, **WHO, mode="power")
    assert time.monotonic() - begun_s >= 1


async def test_a_service_that_is_restarted_is_waited_for(admin: Caller, dialer: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at first: the claim is sent when somebody does."""
    west = await admin.make_list("West", ["p1"])
    proxy = Proxy(admin.root)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with Reservoir(f"http://127.0.0.1:{port}", str(dialer.key), timeout_s=PATIENT_S, retry_for_s=PATIENT_S) as client:
        outcomes, send = list[object](), client._line.send

        async def noted(asked: Asked[Any], key: str | None) -> Answered[Any] | Failed:
            outcomes.append(outcome := await send(asked, key))
            return outcome

        monkeypatch.setattr(client._line, "send", noted)
        claiming = asyncio.create_task(client.claim(west, **WHO, mode="power"))
        await await_until(lambda: len(outcomes) > 1, "sendings that nobody received", 60)
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", port):
            granted = await claiming
    await proxy.close()
    assert await held_ids(admin) == [granted.claims[0].id]


# ---- not answered at all -----------------------------------------------------------------------------------------------------------------


async def test_what_was_not_done_is_unavailable(proxy: Proxy, admin: Caller, dialer: Caller, client: Commands) -> None:
    """A store that is away, and a service that nobody reaches: nothing was taken, and nothing is left to be asked again."""
    west = await admin.make_list("West", ["p1"])
    before = snapshot(client)
    proxy.decide = in_turn(AWAY)
    async with impatient(proxy, dialer) as one, Reservoir("http://127.0.0.1:1", str(dialer.key), retry_for_s=0) as nowhere:
        for asked in (one, nowhere):
            with pytest.raises(UnavailableError) as refused:
                await asked.claim(west, **WHO, mode="power")
            assert not isinstance(refused.value, OutcomeUnknownError)
            assert not asked.unanswered
    assert snapshot(client) == before


@pytest.mark.parametrize("last", [Fate.LOSE, Fate.CUT, UNKNOWN, Says(500, ""), problem(500, "internal-error"), Says(200, "<html>hello</html>")])
async def test_who_asks_again_is_told_what_was_done(proxy: Proxy, admin: Caller, dialer: Caller, last: Fate | Says) -> None:
    """A claim whose outcome stays unknown is raised with its key; to ask the same again returns the one grant, and to ask once more is a new claim."""
    west = await admin.make_list("West", ["p1", "p2", "p3"])
    done = isinstance(last, Fate)
    async with impatient(proxy, dialer) as client:
        proxy.decide = in_turn(last)
        with pytest.raises(OutcomeUnknownError) as unknown:
            await client.claim(west, **WHO, mode="parallel", count=2)
        assert list(client.unanswered) == [unknown.value.idempotency_key]
        taken = await held_ids(admin)
        assert len(taken) == (2 if done else 0)
        again = await client.claim(west, **WHO, mode="parallel", count=2)
        assert [claim.prospect.id for claim in again.claims] == ["p1", "p2"]
        assert not done or sorted(taken) == sorted(claim.id for claim in again.claims)
        assert not client.unanswered
        assert [claim.prospect.id for claim in (await client.claim(west, **WHO, mode="parallel", count=2)).claims] == ["p3"]


async def test_an_attempt_of_unknown_outcome_is_asked_again(proxy: Proxy, admin: Caller, dialer: Caller) -> None:
    """An attempt whose answer is lost forbids the call until a repeat returns the claim, whose expiry has not moved."""
    west = await admin.make_list("West", ["p1"])
    async with impatient(proxy, dialer) as client:
        (held,) = (await client.claim(west, **WHO, mode="power", hold_seconds=600)).claims
        proxy.decide = in_turn(Fate.LOSE)
        with pytest.raises(OutcomeUnknownError) as unknown:
            await client.attempt(held)
        assert unknown.value.idempotency_key is None
        known = await client.get_claim(held)
        assert (await client.attempt(held)).expires_at == known.expires_at
        assert known.state == "reserved"


async def test_another_claim_is_not_given_an_unanswered_key(proxy: Proxy, admin: Caller, dialer: Caller) -> None:
    """The key of a claim that nobody answered belongs to who asks the same: another session, list or count is another claim."""
    west, east = await admin.make_list("West", ["p1", "p2", "p3"]), await admin.make_list("East", ["p7"])
    async with impatient(proxy, dialer) as client:
        proxy.decide = in_turn(Fate.LOSE)
        with pytest.raises(OutcomeUnknownError):
            await client.claim(west, **WHO, mode="parallel")
        assert (await client.claim(west, rep=REP, session="s-2", mode="parallel")).claims[0].prospect.id == "p2"
        assert (await client.claim(east, **WHO, mode="parallel")).claims[0].prospect.id == "p7"
        assert (await client.claim(west, **WHO, mode="parallel", count=2)).claims[0].prospect.id == "p3"
        assert len(client.unanswered) == 1
        assert (await client.claim(west, **WHO, mode="parallel")).claims[0].prospect.id == "p1"


async def test_a_prospect_by_id_is_not_refused_for_the_callers_own_lost_claim(proxy: Proxy, admin: Caller, dialer: Caller) -> None:
    """To claim a prospect again after an unknown outcome returns the claim, and does not say that somebody has them."""
    prospect = ProspectId("csv", "p1")
    async with impatient(proxy, dialer) as client:
        proxy.decide = in_turn(Fate.LOSE)
        with pytest.raises(OutcomeUnknownError):
            await client.claim_prospect(prospect, **WHO, mode="power")
        claim = await client.claim_prospect(prospect, **WHO, mode="power")
        assert await held_ids(admin) == [claim.id]
        with pytest.raises(ProspectReservedError):
            await client.claim_prospect(prospect, **WHO, mode="power")


async def test_a_key_revoked_half_way_leaves_the_outcome_unknown(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """A refusal that knows nothing of the sending before it does not stand for its outcome."""
    west = await admin.make_list("West", ["p1"])
    proxy.decide = in_turn(Fate.LOSE, problem(401, "unauthenticated"))
    with pytest.raises(OutcomeUnknownError) as unknown:
        await reservoir.claim(west, **WHO, mode="power")
    assert isinstance(unknown.value.__cause__, KeyRefusedError)
    assert list(reservoir.unanswered) == [unknown.value.idempotency_key]
    proxy.decide = in_turn(problem(401, "unauthenticated"))
    with pytest.raises(OutcomeUnknownError):
        await reservoir.claim(west, **WHO, mode="power")
    (claim,) = (await reservoir.claim(west, **WHO, mode="power")).claims
    assert await held_ids(admin) == [claim.id]


async def test_a_rate_is_waited_out_or_told(proxy: Proxy, dialer: Caller) -> None:
    """429 for longer than there is time is a refusal of its own, raised at once."""
    proxy.decide = in_turn(problem(429, "too-many-requests", {"Retry-After": "3600"}))
    async with Reservoir(proxy.url, str(dialer.key), retry_for_s=PATIENT_S) as client:
        with pytest.raises(TooManyRequestsError):
            await client.claim("west", **WHO, mode="power")
    assert len(proxy.seen) == 1


@pytest.mark.parametrize("says", [Says(301, "", {"Location": "https://elsewhere.example/"}), Says(200, "<html></html>"), Says(404, "no such page")])
async def test_what_is_no_service_is_named(reservoir: Reservoir, proxy: Proxy, says: Says) -> None:
    """A redirect is not followed, and a page of something else is no answer."""
    proxy.decide = lambda _: says
    with pytest.raises(UnavailableError, match="is this the address of a service") as refused:
        await reservoir.reservation(ProspectId("csv", "p1"))
    assert not isinstance(refused.value, OutcomeUnknownError)
    assert ("https://elsewhere.example/" in str(refused.value)) == (says.status == 301)
    assert len(proxy.seen) == 1


# ---- what lapsed or came late ------------------------------------------------------------------------------------------------------------


async def test_what_lapsed_unseen_gives_way_to_a_new_claim(reservoir: Reservoir, admin: Caller, proxy: Proxy, client: Commands) -> None:
    """The answer is lost and the hold runs out before the next sending: the claim is made anew, with another key. The caller's own key is told instead."""
    west = await admin.make_list("West", ["p1", "p2"])

    def lose_and_age() -> Callable[[Seen], Fate | Says]:
        sendings = iter((Fate.LOSE, None))

        def decide(_: Seen) -> Fate | Says:
            if next(sendings, Fate.PASS) is None:
                age(client, "acme", "csv:p1", MINUTE_MS)
            return Fate.LOSE if len(proxy.seen) == 1 else Fate.PASS

        return decide

    proxy.decide = lose_and_age()
    (claim,) = (await reservoir.claim(west, **WHO, mode="power", hold_seconds=30)).claims
    assert [seen.key for seen in proxy.seen].count(proxy.seen[0].key) == 2
    assert await held_ids(admin) == [claim.id]
    await reservoir.release(claim)
    proxy.seen.clear()
    proxy.decide = lose_and_age()
    with pytest.raises(ClaimLapsedError):
        await reservoir.claim(west, **WHO, mode="power", hold_seconds=30, idempotency_key="mine")
    assert await held_ids(admin) == []


async def test_a_sending_that_comes_late_takes_for_who_asks_again(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """A sending arrives after the answer to a later one that took nothing: what it takes is returned to who asks the same again."""
    west = await admin.make_list("West", ["p1", "p2"])
    other = (await admin.claim(west, 2, hold_seconds=600)).json["claims"]
    proxy.decide = in_turn(Fate.LATE)
    assert (await reservoir.claim(west, rep="ben@acme.com", session="s-2", mode="power")).claims == ()
    assert len(reservoir.unanswered) == 1
    await admin.after(other[0], "release", expect=200)
    await admin.after(other[1], "release", expect=200)
    await proxy.deliver()
    (taken,) = await held_ids(admin, "s-2")
    (claim,) = (await reservoir.claim(west, rep="ben@acme.com", session="s-2", mode="power")).claims
    assert claim.id == taken
    assert not reservoir.unanswered


# ---- cancelled ---------------------------------------------------------------------------------------------------------------------------


async def test_a_cancelled_claim_that_reserved_is_taken_up_again(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """What was reserved when its claim was cancelled can not be given back: who asks the same again is given it."""
    west = await admin.make_list("West", ["p1", "p2"])
    proxy.decide = in_turn(Fate.SWALLOW)
    claiming = asyncio.create_task(reservoir.claim(west, **WHO, mode="power"))
    await proxy.swallowed.wait()
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    (taken,) = await held_ids(admin)
    (claim,) = (await reservoir.claim(west, **WHO, mode="power")).claims
    assert claim.id == taken


async def test_a_client_that_is_closed_leaves_nothing_under_way(proxy: Proxy, admin: Caller, dialer: Caller) -> None:
    """What is under way when the client is closed ends as unknown, with its key, and no connection is left."""
    west = await admin.make_list("West", ["p1"])
    proxy.decide = in_turn(Fate.SWALLOW)
    async with Reservoir(proxy.url, str(dialer.key), timeout_s=PATIENT_S, retry_for_s=PATIENT_S) as client:
        claiming = asyncio.create_task(client.claim(west, **WHO, mode="power"))
        await proxy.swallowed.wait()
    with pytest.raises(OutcomeUnknownError) as unknown:
        await claiming
    assert list(client.unanswered) == [unknown.value.idempotency_key]
    await await_until(lambda: proxy.connections == 0, "all connections are closed")


async def test_claims_that_wait_keep_no_attempt_waiting(reservoir: Reservoir, admin: Caller, proxy: Proxy) -> None:
    """However many claims are under way, the next request finds a connection."""
    west = await admin.make_list("West", ["p1"])
    proxy.decide = lambda seen: Fate.SWALLOW if seen.path.endswith("/claims") else Fate.PASS
    claiming = [asyncio.create_task(reservoir.claim(west, rep=REP, session=f"s-{number}", mode="power")) for number in range(120)]
    await await_until(lambda: len(proxy.seen) == len(claiming), "all claims are under way", 60)
    assert await reservoir.look_up([]) == []
    for task in claiming:
        task.cancel()
    await asyncio.wait(claiming)


# ---- many --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_tenth_of_the_answers_lost_and_nobody_is_taken_twice_or_lost(reservoir: Reservoir, admin: Caller, proxy: Proxy, seed: int) -> None:
    """Six sessions dial three hundred over a network that loses every tenth answer: each prospect is granted to one, attempted once, and none is leaked."""
    west = await admin.make_list("West", [f"p{number:03}" for number in range(300)])
    chance = random.Random(seed)
    dialed: list[tuple[str, str]] = []
    lost: list[Seen] = []

    def lose_a_tenth(seen: Seen) -> Fate:
        if chance.random() >= 0.1:
            return Fate.PASS
        lost.append(seen)
        return chance.choice((Fate.LOSE, Fate.CUT))

    proxy.decide = lose_a_tenth

    async def dial(number: int) -> None:
        hold = 600 if number % 2 else None
        session = reservoir.session(f"rep-{number}")
        async for claim in session.claims(west, mode="parallel", count=3 if hold else 1, hold_seconds=hold):
            reserved = await reservoir.attempt(claim)
            dialed.append((reserved.prospect.id, reserved.id))

    await asyncio.gather(*(dial(number) for number in range(6)))
    assert Counter(prospect for prospect, _ in dialed) == Counter(f"p{number:03}" for number in range(300))
    proxy.decide = in_turn()
    reserved = [one async for one in reservoir.reservations(list_id=west)]
    assert sorted((one.prospect.id, one.claim) for one in reserved) == sorted(dialed)
    assert {one.state for one in reserved} == {"reserved"}
    assert len({seen.key for seen in lost if seen.key}) > 10
