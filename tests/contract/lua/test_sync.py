"""begin_sync, import_page, finish_sync, fail_sync: how a list's members come and go (R12)."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.contract.lua.expected import Changes, aside, place, searched
from tests.support.builders import ROOM, Bench, data
from tests.support.keyspace import GONE


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """As everywhere, with a list "new" that never had a sync."""
    bench.create_list("new")
    return bench


def order(bench: Bench, list_: str) -> list[str]:
    """The members in list order."""
    members: list[str] = bench.server("ZRANGE", bench.key(f"list:{list_}:order"), 0, -1)
    return members


def run(bench: Bench, list_: str) -> dict[str, Any]:
    """The list's newest run."""
    told: dict[str, Any] = bench.snapshot()[bench.key(f"list:{list_}:sync")].value
    return told


def arrived(list_: str, prospect: str, at: int, *, marks: str | None = None, into: str = "available", score: int | None = None) -> Changes:
    """What a member who is new to the list and dialable changes."""
    base = f"list:{list_}"
    return {
        f"{base}:order[{prospect}]": at,
        f"{base}:members[{prospect}]": {"id": prospect, "name": f"Name of {prospect}", "version": 1},
        f"{base}:{into}[{prospect}]": at if score is None else score,
        f"lists-of:csv[{prospect}]": marks or list_,
        **({} if prospect in {"p1", "p2", "p3", "p4", "p5"} else searched(prospect)),
    }


# begin


def test_begins_a_run(bench: Bench) -> None:
    """The run is there with nothing fetched, its room before all that the list has, and in the history."""
    before = bench.snapshot()
    reply = bench.begin("new", "r1", 60_000)
    now = reply[1]
    assert reply == ["begun", now]
    fields: dict[str, Any] = {
        "id": "r1",
        "state": "running",
        "started_at": now,
        "lease": now + 60_000,
        "ceiling": 0,
        "next": -ROOM,
        "fetched": 0,
        "added": 0,
        "updated": 0,
        "left": 0,
        "rejected_count": 0,
    }
    assert bench.changes(before) == {
        "due[new]": now + 60_001,
        "list:new[floor]": -ROOM,
        **{f"list:new:sync[{name}]": value for name, value in fields.items()},
        "history+": [{"type": "sync.started", "at": now, "integration": "csv", "list": "new", "detail": {"sync": "r1"}}],
    }


def test_begun_again_it_is_the_same_run(bench: Bench) -> None:
    """A repeat with the same id begins nothing, also after it brought something."""
    bench.begin("new", "r1")
    bench.page("new", "r1", 0, ["a"])
    before = bench.snapshot()
    assert bench.begin("new", "r1")[0] == "begun"
    assert bench.changes(before) == {}


def test_only_one_run_at_a_time(bench: Bench) -> None:
    """Another one is refused with the id of the one that runs."""
    bench.begin("new", "r1")
    before = bench.snapshot()
    assert bench.begin("new", "r2")[::2] == ["sync-running", "r1"]
    assert bench.changes(before) == {}


def test_a_run_that_is_silent_past_its_lease_is_taken_over(bench: Bench) -> None:
    """R12: what it brought stands, after what the new one brings; whatever the old one still sends is refused."""
    bench.begin("new", "r1", 5_000)
    bench.page("new", "r1", 0, ["a", "b"], lease_ms=5_000)
    bench.server("HINCRBY", bench.key("list:new:sync"), "lease", -6_000)
    before = bench.snapshot()
    reply = bench.begin("new", "r2")
    assert reply[0] == "begun"
    of = {"at": reply[1], "integration": "csv", "list": "new"}
    assert bench.changes(before)["history+"] == [
        {"type": "sync.finished", **of, "detail": {"sync": "r1", "state": "failed", "error": "lost"}},
        {"type": "sync.started", **of, "detail": {"sync": "r2"}},
    ]
    assert bench.page("new", "r2", 0, ["c", "b"])[0] == "in"
    before = bench.snapshot()
    assert bench.page("new", "r1", 1, ["z"])[0] == "sync-lost"
    assert bench.finish("new", "r1")[0] == "sync-lost"
    assert bench.call("fail_sync", "new", "r1", '{"type":"x"}')[0] == "sync-lost"
    assert bench.changes(before) == {}
    assert order(bench, "new") == ["c", "b", "a"]
    assert bench.finish("new", "r2")[0] == "done"
    assert order(bench, "new") == ["c", "b"]


def test_a_run_within_its_lease_is_not_taken_over(bench: Bench) -> None:
    """To the millisecond: the lease is over when it is past."""
    now = bench.begin("new", "r1")[1]
    bench.server("HSET", bench.key("list:new:sync"), "lease", now + HOUR_MS)
    assert bench.begin("new", "r2")[0] == "sync-running"
    bench.server("HSET", bench.key("list:new:sync"), "lease", now - 1)
    assert bench.begin("new", "r2")[0] == "begun"


def test_a_page_renews_the_lease(bench: Bench) -> None:
    """And so does the repeat of one."""
    bench.begin("new", "r1", 5_000)
    first = bench.page("new", "r1", 0, ["a"], lease_ms=60_000)
    assert run(bench, "new")["lease"] == first[1] + 60_000
    again = bench.page("new", "r1", 0, ["a"], lease_ms=90_000)
    assert run(bench, "new")["lease"] == again[1] + 90_000


# pages


def test_brings_members_in_their_order(bench: Bench) -> None:
    """Who is new to the list gets a place, data, an index and a tie."""
    bench.begin("new", "r1")
    before = bench.snapshot()
    reply = bench.page("new", "r1", 0, ["b", "p3", "a"], lease_ms=70_000)
    now = reply[1]
    assert reply == ["in", now, 3, 0]
    assert bench.changes(before) == {
        **arrived("new", "b", place(0)),
        **arrived("new", "p3", place(1), marks="west east new"),
        **arrived("new", "a", place(2)),
        "list:new:sync[lease]": now + 70_000,
        "list:new:sync[page]": 0,
        "list:new:sync[next]": place(3),
        "list:new:sync[fetched]": 3,
        "list:new:sync[added]": 3,
    }


def test_undialable_members_are_in_no_other_index(bench: Bench) -> None:
    """No phone, or the CRM's flag: in their own index by place, with a mark on their tie."""
    bench.begin("new", "r1")
    before = bench.snapshot()
    bench.page("new", "r1", 0, [("a", "no-phone"), ("b", "do-not-call")])
    changed = bench.changes(before)
    expected = arrived("new", "a", place(0), marks="!new", into="undialable") | arrived("new", "b", place(1), marks="!new", into="undialable")
    expected |= {"list:new:do-not-call[b]": True}
    assert {path: value for path, value in changed.items() if not path.startswith("list:new:sync")} == expected


def test_a_page_repeated_writes_nothing_more(bench: Bench) -> None:
    """R15: the same number again, and one that comes after a later one (a sender thought lost), bring nothing and reject nobody."""
    bench.begin("new", "r1")
    bench.page("new", "r1", 0, ["a", "b"], rejected=[{"line": 9, "detail": "x"}])
    before = bench.snapshot()
    again = bench.page("new", "r1", 0, ["a", "b"], rejected=[{"line": 9, "detail": "x"}])
    assert again[::2] == ["in", 2]
    assert bench.changes(before).keys() <= {"list:new:sync[lease]"}
    bench.page("new", "r1", 1, ["c"])
    before = bench.snapshot()
    late = bench.page("new", "r1", 0, ["a", "b"], rejected=[{"line": 9, "detail": "x"}])
    assert late[::2] == ["in", 3]
    assert bench.changes(before).keys() <= {"list:new:sync[lease]"}
    bench.page("new", "r1", 2, ["d"])
    assert order(bench, "new") == ["a", "b", "c", "d"]


def test_many_pages_keep_their_order(bench: Bench) -> None:
    """Page 10 is after page 9, not after page 1."""
    bench.begin("new", "r1")
    for number in range(12):
        bench.page("new", "r1", number, [f"m{number:02d}"])
    assert order(bench, "new") == [f"m{number:02d}" for number in range(12)]


def test_duplicates_are_rejected_with_their_line(bench: Bench) -> None:
    """Inside a page and across pages, the first one counts; a row rejected on the way keeps its place among them."""
    bench.begin("new", "r1")
    bench.page("new", "r1", 0, ["a", "b", "a"], rejected=[{"line": 3, "detail": "no phone number", "kept": True}, {"line": 7, "detail": "no id"}])
    reply = bench.page("new", "r1", 1, ["c", "b"], first_line=10)
    assert reply[2] == 3
    told = run(bench, "new")
    assert (told["fetched"], told["added"], told["rejected_count"]) == (3, 3, 3)
    assert told["rejected"] == [
        {"line": 3, "detail": "no phone number", "kept": True},
        {"line": 4, "detail": "the id a stands in an earlier row"},
        {"line": 7, "detail": "no id"},
        {"line": 11, "detail": "the id b stands in an earlier row"},
    ]
    assert order(bench, "new") == ["a", "b", "c"]


def test_the_first_100_rejected_rows_are_kept(bench: Bench) -> None:
    """The count goes on."""
    bench.begin("new", "r1")
    bench.page("new", "r1", 0, ["a"] * 71)
    bench.page("new", "r1", 1, ["a"] * 60, first_line=200)
    told = run(bench, "new")
    assert (told["rejected_count"], len(told["rejected"]), told["rejected"][-1]["line"]) == (130, 100, 229)


def test_a_page_of_nobody(bench: Bench) -> None:
    """Only rejected rows, and how many of them count."""
    bench.begin("new", "r1")
    before = bench.snapshot()
    reply = bench.page("new", "r1", 0, [], rejected=[{"line": 2, "detail": "no id"}], lease_ms=70_000)
    assert bench.changes(before) == {
        "list:new:sync[lease]": reply[1] + 70_000,
        "list:new:sync[page]": 0,
        "list:new:sync[rejected_count]": 1,
        "list:new:sync[rejected]": [{"line": 2, "detail": "no id"}],
    }


def test_who_was_there_is_updated_or_stays(bench: Bench) -> None:
    """Same data: only the place; other data, a phone gained or lost, a flag set: updated."""
    bench.fill("new", ["same", "data", ("phone", "no-phone"), "lost", "flag", ("why", "no-phone")])
    bench.begin("new", "r2")
    bench.page("new", "r2", 0, ["same", "phone", ("lost", "no-phone"), ("flag", "do-not-call"), ("why", "do-not-call")])
    bench.page("new", "r2", 1, ["data"], version=2)
    told = run(bench, "new")
    assert (told["fetched"], told["added"], told["updated"]) == (6, 0, 5)
    state = bench.snapshot()
    assert state[bench.key("list:new:undialable")].value.keys() == {"lost", "flag", "why"}
    assert state[bench.key("list:new:do-not-call")].value == {"flag", "why"}
    assert state[bench.key("lists-of:csv")].value | {"phone": "new", "lost": "!new", "flag": "!new", "why": "!new"} == state[bench.key("lists-of:csv")].value


def test_who_is_not_shown_stays_as_the_list_has_them(bench: Bench) -> None:
    """A member that the source only names keeps data, phone or the lack of one, and flag; it has its new place, and has not left."""
    bench.fill("new", ["a", ("lost", "no-phone"), ("flag", "do-not-call"), "gone"])
    before = bench.snapshot()
    bench.begin("new", "r2")
    bench.page("new", "r2", 0, [("flag", "unread"), ("a", "unread"), ("lost", "unread")], version=2)
    told = run(bench, "new")
    assert (told["fetched"], told["added"], told["updated"]) == (3, 0, 0)
    bench.finish("new", "r2")
    assert order(bench, "new") == ["flag", "a", "lost"]
    state = bench.snapshot()
    for index in ("undialable", "do-not-call", "available"):
        assert set(state[bench.key(f"list:new:{index}")].value) == set(before[bench.key(f"list:new:{index}")].value) - {"gone"}
    assert state[bench.key("list:new:members")].value.keys() == {"a", "lost", "flag"}
    assert {**before[bench.key("list:new:members")].value, **state[bench.key("list:new:members")].value} == before[bench.key("list:new:members")].value
    assert bench.take("new").prospect == "a"


def test_who_is_not_shown_is_as_another_list_has_them(bench: Bench) -> None:
    """New to this list, known to another one of the org: its data, phone and flag, and who is taken there is taken here. Known to none: an id, undialable."""
    bench.make_list("flags", [("f", "do-not-call")])
    taken = bench.take("east")
    bench.begin("new", "r1")
    bench.page("new", "r1", 0, [("x", "unread"), ("p5", "unread"), ("p6", "unread"), ("f", "unread"), ("p3", "unread")], version=0)
    state = bench.snapshot()
    members = state[bench.key("list:new:members")].value
    assert {prospect: told["version"] for prospect, told in members.items()} == {"x": 0, "p5": 1, "p6": 1, "f": 1, "p3": 1}
    assert state[bench.key("list:new:undialable")].value == {"x": place(0), "p6": place(2), "f": place(3)}
    assert state[bench.key("list:new:do-not-call")].value == {"f"}
    assert state[bench.key("list:new:reserved")].value == {taken.prospect: taken.ends} == {"p3": taken.ends}
    assert state[bench.key("list:new:available")].value == {"p5": place(1)}
    again = bench.page("new", "r1", 0, [("x", "unread"), ("p5", "unread")], version=0)
    assert again[0] == "in"
    assert order(bench, "new") == ["x", "p5", "p6", "f", "p3"]


@pytest.mark.leaves("a key of the wrong type")
def test_another_lists_broken_members_are_stepped_over(bench: Bench) -> None:
    """The next list that knows the prospect tells."""
    bench.server("DEL", bench.key("list:west:members"))
    bench.server("SET", bench.key("list:west:members"), "not a hash")
    bench.begin("new", "r1")
    assert bench.page("new", "r1", 0, [("p3", "unread"), ("p1", "unread")], version=0)[0] == "in"
    members = bench.snapshot()[bench.key("list:new:members")].value
    assert (members["p3"]["version"], members["p1"]["version"]) == (1, 0)


def test_a_prospect_can_be_in_64_lists(bench: Bench) -> None:
    """The 65th rejects the row with that reason; those that have it still take it again."""
    for number in range(64):
        bench.make_list(f"l{number}", ["q"])
    bench.begin("new", "r1")
    bench.page("new", "r1", 0, ["a", "q", "b"])
    assert order(bench, "new") == ["a", "b"]
    assert run(bench, "new")["rejected"] == [{"line": 3, "detail": "the prospect is in 64 lists already"}]
    bench.fill("l7", [("q", "no-phone")])
    bench.fill("l7", ["q"])
    assert order(bench, "l7") == ["q"]
    assert len(bench.server("HGET", bench.key("lists-of:csv"), "q").split()) == 64


@pytest.mark.parametrize(("hold_ms", "state"), [(30_000, "held"), (0, "reserved")])
def test_who_arrives_taken_is_indexed_so(bench: Bench, hold_ms: int, state: str) -> None:
    """R12: reservations outlive syncs: taken elsewhere, or while in no list at all."""
    for prospect in ("p3", "x1"):
        assert bench.claim_one(prospect, hold_ms=hold_ms)[0] == "claimed"
    bench.fill("new", ["x1", "p3", "a"])
    ends = bench.snapshot()[bench.key("ends")].value
    assert bench.snapshot()[bench.key(f"list:new:{state}")].value == {"x1": ends["csv:x1"], "p3": ends["csv:p3"]}
    assert bench.take("new").prospect == "a"


@pytest.mark.leaves("an operator's key without TTL")
def test_who_arrives_with_an_operators_key_is_indexed_so(bench: Bench) -> None:
    """Whether the key ends or not, nobody is handed the prospect."""
    now = bench.begin("new", "r1")[1]
    bench.server("SET", bench.key("reservation:csv:x1"), "hands off", "PXAT", now + HOUR_MS)
    bench.server("SET", bench.key("reservation:csv:x2"), "hands off")
    reply = bench.page("new", "r1", 0, ["x1", "x2", "a"])
    assert bench.snapshot()[bench.key("list:new:reserved")].value == {"x1": now + HOUR_MS, "x2": reply[1] + 60_000}
    assert bench.take("new").prospect == "a"


def test_who_arrives_past_and_unsettled_is_available(bench: Bench) -> None:
    """R13: it is free as of its end, and settled on the way, once, everywhere."""
    got = bench.take("east")
    bench.age("csv:p3", DAY_MS + 1)
    bench.fill("new", ["p3"])
    assert bench.take("new").prospect == "p3"
    assert [told["claim"] for told in bench.history() if told["type"] == "reservation.expired"] == [got.id]


def test_who_becomes_dialable_or_not_while_taken(bench: Bench) -> None:
    """An undialable member counts as such only, even while it is reserved; dialable again, it is reserved again, until the same end."""
    got = bench.take("west")
    others = ["p2", "p3", "p4", "p5"]
    bench.fill("west", [("p1", "no-phone"), *others])
    assert bench.call("read_lists", "west")[2][0][2:7] == [5, 4, 0, 0, 1]
    bench.fill("west", ["p1", *others])
    assert bench.snapshot()[bench.key("list:west:reserved")].value == {"p1": got.ends}
    bench.fill("west", [("p1", "do-not-call"), *others])
    bench.age("csv:p1", DAY_MS + 1)
    assert bench.take("west").prospect == "p2"
    assert [told["type"] for told in bench.history()][-2:] != ["reservation.expired", "claim.reserved"], "p1 is due in no index of west"
    bench.call("settle")
    assert bench.call("read_lists", "west")[2][0][2:7] == [5, 3, 0, 1, 1]


# the order while a run runs, and after it


def test_while_a_run_streams_what_it_brought_comes_first(bench: Bench) -> None:
    """R12: in its order; after that, who it has not reached, in their old order; and all can be claimed meanwhile."""
    bench.begin("west", "r2")
    bench.page("west", "r2", 0, ["n1", "p4", "p2"])
    assert order(bench, "west") == ["n1", "p4", "p2", "p1", "p3", "p5"]
    assert [got.prospect for got in bench.taken(count=5)] == ["n1", "p4", "p2", "p1", "p3"]
    bench.page("west", "r2", 1, ["p3"])
    assert order(bench, "west") == ["n1", "p4", "p2", "p3", "p1", "p5"]


def test_a_run_that_dies_loses_nobody(bench: Bench) -> None:
    """R12: the mixed order stands until the next run, which finds everybody."""
    bench.begin("west", "r2")
    bench.page("west", "r2", 0, ["n1", "p4"])
    before = bench.snapshot()
    reply = bench.call("fail_sync", "west", "r2", '{"type": "body-incomplete", "detail": "it broke off"}')
    now = reply[1]
    assert reply == ["failed", now]
    assert bench.changes(before) == {
        "due[west]": GONE,
        "list:west:sync[state]": "failed",
        "list:west:sync[finished_at]": now,
        "list:west:sync[error]": {"type": "body-incomplete", "detail": "it broke off"},
        "history+": [
            {
                "type": "sync.finished",
                "at": now,
                "integration": "csv",
                "list": "west",
                "detail": {"sync": "r2", "state": "failed", "error": "body-incomplete"},
            }
        ],
    }
    before = bench.snapshot()
    assert bench.call("fail_sync", "west", "r2", '{"type": "x"}')[0] == "failed", "a repeat changes nothing"
    assert bench.page("west", "r2", 1, ["p1"])[0] == "sync-lost"
    assert bench.finish("west", "r2")[0] == "sync-lost"
    assert bench.changes(before) == {}
    assert order(bench, "west") == ["n1", "p4", "p1", "p2", "p3", "p5"]
    bench.fill("west", ["p5", "n1"])
    assert order(bench, "west") == ["p5", "n1"]


def test_who_left_the_source_leaves_the_list_at_the_end(bench: Bench) -> None:
    """R12: their data, ties and indexes go; reservations stay, removals too."""
    (taken,) = bench.taken("west")
    bench.call("dispose", taken.id, "busy", 1, "", 0)
    bench.begin("west", "r2")
    bench.page("west", "r2", 0, ["p3", ("p6", "do-not-call")], lease_ms=70_000)
    before = bench.snapshot()
    reply = bench.finish("west", "r2", truncated=True)
    now = reply[1]
    assert reply == ["done", now]
    gone: Changes = {}
    for prospect, index in (("p1", "reserved"), ("p2", "available"), ("p4", "available"), ("p5", "available")):
        gone |= {f"list:west:order[{prospect}]": GONE, f"list:west:members[{prospect}]": GONE, f"list:west:{index}[{prospect}]": GONE}
    detail = {"sync": "r2", "state": "done", "fetched": 2, "added": 1, "updated": 0, "left": 4, "rejected": 0}
    assert bench.changes(before) == {
        **gone,
        **aside("p1", "p2", "p4", "p5"),
        "due[west]": GONE,
        "lists-of:csv[p1]": GONE,
        "lists-of:csv[p2]": GONE,
        "lists-of:csv[p4]": "east",
        "lists-of:csv[p5]": "east",
        "list:west[fetched]": 2,
        "list:west[truncated]": 1,
        "list:west:sync[left]": 4,
        "list:west:sync[state]": "done",
        "list:west:sync[finished_at]": now,
        "list:west:sync[complete]": 1,
        "list:west:sync[truncated]": 1,
        "list:west:sync[lease]": now + 60_000,
        "history+": [{"type": "sync.finished", "at": now, "integration": "csv", "list": "west", "detail": detail}],
    }
    before = bench.snapshot()
    assert bench.finish("west", "r2")[0] == "done"
    assert bench.changes(before) == {}, "a repeat changes nothing"
    bench.fill("west", ["p1", "p3"])
    assert [got.prospect for got in bench.taken("west", rep="eve", count=9)] == ["p3"], "p1 came back reserved"
    bench.age("csv:p1", DAY_MS + 1)
    assert bench.taken("west", rep="ana") == [], "and removed for ana"
    assert bench.take("west", rep="eve").prospect == "p1"


def test_many_leave_a_chunk_at_a_time(bench: Bench) -> None:
    """100 a call: 'leaving' until the last; the lease is renewed, and claims go on between."""
    prospects = [f"q{number:03d}" for number in range(250)]
    bench.fill("new", prospects)
    bench.begin("new", "r2")
    bench.page("new", "r2", 0, prospects[:10])
    replies = []
    while (reply := bench.finish("new", "r2"))[0] == "leaving":
        replies.append(reply)
        assert run(bench, "new")["lease"] == reply[1] + 60_000
        assert bench.taken("new")
    assert [reply[2] for reply in replies] == [100, 200]
    assert run(bench, "new")["left"] == 240
    assert order(bench, "new") == prospects[:10]


def test_a_list_emptied_by_its_run(bench: Bench) -> None:
    """Nobody came, everybody left."""
    bench.fill("east", [])
    assert order(bench, "east") == []
    assert bench.call("read_lists", "east")[2][0][2:7] == [0, 0, 0, 0, 0]


def test_run_after_run_the_places_go_on(bench: Bench) -> None:
    """Each run has places before the last one's."""
    for number in range(2, 6):
        bench.fill("west", [f"p{number}", "p1"])
        assert bench.snapshot()[bench.key("list:west:order")].value == {f"p{number}": place(0, number), "p1": place(1, number)}


def test_a_run_begins_with_the_rank_of_each_reps_place(bench: Bench) -> None:
    """R9: where a rep stands is written down before anybody moves; a place whose prospect left before stays as it was."""
    bench.terms["csv"].enabled = False
    bench.taken(rep="ana", count=2)
    bench.taken(rep="bob", count=4)
    bench.fill("west", ["n1", "p1", "p2", "p3"])
    before = bench.snapshot()
    bench.begin("west", "r3")
    seen = before[bench.key("list:west:places")].value
    assert bench.changes(before)["list:west:places[ana]"] == f"{seen['ana'].split()[0]} 2 p2"
    assert "list:west:places[bob]" not in bench.changes(before)
    assert seen["bob"].split()[1:] == ["3", "p4"]


# refusals


@pytest.mark.parametrize("verb", ["begin", "page", "finish", "fail"])
def test_of_a_list_that_is_not_there(bench: Bench, verb: str) -> None:
    """Deleted meanwhile: nothing is written."""
    bench.begin("new", "r1")
    bench.call("delete_list", "new", "{}")
    before = bench.snapshot()
    calls: dict[str, Any] = {
        "begin": lambda: bench.begin("new", "r1"),
        "page": lambda: bench.page("new", "r1", 0, ["a"]),
        "finish": lambda: bench.finish("new", "r1"),
        "fail": lambda: bench.call("fail_sync", "new", "r1", '{"type":"x"}'),
    }
    assert calls[verb]()[0] == "list-not-found"
    assert bench.changes(before) == {}


@pytest.mark.parametrize("verb", ["page", "finish", "fail"])
def test_of_a_run_that_is_not_the_lists(bench: Bench, verb: str) -> None:
    """R12: a late sleeper is fenced off: by another run, by its own end, by a list made anew under the same id."""
    calls: dict[str, Any] = {
        "page": lambda: bench.page("new", "r1", 5, ["a"]),
        "finish": lambda: bench.finish("new", "r1"),
        "fail": lambda: bench.call("fail_sync", "new", "r1", '{"type":"x"}'),
    }
    before = bench.snapshot()
    assert calls[verb]()[0] == "sync-lost"
    assert bench.changes(before) == {}
    bench.fill("new", ["a", "b"], run="r2")
    before = bench.snapshot()
    assert calls[verb]()[0] == "sync-lost"
    assert bench.changes(before) == {}
    bench.begin("new", "r1")
    bench.call("delete_list", "new", "{}")
    bench.create_list("new")
    before = bench.snapshot()
    assert calls[verb]()[0] == "sync-lost"
    assert bench.changes(before) == {}
    bench.call("sweep_list", next(iter(bench.snapshot()[bench.key("sweep")].value)))


def test_the_history_tells_no_more_than_ids_and_counts(bench: Bench) -> None:
    """No name, number or row's content is ever in it."""
    bench.begin("new", "r1")
    bench.page("new", "r1", 0, ["a", "a"], rejected=[{"line": 9, "detail": "the number +1415 is none"}])
    bench.finish("new", "r1")
    assert "Name of" in data("a")
    assert not [told for told in bench.history() if "Name of" in str(told) or "1415" in str(told) or "earlier row" in str(told)]
