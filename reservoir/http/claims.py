"""Claims over HTTP."""

from reservoir.domain.claims import Claim, Granted
from reservoir.domain.refusals import Refused
from reservoir.http import answers
from reservoir.http.bodies import ClaimNext, ClaimOne, Disposition, Empty, Extend
from reservoir.http.connections import when_gone
from reservoir.http.finding import find_claim, find_list
from reservoir.http.problems import ProblemError
from reservoir.http.visit import Answer, Route, Visit
from reservoir.storage.claims import RequestKey, Taker
from reservoir.storage.orgs import StaleError


async def claim_next(visit: Visit, body: ClaimNext) -> Answer | Refused:
    """The next prospects of a list."""
    list_id = visit.list_id()
    key = RequestKey.of(visit.idempotency_key(), f"/v1/lists/{list_id}/claims", body.model_dump())
    taker = Taker(body.rep, body.session, body.mode, body.hold_seconds)
    if body.wait_seconds:
        granted = await _waited(visit, list_id, taker, body, key)
    else:
        granted = await visit.services.claims.claim_next(visit.org, list_id, taker, body.count, key)
    if isinstance(granted, Refused):
        return granted
    return Answer(answers.granted(granted, list_id), 201 if granted.claims else 200)


async def _waited(visit: Visit, list_id: str, taker: Taker, body: ClaimNext, key: RequestKey) -> Granted | Refused:
    """Waits for somebody to be available, for as long as the client is there. What is changed in the org meanwhile is obeyed: a key that is revoked ends it."""
    claims = visit.services.claims
    wait = claims.waiting.begin(body.wait_seconds)
    try:
        with when_gone(visit.request, wait.give_up):
            while True:
                try:
                    return await claims.claim_next(visit.org, list_id, taker, body.count, key, wait)
                except StaleError:
                    if not wait.in_line:
                        raise
                    visit = await visit.renew()
    finally:
        await claims.waiting.leave(visit.org.id, list_id, wait, key.key)


async def claim_one(visit: Visit, body: ClaimOne) -> Answer | Refused:
    """One particular prospect, or who has them, for a person who picked them by hand."""
    prospect = body.prospect
    key = visit.idempotency_key()
    if body.mode == "click_to_call":
        told = await visit.services.claims.click_to_call(visit.org, prospect.integration, prospect.id, body.list, body.rep, body.session)
        if isinstance(told, Refused):
            return told
        reservation = answers.optional_reservation(told.reservation)
        return Answer({"allowed": True, "reserved": False, "do_not_call": told.do_not_call, "reservation": reservation})
    taker = Taker(body.rep, body.session, body.mode, body.hold_seconds)
    request_key = RequestKey.of(key, "/v1/claims", body.model_dump())
    return _claimed(await visit.services.claims.claim_one(visit.org, prospect.integration, prospect.id, body.list, taker, request_key), 201)


async def get_claim(visit: Visit, _: None) -> Answer | Refused:
    """A claim as it stands."""
    claim = await visit.services.claims.get(visit.org, visit.claim_id())
    return claim if isinstance(claim, Refused) else Answer(answers.claim_with_disposition(claim))


async def attempt(visit: Visit, _: Empty) -> Answer | Refused:
    """The call starts now."""
    return _claimed(await visit.services.claims.attempt(visit.org, visit.claim_id()))


async def release(visit: Visit, _: Empty) -> Answer | Refused:
    """The prospect is given back undialed."""
    return await visit.services.claims.release(visit.org, visit.claim_id()) or Answer({"released": True})


async def extend(visit: Visit, body: Extend) -> Answer | Refused:
    """The prospect stays taken for at least so long from now."""
    return _claimed(await visit.services.claims.extend(visit.org, visit.claim_id(), body.seconds))


async def dispose(visit: Visit, body: Disposition) -> Answer | Refused:
    """The outcome of the call."""
    refused = await visit.services.claims.dispose(visit.org, visit.claim_id(), body.outcome, remove=body.remove, note=body.note)
    if refused is not None and refused.slug == "no-list":
        raise ProblemError.invalid([{"pointer": "/remove", "detail": refused.detail}])
    return refused or Answer({"recorded": True})


def _claimed(claim: Claim | Refused, status: int = 200) -> Answer | Refused:
    return claim if isinstance(claim, Refused) else Answer(answers.claim(claim), status)


_LAPSED = ("claim-not-found", "claim-lapsed")

ROUTES = (
    Route(
        "POST",
        "/v1/lists/{list}/claims",
        claim_next,
        "dial",
        "Claim the next prospects of a list",
        body=ClaimNext,
        find=find_list,
        answer="Granted",
        status=201,
        problems=("list-not-found", "claim-lapsed", "idempotency-key-reused"),
    ),
    Route(
        "POST",
        "/v1/claims",
        claim_one,
        "dial",
        "Claim one particular prospect",
        body=ClaimOne,
        answer="Claim",
        status=201,
        problems=("list-not-found", "not-a-member", "prospect-reserved", "do-not-call", "claim-lapsed", "idempotency-key-reused"),
    ),
    Route("GET", "/v1/claims/{claim}", get_claim, "read", "See how a claim stands", find=find_claim, answer="Claim", problems=("claim-not-found",)),
    Route(
        "POST",
        "/v1/claims/{claim}/attempt",
        attempt,
        "dial",
        "Say that the call starts now",
        body=Empty,
        find=find_claim,
        answer="Claim",
        problems=_LAPSED,
    ),
    Route(
        "POST",
        "/v1/claims/{claim}/release",
        release,
        "dial",
        "Give a held prospect back",
        body=Empty,
        find=find_claim,
        answer="Released",
        problems=(*_LAPSED, "reservation-not-removable", "claim-unreserved"),
    ),
    Route(
        "POST",
        "/v1/claims/{claim}/extend",
        extend,
        "dial",
        "Keep the prospect taken for longer",
        body=Extend,
        find=find_claim,
        answer="Claim",
        problems=(*_LAPSED, "extension-limit", "claim-unreserved"),
    ),
    Route(
        "POST",
        "/v1/claims/{claim}/disposition",
        dispose,
        "dial",
        "Record the outcome of the call",
        body=Disposition,
        find=find_claim,
        answer="Recorded",
        problems=("claim-not-found", "claim-not-attempted"),
    ),
)
