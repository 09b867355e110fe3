"""Instants as integers: milliseconds since 1970 UTC, which is how the store counts, and their RFC 3339 form."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from reservoir.domain.refusals import InvalidError

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(at_ms: int) -> datetime:
    """The instant as an aware datetime in UTC, exact to the millisecond."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def milliseconds(at: datetime) -> int:
    """The instant of an aware datetime, cut to the millisecond."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def instant(text: str) -> int:
    """A time as others write it, in ms; what is finer than a millisecond counts as the next one, so that nothing before it is taken for it.

    **Raises**: InvalidError.

    **Source**: RFC 3339 section 5.6.
    """
    refused = InvalidError(f"expected a time such as 2026-11-22T17:00:00.123Z, found {text[:40]!r}")
    if not _RFC3339.fullmatch(text):
        raise refused
    try:
        return -((_EPOCH - datetime.fromisoformat(text.upper())) // timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        raise refused from None


def rfc3339(at_ms: int) -> str:
    """The one form in which the service tells a time: UTC, milliseconds, ``Z``.

    **Source**: RFC 3339 section 5.6.
    """
    return f"{_to_the_second(at_ms // SECOND_MS)}.{at_ms % SECOND_MS:03d}Z"


@lru_cache(maxsize=1_024)
def _to_the_second(at_s: int) -> str:
    return f"{utc(at_s * SECOND_MS):%Y-%m-%dT%H:%M:%S}"
