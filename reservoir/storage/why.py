"""Why at the store: all that keeps a prospect, or how much of a list, from being dialed, read at one instant."""

from dataclasses import dataclass

from reservoir.domain.claims import Mode, Reservation
from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import Refused
from reservoir.domain.times import rfc3339
from reservoir.domain.why import Note, Reason, Why
from reservoir.storage import replies
from reservoir.storage.lists import NOT_FOUND
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.replies import integer, items, optional_integer, optional_text, text

_NO_PHONE = "no number that can be dialed is known"
_FLAGGED = "the CRM flags this person as not to be called"


@dataclass(frozen=True, slots=True)
class Asked:
    """For whom it is asked. **Shape**: without ``list``, of a claim by id, which removals and places do not bind."""

    list: str | None = None
    rep: str | None = None
    mode: Mode | None = None


class WhyStore:
    """Reads of why, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def one(self, org: Org, prospect: ProspectId, asked: Asked) -> Why | Refused:
        """Why a prospect can not be dialed now."""
        reply = await self._orgs.read("read_why_one", org, prospect.integration, prospect.id, asked.list or "", asked.rep or "")
        if reply[0] != b"why":
            return NOT_FOUND
        _, _, row, flagging, member, undialable, removed, behind = reply
        on = org.settings[prospect.integration].enabled
        reasons: list[Reason] = []
        if asked.list is not None and not member:
            reasons.append(Reason("not-a-member", f"the prospect is no member of {asked.list}"))
        if asked.mode != "click_to_call":
            if row is not None and on:
                reasons.append(_taken(replies.reservation(row)))
            flagging_list = optional_text(flagging)
            if flagging_list is not None:
                reasons.append(Reason("do-not-call", f"{_FLAGGED}, in {flagging_list}"))
            if undialable and flagging_list != asked.list:
                reasons.append(Reason("undialable", _NO_PHONE))
            if removed is not None:
                reasons.append(Reason("removed", f"{asked.rep} removed the prospect from their dialing of {asked.list}", asked.rep, integer(removed)))
            if behind and not on:
                reasons.append(Reason("behind-your-place", f"{asked.rep} has come past the prospect in {asked.list}; a reset starts afresh", asked.rep))
        return Why(not reasons, tuple(reasons), _notes(on=on))

    async def of_list(self, org: Org, list_id: str, asked: Asked) -> Why | Refused:
        """How much of a list can not be dialed now, by what. **Shape**: each reason has its count, and none is without a member."""
        found: dict[str, tuple[bool, bool]] = {}
        cursor = "0"
        while True:
            reply = await self._orgs.read("read_why_list", org, list_id, asked.rep or "", cursor)
            if reply[0] != b"why":
                return NOT_FOUND
            for told in items(reply[13]):
                prospect, available, ahead = items(told)
                found[text(prospect)] = available == 1, ahead == 1
            cursor = text(reply[14])
            if cursor == "0":
                break
        members, available, held, reserved, undialable, flagged, behind, free_ahead = (integer(told) for told in reply[3:11])
        on = org.settings[text(reply[2])].enabled
        if asked.mode == "click_to_call":
            return Why(members > 0, (), _notes(on=on))
        left = available if on else free_ahead
        left -= sum(free if on else ahead for free, ahead in found.values())
        reasons = [
            Reason("reserved", "a call was attempted", until_ms=optional_integer(reply[12]), count=reserved * on),
            Reason("held", "a dialer has them lined up", until_ms=optional_integer(reply[11]), count=held * on),
            Reason("removed", f"{asked.rep} removed them from their dialing of {list_id}", asked.rep, count=len(found)),
            Reason("undialable", _NO_PHONE, count=undialable - flagged),
            Reason("do-not-call", _FLAGGED, count=flagged),
            Reason("behind-your-place", f"{asked.rep} has come past them; a reset starts afresh", asked.rep, count=behind * (not on)),
        ]
        return Why(left > 0, tuple(reason for reason in reasons if reason.count), _notes(on=on))


def _taken(reservation: Reservation) -> Reason:
    who = reservation.rep or "an operator's key"
    until_ms = reservation.expires_at_ms
    until = "for good" if until_ms is None else f"until {rfc3339(until_ms)}"
    if reservation.state == "held":
        return Reason("held", f"{who} has the prospect lined up {until}", reservation.rep, reservation.claimed_at_ms, until_ms)
    return Reason("reserved", f"{who} has the prospect reserved {until}", reservation.rep, reservation.attempted_at_ms, until_ms)


def _notes(*, on: bool) -> tuple[Note, ...]:
    return () if on else ("multi-rep-dialing-off",)
