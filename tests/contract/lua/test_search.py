"""read_prospects, tidy_search, and what the steps of a sync leave for them: a search that has all that lists know, and nothing else."""

import hashlib
import json
from typing import Any

from tests.contract.lua.expected import Changes, aside, searched
from tests.support.builders import Bench, data, found_by
from tests.support.keyspace import GONE


def digest(*known: str) -> str:
    """Of data as lists have it, in the order of the lists."""
    return hashlib.sha1(" ".join(known).encode(), usedforsecurity=False).hexdigest()


def tidy(bench: Bench, prospect: str, *known: str, version: int = 1, terms: str | None = None) -> list[Any]:
    told = data(prospect, version)
    return bench.call("tidy_search", "csv", f"csv {told}", prospect, digest(*known), found_by(prospect) if terms is None else terms)


def search_changes(bench: Bench, before: Any) -> Changes:
    return {path: value for path, value in bench.changes(before).items() if path.startswith("search")}


def test_tells_lists_data_and_who_has_them(bench: Bench) -> None:
    """In the order asked; a list that is not there any more, or is another integration's by now, has nobody."""
    got = bench.take("west")
    reply = bench.call("read_prospects", "csv", "p6", "p1", "nobody", "p3")
    assert [row[:3] for row in reply[2]] == [
        ["p6", ["east"], [data("p6")]],
        ["p1", ["west"], [data("p1")]],
        ["nobody", [], []],
        ["p3", ["east", "west"], [data("p3"), data("p3")]],
    ]
    assert [row[3] and row[3][0] for row in reply[2]] == [None, got.id, None, None]
    gone = bench.call("delete_list", "west", "{}")[2]
    assert [row[1] for row in bench.call("read_prospects", "csv", "p1", "p3")[2]] == [[], ["east"]]
    bench.call("sweep_list", gone)
    assert bench.call("read_prospects", "csv")[2] == []


def test_many_lists_are_told_in_turns(bench: Bench) -> None:
    """At most 1,000 of their data a call, one prospect at least."""
    who = [f"q{number}" for number in range(40)]
    for number in range(30):
        bench.make_list(f"l{number}", who)
    assert len(bench.call("read_prospects", "csv", *who)[2]) == 33
    assert len(bench.call("read_prospects", "csv", *who[33:])[2]) == 7


def test_other_data_is_put_aside_and_found_by_at_once(bench: Bench) -> None:
    """What is new can be found when the page is in; what is old is told to be put aside, once; the same data changes nothing."""
    bench.begin("west", "r2")
    before = bench.snapshot()
    assert bench.page("west", "r2", 0, ["p1", "p2"], version=2)[2:] == [2, 2]
    assert search_changes(bench, before) == aside("p1", "p2")
    before = bench.snapshot()
    assert bench.page("west", "r2", 0, ["p1", "p2"], version=2)[2:] == [2, 0]
    assert bench.page("west", "r2", 1, ["p3", "p4", "n1"])[2:] == [5, 0]
    assert search_changes(bench, before) == searched("n1")


def test_takes_out_what_no_list_has(bench: Bench) -> None:
    """All of it, and the mark; a repeat finds nothing."""
    bench.fill("west", ["p2"])
    before = bench.snapshot()
    assert tidy(bench, "p1")[2] == 1
    assert bench.changes(before) == {**searched("p1", score=GONE), f"search-due[csv {data('p1')}]": GONE}
    before = bench.snapshot()
    assert tidy(bench, "p1")[2] == 1
    assert bench.changes(before) == {}


def test_takes_out_only_what_it_is_told_to(bench: Bench) -> None:
    """p3 is in east still: the caller read that, and takes nothing out."""
    bench.fill("west", ["p2"])
    before = bench.snapshot()
    assert tidy(bench, "p3", data("p3"), terms="")[2] == 1
    assert bench.changes(before) == {f"search-due[csv {data('p3')}]": GONE}


def test_what_changed_since_it_was_read_is_left(bench: Bench) -> None:
    """They came back, with the same data or other, or another list knows them by now: nothing is taken out, and the mark stays."""
    bench.fill("west", ["p2"])
    for again in ("west", "east"):
        bench.begin(again, f"run-{again}")
        bench.page(again, f"run-{again}", 0, ["p1"])
        before = bench.snapshot()
        assert tidy(bench, "p1")[2] == 0
        assert bench.changes(before) == {}
        bench.call("fail_sync", again, f"run-{again}", '{"type":"x"}')
    assert tidy(bench, "p1", data("p1"), data("p1"), terms="")[2] == 1
    assert tidy(bench, "p1", data("p1"))[2] == 0


def test_a_deleted_list_of_which_nobody_is_in_another(bench: Bench) -> None:
    """All that it had is put aside as it is swept, and out of the search when it is tidied."""
    gone = bench.call("delete_list", "west", "{}")[2]
    bench.call("sweep_list", gone)
    due = bench.snapshot()[bench.key("search-due")].value
    assert due == {f"csv {data(f'p{number}')}" for number in range(1, 6)}
    assert {json.loads(told.split(" ", 1)[1])["id"] for told in due} == {f"p{number}" for number in range(1, 6)}
    for prospect in ("p1", "p2"):
        tidy(bench, prospect)
    for prospect in ("p3", "p4", "p5"):
        tidy(bench, prospect, data(prospect), terms="")
    state = bench.snapshot()
    assert bench.key("search-due") not in state
    assert {entry.split(" ")[1] for entry in state[bench.key("search:csv")].value} == {"p3", "p4", "p5", "p6"}
