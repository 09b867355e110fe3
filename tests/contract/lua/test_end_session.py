"""end_session: what a session still holds is given back, a chunk at a time."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.contract.lua.expected import entry, moved, place
from tests.support.builders import Bench, Row
from tests.support.keyspace import GONE


def given_back(got: Row, now: int, at: dict[str, int], session: str = "s-1") -> dict[str, Any]:
    """What the release of one hold changes, but for the history. ``at``: its place in each of its lists."""
    changed: dict[str, Any] = {
        f"reservation:csv:{got.prospect}": GONE,
        f"reservation:csv:{got.prospect} ttl": GONE,
        f"ends[csv:{got.prospect}]": GONE,
        f"claim-of[csv:{got.prospect}]": GONE,
        f"claim:{got.id}[state]": "released",
        f"claim:{got.id}[expires_at]": now,
        f"claim:{got.id} ttl": now + DAY_MS,
        f"session:{session}[{got.id}]": GONE,
    }
    for list_, where in at.items():
        changed |= moved(got.prospect, [list_], "held", "available", where)
    return changed


def end_mark(now: int, released: int, session: str = "s-1", nonce: str = "n") -> dict[str, Any]:
    """What the call leaves, to be known again if it is sent again."""
    return {f"session-end:{session}": f"{nonce} {released}", f"session-end:{session} ttl": now + MINUTE_MS}


def test_every_hold_is_given_back_in_its_place_and_reserved_ones_stay(bench: Bench) -> None:
    """Each is available again in all its lists, its claim released, with an entry of its own; a reservation is as it was (R6)."""
    first, second = bench.taken("west", count=2, hold_ms=30_000)
    third = bench.take("east", hold_ms=60_000)
    reserved = bench.take("east")
    before = bench.snapshot()
    reply = bench.call("end_session", "s-1", nonce="n")
    now = reply[1]
    assert reply == ["ended", now, 3, 0]
    assert bench.changes(before) == {
        **given_back(first, now, {"west": place(0)}),
        **given_back(second, now, {"west": place(1)}),
        **given_back(third, now, {"west": place(2), "east": place(0)}),
        "session:s-1 ttl": GONE,
        **end_mark(now, 3),
        "history+": [entry("claim.released", now, got.id, got.prospect, list=got.list) for got in (first, second, third)],
    }
    assert Row.of(bench.call("read_claim", reserved.id)[2]).state == "reserved"


def test_the_same_call_sent_again_is_told_the_same_and_another_one_none(bench: Bench) -> None:
    """A re-sent call does nothing more and tells what it did; an end repeated by its caller releases 0."""
    bench.taken("west", count=2, hold_ms=30_000)
    assert bench.call("end_session", "s-1", nonce="n")[2:] == [2, 0]
    before = bench.snapshot()
    assert bench.call("end_session", "s-1", nonce="n")[2:] == [2, 0]
    assert bench.changes(before) == {}
    again = bench.call("end_session", "s-1", nonce="m")
    assert again[2:] == [0, 0]
    assert bench.changes(before) == end_mark(again[1], 0, nonce="m")


def test_of_an_unknown_session_nothing_is_released(bench: Bench) -> None:
    """Other sessions keep what they hold, those whose names begin alike too."""
    names = ("s-1", "s-1:2", "s", "S-1", "s-1 ", "session-end:s-1")
    rows = [bench.take("west", session=name, hold_ms=30_000) for name in names[:5]]
    before = bench.snapshot()
    for unknown in ("s-2", "s-", "*", "s-1%20", names[5]):
        assert bench.call("end_session", unknown)[2:] == [0, 0]
    assert {path for path in bench.changes(before) if not path.startswith("session-end:")} == set()
    for name, got in zip(names, rows, strict=False):
        assert bench.call("end_session", name)[2:] == [1, 0]
        assert Row.of(bench.call("read_claim", got.id)[2]).state == "released"


def test_a_hold_that_was_extended_is_found_to_its_last_minute(bench: Bench) -> None:
    """Eight hours after it was taken, the index of the session still has it, whatever it said of its end when it was taken."""
    got = bench.take("west", hold_ms=5_000)
    for hours in range(1, 9):
        assert bench.call("extend", got.id, HOUR_MS)[0] == "claim"
        bench.age("csv:p1", HOUR_MS - MINUTE_MS if hours < 8 else 0)
    session = bench.key("session:s-1")
    lives_ms = bench.server("PEXPIRETIME", session) - bench.call("read_claim", got.id)[1]
    assert lives_ms > 23 * HOUR_MS > 8 * HOUR_MS
    assert bench.call("end_session", "s-1")[2:] == [1, 0]


def test_a_hold_that_ran_out_is_not_released(bench: Bench) -> None:
    """It has lapsed: it counts as none, and its lapse is settled with its own instant, once."""
    lapsed, held = bench.taken("west", count=2, hold_ms=30_000)
    bench.age("csv:p1", 30_001)
    assert bench.call("end_session", "s-1")[2:] == [1, 0]
    bench.call("settle")
    kinds = [(told["type"], told.get("claim")) for told in bench.history() if "claim" in told]
    assert kinds[2:] == [("claim.released", held.id), ("claim.lapsed", lapsed.id)]


def test_one_whom_somebody_else_has_by_now_stays_with_them(bench: Bench) -> None:
    """The claim that lapsed, and whose prospect was claimed by another session since, frees nobody, though a hand put it back into its session."""
    lapsed = bench.take("west", hold_ms=30_000)
    bench.age("csv:p1", 30_001)
    other = bench.take("west", session="s-2", hold_ms=30_000)
    assert other.prospect == "p1"
    bench.server("ZADD", bench.key("session:s-1"), other.ends, lapsed.id)
    bench.server("PEXPIRE", bench.key("session:s-1"), MINUTE_MS)
    assert bench.call("end_session", "s-1")[2:] == [0, 0]
    assert Row.of(bench.call("read_taken", "csv:p1")[2][0]).id == other.id


def test_more_than_one_call_releases_are_left_for_the_next(bench: Bench) -> None:
    """100 a call, in the order in which they were to end, until none is left."""
    bench.make_list("long", [f"m{number:03d}" for number in range(230)])
    for _ in range(5):
        bench.taken("long", count=46, hold_ms=30_000)
    told = [bench.call("end_session", "s-1")[2:] for _ in range(4)]
    assert told == [[100, 130], [100, 30], [30, 0], [0, 0]]
    assert bench.server("ZCARD", bench.key("list:long:available")) == 230


def test_a_call_stops_at_its_moves(bench: Bench) -> None:
    """Prospects in many lists are fewer a call: 512 moves."""
    members = [f"m{number:02d}" for number in range(40)]
    for number in range(32):
        bench.make_list(f"l{number}", members)
    bench.taken("l0", count=25, hold_ms=30_000)
    assert bench.call("end_session", "s-1")[2:] == [16, 9]
    assert bench.call("end_session", "s-1")[2:] == [9, 0]
    assert {bench.server("ZCARD", bench.key(f"list:l{number}:available")) for number in range(32)} == {40}


def test_holds_of_two_integrations_are_given_back_each_in_its_own_lists(bench: Bench) -> None:
    """A session dials what it dials."""
    bench.make_list("crm", ["p1", "p2"], "salesforce")
    bench.take("crm", hold_ms=30_000)
    bench.take("west", hold_ms=30_000)
    assert bench.call("end_session", "s-1")[2:] == [2, 0]
    assert bench.server("ZRANGE", bench.key("list:crm:available"), 0, 0) == ["p1"]
    assert bench.server("ZRANGE", bench.key("list:west:available"), 0, 0) == ["p1"]


@pytest.mark.leaves("a key that somebody set by hand")
def test_a_key_that_somebody_set_in_its_place_is_obeyed(bench: Bench) -> None:
    """The claim is released; the prospect stays reserved, as the hand has it."""
    bench.take("west", hold_ms=30_000)
    bench.server("SET", bench.key("reservation:csv:p1"), "by hand", "EX", 600)
    assert bench.call("end_session", "s-1")[2:] == [1, 0]
    assert bench.server("ZRANGE", bench.key("list:west:available"), 0, 0) == ["p2"]


def test_a_release_after_the_sessions_end_is_one_again(bench: Bench) -> None:
    """Repeated after a release, of which a session's end is one too: released."""
    got = bench.take("west", hold_ms=30_000)
    bench.call("end_session", "s-1")
    before = bench.snapshot()
    assert bench.call("release", got.id)[0] == "released"
    assert bench.changes(before) == {}
    assert bench.call("attempt", got.id)[0] == "claim-lapsed"
