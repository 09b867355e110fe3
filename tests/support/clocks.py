"""What the clocks on the walls of a time zone show, and by the rule's own words when a reservation ends. Shares nothing with the code under test.

Only the way from an instant to the wall is taken from the zone's data; the way back is searched for.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def offset_ms(zone: str, at_ms: int) -> int:
    """By how much the clocks on the wall are ahead of UTC at an instant."""
    offset = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def wall_ms(zone: str, at_ms: int) -> int:
    """What the clocks on the wall show at an instant, counted as if they were in UTC."""
    return at_ms + offset_ms(zone, at_ms)


@lru_cache(maxsize=2_048)
def changes(zone: str, from_ms: int, until_ms: int) -> tuple[int, ...]:
    """The instants in between at which the zone's clocks change, looked for day by day."""
    found = []
    for day_ms in range(from_ms, until_ms, DAY_MS):
        was, is_ = offset_ms(zone, day_ms), offset_ms(zone, day_ms + DAY_MS)
        if was != is_:
            before, after = day_ms, day_ms + DAY_MS
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if offset_ms(zone, middle) == was else (before, middle)
            found.append(after)
    return tuple(found)


def expiry_by_the_rule(unit: str, duration: int, zone: str, start_ms: int) -> int:
    """R5, word by word: an hour is 3,600 s; a day is the same time on the wall, N calendar days later. If the clocks show that time twice, the second counts;
    if they never show it, it is read with the offset that they had before they jumped over it."""
    if unit == "hour":
        return start_ms + duration * HOUR_MS
    wanted_ms = wall_ms(zone, start_ms) + duration * DAY_MS
    around = range(wanted_ms - 48 * HOUR_MS, wanted_ms + 48 * HOUR_MS, HOUR_MS)
    offsets = {offset_ms(zone, at_ms) for at_ms in around}
    shown = [wanted_ms - offset for offset in offsets if wall_ms(zone, wanted_ms - offset) == wanted_ms]
    if shown:
        return max(shown)
    before, after = around[0], around[-1]
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if wall_ms(zone, middle) < wanted_ms else (before, middle)
    return wanted_ms - offset_ms(zone, before)
