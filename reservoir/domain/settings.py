"""An org and its settings: what an admin may change, and what every process must obey from the next call on."""

from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from reservoir.domain.reservation_timeout import ReservationTimeout

Scope = Literal["read", "dial", "admin"]

SCOPES: tuple[Scope, ...] = ("read", "dial", "admin")
"""From the least to the most: each reaches all that the ones before it reach."""

_REACHED_BY = {scope: frozenset(SCOPES[level:]) for level, scope in enumerate(SCOPES)}


@dataclass(frozen=True, slots=True)
class MultiRepDialing:
    """The mode of one integration of an org: off, with a timeout of one day, until an admin sets it.

    ``switched_on`` counts how often it came on, so that a claim taken while it was off can tell that it came on since (R9).
    """

    enabled: bool = False
    timeout: ReservationTimeout = field(default_factory=ReservationTimeout)
    switched_on: int = 0
    updated_at_ms: int | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the service keeps it: never the key itself, only the SHA-256 of it, in hex."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at_ms: int
    sha256: str

    def reaches(self, scope: Scope) -> bool:
        """Whether the key may do what needs ``scope``."""
        return not _REACHED_BY[scope].isdisjoint(self.scopes)


@dataclass(frozen=True, slots=True)
class OrgProfile:
    """What an org is called and how it reads clocks and numbers."""

    id: str
    name: str
    time_zone: str = "UTC"
    phone_region: str = "US"
    sandbox: bool = False
    created_at_ms: int = 0

    @property
    def zone(self) -> ZoneInfo:
        """The org's time zone, in which a day is counted."""
        return ZoneInfo(self.time_zone)
