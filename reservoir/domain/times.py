"""Instants as integers: milliseconds since 1970 UTC, which is how the store counts, and their RFC 3339 form."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(at_ms: int) -> datetime:
    """The instant as an aware datetime in UTC, exact to the millisecond."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def milliseconds(at: datetime) -> int:
    """The instant of an aware datetime, cut to the millisecond."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def rfc3339(at_ms: int) -> str:
    """The one form in which the service tells a time: UTC, milliseconds, ``Z``.

    **Source**: RFC 3339 section 5.6.
    """
    return f"{_to_the_second(at_ms // SECOND_MS)}.{at_ms % SECOND_MS:03d}Z"


@lru_cache(maxsize=1_024)
def _to_the_second(at_s: int) -> str:
    return f"{utc(at_s * SECOND_MS):%Y-%m-%dT%H:%M:%S}"
