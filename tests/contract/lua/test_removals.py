"""restore, read_removals, reset: what becomes of a remove (R10), and a rep who starts afresh (R9)."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.contract.lua.expected import entry
from tests.support.builders import Bench, Row, Terms, data
from tests.support.keyspace import GONE


def removed(bench: Bench, list_: str = "west", rep: str = "ana") -> Row:
    """Dials the next of the list and removes them; the reservation has expired."""
    got = bench.take(list_, rep=rep)
    assert bench.call("dispose", got.id, "busy", 1, "", 0)[0] == "recorded"
    bench.age(f"csv:{got.prospect}", DAY_MS + 1)
    bench.call("settle")
    return got


def restore(bench: Bench, prospect: str, *, list_: str = "west", rep: str = "ana", integration: str = "csv", **call: Any) -> list[Any]:
    return bench.call("restore", list_, rep, integration, prospect, '{"by":"ada"}', **call)


def read(bench: Bench, list_: str = "west", rep: str = "", after: str = "", most: int = 250) -> tuple[list[list[Any]], str | None]:
    reply = bench.call("read_removals", list_, rep, after, most)
    assert (reply[0], reply[4]) == ("page", "csv")
    return reply[2], reply[3]


def test_undoing_a_remove_leaves_nothing_of_it(bench: Bench) -> None:
    """R10: the rep's hash and the list's order forget it; the history has who undid it, and by which claim it was made."""
    got = removed(bench)
    before = bench.snapshot()
    reply = restore(bench, "p1", nonce="n")
    now = reply[1]
    assert reply == ["restored", now]
    assert bench.changes(before) == {
        "list:west:removed:ana[p1]": GONE,
        "list:west:removals[ana p1]": GONE,
        "list:west[restored]": "n",
        "history+": [entry("prospect.restored", now, got.id, "p1", session=None, mode=None, detail={"by": "ada"})],
    }
    assert bench.take().prospect == "p1"


def test_the_same_call_again_says_the_same(bench: Bench) -> None:
    """A reply that was lost is no refusal; another call finds nothing to undo, and neither writes anything."""
    removed(bench)
    restore(bench, "p1", nonce="n")
    before = bench.snapshot()
    assert restore(bench, "p1", nonce="n")[0] == "restored"
    assert restore(bench, "p1", nonce="other")[0] == "removal-not-found"
    assert bench.changes(before) == {}


@pytest.mark.parametrize(
    ("how", "slug"),
    [
        ({"list_": "nowhere"}, "list-not-found"),
        ({"list_": "east"}, "removal-not-found"),
        ({"rep": "bob"}, "removal-not-found"),
        ({"integration": "hubspot"}, "removal-not-found"),
    ],
)
def test_what_is_not_removed_is_not_restored(bench: Bench, how: dict[str, str], slug: str) -> None:
    """Nothing is written."""
    removed(bench)
    before = bench.snapshot()
    assert restore(bench, "p1", **how)[0] == slug
    assert bench.changes(before) == {}


def test_reads_removals_by_rep_and_prospect(bench: Bench) -> None:
    """With when, by which claim, and the member's data, from another list if need be."""
    bench.make_list("north", ["p1", "p2", "a b"])
    mine = [removed(bench, "north") for _ in range(3)]
    theirs = removed(bench, "north", "a na")
    bench.fill("north", ["p2"])
    found, after = read(bench, "north")
    assert after is None
    at = {
        got.id: bench.server("HGET", bench.key(f"list:north:removed:{rep}"), got.prospect).split()[0]
        for got, rep in [*((one, "ana") for one in mine), (theirs, "a%20na")]
    }
    assert found == [
        ["a%20na", "p1", at[theirs.id], theirs.id, data("p1")],
        ["ana", "a b", at[mine[2].id], mine[2].id, None],
        ["ana", "p1", at[mine[0].id], mine[0].id, data("p1")],
        ["ana", "p2", at[mine[1].id], mine[1].id, data("p2")],
    ]
    pages, after = [], ""
    while after is not None:
        page, after = read(bench, "north", "ana", after, 2)
        pages.append([one[1] for one in page])
    assert pages == [["a b", "p1"], ["p2"]]
    assert bench.call("read_removals", "nowhere", "", "", 250)[0] == "list-not-found"


def test_a_removal_of_which_a_hand_took_a_part_is_none(bench: Bench) -> None:
    """Nothing is known of it but that it was; the page goes on behind it."""
    got = [removed(bench), removed(bench)]
    bench.server("HDEL", bench.key("list:west:removed:ana"), "p1")
    assert [one[1] for one in read(bench)[0]] == [got[1].prospect]


def test_a_deleted_list_s_removals_are_swept_a_chunk_of_reps_at_a_time(bench: Bench) -> None:
    """However many reps removed somebody; until that is done the id is not free, and whoever wants it sweeps first."""
    for number in range(600):
        bench.server("HSET", bench.key(f"list:west:removed:r{number}"), "p1", "1 x")
        bench.server("SADD", bench.key("list:west:removers"), f"r{number}")
        bench.server("ZADD", bench.key("list:west:removals"), 0, f"r{number} p1")
    aside = bench.call("delete_list", "west", "{}")[2]
    left = [bench.call("sweep_list", aside)[2] for _ in range(4)]
    assert left == [1 + 350 + 5, 1 + 100 + 5, 1 + 5, 0]
    assert [key for key in bench.snapshot() if "west" in key] == []


def test_a_reset_puts_the_place_to_the_start(bench: Bench) -> None:
    """R9: that rep's, in that list; what arrived before the place is met then."""
    bench.terms["csv"] = Terms(enabled=False)
    for list_, rep in (("west", "ana"), ("west", "bob"), ("east", "ana")):
        bench.take(list_, rep=rep)
    before = bench.snapshot()
    reply = bench.call("reset", "west", "ana")
    assert reply == ["reset", reply[1]]
    assert bench.changes(before) == {"list:west:places[ana]": GONE}
    assert [bench.take(rep=rep).prospect for rep in ("ana", "bob")] == ["p1", "p2"]
    bench.call("reset", "west", "ana")
    before = bench.snapshot()
    assert bench.call("reset", "west", "ana")[0] == bench.call("reset", "west", "nobody")[0] == "reset"
    assert bench.call("reset", "nowhere", "ana")[0] == "list-not-found"
    assert bench.changes(before) == {}
