"""Reservations at the store: who has whom, read from the witness and the claims, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from reservoir.domain.claims import Reservation
from reservoir.domain.prospects import ProspectId
from reservoir.storage import replies
from reservoir.storage.orgs import Org, OrgStore

CHUNK = 250
LOOKUP_CHUNK = 500
EXAMINED_MOST = 5_000
"""How many entries a page with a filter looks at before it answers short."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a reservation must be to be told; None: anything."""

    rep: str | None = None
    session: str | None = None
    list: str | None = None
    integration: str | None = None
    state: str | None = None

    def admits(self, reservation: Reservation) -> bool:
        """Whether the reservation is one of those that are asked for."""
        return (
            (self.rep is None or self.rep == reservation.rep)
            and (self.session is None or self.session == reservation.session)
            and (self.list is None or self.list == reservation.list)
            and (self.integration is None or self.integration == reservation.integration)
            and (self.state is None or self.state == reservation.state)
        )


@dataclass(frozen=True, slots=True)
class After:
    """Where a page ended: the last entry's end (ms) and who it was."""

    ends_ms: int
    member: str


class ReservationStore:
    """Reads of live holds and reservations."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def page(self, org: Org, wanted: Filter, limit: int, after: After | None) -> tuple[list[Reservation], After | None]:
        """Live ones, soonest to end first, and where to go on. It examines at most 5,000 entries, so a page may be short of ``limit``, even empty."""
        found: list[Reservation] = []
        for _ in range(EXAMINED_MOST // CHUNK):
            ask = min(CHUNK, limit - len(found)) if wanted == Filter() else CHUNK
            reply = await self._orgs.read("read_reservations", org, after.ends_ms if after else "", after.member if after else "", ask)
            _, _, rows, ends, member = reply
            last = None if ends is None else After(replies.integer(ends), replies.text(member))
            told = [replies.reservation(row) for row in replies.items(rows)]
            for number, reservation in enumerate(told, 1):
                if wanted.admits(reservation):
                    found.append(reservation)
                if len(found) == limit and number < len(told):
                    return found, After(reservation.expires_at_ms or 0, f"{reservation.integration}:{reservation.prospect}")
            if last is None or len(found) == limit:
                return found, last
            after = last
        return found, after

    async def lookup(self, org: Org, prospects: Sequence[ProspectId]) -> list[Reservation | None]:
        """Who has each of these prospects, in the same order; None where nobody has. The store is asked even if it is about none."""
        found: list[Reservation | None] = []
        for start in range(0, max(1, len(prospects)), LOOKUP_CHUNK):
            reply = await self._orgs.read("read_taken", org, *(str(prospect) for prospect in prospects[start : start + LOOKUP_CHUNK]))
            found.extend(None if row is None else replies.reservation(row) for row in replies.items(reply[2]))
        return found
