"""How long an attempt reserves (R5, R8), held against the rule read in another way."""

from datetime import UTC, datetime
from importlib import resources
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reservoir.domain.reservation_timeout import MAX_DURATION, SANDBOX_SPEED, ReservationTimeout, Unit, expiry_ms, length
from reservoir.domain.times import DAY_MS, HOUR_MS, MINUTE_MS, milliseconds, utc
from reservoir.http import bodies
from tests.support.clocks import changes, expiry_by_the_rule

FIRST_MS, LAST_MS = milliseconds(datetime(2024, 1, 1, tzinfo=UTC)), milliseconds(datetime(2040, 1, 1, tzinfo=UTC))
ZONES = tuple(sorted(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()))
RESTLESS = (
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Europe/London",
)
"""Zones whose clocks change: by an hour, half an hour or two, at night or at midnight, twice a year or four times."""
ONE_DAY = ReservationTimeout("day", 1)


def ends(zone: str, started: str, timeout: ReservationTimeout = ONE_DAY) -> tuple[str, float]:
    """When a reservation ends whose attempt started then (with its offset): on the zone's wall, with the offset, and after how many hours."""
    started_ms = milliseconds(datetime.fromisoformat(started))
    ended_ms = expiry_ms(timeout, ZoneInfo(zone), started_ms)
    return utc(ended_ms).astimezone(ZoneInfo(zone)).isoformat(timespec="minutes"), (ended_ms - started_ms) / HOUR_MS


@pytest.mark.parametrize(
    ("zone", "started", "ended", "hours"),
    [
        pytest.param("UTC", "2026-03-07T02:30+00:00", "2026-03-08T02:30+00:00", 24, id="no clocks to change"),
        pytest.param("America/New_York", "2026-03-07T02:30-05:00", "2026-03-08T03:30-04:00", 24, id="R5: 02:30 in March is 03:30, 24 h later"),
        pytest.param("America/New_York", "2026-10-31T01:30-04:00", "2026-11-01T01:30-05:00", 25, id="R5: 01:30 in November is the second, 25 h later"),
        pytest.param("America/New_York", "2026-03-07T01:59-05:00", "2026-03-08T01:59-05:00", 24, id="the last minute before the gap"),
        pytest.param("America/New_York", "2026-03-07T02:00-05:00", "2026-03-08T03:00-04:00", 24, id="the gap's first minute"),
        pytest.param("America/New_York", "2026-03-07T02:59-05:00", "2026-03-08T03:59-04:00", 24, id="the gap's last minute"),
        pytest.param("America/New_York", "2026-03-07T03:00-05:00", "2026-03-08T03:00-04:00", 23, id="the first minute behind the gap"),
        pytest.param("America/New_York", "2026-03-07T17:00-05:00", "2026-03-08T17:00-04:00", 23, id="an afternoon in March"),
        pytest.param("America/New_York", "2026-10-31T17:00-04:00", "2026-11-01T17:00-05:00", 25, id="an afternoon in October"),
        pytest.param("America/New_York", "2026-10-31T00:59-04:00", "2026-11-01T00:59-04:00", 24, id="the last minute that is shown once"),
        pytest.param("America/New_York", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00", 25, id="a start at the first 01:30"),
        pytest.param("America/New_York", "2026-11-01T01:30-05:00", "2026-11-02T01:30-05:00", 24, id="a start at the second 01:30"),
        pytest.param("Australia/Lord_Howe", "2026-10-03T02:15+10:30", "2026-10-04T02:45+11:00", 24, id="a gap of half an hour"),
        pytest.param("Australia/Lord_Howe", "2026-10-03T02:30+10:30", "2026-10-04T02:30+11:00", 23.5, id="behind a gap of half an hour"),
        pytest.param("Australia/Lord_Howe", "2026-04-04T01:45+11:00", "2026-04-05T01:45+10:30", 24.5, id="half an hour shown twice"),
        pytest.param("Australia/Lord_Howe", "2026-04-04T01:15+11:00", "2026-04-05T01:15+11:00", 24, id="before half an hour shown twice"),
        pytest.param("America/Santiago", "2026-09-05T00:30-04:00", "2026-09-06T01:30-03:00", 24, id="a day that begins at 01:00"),
        pytest.param("America/Santiago", "2026-04-03T23:30-03:00", "2026-04-04T23:30-04:00", 25, id="an hour before midnight shown twice"),
        pytest.param("Africa/Cairo", "2026-04-23T00:30+02:00", "2026-04-24T01:30+03:00", 24, id="Cairo springs at midnight"),
        pytest.param("Africa/Cairo", "2026-10-28T23:30+03:00", "2026-10-29T23:30+02:00", 25, id="Cairo falls back to 23:00"),
        pytest.param("Asia/Beirut", "2026-03-28T00:30+02:00", "2026-03-29T01:30+03:00", 24, id="Beirut springs at midnight"),
        pytest.param("Asia/Beirut", "2026-10-23T23:30+03:00", "2026-10-24T23:30+02:00", 25, id="Beirut falls back to 23:00"),
        pytest.param("Pacific/Apia", "2011-12-29T10:00-10:00", "2011-12-31T10:00+14:00", 24, id="a Friday that Samoa never had"),
        pytest.param("Pacific/Apia", "2011-12-28T10:00-10:00", "2011-12-29T10:00-10:00", 24, id="the day before that Friday"),
        pytest.param("Asia/Kathmandu", "2026-03-07T02:30+05:45", "2026-03-08T02:30+05:45", 24, id="a zone a quarter of an hour off"),
    ],
)
def test_a_day_is_the_same_wall_clock_time_a_day_later(zone: str, started: str, ended: str, hours: float) -> None:
    """R5: a day is a calendar day, so 23 or 25 h across a change; a skipped wall time is read with the offset before it, of two the second counts."""
    assert ends(zone, started) == (ended, hours)


@pytest.mark.parametrize(
    ("duration", "started", "ended", "hours"),
    [
        (2, "2026-03-07T12:00-05:00", "2026-03-09T12:00-04:00", 47),
        (7, "2026-10-28T12:00-04:00", "2026-11-04T12:00-05:00", 169),
        (365, "2026-11-22T12:00-05:00", "2027-11-22T12:00-05:00", 365 * 24),
        (239, "2026-03-07T02:30-05:00", "2026-11-01T02:30-05:00", 239 * 24),
        (238, "2026-03-08T01:30-05:00", "2026-11-01T01:30-05:00", 238 * 24),
    ],
)
def test_many_days_are_counted_on_the_calendar(duration: int, started: str, ended: str, hours: float) -> None:
    """R5: N days later, not N times 24 h: what lies between them counts only as far as it moved the clocks."""
    assert ends("America/New_York", started, ReservationTimeout("day", duration)) == (ended, hours)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"])
@pytest.mark.parametrize("duration", [1, 24, 8_760])
@pytest.mark.parametrize("started", ["2026-03-07T02:30-05:00", "2026-10-31T17:00-04:00", "2026-04-04T01:45+11:00"])
def test_an_hour_is_3600_seconds_wherever_the_clocks_go(zone: str, duration: int, started: str) -> None:
    """R5: hours know no calendar; 24 of them are not a day on the night when the clocks change."""
    started_ms = milliseconds(datetime.fromisoformat(started))
    assert expiry_ms(ReservationTimeout("hour", duration), ZoneInfo(zone), started_ms) == started_ms + duration * 3_600_000


@st.composite
def attempts(draw: st.DrawFn) -> tuple[ReservationTimeout, str, int]:
    """A timeout, a zone and a start: half of the time one whose reservation begins or ends within a day of a change of the zone's clocks."""
    unit: Unit = draw(st.sampled_from(["day", "day", "hour"]))
    duration = draw(st.sampled_from([1, 1, 2, 7]) | st.integers(1, MAX_DURATION[unit]))
    zone = draw(st.sampled_from(RESTLESS) | st.sampled_from(ZONES))
    start_ms = draw(st.integers(FIRST_MS, LAST_MS))
    changed = changes(zone, start_ms - start_ms % DAY_MS, start_ms - start_ms % DAY_MS + 365 * DAY_MS)
    if draw(st.booleans()) and changed:
        days_before = draw(st.sampled_from([0, duration if unit == "day" else 1]))
        minutes = draw(st.integers(-90, 90) | st.integers(-1_500, 1_500))
        start_ms = draw(st.sampled_from(changed)) - days_before * DAY_MS + minutes * MINUTE_MS + draw(st.integers(0, MINUTE_MS - 1))
    return ReservationTimeout(unit, duration), zone, start_ms


@settings(max_examples=200, deadline=None)
@given(attempts())
def test_every_zone_keeps_the_rule(attempt: tuple[ReservationTimeout, str, int]) -> None:
    """R5: in any zone, at any instant until 2040, a reservation ends when the rule, read word by word, says so."""
    timeout, zone, start_ms = attempt
    assert expiry_ms(timeout, ZoneInfo(zone), start_ms) == expiry_by_the_rule(timeout.unit, timeout.duration, zone, start_ms)


@settings(max_examples=100, deadline=None)
@given(attempts(), st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3))
def test_a_length_is_right_for_every_start_in_its_interval(attempt: tuple[ReservationTimeout, str, int], parts: list[float]) -> None:
    """R5: what the store is given is right whenever in the interval the attempt starts, to its last millisecond."""
    timeout, zone, start_ms = attempt
    told = length(timeout, ZoneInfo(zone), start_ms, sandbox=False)
    assert told.from_ms <= start_ms < told.until_ms
    assert told.until_ms - told.from_ms <= HOUR_MS + MINUTE_MS
    wide_ms = told.until_ms - told.from_ms
    for at_ms in (told.from_ms, start_ms, told.until_ms - 1, *(told.from_ms + int(part * wide_ms) for part in parts)):
        assert at_ms + told.length_ms == expiry_by_the_rule(timeout.unit, timeout.duration, zone, at_ms)


def test_an_interval_ends_where_the_length_does() -> None:
    """R5: a minute before 02:00 on the eve of the change, the length of a day is 24 h for another minute; from 03:00 on it is 23 h."""
    eve_ms = milliseconds(datetime.fromisoformat("2026-03-07T02:30-05:00"))
    told = length(ONE_DAY, ZoneInfo("America/New_York"), eve_ms, sandbox=False)
    assert (told.length_ms, told.from_ms, told.until_ms) == (24 * HOUR_MS, eve_ms, eve_ms + 30 * MINUTE_MS)
    assert length(ONE_DAY, ZoneInfo("America/New_York"), told.until_ms, sandbox=False).length_ms == 23 * HOUR_MS


@settings(max_examples=50, deadline=None)
@given(attempts())
def test_in_a_sandbox_org_everything_ends_a_thousand_times_sooner(attempt: tuple[ReservationTimeout, str, int]) -> None:
    """A sandbox org's reservation lasts a thousandth of what it would last, that calendar day's own 23 or 25 h included."""
    timeout, zone, start_ms = attempt
    whole, thousandth = (length(timeout, ZoneInfo(zone), start_ms, sandbox=sandbox) for sandbox in (False, True))
    assert thousandth.length_ms * SANDBOX_SPEED == whole.length_ms
    assert (thousandth.from_ms, thousandth.until_ms) == (whole.from_ms, whole.until_ms)


def test_a_sandbox_hour_is_over_while_a_developer_watches() -> None:
    """A sandbox org's hour is 3.6 s, its day in March 82.8 s."""
    new_york, march_ms = ZoneInfo("America/New_York"), milliseconds(datetime.fromisoformat("2026-03-07T17:00-05:00"))
    assert length(ReservationTimeout("hour", 1), new_york, march_ms, sandbox=True).length_ms == 3_600
    assert length(ONE_DAY, new_york, march_ms, sandbox=True).length_ms == 82_800


def test_a_reservation_lasts_a_day_until_it_is_set() -> None:
    """The default is one day."""
    assert ReservationTimeout() == ONE_DAY


@pytest.mark.parametrize("unit", ["day", "hour"])
@pytest.mark.parametrize("duration", [0, -1, 1.5, 1.0, "1", True, False, None, [], 366, 8_761, 10**30, float("inf")])
def test_a_duration_that_is_no_positive_integer_is_refused(unit: Unit, duration: object) -> None:
    """R8: what is no positive integer, or absurdly long for its unit, is refused with the field's name."""
    if unit == "hour" and duration == 366:
        assert bodies.ReservationTimeout.model_validate({"unit": unit, "duration": duration}).duration == duration
        return
    with pytest.raises(ValidationError) as refused:
        bodies.ReservationTimeout.model_validate({"unit": unit, "duration": duration})
    assert [error["loc"] for error in refused.value.errors()] == [("duration",)]


@given(st.sampled_from(["day", "hour"]), st.integers())
def test_durations_up_to_a_year_are_taken_and_none_beyond(unit: Unit, duration: int) -> None:
    """R8: 1 to 365 days, 1 to 8,760 hours, and nothing else."""
    try:
        taken = bodies.ReservationTimeout.model_validate({"unit": unit, "duration": duration}).duration == duration
    except ValidationError:
        taken = False
    assert taken == (1 <= duration <= {"day": 365, "hour": 8_760}[unit])
