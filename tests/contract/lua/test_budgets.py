"""spend and pace: an org's budgets of calls to its CRM, which all its workers share."""

import pytest

from reservoir.domain.times import HOUR_MS
from tests.contract.lua.expected import Changes
from tests.support.builders import Bench
from tests.support.commands import Word
from tests.support.keyspace import GONE

SPENT = "spent:salesforce:report_runs"
HELD = "budget-held:salesforce:report_runs"
LEFT = "budget-left:salesforce:report_runs"


def spend(bench: Bench, most: int = 3, *, nonce: str | None = None, what: str = "report_runs") -> list[Word]:
    return bench.call("spend", "salesforce", what, most, HOUR_MS, nonce=nonce)


def pace(bench: Bench, what: str, count: int = 0, for_ms: int = 60_000) -> list[Word]:
    return bench.call("pace", "salesforce", "report_runs", what, count, for_ms)


def entries(changed: Changes) -> Changes:
    """What changed, but for when keys expire, which is told apart: two calls of one millisecond leave it as it is."""
    return {path: value for path, value in changed.items() if not path.endswith(" ttl")}


def lasts(bench: Bench, name: str, now: int) -> int:
    """For how long a key lives, of what it was given: the store counts from its own instant, which the reply tells to the millisecond."""
    ends = bench.snapshot()[bench.key(name)].expires_at_ms
    assert ends is not None
    return ends - now


def test_one_is_spent(bench: Bench) -> None:
    """It is in the window, by the call that spent it, and the window ends with the last of them."""
    before = bench.snapshot()
    reply = spend(bench, nonce="one")
    now = int(reply[1])
    assert reply == ["spent", now]
    assert bench.changes(before) == {f"{SPENT}[one]": now, f"{SPENT} ttl": now + HOUR_MS}


def test_sent_again_it_is_spent_once(bench: Bench) -> None:
    """Also where it was the last of the budget, and where the CRM has said meanwhile that it has none left; and something is written."""
    first = spend(bench, 1, nonce="one")
    pace(bench, "left", 0)
    pace(bench, "hold")
    before = bench.snapshot()
    wrote = bench.server("INFO", "persistence").split("rdb_changes_since_last_save:")[1].split()[0]
    again = spend(bench, 1, nonce="one")
    assert (first[0], again[0]) == ("spent", "spent")
    assert bench.server("INFO", "persistence").split("rdb_changes_since_last_save:")[1].split()[0] > wrote
    assert entries(bench.changes(before)).keys() <= {f"{SPENT}[one]"}
    assert bench.server("ZCARD", bench.key(SPENT)) == 1


def test_one_too_many_waits_for_the_oldest_to_leave_the_window(bench: Bench) -> None:
    """To the millisecond, and nothing changes; when it has left, one more is spent, and no more than that."""
    oldest = int(spend(bench, nonce="one")[1])
    for nonce in ("two", "three"):
        spend(bench, nonce=nonce)
    before = bench.snapshot()
    reply = spend(bench)
    assert reply == ["wait", reply[1], oldest + HOUR_MS - int(reply[1])]
    assert bench.changes(before) == {}
    bench.server("ZINCRBY", bench.key(SPENT), -HOUR_MS, "one")
    before = bench.snapshot()
    reply = spend(bench, nonce="four")
    assert entries(bench.changes(before)) == {f"{SPENT}[one]": GONE, f"{SPENT}[four]": reply[1]}
    assert lasts(bench, SPENT, int(reply[1])) == HOUR_MS
    assert spend(bench)[0] == "wait"


def test_of_a_smaller_budget_so_many_must_leave(bench: Bench) -> None:
    """The config says fewer than were spent: it waits until there is room, not only until one has left."""
    times = [int(spend(bench, 5)[1]) for _ in range(5)]
    reply = spend(bench, 2)
    assert reply[2] == times[3] + HOUR_MS - int(reply[1])


def test_what_is_left_counts_down(bench: Bench) -> None:
    """What the CRM said it has, whoever else spends of it; at none it waits until that is over, and nothing changes."""
    pace(bench, "left", 2, 60_000)
    for left in (1, 0):
        before = bench.snapshot()
        reply = spend(bench, 100, nonce=f"n{left}")
        assert entries(bench.changes(before)) == {f"{SPENT}[n{left}]": reply[1], LEFT: left}
    before = bench.snapshot()
    reply = spend(bench, 100)
    assert (reply[0], 0 < int(reply[2]) <= 60_000) == ("wait", True)
    assert bench.changes(before) == {}


def test_a_hold_is_for_everybody(bench: Bench) -> None:
    """It waits as long as the CRM said; what else is spent goes on."""
    pace(bench, "hold", 0, 60_000)
    before = bench.snapshot()
    reply = spend(bench)
    assert (reply[0], 0 < int(reply[2]) <= 60_000) == ("wait", True)
    assert bench.changes(before) == {}
    assert spend(bench, what="api_calls")[0] == "spent"


def test_a_hold_is_not_shortened(bench: Bench) -> None:
    """Two answers of the CRM, the later one with less: until the last instant that it said."""
    now = int(pace(bench, "hold", 0, 600_000)[1])
    before = bench.snapshot()
    assert pace(bench, "hold", 0, 1_000)[0] == "noted"
    assert bench.changes(before) == {}
    assert lasts(bench, HELD, now) >= 600_000
    longer = int(pace(bench, "hold", 0, 700_000)[1])
    assert lasts(bench, HELD, longer) >= 700_000


def test_what_is_left_is_what_was_said_last(bench: Bench) -> None:
    """More or fewer; said again, the same, for as long from then."""
    for count in (7, 3, 9, 9):
        now = int(pace(bench, "left", count, 60_000)[1])
        assert bench.snapshot()[bench.key(LEFT)].value == count
        assert lasts(bench, LEFT, now) >= 60_000


def test_what_is_forgotten_is_asked_anew(bench: Bench) -> None:
    """What was said goes; what was spent stays spent. Again: nothing."""
    spend(bench, nonce="one")
    pace(bench, "hold")
    pace(bench, "left", 5)
    before = bench.snapshot()
    assert pace(bench, "forget")[0] == "noted"
    assert bench.changes(before) == {HELD: GONE, f"{HELD} ttl": GONE, LEFT: GONE, f"{LEFT} ttl": GONE}
    before = bench.snapshot()
    assert pace(bench, "forget")[0] == "noted"
    assert bench.changes(before) == {}
    assert spend(bench, 1)[0] == "wait"


@pytest.mark.parametrize("what", ["report:runs", "*", "é"])
def test_a_budgets_name_reaches_into_no_other_key(bench: Bench, what: str) -> None:
    """R17: it is encoded as every id."""
    before = bench.snapshot()
    spend(bench, what=what)
    (name,) = {path.split("[")[0].removesuffix(" ttl") for path in bench.changes(before)}
    assert name.count(":") == 2
