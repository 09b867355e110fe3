"""A session: one sitting of a rep in a dialer, whose end gives back all that it still holds."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from reservoir.client.answers import Claim, ClickToCall, Granted
from reservoir.client.errors import ReservoirError
from reservoir.domain.claims import DialingMode
from reservoir.domain.prospects import ProspectId

if TYPE_CHECKING:
    from reservoir.client.dialing import Reservoir

EARLY_S = 1.0
"""An answer with nobody that comes sooner than it might by so much is none: so long after it the claim is made again."""


class Session:
    """What a rep claims in one sitting. Session ids are unique in an org: it is given one of its own, unless the dialer has one.

    At the end of its ``async with``, a cancellation included, it is ended: what it holds is released, what was attempted stays reserved. Should even
    that be out of reach, the holds lapse by themselves.
    """

    def __init__(self, reservoir: "Reservoir", rep: str, session_id: str | None = None) -> None:
        self._reservoir = reservoir
        self.rep = rep
        self.id = session_id or uuid.uuid4().hex

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            await self.end()
        except ReservoirError as refused:
            if error is None:
                raise
            error.add_note(f"The session {self.id} was not ended, so its holds are left to lapse: {refused}")

    async def claim(
        self,
        list_id: str,
        *,
        mode: DialingMode,
        count: int = 1,
        hold_seconds: int | None = None,
        wait_seconds: int = 0,
        idempotency_key: str | None = None,
    ) -> Granted:
        """As `Reservoir.claim`."""
        return await self._reservoir.claim(
            list_id,
            rep=self.rep,
            session=self.id,
            mode=mode,
            count=count,
            hold_seconds=hold_seconds,
            wait_seconds=wait_seconds,
            idempotency_key=idempotency_key,
        )

    async def claim_prospect(
        self,
        prospect: ProspectId,
        *,
        mode: DialingMode,
        list_id: str | None = None,
        hold_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> Claim:
        """As `Reservoir.claim_prospect`."""
        return await self._reservoir.claim_prospect(
            prospect, rep=self.rep, session=self.id, mode=mode, list_id=list_id, hold_seconds=hold_seconds, idempotency_key=idempotency_key
        )

    async def click_to_call(self, prospect: ProspectId, *, list_id: str | None = None) -> ClickToCall:
        """As `Reservoir.click_to_call`."""
        return await self._reservoir.click_to_call(prospect, rep=self.rep, session=self.id, list_id=list_id)

    async def claims(self, list_id: str, *, mode: DialingMode, count: int = 1, hold_seconds: int | None = None, wait_seconds: int = 0) -> AsyncIterator[Claim]:
        """The prospects of a list, one after the other, ``count`` taken at a time, until ``wait_seconds`` have brought nobody.

        A process of the service that stops answers those who wait at once, with nobody; then the loop waits on, at another.

        More than one at a time are lined up, so they need ``hold_seconds``: one whom the loop leaves behind would otherwise be reserved and never called.

        **Raises**: as `Reservoir.claim`; ValueError.
        """
        if count > 1 and hold_seconds is None:
            raise ValueError("to line up more than one, give hold_seconds: whoever is claimed without is reserved, called or not")
        until_s = time.monotonic() + wait_seconds
        while True:
            granted = await self.claim(list_id, mode=mode, count=count, hold_seconds=hold_seconds, wait_seconds=wait_seconds)
            for claim in granted.claims:
                yield claim
            if granted.claims:
                until_s = time.monotonic() + wait_seconds
            elif until_s - time.monotonic() < EARLY_S:
                return
            else:
                await asyncio.sleep(EARLY_S)

    async def end(self) -> int:
        """Releases what the session still holds, and returns how many. **Again**: 0."""
        return await self._reservoir.end_session(self.id)
