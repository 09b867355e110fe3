"""claim, while multi-rep dialing is off: each rep walks the list alone, in order, from their own place (R9)."""

from typing import Any

import hiredis
import pytest

from reservoir.domain.times import DAY_MS
from tests.contract.lua.expected import entry, place, row, rows, token
from tests.support.builders import Bench, Terms, data
from tests.support.keyspace import GONE

BASE = "abcdefghijklmnop"


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.terms["csv"] = Terms(enabled=False, switched_on=3)
    return bench


def walked(bench: Bench, list_: str = "west", **how: Any) -> list[str]:
    return [got.prospect for got in bench.taken(list_, **how)]


def test_hands_over_without_reserving(bench: Bench) -> None:
    """R9: the claims are unreserved, end at no time, and only the rep's place, the claims and the history are written."""
    before = bench.snapshot()
    reply = bench.claim(count=2, key="k", base=BASE)
    now = reply[1]
    ids = [f"{BASE}00", f"{BASE}01"]
    assert rows(reply) == [row(id_, prospect, now, None, state="unreserved", member=data(prospect)) for id_, prospect in zip(ids, ["p1", "p2"], strict=True)]
    assert reply[3:] == [3, None, 0]
    expected: dict[str, Any] = token("k", now, *ids)
    for id_, prospect in zip(ids, ["p1", "p2"], strict=True):
        fields = {
            "integration": "csv",
            "prospect": prospect,
            "rep": "ana",
            "session": "s-1",
            "mode": "parallel",
            "list": "west",
            "state": "unreserved",
            "claimed_at": now,
            "attempted_at": now,
            "switched_on": 3,
        }
        expected |= {f"claim:{id_}[{name}]": value for name, value in fields.items()} | {f"claim:{id_} ttl": now + 7 * DAY_MS}
    assert bench.changes(before) == {
        **expected,
        "list:west:places[ana]": f"{now} 1 p2",
        "history+": [entry("claim.unreserved", now, id_, f"p{number}") for number, id_ in enumerate(ids, 1)],
    }


def test_a_hold_has_an_end_and_is_not_attempted(bench: Bench) -> None:
    """R9: with a hold the call has not begun, and the claim is known for a day after."""
    before = bench.snapshot()
    reply = bench.claim(key="k", base=BASE, hold_ms=8_000)
    now = reply[1]
    (got,) = rows(reply)
    assert (got.state, got.attempted_at, got.expires_at) == ("unreserved", None, now + 8_000)
    changed = bench.changes(before)
    assert changed[f"claim:{BASE}00 ttl"] == now + 8_000 + DAY_MS
    assert changed[f"unreserved-ends[{BASE}00]"] == now + 8_000
    assert f"claim:{BASE}00[attempted_at]" not in changed


@pytest.mark.leaves("a key of the wrong type")
def test_a_hold_that_cannot_be_kept_leaves_the_line_as_it_is(bench: Bench) -> None:
    """A key that somebody's hand has spoilt is met before anything is written, also by one who waits."""
    bench.make_list("dry", [])
    bench.claim("dry", waiting="wait process:1", hold_ms=8_000)
    bench.fill("dry", ["p1"])
    bench.server("RPUSH", bench.key("unreserved-ends"), "of the wrong type")
    before = bench.snapshot()
    with pytest.raises(hiredis.ReplyError, match="WRONGTYPE"):
        bench.claim("dry", waiting="wait process:1", hold_ms=8_000)
    assert bench.changes(before) == {}


def test_each_rep_walks_alone(bench: Bench) -> None:
    """R9: in list order from their own place, blocked by nobody, reservations included."""
    bench.terms["csv"].enabled = True
    bench.take()
    bench.terms["csv"].enabled = False
    assert [walked(bench, rep="ana") for _ in range(2)] == [["p1"], ["p2"]]
    assert walked(bench, rep="bob", count=3) == ["p1", "p2", "p3"]
    assert walked(bench, rep="ana", count=9) == ["p3", "p4", "p5"]
    assert bench.claim(rep="ana")[2:] == [[], 0, None, 0]
    assert bench.claim(rep="bob", count=1)[3] == 1


def test_at_the_end_nothing_is_written(bench: Bench) -> None:
    """A rep at the end is handed nobody, however often they ask."""
    walked(bench, count=9)
    before = bench.snapshot()
    assert bench.claim(key="dry")[2:] == [[], 0, None, 0]
    assert bench.changes(before) == {}


def test_undialable_and_removed_members_are_passed_over(bench: Bench) -> None:
    """R10 holds while it is off, and what lies ahead is counted without them."""
    (first, _) = bench.taken("east", count=2)
    assert first.prospect == "p3"
    bench.call("dispose", first.id, "busy", 1, "", 0)
    bench.server("HDEL", bench.key("list:east:places"), "ana")
    reply = bench.claim("east")
    assert (rows(reply)[0].prospect, reply[3]) == ("p4", 1)
    assert walked(bench, "east", count=9) == ["p5"]


def test_the_count_ahead_forgets_nobody(bench: Bench) -> None:
    """Members that are undialable, removed, or both, behind the place and before it."""
    bench.make_list("mix", [("u1", "no-phone"), "a1", "a2", ("u2", "no-phone"), "a3", "a4", "a5"])
    for prospect in ("u1", "u2", "a2", "a5", "gone"):
        bench.server("HSET", bench.key("list:mix:removed:ana"), prospect, "1 x")
    bench.server("SADD", bench.key("list:mix:removers"), "ana")
    counts = []
    for _ in range(4):
        reply = bench.claim("mix")
        counts.append(([got.prospect for got in rows(reply)], reply[3]))
    assert counts == [(["a1"], 2), (["a3"], 1), (["a4"], 0), ([], 0)]


def test_a_claim_by_id_moves_no_place(bench: Bench) -> None:
    """R9: nor does a repeat."""
    walked(bench, key="k")
    bench.claim_one("p4", list_="west")
    bench.claim(key="k")
    assert walked(bench) == ["p2"]


def test_300_removed_members_at_the_head_are_walked_past(bench: Bench) -> None:
    """The reply carries the place to go on from, and nothing is written till somebody is handed over."""
    prospects = [f"q{number:03d}" for number in range(310)]
    bench.make_list("long", prospects)
    for prospect in prospects[:300]:
        bench.server("HSET", bench.key("list:long:removed:ana"), prospect, "1 x")
    bench.server("SADD", bench.key("list:long:removers"), "ana")
    before = bench.snapshot()
    reply = bench.claim("long")
    assert (reply[0], reply[2]) == ("on", place(255))
    assert bench.changes(before) == {}
    assert [got.prospect for got in rows(bench.claim("long", after=reply[2], count=2))] == ["q300", "q301"]


def test_the_place_moves_with_the_prospect(bench: Bench) -> None:
    """R9: a sync that puts p3 last puts the rep at the end."""
    assert walked(bench, count=3) == ["p1", "p2", "p3"]
    bench.fill("west", ["p4", "p5", "p1", "p2", "p3", "p7"])
    assert walked(bench, count=9) == ["p7"]


def test_members_that_arrive_before_the_place_are_met_after_a_reset(bench: Bench) -> None:
    """R9: who comes behind it is met as the rep goes on."""
    assert walked(bench, count=2) == ["p1", "p2"]
    bench.fill("west", ["n1", "p1", "p2", "n2", "p3", "p4", "p5"])
    assert walked(bench, count=9) == ["n2", "p3", "p4", "p5"]
    bench.server("HDEL", bench.key("list:west:places"), "ana")
    assert walked(bench, count=9) == ["n1", "p1", "p2", "n2", "p3", "p4", "p5"]


def test_a_place_whose_prospect_left_is_the_same_rank(bench: Bench) -> None:
    """R9: third of five, who left; the rep goes on with whoever is third now."""
    assert walked(bench, count=3) == ["p1", "p2", "p3"]
    bench.fill("west", ["p1", "p2", "p4", "p5"])
    assert walked(bench, count=9) == ["p4", "p5"]


def test_the_rank_is_that_of_when_the_prospect_left(bench: Bench) -> None:
    """R9: an earlier sync moved the prospect, so its rank was another by then."""
    assert walked(bench, count=2) == ["p1", "p2"]
    bench.fill("west", ["n1", "n2", "p1", "p2", "p3", "p4", "p5"])
    bench.fill("west", ["n1", "n2", "p1", "p3", "p4", "p5"])
    assert walked(bench, count=9) == ["p3", "p4", "p5"]


def test_a_place_past_the_end_is_the_end(bench: Bench) -> None:
    """R9: the prospect left, and so did all that came after its rank: nothing lies ahead, and a repeat says so too."""
    assert walked(bench, count=5, key="k") == ["p1", "p2", "p3", "p4", "p5"]
    bench.fill("west", ["p1", "p2"])
    before = bench.snapshot()
    assert bench.claim()[2:] == [[], 0, None, 0]
    assert bench.claim(key="k", count=5)[3:] == [0, None, 0]
    assert bench.changes(before) == {}
    bench.fill("west", ["p1", "p2", "p3", "p4", "p7", "p8"])
    assert walked(bench, count=9) == ["p7", "p8"], "who arrives at the rank and behind it is met"


def test_a_place_is_kept_for_30_days_after_the_last_claim(bench: Bench) -> None:
    """R9: to the millisecond; then the rep begins at the start."""
    walked(bench, count=2)
    seen = int(bench.server("HGET", bench.key("list:west:places"), "ana").split()[0])
    bench.server("HSET", bench.key("list:west:places"), "ana", f"{seen - 30 * DAY_MS + 60_000} 1 p2")
    assert walked(bench) == ["p3"]
    bench.server("HSET", bench.key("list:west:places"), "ana", f"{seen - 30 * DAY_MS - 1} 1 p2")
    assert walked(bench) == ["p1"]


def test_a_run_tells_each_rep_their_rank_a_chunk_of_reps_at_a_time(bench: Bench) -> None:
    """R9: however many have a place; the run has not begun before all have theirs, and a place that was left 30 days ago goes."""
    now = walked_at(bench)
    places = [word for number in range(700) for word in (f"r{number}", f"{now} 9 p3")]
    old = [word for number in range(50) for word in (f"o{number}", f"{now - 30 * DAY_MS - 1} 1 p2")]
    bench.server("HSET", bench.key("list:west:places"), *places, *old)
    replies = []
    while (reply := bench.begin("west", "r1"))[0] == "more":
        replies.append(reply)
        assert bench.key("list:west:sync") not in bench.snapshot() or bench.snapshot()[bench.key("list:west:sync")].value["id"] != "r1"
    assert (reply[0], 2 <= len(replies) <= 4) == ("begun", True)
    told = bench.snapshot()[bench.key("list:west:places")].value
    assert {told.pop("ana")} | {*told.values()} == {f"{now} 0 p1", f"{now} 2 p3"}
    assert len(told) == 700
    assert "ranked" not in bench.snapshot()[bench.key("list:west")].value


def walked_at(bench: Bench) -> int:
    """Walks on to the first of west, and tells when that was."""
    walked(bench)
    return int(bench.server("HGET", bench.key("list:west:places"), "ana").split()[0])


def test_ids_with_spaces_are_whole_places(bench: Bench) -> None:
    """A place is a prospect's id, whatever it is made of."""
    bench.make_list("odd", ["a b", "  c", "12 3", "d"])
    assert [walked(bench, "odd", rep="1 2")[0] for _ in range(4)] == ["a b", "  c", "12 3", "d"]


def test_switched_on_it_blocks_again(bench: Bench) -> None:
    """R7: a reservation from before runs on while it is off, and blocks as soon as it is on again."""
    bench.terms["csv"] = Terms(switched_on=3)
    assert bench.take().prospect == "p1"
    bench.terms["csv"] = Terms(enabled=False, switched_on=3)
    assert walked(bench) == ["p1"]
    bench.terms["csv"] = Terms(switched_on=4)
    assert bench.take().prospect == "p2"


def test_a_deleted_list_takes_its_places_along(bench: Bench) -> None:
    """A new list of the same id is walked from its start."""
    walked(bench, count=3)
    before = bench.snapshot()
    bench.call("delete_list", "west", "{}")
    assert bench.changes(before)["list:west:places[ana]"] is GONE
    bench.make_list("west", ["p1", "p2"])
    assert walked(bench) == ["p1"]
    assert bench.call("sweep_list", next(iter(bench.snapshot()[bench.key("sweep")].value)))[2] == 0
