"""Claims at the store: taking prospects, and what is done to a claim afterwards. Each verb is one call of one script."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import orjson

from reservoir import metrics
from reservoir.domain.claims import Claim, DialingMode, Granted, Reservation
from reservoir.domain.refusals import Refused
from reservoir.domain.times import DAY_MS, MINUTE_MS, SECOND_MS, rfc3339
from reservoir.storage import replies
from reservoir.storage.names import random_name
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import Reply, StoreFaultError, StoreUnavailableError
from reservoir.storage.waiting import Wait, Waiting

KEY_KEPT_MS = DAY_MS
OWN_KEY_KEPT_MS = 15 * MINUTE_MS
ON_WITHIN_S = 3.0
"""For how long one claim may walk past members that its rep removed, call by call. What it found out is remembered: the next one goes on from there."""


@dataclass(frozen=True, slots=True)
class Taker:
    """Who claims, and how. **Units**: ``hold_seconds`` None: the call attempts start now."""

    rep: str
    session: str
    mode: DialingMode
    hold_seconds: int | None


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes a repeat safe: the caller's key or one that was made for it, and what the request was."""

    key: str
    digest: str
    kept_ms: int

    @classmethod
    def of(cls, key: str | None, path: str, body: object) -> "RequestKey":
        """The caller's key, or a new one for the service's own re-sends; ``body`` as it was validated, defaults filled in."""
        digest = hashlib.sha256(path.encode() + b"\n" + orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
        return cls(key, digest, KEY_KEPT_MS) if key else cls(f"own-{random_name(26)}", digest, OWN_KEY_KEPT_MS)


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to click to call: who has the prospect, and whether the CRM flags it as not to be called."""

    do_not_call: bool
    reservation: Reservation | None


class UnknownOutcomeError(StoreUnavailableError):
    """The claim may have been granted; ``key`` is what to ask again with."""

    def __init__(self, cause: StoreUnavailableError, key: str) -> None:
        super().__init__(str(cause), unknown=True, retry_after_s=cause.retry_after_s)
        self.key = key


class ClaimStore:
    """The verbs on claims, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs
        self.waiting = Waiting(orgs)

    async def claim_next(self, org: Org, list_id: str, taker: Taker, count: int, key: RequestKey, wait: Wait | None = None) -> Granted | Refused:
        """Claims the next prospects of a list; with a ``wait``, waits for somebody to be available. If it was given up, a hold that was granted meanwhile is
        released at once, and a reservation stays.

        **Again**: with the same key takes nothing more; the claims that still stand, or ``claim-lapsed`` if none does. With the same wait it keeps its place.

        **Raises**: StaleError, StoreUnavailableError, UnknownOutcomeError.
        """
        if wait is None:
            return _granted(await self._next(org, list_id, taker, count, key, random_name(16), ""))
        while (reply := await self._next(org, list_id, taker, count, key, wait.base, self.waiting.word(wait)))[0] == b"waiting":
            wait.in_line, wait.stirred = True, replies.integer(reply[2])
            await self.waiting.turn(org, list_id, wait)
        wait.in_line = wait.in_line and reply[0] != b"claimed"
        granted = _granted(reply)
        if wait.gone and isinstance(granted, Granted):
            await self._give_back(org, [claim.id for claim in granted.claims if claim.state == "held" and claim.id.startswith(wait.base)])
        return granted

    async def _give_back(self, org: Org, held: Sequence[str]) -> None:
        async def release(current: Org) -> None:
            for claim_id in held:
                await self.release(current, claim_id)

        await self._orgs.ask(org.id, release)

    async def _next(self, org: Org, list_id: str, taker: Taker, count: int, key: RequestKey, base: str, waiting: str) -> Reply:
        await self._orgs.mark_active(org)
        place: str | bytes = ""
        until_s = asyncio.get_running_loop().time() + ON_WITHIN_S
        while True:
            reply = await self._take(
                org,
                "claim",
                key,
                (list_id, taker.rep, taker.session, taker.mode, count, _hold_ms(taker), key.key, key.digest, key.kept_ms, base, place, waiting),
            )
            if reply[0] != b"on":
                return reply
            place = cast("bytes", reply[2])
            if asyncio.get_running_loop().time() >= until_s:
                raise StoreUnavailableError("the rep has removed more members at the head of the list than one claim gets past")

    async def claim_one(self, org: Org, integration: str, prospect: str, list_id: str | None, taker: Taker, key: RequestKey) -> Claim | Refused:
        """Claims one particular prospect.

        **Again**: as `claim_next`.

        **Raises**: StaleError, StoreUnavailableError, UnknownOutcomeError.
        """
        await self._orgs.mark_active(org)
        reply = await self._take(
            org,
            "claim_one",
            key,
            (integration, prospect, list_id or "", taker.rep, taker.session, taker.mode, _hold_ms(taker), key.key, key.digest, key.kept_ms, random_name(16)),
        )
        if reply[0] not in {b"claimed", b"repeated"}:
            return _refused(reply)
        rows = replies.items(reply[2])
        if reply[0] == b"claimed" and rows:
            metrics.CLAIMS.add(1, taker.mode, replies.text(replies.items(rows[0])[7]))
        return replies.claim(rows[0], replies.integer(reply[1])) if rows else _LAPSED

    async def click_to_call(self, org: Org, integration: str, prospect: str, list_id: str | None, rep: str, session: str) -> Told | Refused:
        """Tells who has a prospect that a person picked by hand. Blocks nobody. **Again**: is a second call, and the history has both."""
        reply = await self._orgs.write("click_to_call", org, integration, prospect, list_id or "", rep, session)
        if reply[0] != b"told":
            return _refused(reply)
        return Told(reply[3] == 1, None if reply[2] is None else replies.reservation(reply[2]))

    async def get(self, org: Org, claim_id: str) -> Claim | Refused:
        """The claim as it stands."""
        return _claim(await self._orgs.read("read_claim", org, claim_id))

    async def attempt(self, org: Org, claim_id: str) -> Claim | Refused:
        """Starts the call. **Again**: the same claim, its expiry unmoved."""
        await self._orgs.mark_active(org)
        return _claim(await self._orgs.write("attempt", org, claim_id))

    async def release(self, org: Org, claim_id: str) -> Refused | None:
        """Gives a held prospect back. None: done. **Again**: None."""
        reply = await self._orgs.write("release", org, claim_id)
        return None if reply[0] == b"released" else _refused(reply)

    async def end_session(self, org: Org, session: str) -> int:
        """Releases all that a session still holds, and returns how many. Reserved ones stay. **Again**: 0."""
        reply = await self._orgs.write("end_session", org, session)
        released = replies.integer(reply[2])
        while replies.integer(reply[3]):  # who asked was let in by the first call, so the rest of it is done whatever was set since
            reply = await self._orgs.ask(org.id, lambda current: self._orgs.write("end_session", current, session))
            released += replies.integer(reply[2])
        return released

    async def extend(self, org: Org, claim_id: str, seconds: int) -> Claim | Refused:
        """Keeps the prospect taken for at least so long from now. **Again**: from the repeat's own instant."""
        return _claim(await self._orgs.write("extend", org, claim_id, seconds * SECOND_MS))

    async def dispose(self, org: Org, claim_id: str, outcome: str, *, remove: bool, note: str | None) -> Refused | None:
        """Records an outcome, which removes too where the setting of the claim's integration says so. None: done.

        **Again**: the same one records nothing more; another replaces it.
        """
        mapped = " ".join(name for name, setting in org.write_back.items() if setting.removes(outcome))
        reply = await self._orgs.write("dispose", org, claim_id, outcome, int(remove), note or "", int(note is not None), mapped)
        return None if reply[0] == b"recorded" else _refused(reply)

    async def _take(self, org: Org, verb: Literal["claim", "claim_one"], key: RequestKey, arguments: tuple[str | bytes | int, ...]) -> Reply:
        try:
            return await self._orgs.write(verb, org, *arguments)
        except StoreUnavailableError as error:
            if error.unknown:
                raise UnknownOutcomeError(error, key.key) from error
            raise


_LAPSED = Refused("claim-lapsed", "What this key took stands no more: do not dial.")

_SENTENCES = {
    "claim-not-found": "There is no such claim.",
    "claim-lapsed": "The claim is not yours any more: do not dial.",
    "claim-unreserved": "The claim was taken while multi-rep dialing was off: it has nothing to give back or to extend.",
    "claim-not-attempted": "No call was attempted with this claim.",
    "list-not-found": "There is no such list.",
    "not-a-member": "The prospect is not a member of this list.",
    "do-not-call": "The CRM flags this person as not to be called.",
    "integration-not-found": "There is no such integration.",
}


def _hold_ms(taker: Taker) -> int:
    return (taker.hold_seconds or 0) * SECOND_MS


def _granted(reply: Reply) -> Granted | Refused:
    kind, now, *rest = reply
    if kind not in {b"claimed", b"repeated"}:
        return _refused(reply)
    rows, available, next_at, enabled = rest
    claims = tuple(replies.claim(row, replies.integer(now)) for row in replies.items(rows))
    if kind == b"claimed" and claims:
        metrics.CLAIMS.add(len(claims), claims[0].mode, claims[0].state)
    if kind == b"repeated" and not claims:
        return _LAPSED
    return Granted(claims, enabled == 1, max(0, replies.integer(available)), replies.optional_integer(next_at))


def _claim(reply: Reply) -> Claim | Refused:
    if reply[0] == b"claim":
        return replies.claim(reply[2], replies.integer(reply[1]))
    return _refused(reply)


def _refused(reply: Reply) -> Refused:
    slug = replies.text(reply[0])
    if slug == "reused":
        return Refused("idempotency-key-reused", "This idempotency key was used for another request.")
    if slug == "no-list":
        return Refused("no-list", "The claim was taken from no list, so there is no list to remove the prospect from.")
    if slug == "prospect-reserved":
        return Refused(slug, "Somebody has this prospect.", {"reservation": replies.reservation(reply[2])})
    if slug == "reservation-not-removable":
        expires_at = rfc3339(replies.integer(reply[2]))
        return Refused(slug, f"A call was attempted, so the reservation stays until {expires_at}.", {"expires_at": expires_at})
    if slug == "extension-limit":
        limit = rfc3339(replies.integer(reply[2]))
        return Refused(slug, f"This claim can be extended until {limit} at most.", {"limit": limit})
    if slug not in _SENTENCES:
        raise StoreFaultError(f"a script replied {slug!r}, which nothing expects")
    return Refused(slug, _SENTENCES[slug])
