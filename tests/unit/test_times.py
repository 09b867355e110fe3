"""Instants as milliseconds, and the one form in which they are told."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservoir.domain.refusals import InvalidError
from reservoir.domain.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, instant, milliseconds, rfc3339, utc

YEAR_9999_MS = 253_402_300_799_999

instants = st.integers(0, YEAR_9999_MS)


@pytest.mark.parametrize(
    ("at_ms", "told"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_795_366_800_123, "2026-11-22T17:00:00.123Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (YEAR_9999_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_told_in_utc_with_milliseconds(at_ms: int, told: str) -> None:
    """A time is RFC 3339 in UTC, with three digits behind the second, whatever they are."""
    assert rfc3339(at_ms) == told


@given(instants)
def test_what_is_told_says_the_same_instant(at_ms: int) -> None:
    """Whoever reads a told time gets the millisecond back."""
    assert datetime.fromisoformat(rfc3339(at_ms)) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


@given(instants, instants)
def test_told_times_sort_as_instants_do(one_ms: int, other_ms: int) -> None:
    """A person who sorts told times as text sorts them in time."""
    assert (rfc3339(one_ms) < rfc3339(other_ms)) == (one_ms < other_ms)


@given(instants)
def test_milliseconds_and_utc_undo_each_other(at_ms: int) -> None:
    """No instant loses or gains a millisecond on its way to a datetime and back, however far it lies in the future."""
    assert milliseconds(utc(at_ms)) == at_ms


@given(instants, st.integers(-14 * 60, 14 * 60), st.integers(0, 999))
def test_milliseconds_cut_and_heed_the_offset(at_ms: int, offset_minutes: int, micros: int) -> None:
    """A datetime of any offset is the instant that it means, its microseconds cut off and never rounded up."""
    at = (utc(at_ms % (YEAR_9999_MS - DAY_MS)) + timedelta(microseconds=micros)).astimezone(timezone(timedelta(minutes=offset_minutes)))
    assert milliseconds(at) == at_ms % (YEAR_9999_MS - DAY_MS)


def test_units_are_made_of_each_other() -> None:
    """A day has 24 hours of 60 minutes of 60 seconds of 1,000 ms."""
    assert (SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS) == (1_000, 60_000, 3_600_000, 86_400_000)


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.001z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("2026-11-22T17:00:00.123Z", 1_795_366_800_123),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
    ],
)
def test_a_time_that_others_wrote(text: str, at_ms: int) -> None:
    """RFC 3339 in any zone; what is finer than a millisecond counts as the next one."""
    assert instant(text) == at_ms


@pytest.mark.parametrize(
    "text",
    ["", "now", "1795366800123", "2026-11-22", "2026-11-22T17:00", "2026-11-22T17:00:00", "2026-11-22 17:00:00Z", "2026-02-30T00:00:00Z",
     "2026-01-01T00:00:60Z",      "2026-01-01T00:00:00+0100", "2026-W01-1T00:00:00Z", "２026-01-01T00:00:00Z"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    """Anything else is refused with what was expected and what came."""
    with pytest.raises(InvalidError, match=r"expected a time such as .*, found"):
        instant(text)
