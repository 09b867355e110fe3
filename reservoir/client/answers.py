"""What the service answers, as values: frozen, times aware, members that a newer service may add left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from reservoir.domain.claims import ClaimState, DialingMode, Mode
from reservoir.domain.prospects import Phone, ProspectId

Json: TypeAlias = Mapping[str, Any]


def time(told: str) -> datetime:
    """An instant of the store, in UTC. To hold it against this host's clock is a guess: whether a claim still stands, only the service can say."""
    return datetime.fromisoformat(told)


def optional_time(told: str | None) -> datetime | None:
    """An instant, or None."""
    return None if told is None else time(told)


@dataclass(frozen=True, slots=True)
class Prospect:
    """A person in a CRM, as the list had them last. What is not known is None, ``phones`` and ``fields`` empty."""

    integration: str
    id: str
    name: str | None
    phones: tuple[Phone, ...]
    company: str | None
    title: str | None
    owner: str | None
    time_zone: str | None
    url: str | None
    fields: Json = field(hash=False)

    @classmethod
    def of(cls, told: Json) -> "Prospect":
        """The prospect of a CLAIM."""
        phones = tuple(Phone(phone["label"], phone["number"], phone["extension"]) for phone in told["phones"])
        known = {name: told[name] for name in ("integration", "id", "name", "company", "title", "owner", "time_zone", "url", "fields")}
        return cls(phones=phones, **known)


@dataclass(frozen=True, slots=True)
class Disposition:
    """The outcome that the rep recorded."""

    outcome: str
    remove: bool
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A dialer's taking of a prospect, as it stood when the service answered.

    A ``held`` one is to be attempted before it is dialed; with a ``reserved`` one the call has begun, and with an ``unreserved`` one too, unless it was
    taken with ``hold_seconds``. ``disposition`` is told by `Reservoir.get_claim` alone.
    """

    id: str
    state: ClaimState
    rep: str
    session: str
    mode: DialingMode
    list: str | None
    claimed_at: datetime
    attempted_at: datetime | None
    expires_at: datetime | None
    prospect: Prospect
    disposition: Disposition | None = None

    @property
    def reserved(self) -> bool:
        """Whether nobody may power- or parallel-dial the prospect until ``expires_at``."""
        return self.state == "reserved"

    @classmethod
    def of(cls, told: Json) -> "Claim":
        """The claim that a CLAIM is."""
        recorded = told.get("disposition")
        return cls(
            **{name: told[name] for name in ("id", "state", "rep", "session", "mode", "list")},
            claimed_at=time(told["claimed_at"]),
            attempted_at=optional_time(told["attempted_at"]),
            expires_at=optional_time(told["expires_at"]),
            prospect=Prospect.of(told["prospect"]),
            disposition=None if recorded is None else Disposition(recorded["outcome"], recorded["remove"], recorded["note"], time(recorded["at"])),
        )


@dataclass(frozen=True, slots=True)
class Granted:
    """What was claimed of a list, and how the list stands for this rep.

    No ``claims``: nothing is available now. Fewer than were asked for does not mean that the list is dry. ``next_available_at``: when none is
    available, the time when the next one frees; None if none will.
    """

    claims: tuple[Claim, ...]
    list: str
    multi_rep_dialing: bool
    available: int
    next_available_at: datetime | None

    @classmethod
    def of(cls, told: Json) -> "Granted":
        """The answer to a claim on a list."""
        figures = told["list"]
        claims = tuple(map(Claim.of, told["claims"]))
        return cls(claims, figures["id"], figures["multi_rep_dialing"], figures["available"], optional_time(figures["next_available_at"]))


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who has a prospect, and until when. What is None, nobody knows: an operator wrote the key, not a dialer."""

    prospect: ProspectId
    state: Literal["held", "reserved"]
    rep: str | None
    session: str | None
    mode: Mode | None
    list: str | None
    claim: str | None
    claimed_at: datetime | None
    attempted_at: datetime | None
    expires_at: datetime | None

    @classmethod
    def of(cls, told: Json) -> "Reservation":
        """The reservation that a RESERVATION is."""
        return cls(
            ProspectId(told["prospect"]["integration"], told["prospect"]["id"]),
            claimed_at=optional_time(told["claimed_at"]),
            attempted_at=optional_time(told["attempted_at"]),
            expires_at=optional_time(told["expires_at"]),
            **{name: told[name] for name in ("state", "rep", "session", "mode", "list", "claim")},
        )


def optional_reservation(told: Json | None) -> Reservation | None:
    """RESERVATION or null."""
    return None if told is None else Reservation.of(told)


@dataclass(frozen=True, slots=True)
class ClickToCall:
    """What is known of a prospect whom a person picked by hand. It forbids nothing: it is for the rep to see."""

    do_not_call: bool
    reservation: Reservation | None

    @classmethod
    def of(cls, told: Json) -> "ClickToCall":
        """The answer to a click to call."""
        return cls(told["do_not_call"], optional_reservation(told["reservation"]))


@dataclass(frozen=True, slots=True)
class Sync:
    """A run that streams a list's members in. ``total``: how many the source says it has, if it does."""

    id: str
    list: str
    state: str
    fetched: int
    total: int | None
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, told: Json) -> "Sync":
        """The run that a SYNC is."""
        started_at, finished_at = optional_time(told["started_at"]), optional_time(told["finished_at"])
        return cls(told["id"], told["list"], told["state"], told["fetched"], told["total"], started_at, finished_at)
