"""The reservation timeout (R5, R8): how long an attempt reserves a person.

An hour is 3,600 s. A day is a calendar day in the org's time zone, so its length depends on when it starts; what the store is given is therefore a length
together with the interval of starts for which that length is right.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from reservoir.domain.times import HOUR_MS, MINUTE_MS, milliseconds, utc

Unit = Literal["day", "hour"]

MAX_DURATION: dict[Unit, int] = {"day": 365, "hour": 8_760}
SANDBOX_SPEED = 1_000
"""How many times sooner a reservation ends in a sandbox org."""


@dataclass(frozen=True, slots=True)
class ReservationTimeout:
    """The admin's setting: so many days or hours. One day until it is set."""

    unit: Unit = "day"
    duration: int = 1


@dataclass(frozen=True, slots=True)
class Length:
    """How long a reservation lasts, and for which starts that is so.

    **Units**: milliseconds; ``from_ms`` (inclusive) to ``until_ms`` (exclusive) are instants at which an attempt may start.
    """

    length_ms: int
    from_ms: int
    until_ms: int


def expiry_ms(timeout: ReservationTimeout, zone: ZoneInfo, start_ms: int) -> int:
    """When a reservation ends whose attempt starts at ``start_ms``.

    A day later is the same wall-clock time. Where the clocks skip that time it is read with the offset before the change, where they show it twice it is the
    second; both are the smaller of the two offsets which Python's ``fold`` gives for it.

    **Source**: R5; PEP 495 (read 2026-11-23) for ``fold``.
    """
    if timeout.unit == "hour":
        return start_ms + timeout.duration * HOUR_MS
    start = utc(start_ms)
    wall = start.astimezone(zone).replace(tzinfo=None) + timedelta(days=timeout.duration)
    offset = min(_offset(wall, zone, 0), _offset(wall, zone, 1))
    return milliseconds((wall - offset).replace(tzinfo=UTC))


def length(timeout: ReservationTimeout, zone: ZoneInfo, start_ms: int, *, sandbox: bool) -> Length:
    """The length of a reservation that starts at ``start_ms``, good for starts in the minutes around it in which it is the same; an hour at most.

    Zones change their offset on whole minutes, so a minute has one length and the interval is found minute by minute.
    """
    first = start_ms - start_ms % MINUTE_MS
    whole = _length_ms(timeout, zone, first)
    until = first + MINUTE_MS
    while until < first + HOUR_MS and _length_ms(timeout, zone, until) == whole:
        until += MINUTE_MS
    return Length(whole // SANDBOX_SPEED if sandbox else whole, first, until)


@lru_cache(maxsize=4_096)
def _length_ms(timeout: ReservationTimeout, zone: ZoneInfo, minute_ms: int) -> int:
    return expiry_ms(timeout, zone, minute_ms) - minute_ms


def _offset(wall: datetime, zone: ZoneInfo, fold: int) -> timedelta:
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset()
    if offset is None:  # a ZoneInfo always knows
        raise AssertionError(f"{zone.key} has no offset at {wall}")
    return offset
