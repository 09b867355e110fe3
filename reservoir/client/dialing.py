"""What a dialer asks of the service: claims, and all that is done to them; sessions; who has whom."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Literal, Self

from reservoir.client.answers import Claim, ClickToCall, Granted, Json, Reservation, Sync, optional_reservation
from reservoir.client.asking import Asking
from reservoir.client.errors import NotFoundError
from reservoir.client.keeping import Kept, keep
from reservoir.client.sending import NO_BODY, Asked, Line, Told, path
from reservoir.client.sessions import Session
from reservoir.domain.claims import DialingMode
from reservoir.domain.prospects import ProspectId

TIMEOUT_S = 5.0
"""For one sending: twice what the service takes before it gives its store up and says so."""

RETRY_FOR_S = 20.0
"""Long enough for a service that restarts, short enough for a rep who waits."""

PAGE = 1_000


class Reservoir:
    """A service, asked with one API key. To be entered with ``async with``; for as many sessions at once as there are, it is one pool of connections.

    Whatever is asked is sent again, the same, when its answer is lost, late or 503: claims by an idempotency key that is made before the first sending, the
    rest because a repeat of it changes nothing more. So what it returns happened once. If there is no answer in time it raises UnavailableError when
    nothing was done, and OutcomeUnknownError when nobody can know; then to ask the same again, with the same arguments, takes nothing more and tells.

    **Units**: ``timeout_s`` for one sending, to which ``wait_seconds`` are added; ``retry_for_s`` is how long after the first sending, waiting aside, the
    last one may begin.

    **Raises**: every verb RefusedError, UnavailableError and OutcomeUnknownError; ValueError for an address or a key that can be none.
    """

    def __init__(self, url: str, api_key: str, *, timeout_s: float = TIMEOUT_S, retry_for_s: float = RETRY_FOR_S) -> None:
        self._line = Line(url, api_key, timeout_s)
        self._asking = Asking(self._line, retry_for_s)

    async def __aenter__(self) -> Self:
        self._line.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._line.close()

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The idempotency keys of claims of unknown outcome, the oldest first. Who asks the same again uses them, without knowing."""
        return self._asking.unanswered.keys()

    # Claims

    async def claim(
        self,
        list_id: str,
        *,
        rep: str,
        session: str,
        mode: DialingMode,
        count: int = 1,
        hold_seconds: int | None = None,
        wait_seconds: int = 0,
        idempotency_key: str | None = None,
    ) -> Granted:
        """The next prospects of a list, for this session alone.

        Without ``hold_seconds`` their calls begin now. With them they are held for so long, and each is to be given to `attempt` before it is dialed. If
        nobody is available it waits ``wait_seconds`` for somebody.

        **Raises**: NotFoundError (``list-not-found``); ClaimLapsedError, with the caller's own key: what it took stands no more.
        """
        body = {
            "rep": rep,
            "session": session,
            "mode": mode,
            "count": count,
            "hold_seconds": hold_seconds,
            "wait_seconds": wait_seconds,
        }
        asked = Asked("claim", "POST", path("lists", list_id, "claims"), Granted.of, body, wait_s=wait_seconds)
        return await self._asking.claim(asked, idempotency_key)

    async def claim_prospect(
        self,
        prospect: ProspectId,
        *,
        rep: str,
        session: str,
        mode: DialingMode,
        list_id: str | None = None,
        hold_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> Claim:
        """One particular prospect, as `claim`. They need be in no list; in ``list_id``, if it is given.

        **Raises**: ProspectReservedError, DoNotCallError; NotFoundError (``not-a-member``, ``list-not-found``); ClaimLapsedError, with the caller's own key.
        """
        body = {"prospect": _told(prospect), "rep": rep, "session": session, "mode": mode, "list": list_id, "hold_seconds": hold_seconds}
        return await self._asking.claim(Asked("claim", "POST", path("claims"), Claim.of, body), idempotency_key)

    async def click_to_call(self, prospect: ProspectId, *, rep: str, session: str, list_id: str | None = None) -> ClickToCall:
        """Says that a person picked this person, and tells who else has them. It forbids nothing and reserves nobody.

        **Again**: is a second call for the history; so it is not sent again once it may have arrived.

        **Raises**: NotFoundError (``not-a-member``, ``list-not-found``); OutcomeUnknownError, which forbids the call no more than an answer would.
        """
        body = {"prospect": _told(prospect), "rep": rep, "session": session, "mode": "click_to_call", "list": list_id}
        return await self._asking.ask(Asked("once", "POST", path("claims"), ClickToCall.of, body))

    async def get_claim(self, claim: Claim | str) -> Claim:
        """A claim as it stands, with its disposition. **Raises**: NotFoundError (``claim-not-found``)."""
        return await self._asking.ask(Asked("read", "GET", path("claims", _id(claim)), Claim.of))

    async def attempt(self, claim: Claim | str) -> Claim:
        """Says that the call starts now, before it is dialed: the prospect is reserved from now. **Again**: the same claim, its expiry unmoved.

        **Raises**: ClaimLapsedError: do not dial. OutcomeUnknownError: do not dial unless a repeat returns the claim.
        """
        return await self._done_to(claim, "attempt", Claim.of)

    async def release(self, claim: Claim | str) -> None:
        """Gives a held prospect back, who was never dialed. **Again**: nothing more.

        **Raises**: ReservationNotRemovableError, once it was attempted; ClaimLapsedError, for a hold that ran out; ClaimUnreservedError.
        """
        await self._done_to(claim, "release", lambda told: bool(told["released"]))

    async def extend(self, claim: Claim | str, seconds: int) -> Claim:
        """Keeps the prospect taken for at least so long from now; never shortens. For as long as a call takes, see `keep`.

        **Raises**: ClaimLapsedError, ExtensionLimitError, ClaimUnreservedError.
        """
        return await self._done_to(claim, "extend", Claim.of, {"seconds": seconds})

    def keep(self, claim: Claim, seconds: int = 120) -> AbstractAsyncContextManager[Kept]:
        """Keeps the prospect taken for as long as the body of the ``async with`` runs, however short the hold or the reservation timeout (R16).

        It extends again and again by ``seconds``, which is for how long at least the prospect stays taken should this process die. It never raises into
        a conversation: what it yields tells whether the claim is still kept.
        """
        return keep(self.extend, claim, seconds)

    async def record_disposition(self, claim: Claim | str, outcome: str, *, remove: bool = False, note: str | None = None) -> None:
        """Records the outcome of a call: one of the service's words (``connected``, ``no_answer``, …) or of the admin's. Another one replaces it.

        ``remove`` takes the prospect out of this rep's dialing of the list. **Raises**: ClaimNotAttemptedError, NotFoundError.
        """
        await self._done_to(claim, "disposition", lambda told: bool(told["recorded"]), {"outcome": outcome, "remove": remove, "note": note})

    # Sessions and lists

    def session(self, rep: str, session_id: str | None = None) -> Session:
        """One sitting of a rep, for ``async with``: at its end, what it still holds is released. Without an id it is given one."""
        return Session(self, rep, session_id)

    async def end_session(self, session_id: str) -> int:
        """Releases every claim that the session still holds, and returns how many; reserved ones stay. **Again**: 0.

        After an answer that was lost, how many are what the sending that was answered found.
        """
        return await self._asking.ask(Asked("write", "POST", path("sessions", session_id, "end"), lambda told: int(told["released"]), NO_BODY))

    async def reset(self, list_id: str, rep: str) -> Sync | None:
        """Puts the rep's own place to the start and asks for a sync; returns it, or None where the list has no source.

        **Raises**: NotFoundError (``list-not-found``).
        """
        return await self._asking.ask(Asked("write", "POST", path("lists", list_id, "reset"), _sync_of_reset, {"rep": rep}))

    # Reservations

    async def reservation(self, prospect: ProspectId) -> Reservation | None:
        """Who has a prospect, or None."""
        try:
            return await self._asking.ask(Asked("read", "GET", path("reservations", prospect.integration, prospect.id), Reservation.of))
        except NotFoundError as refused:
            if refused.slug == "not-reserved":
                return None
            raise

    async def look_up(self, prospects: Sequence[ProspectId]) -> list[Reservation | None]:
        """Who has each of up to 1,000 prospects, in the same order."""
        body = {"prospects": [_told(prospect) for prospect in prospects]}
        return await self._asking.ask(Asked("read", "POST", path("reservations", "lookup"), _looked_up, body))

    async def reservations(
        self,
        *,
        rep: str | None = None,
        session: str | None = None,
        list_id: str | None = None,
        integration: str | None = None,
        state: Literal["held", "reserved"] | None = None,
    ) -> AsyncIterator[Reservation]:
        """All live ones that fit, soonest to expire first. ``list_id`` is the list from which they were claimed."""
        wanted = {"rep": rep, "session": session, "list": list_id, "integration": integration, "state": state, "limit": str(PAGE)}
        query = {name: value for name, value in wanted.items() if value is not None}
        while True:
            items, cursor = await self._asking.ask(Asked("read", "GET", path("reservations"), _page, query=query))
            for item in items:
                yield item
            if cursor is None:
                return
            query["cursor"] = cursor

    async def _done_to(self, claim: Claim | str, verb: str, read: Callable[[Any], Told], body: Json = NO_BODY) -> Told:
        return await self._asking.ask(Asked("write", "POST", path("claims", _id(claim), verb), read, body))


def _id(claim: Claim | str) -> str:
    return claim if isinstance(claim, str) else claim.id


def _told(prospect: ProspectId) -> Json:
    return {"integration": prospect.integration, "id": prospect.id}


def _sync_of_reset(told: Json) -> Sync | None:
    return None if told["sync"] is None else Sync.of(told["sync"])


def _looked_up(told: Json) -> list[Reservation | None]:
    return [optional_reservation(one) for one in told["reservations"]]


def _page(told: Json) -> tuple[list[Reservation], str | None]:
    return [Reservation.of(one) for one in told["items"]], told["next_cursor"]
