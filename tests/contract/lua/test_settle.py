"""settle: what is due in the whole org."""

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.contract.lua.expected import entry, freed, moved, place
from tests.support.builders import Bench, Terms
from tests.support.keyspace import GONE


def test_nothing_is_due(bench: Bench) -> None:
    """Nothing is written; the soonest end of what is taken is told, if anything is."""
    before = bench.snapshot()
    assert bench.call("settle")[2:4] == [0, None]
    later = bench.take()
    sooner = bench.take(hold_ms=9_000)
    before = bench.snapshot()
    assert bench.call("settle")[2:4] == [0, sooner.ends]
    assert bench.changes(before) == {}
    bench.call("release", sooner.id)
    assert bench.call("settle")[2:4] == [0, later.ends]


def test_frees_what_is_past_in_all_lists_and_tells_the_history_once(bench: Bench) -> None:
    """R13: a lapse and an expiry, each at its true instant, the soonest first; a repeat finds nothing more."""
    held = bench.take("west", hold_ms=30_000)
    reserved = bench.take("east")
    alone = bench.claim_one("x1", hold_ms=20_000, session="s-2")[2][0]
    stays = bench.take("east")
    bench.age("csv:p1", 31_000)
    bench.age("csv:p3", DAY_MS + 5_000)
    bench.age("csv:x1", 27_000)
    before = bench.snapshot()
    reply = bench.call("settle")
    assert reply[2:4] == [3, stays.ends]
    ended = {"p1": held.ends - 31_000, "p3": reserved.ends - DAY_MS - 5_000, "x1": int(alone[10]) - 27_000}
    entries = {
        "p1": entry("claim.lapsed", ended["p1"], held.id, "p1"),
        "p3": entry("reservation.expired", ended["p3"], reserved.id, "p3", list="east"),
        "x1": entry("claim.lapsed", ended["x1"], alone[0], "x1", mode="power", list=None, session="s-2"),
    }
    assert bench.changes(before) == {
        **freed(held.id, "p1", place(0), state="held"),
        **freed(reserved.id, "p3", 0, lists=[]),
        **moved("p3", ["west"], "reserved", "available", place(2)),
        **moved("p3", ["east"], "reserved", "available", place(0)),
        **freed(alone[0], "x1", 0, state="held", lists=[], session="s-2"),
        "history+": [entries[prospect] for prospect in sorted(ended, key=lambda one: ended[one])],
    }
    before = bench.snapshot()
    assert bench.call("settle")[2:4] == [0, stays.ends]
    assert bench.changes(before) == {}


def test_an_unreserved_hold_that_runs_out_is_told_once(bench: Bench) -> None:
    """R9: at its true instant, and it frees nobody: whoever has the prospect has them still. One whose call began, or may yet begin, is not told of."""
    reserved = bench.take()
    bench.terms["csv"] = Terms(enabled=False, switched_on=1)
    over, stays, began = bench.taken(count=3, hold_ms=30_000)
    bench.call("attempt", began.id)
    bench.age_unreserved(over.id, 30_500)
    before = bench.snapshot()
    assert bench.call("settle")[2:4] == [1, stays.ends]
    assert over.prospect == reserved.prospect == "p1"
    lapsed = entry("claim.lapsed", over.ends - 30_500, over.id, "p1", detail={"reserved": False})
    assert bench.changes(before) == {f"unreserved-ends[{over.id}]": GONE, "history+": [lapsed]}
    before = bench.snapshot()
    assert bench.call("settle")[2:4] == [0, stays.ends]
    bench.server("DEL", bench.key("unreserved-ends"))
    assert bench.call("settle")[2:4] == [0, reserved.ends]
    assert bench.changes(before) == {f"unreserved-ends[{stays.id}]": GONE}


def test_an_unreserved_hold_whose_call_began_has_not_lapsed(bench: Bench) -> None:
    """R9: though a process of an older version, which knows nothing of such ends, began it."""
    bench.terms["csv"] = Terms(enabled=False, switched_on=1)
    began = bench.take(hold_ms=30_000)
    bench.age_unreserved(began.id, 30_500)
    bench.server("HSET", bench.key(f"claim:{began.id}"), "attempted_at", began.ends - 31_000)
    before = bench.snapshot()
    assert bench.call("settle")[2:4] == [1, None]
    assert bench.changes(before) == {f"unreserved-ends[{began.id}]": GONE}


def test_both_kinds_of_ends_share_a_call(bench: Bench) -> None:
    """256 a call, what frees somebody first; an unreserved hold whose claim is not known any more leaves no word."""
    prospects = [f"q{number:03d}" for number in range(200)]
    bench.make_list("many", prospects)
    taken = [row for _ in range(4) for row in bench.taken("many", count=50, hold_ms=30_000)]
    for row in taken:
        bench.age(f"csv:{row.prospect}", 31_000)
    bench.server("ZADD", bench.key("unreserved-ends"), *(word for number in range(100) for word in (number + 1, f"gone-{number:02d}")))
    told = len(bench.history())
    assert bench.call("settle")[2:4] == [256, 57]
    assert bench.call("settle")[2:4] == [44, None]
    assert [entry["type"] for entry in bench.history()[told:]] == ["claim.lapsed"] * 200


def test_to_the_millisecond(bench: Bench) -> None:
    """R13, R19: what ends in this millisecond stands, for a claim by id too; it is due in the next."""
    bench.take(hold_ms=60_000)
    bench.age("csv:p1", 59_970)
    ends = int(bench.server("ZSCORE", bench.key("ends"), "csv:p1"))
    settled = 0
    while not settled:
        told, reply = bench.call("read_taken", "csv:p1"), bench.call("settle")
        assert (told[2] == [None]) == (ends < told[1])
        settled = reply[2]
        assert (settled == 1) == (ends < reply[1])


def test_more_than_one_call_settles(bench: Bench) -> None:
    """256 prospects a call; what is left is told as past, so the caller goes on, and each lapse is there exactly once."""
    prospects = [f"q{number:03d}" for number in range(300)]
    bench.make_list("long", prospects)
    taken = [got for _ in range(6) for got in bench.taken("long", count=50, hold_ms=30_000)]
    for number, got in enumerate(taken):
        bench.age(f"csv:{got.prospect}", 40_000 + number)
    first = bench.call("settle")
    assert first[2] == 256
    assert first[3] < first[1]
    assert bench.call("settle")[2:4] == [44, None]
    lapses = [(told["claim"], told["at"]) for told in bench.history() if told["type"] == "claim.lapsed"]
    assert sorted(lapses) == sorted((got.id, got.ends - 40_000 - number) for number, got in enumerate(taken))
    assert [got.prospect for got in bench.taken("long", count=50)] == prospects[:50]


def test_stops_at_512_moves(bench: Bench) -> None:
    """Prospects in 64 lists each are 8 a call."""
    prospects = [f"q{number}" for number in range(20)]
    for number in range(64):
        bench.make_list(f"l{number}", prospects)
    for got in bench.taken("l0", count=12, hold_ms=30_000) + bench.taken("l0", count=8, hold_ms=30_000):
        bench.age(f"csv:{got.prospect}", 40_000)
    assert [bench.call("settle")[2] for _ in range(4)] == [8, 8, 4, 0]


def test_over_integrations(bench: Bench) -> None:
    """The same record id in two integrations is two prospects, each back in its own lists only."""
    bench.make_list("crm", ["p1", "p2"], "salesforce")
    bench.take("crm")
    other = bench.take("west")
    assert other.prospect == "p1"
    bench.age("salesforce:p1", DAY_MS + 1)
    before = bench.snapshot()
    bench.call("settle")
    changed = bench.changes(before)
    assert changed["list:crm:available[p1]"] == place(0)
    assert not [path for path in changed if path.startswith("list:west")]


def test_an_operators_key_over_a_past_one_is_obeyed(bench: Bench) -> None:
    """Ours has ended, and is in the history; theirs stands, until it ends."""
    got = bench.take()
    bench.age("csv:p1", DAY_MS + 1)
    until = bench.call("read_taken", "csv:p1")[1] + HOUR_MS
    bench.server("SET", bench.key("reservation:csv:p1"), "hands off", "PXAT", until)
    before = bench.snapshot()
    assert bench.call("settle")[2:4] == [1, None]
    assert bench.changes(before) == {
        "ends[csv:p1]": GONE,
        "claim-of[csv:p1]": GONE,
        "list:west:reserved[p1]": until,
        "history+": [entry("reservation.expired", got.ends - DAY_MS - 1, got.id, "p1")],
    }
    assert bench.take().prospect == "p2"


@pytest.mark.leaves("an operator's key of another type")
def test_an_operators_key_of_another_type_is_obeyed(bench: Bench) -> None:
    """Whatever a hand puts there, it stops neither the settling nor the next claim."""
    bench.take()
    bench.age("csv:p1", DAY_MS + 1)
    bench.server("RPUSH", bench.key("reservation:csv:p1"), "hands", "off")
    assert bench.call("settle")[2] == 1
    assert bench.take().prospect == "p2"
    assert bench.server("LRANGE", bench.key("reservation:csv:p1"), 0, -1) == ["hands", "off"]


def test_a_claim_that_somebody_deleted_still_ends(bench: Bench) -> None:
    """Nobody knows who it was, so the history says nothing; the prospect is free."""
    got = bench.take()
    bench.server("DEL", bench.key(f"claim:{got.id}"))
    bench.server("ZADD", bench.key("ends"), 1, "csv:p1")
    bench.server("ZADD", bench.key("list:west:reserved"), 1, "p1")
    entries = len(bench.history())
    assert bench.call("settle")[2:4] == [1, None]
    assert len(bench.history()) == entries
    assert bench.take().prospect == "p1"


def test_a_hold_with_odd_names_ends_in_its_own_session(bench: Bench) -> None:
    """A session's key is found again whatever the session is called."""
    got = bench.take(hold_ms=10_000, session="s:1 {x}*é")
    bench.age("csv:p1", 11_000)
    before = bench.snapshot()
    bench.call("settle")
    changed = bench.changes(before)
    assert changed[f"session:s%3A1%20%7Bx%7D%2A%C3%A9[{got.id}]"] is GONE
