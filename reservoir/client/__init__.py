"""A client for dialers, safe by construction: what it returns happened once, and what it cannot know it does not guess.

    async with Reservoir("https://reservoir.example.com", api_key) as reservoir, reservoir.session("ana@acme.com") as session:
        async for claim in session.claims("q4-west", mode="power", hold_seconds=30, wait_seconds=20):
            claim = await reservoir.attempt(claim)   # ClaimLapsedError: do not dial
            async with reservoir.keep(claim):        # however long they talk
                outcome = await dial(claim.prospect)
            await reservoir.record_disposition(claim, outcome)

It needs aiohttp, and nothing of the service. ``python -m reservoir.client.example`` is a whole dialer, to be copied.
"""

from reservoir.client.answers import Claim, ClickToCall, Disposition, Granted, Prospect, Reservation, Sync
from reservoir.client.dialing import Reservoir
from reservoir.client.errors import (
    ClaimLapsedError,
    ClaimNotAttemptedError,
    ClaimUnreservedError,
    DoNotCallError,
    ExtensionLimitError,
    InvalidRequestError,
    KeyRefusedError,
    NotFoundError,
    OutcomeUnknownError,
    ProspectReservedError,
    RefusedError,
    ReservationNotRemovableError,
    ReservoirError,
    TooManyRequestsError,
    UnavailableError,
)
from reservoir.client.keeping import Kept
from reservoir.client.sessions import Session
from reservoir.domain.prospects import Phone, ProspectId

__all__ = [
    "Claim",
    "ClaimLapsedError",
    "ClaimNotAttemptedError",
    "ClaimUnreservedError",
    "ClickToCall",
    "Disposition",
    "DoNotCallError",
    "ExtensionLimitError",
    "Granted",
    "InvalidRequestError",
    "Kept",
    "KeyRefusedError",
    "NotFoundError",
    "OutcomeUnknownError",
    "Phone",
    "Prospect",
    "ProspectId",
    "ProspectReservedError",
    "RefusedError",
    "Reservation",
    "ReservationNotRemovableError",
    "Reservoir",
    "ReservoirError",
    "Session",
    "Sync",
    "TooManyRequestsError",
    "UnavailableError",
]
