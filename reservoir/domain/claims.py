"""Claims: a dialer's taking of a prospect, and how it stands."""

from dataclasses import dataclass
from typing import Literal

DialingMode = Literal["power", "parallel"]
Mode = Literal["power", "parallel", "click_to_call"]
ClaimState = Literal["held", "reserved", "unreserved", "released", "lapsed", "expired"]

COUNT_MAX = 50
HOLD_SECONDS_MIN, HOLD_SECONDS_MAX = 5, 3_600
WAIT_SECONDS_MAX = 30
NOTE_MAX = 2_000
OUTCOMES = ("connected", "voicemail", "no_answer", "busy", "failed", "cancelled", "wrong_number", "do_not_call")


@dataclass(frozen=True, slots=True)
class Disposition:
    """The outcome that a rep recorded for a call. **Units**: ``at_ms`` is the store's clock."""

    outcome: str
    remove: bool
    note: str | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as it stands at the instant of the store that told of it.

    **Shape**: ``member`` is the prospect's data as its list had it last, as JSON, or None where no list knows them. Times are the store's, in ms.
    """

    id: str
    state: ClaimState
    integration: str
    prospect: str
    rep: str
    session: str
    mode: DialingMode
    list: str | None
    claimed_at_ms: int
    attempted_at_ms: int | None
    expires_at_ms: int | None
    member: bytes | None = None
    disposition: Disposition | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer to a claim on a list: what was taken, and how the list stands for this rep."""

    claims: tuple[Claim, ...]
    multi_rep_dialing: bool
    available: int
    next_available_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """What keeps a prospect from everybody: somebody's hold or reservation. **Units**: instants of the store, in ms."""

    integration: str
    prospect: str
    state: Literal["held", "reserved"]
    rep: str | None
    session: str | None
    mode: DialingMode | None
    list: str | None
    claim: str | None
    claimed_at_ms: int | None
    attempted_at_ms: int | None
    expires_at_ms: int | None
