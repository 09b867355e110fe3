"""What dialers were told, held against a history: whatever the store lost is seen."""

from typing import Any

import pytest

from reservoir.domain.history import Entry
from reservoir.domain.refusals import InvalidError
from reservoir.domain.times import rfc3339
from reservoir.domain.told import DialerRecord

T = 1_795_000_000_000


def claim(id_: str, state: str, from_ms: int, until_ms: int | None, prospect: str = "p1") -> dict[str, Any]:
    """A claim as the service answers it, as far as it matters here."""
    return {
        "id": id_,
        "state": state,
        "claimed_at": rfc3339(T + from_ms),
        "expires_at": None if until_ms is None else rfc3339(T + until_ms),
        "prospect": {"integration": "csv", "id": prospect, "name": None},
    }


def entry(type_: str, id_: str, at_ms: int, until_ms: int | None = None, prospect: str = "p1") -> Entry:
    ends = None if until_ms is None else T + until_ms
    return Entry(f"{T + at_ms}-0", type_, T + at_ms, T + at_ms, integration="csv", prospect=prospect, claim=id_, expires_at_ms=ends)


def judged(told: list[dict[str, Any]], history: list[Entry], since_ms: int = 0) -> dict[str, int]:
    """How much of each kind is wrong, in whatever order the lines are."""
    found = []
    for lines in (told, told[::-1]):
        record = DialerRecord()
        for number, line in enumerate(lines, 1):
            record.tell(number, line)
        for one in history:
            record.meet(one)
        record.conclude(T + since_ms)
        found.append(dict(record.findings.counts))
    assert found[0] == found[1]
    return found[0]


HELD = [entry("claim.held", "a", 0, 60)]
DIALED = [*HELD, entry("claim.reserved", "a", 10, 1_000)]


@pytest.mark.parametrize(
    ("told", "history"),
    [
        ([claim("a", "held", 0, 60)], HELD),
        ([claim("a", "held", 0, 60)], DIALED),
        ([claim("a", "held", 0, 60), claim("a", "reserved", 0, 1_000)], DIALED),
        ([claim("a", "held", 0, 60), claim("a", "held", 0, 90)], [*HELD, entry("claim.extended", "a", 5, 90)]),
        ([claim("a", "held", 0, 60), claim("a", "released", 0, 20)], [*HELD, entry("claim.released", "a", 20)]),
        ([claim("a", "held", 0, 60), claim("b", "held", 20, 80)], [*HELD, entry("claim.released", "a", 20), entry("claim.held", "b", 20, 80)]),
        ([claim("a", "lapsed", 0, 60), claim("b", "held", 61, 80)], [*HELD, entry("claim.lapsed", "a", 60), entry("claim.held", "b", 61, 80)]),
        ([claim("a", "unreserved", 0, None), claim("b", "unreserved", 0, None)], [entry("claim.unreserved", id_, 0) for id_ in "ab"]),
        ([claim("a", "reserved", 0, 1_000), claim("b", "lapsed", 5, None)], [entry("claim.reserved", "a", 0, 1_000), entry("claim.unreserved", "b", 5)]),
        ([claim("a", "reserved", 0, 1_000), claim("b", "reserved", 5, 1_000, "p2")], [*DIALED, entry("claim.reserved", "b", 5, 1_000, "p2")]),
    ],
)
def test_what_is_borne_out(told: list[dict[str, Any]], history: list[Entry]) -> None:
    """Nothing is wrong."""
    assert judged(told, history) == {}


@pytest.mark.parametrize(
    ("told", "history", "kinds"),
    [
        ([claim("a", "held", 0, 60)], [], {"unknown"}),
        ([claim("a", "unreserved", 0, None)], [], {"unknown"}),
        ([claim("a", "reserved", 0, 1_000)], HELD, {"lost"}),
        ([claim("a", "reserved", 0, 1_001)], DIALED, {"lost"}),
        ([claim("a", "held", 0, 90)], HELD, {"lost"}),
        ([claim("a", "released", 0, 20)], HELD, {"lost"}),
        ([claim("a", "reserved", 1, 1_000)], DIALED, {"lost"}),
        ([claim("a", "reserved", 0, 1_000, "p2")], DIALED, {"impossible"}),
        ([claim("a", "held", 0, 60), claim("a", "held", 0, 60, "p2")], [*HELD, entry("claim.held", "a", 0, 60, "p2")], {"impossible"}),
        (
            [claim("a", "reserved", 0, 1_000), claim("b", "reserved", 1_000, 2_000)],
            [*DIALED, entry("claim.reserved", "b", 1_000, 2_000)],
            {"double-dial"},
        ),
        ([claim("a", "reserved", 0, 1_000), claim("b", "held", 999, 1_500)], [*DIALED, entry("claim.held", "b", 999, 1_500)], {"double-dial"}),
        ([claim("a", "lapsed", 0, 60), claim("b", "held", 60, 90)], [*HELD, entry("claim.held", "b", 60, 90)], {"double-dial"}),
    ],
)
def test_what_is_not(told: list[dict[str, Any]], history: list[Entry], kinds: set[str]) -> None:
    """What was lost, forgotten or given twice is told by its kind."""
    assert set(judged(told, history)) == kinds


def test_a_long_claim_is_held_against_all_that_follow() -> None:
    """Both pairs are told, though a short claim lies between the two."""
    told = [claim("long", "reserved", 0, 100), claim("short", "reserved", 10, 20), claim("late", "reserved", 50, 60)]
    history = [entry("claim.reserved", "long", 0, 100), entry("claim.reserved", "short", 10, 20), entry("claim.reserved", "late", 50, 60)]
    assert judged(told, history) == {"double-dial": 2}


def test_what_is_from_before_the_history() -> None:
    """It is counted, and nothing is held against it that nobody can know."""
    record = DialerRecord()
    record.tell(1, claim("old", "reserved", 0, 1_000))
    record.tell(2, claim("older", "reserved", 0, 1_000, "p2"))
    record.meet(entry("reservation.expired", "older", 1_000, prospect="p2"))
    record.conclude(T + 1)
    assert (record.before, record.findings.shown, record.claims, record.lines) == (1, [], 2, 2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([], "a JSON object"),
        ({**claim("a", "held", 0, 60), "prospect": "p1"}, "prospect: expected an object"),
        ({**claim("a", "held", 0, 60), "prospect": {"integration": "csv"}}, "prospect.id: expected text"),
        ({**claim("a", "held", 0, 60), "id": 7}, "id: expected text, found 7"),
        ({**claim("a", "held", 0, 60), "id": ""}, "id: expected text"),
        ({**claim("a", "held", 0, 60), "state": "taken"}, "state: expected one of held"),
        ({**claim("a", "held", 0, 60), "claimed_at": None}, "claimed_at: expected text"),
        ({**claim("a", "held", 0, 60), "claimed_at": "noon"}, "claimed_at: expected a time"),
        (claim("a", "reserved", 0, None), "expires_at: a reserved claim has one"),
        ({**claim("a", "held", 0, 60), "expires_at": 7}, "expires_at: expected text"),
    ],
)
def test_what_is_no_claim(line: object, said: str) -> None:
    """It is refused with the field, what was expected and what came."""
    with pytest.raises(InvalidError) as refused:
        DialerRecord().tell(1, line)
    assert said in str(refused.value)
