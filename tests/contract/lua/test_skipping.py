"""How a rep who removed thousands gets past them (R10): it costs once, nobody is missed for it (R13), and others do not notice."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.contract.lua.expected import rows
from tests.support.builders import Bench

REMOVED = [f"q{number:04d}" for number in range(1_000)]
BEHIND = [f"r{number}" for number in range(1, 6)]


def remove(bench: Bench, prospects: list[str], rep: str = "ana") -> None:
    """What `dispose` would write, for more members than a test wants to call."""
    bench.server("HSET", bench.key(f"list:long:removed:{rep}"), *[word for prospect in prospects for word in (prospect, "1 x")])
    bench.server("ZADD", bench.key("list:long:removals"), *[word for prospect in prospects for word in (0, f"{rep} {prospect}")])
    bench.server("SADD", bench.key("list:long:removers"), rep)


@pytest.fixture
def long(bench: Bench) -> Bench:
    """A list of one who is not removed, 1,000 whom ana removed, and five behind them; ana has found out."""
    bench.make_list("long", ["first", *REMOVED, *BEHIND])
    remove(bench, REMOVED)
    calls, got, available = claim(bench)
    assert (calls, got) == (1, ["first"])
    assert available >= 5, "what is behind more than 256 removed ones is not known yet"
    assert claim(bench) == (4, ["r1"], 4)
    return bench


def claim(bench: Bench, count: int = 1, *, rep: str = "ana", **how: Any) -> tuple[int, list[str], int]:
    """In how many calls the claim was answered, whom it got, and how many are available to the rep then."""
    after: Any = ""
    for calls in range(1, 30):
        reply = bench.claim("long", rep=rep, count=count, key=f"key{bench.snapshot().keys().__len__()}{calls}{count}", after=after, **how)
        if reply[0] != "on":
            assert reply[0] == "claimed"
            return calls, [got.prospect for got in rows(reply)], reply[3]
        after = reply[2]
    raise AssertionError("it goes on for ever")


def test_the_way_past_them_costs_once(long: Bench) -> None:
    """Four calls the first time, and one from then on, dry or not; the count is exact though 1,000 are removed."""
    assert [claim(long) for _ in range(4)] == [(1, [f"r{number}"], 5 - number) for number in range(2, 6)]
    before = long.snapshot()
    assert claim(long) == (1, [], 0)
    assert long.changes(before) == {}, "and nothing more is to be remembered"


def test_others_are_not_slowed_and_do_not_notice(long: Bench) -> None:
    """Bob is handed whom ana removed, in order and in one call."""
    assert claim(long, 3, rep="bob") == (1, REMOVED[:3], 1_006 - 2 - 3)


def test_who_becomes_available_before_them_is_next(long: Bench) -> None:
    """R13: a reservation that expires in front of the removed ones brings its member back to the head of the walk, for ana too."""
    long.age("csv:first", DAY_MS + 1)
    assert claim(long) == (1, ["first"], 4)
    assert claim(long) == (1, ["r2"], 3)


def test_early_ones_that_were_not_taken_are_not_forgotten(long: Bench) -> None:
    """In list order, before who is behind, over several claims; who was taken meanwhile is passed over, and met when they are back."""
    taken = [long.take("long", rep="bob", session="s-2", hold_ms=60_000 * number) for number in range(1, 5)]
    assert [got.prospect for got in taken] == REMOVED[:4]
    for rep in ("ana",):
        long.server("HDEL", long.key(f"list:long:removed:{rep}"), *REMOVED[:4])
    for got in taken[::-1]:
        long.call("release", got.id)
    assert claim(long) == (1, ["q0000"], 7)
    assert claim(long, 1, rep="bob", session="s-2", hold_ms=60_000) == (1, ["q0001"], 1_006 - 2 - 2)
    assert claim(long, 2) == (1, ["q0002", "q0003"], 4)
    assert claim(long) == (1, ["r2"], 3)
    long.age("csv:q0001", 60_001)
    assert claim(long, 2) == (1, ["q0001", "r3"], 2)


def test_removed_ones_that_become_available_cost_no_second_walk(long: Bench) -> None:
    """600 of them are taken by bob and given back: they are looked at once, 256 a call, and never again."""
    for _ in range(12):
        claim(long, 50, rep="bob", session="s-2", hold_ms=60_000)
    while long.call("end_session", "s-2")[2] > 0:
        pass
    assert claim(long) == (3, ["r2"], 3)
    assert claim(long) == (1, ["r3"], 2)


def test_an_undone_remove_is_met_at_once(long: Bench) -> None:
    """R10, R13: in its place, before who is behind."""
    long.call("restore", "long", "ana", "csv", "q0500", "{}")
    assert claim(long, 2) == (1, ["q0500", "r2"], 3)


def test_whom_a_sync_brings_before_them_is_met(long: Bench) -> None:
    """R12, R13: new members and moved ones, while it runs and after; the removed ones are walked past in their new places once."""
    long.begin("long", "r1")
    long.page("long", "r1", 1, ["n1", *REMOVED[:200], "n2"])
    assert claim(long, 2) == (1, ["n1", "n2"], 4)
    long.page("long", "r1", 2, ["r4", "n3"])
    assert claim(long) == (1, ["r4"], 4)
    for number, start in enumerate(range(200, 1_000, 200), 3):
        long.page("long", "r1", number, REMOVED[start : start + 200])
    long.page("long", "r1", 8, ["r2", "r3", "r5", "first"])
    while long.finish("long", "r1")[0] == "leaving":
        pass
    assert claim(long)[1:] == (["n3"], 3)
    assert claim(long)[1:] == (["r2"], 2)
    assert claim(long) == (1, ["r3"], 1)


def test_more_than_can_be_remembered_make_the_walk_begin_anew(long: Bench) -> None:
    """A sync that brings thousands: the first of them are forgotten, and what rests on them is void; nobody is missed."""
    many = [f"s{number:04d}" for number in range(3_500)]
    remove(long, many)
    long.fill("long", [*many[:100], "new", *REMOVED, *many[100:], *BEHIND, "last"])
    assert long.server("ZCARD", long.key("list:long:came")) == 4_096
    assert [claim(long)[1] for _ in range(6)] == [["new"], ["r2"], ["r3"], ["r4"], ["r5"], ["last"]]


def test_300_early_ones_make_the_walk_begin_with_the_first(long: Bench) -> None:
    """More than are remembered: every one is met, in order, and after them those behind."""
    back = REMOVED[100:400]
    for prospect in back:
        long.call("restore", "long", "ana", "csv", prospect, "{}")
    met: list[str] = []
    while len(got := claim(long, 50)[1]) > 0:
        met += got
    assert met == [*back, *BEHIND[1:]]


@pytest.mark.parametrize("key", ["skips", "came"])
def test_a_hand_that_deletes_what_is_remembered_costs_a_walk_and_nobody(long: Bench, key: str) -> None:
    """The store may let both go as well: it is no truth, only a short cut."""
    long.server("DEL", long.key(f"list:long:{key}"))
    long.age("csv:first", DAY_MS + 1)
    long.call("settle")
    assert claim(long)[1] == ["first"]
    assert claim(long)[1] == ["r2"]
    assert claim(long) == (1, ["r3"], 2)


def test_a_mended_list_is_met_as_it_is(long: Bench) -> None:
    """Who was lost from the index and is found again may be before the place."""
    long.age("csv:first", DAY_MS + 1)
    long.call("settle")
    long.server("DEL", long.key("list:long:available"))
    assert claim(long)[1] == []
    reply = long.call("mend_list", "long", "")
    while reply[0] == "mending":
        reply = long.call("mend_list", "long", reply[2])
    assert claim(long)[1] == ["first"]
    assert claim(long)[1] == ["r2"]


def test_a_rep_with_few_removals_remembers_nothing(bench: Bench) -> None:
    """Below 64 at the head a walk is as cheap as the memory of it, and the list notes nothing."""
    bench.make_list("long", [*REMOVED[:60], *BEHIND])
    remove(bench, REMOVED[:60])
    assert claim(bench) == (1, ["r1"], 4)
    assert not {bench.key("list:long:skips"), bench.key("list:long:came")} & bench.snapshot().keys()


def test_two_reps_skip_each_their_own(long: Bench) -> None:
    """Bob removed the second half; each is told of who came, whatever the other has read."""
    remove(long, REMOVED[500:], "bob")
    assert claim(long, 50, rep="bob", session="s-2")[1] == REMOVED[:50]
    for _ in range(9):
        claim(long, 50, rep="bob", session="s-2")
    assert claim(long, rep="bob", session="s-2") == (2, ["r2"], 3)
    long.age("csv:first", DAY_MS + 1)
    assert claim(long) == (1, ["first"], 3)
    long.age("csv:first", DAY_MS + 1)
    assert claim(long, rep="bob", session="s-2") == (1, ["first"], 3)
