"""claim in line, tend_waiting, leave_waiting: who waits, in which order, and what of a list is theirs before it is anybody else's."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, MINUTE_MS
from tests.contract.lua.expected import granted, rows, token
from tests.support.builders import Bench, Terms, as_number
from tests.support.keyspace import GONE


@pytest.fixture
def dry(bench: Bench) -> Bench:
    """The list "three": q1 to q3, all held by Ben for ten minutes."""
    bench.make_list("three", ["q1", "q2", "q3"])
    bench.taken("three", count=3, hold_ms=600_000, rep="ben", session="ben")
    return bench


def waits(bench: Bench, ticket: str, word: str = "wait", list_: str = "three", **how: Any) -> list[Any]:
    """A claim with this ticket, whose key is its ticket unless another is given."""
    return bench.claim(list_, waiting=f"{word} {ticket}", **{"key": ticket, **how})


def free(bench: Bench, *prospects: str) -> None:
    """These are given back."""
    for prospect in prospects:
        assert bench.call("release", bench.server("HGET", bench.key("claim-of"), f"csv:{prospect}"))[0] == "released"


def tend(bench: Bench, process: str = "a", *lists: str, heard: str = "1") -> list[Any]:
    """What a process is told of its lists."""
    told = bench.call("tend_waiting", process, heard, *(lists or ("three",)))[2]
    return [[kind, mine, unsure, as_number(ends), stirred] for kind, mine, unsure, ends, stirred in told]


def served(bench: Bench, process: str = "a") -> list[str]:
    return list(tend(bench, process)[0][1])


def line(bench: Bench, list_: str = "three") -> list[str]:
    return list(bench.server("ZRANGE", bench.key(f"list:{list_}:waiting"), 0, -1))


def silence(bench: Bench, process: str, ms: int) -> None:
    """The process was last heard of so long ago."""
    now = bench.call("settle")[1]
    bench.server("ZADD", bench.key("waiting-processes"), now - ms, process)


# Standing in line


def test_a_claim_that_finds_nothing_stands_in_line(dry: Bench) -> None:
    """It has nothing, and leaves its ticket with what it wants; all of it goes by itself."""
    before = dry.snapshot()
    reply = waits(dry, "a:1", count=2, rep="ana: {x}")
    now = reply[1]
    changed = dry.changes(before)
    assert reply == ["waiting", now, 0]
    assert 0 <= changed.pop("list:three:waiting[a:1]") - now * 1_000 < 1_000
    assert changed == {
        "list:three:waiting ttl": now + MINUTE_MS,
        "list:three:waiters[a:1]": "2 ana: {x}",
        "list:three:waiters[key a:1]": "a:1",
        "list:three:waiters ttl": now + MINUTE_MS,
        "waiting-processes[a]": now,
        "waiting-processes ttl": now + MINUTE_MS,
    }


def test_a_claim_that_waits_again_keeps_its_place(dry: Bench) -> None:
    """The same ticket is in line once, with the instant at which it came."""
    waits(dry, "a:1")
    waits(dry, "a:2")
    since = dry.server("ZSCORE", dry.key("list:three:waiting"), "a:1")
    assert waits(dry, "a:1")[0] == "waiting"
    assert line(dry) == ["a:1", "a:2"]
    assert dry.server("ZSCORE", dry.key("list:three:waiting"), "a:1") == since
    assert dry.server("HGET", dry.key("list:three:waiters"), "key a:1") == "a:1"


def test_no_two_begin_at_once(dry: Bench) -> None:
    """Should the store's clock stand still or go back, who comes later stands behind."""
    waits(dry, "a:1")
    ahead = int(dry.server("ZSCORE", dry.key("list:three:waiting"), "a:1")) + 10**9
    dry.server("ZADD", dry.key("list:three:waiting"), ahead, "a:1")
    waits(dry, "a:2")
    assert int(dry.server("ZSCORE", dry.key("list:three:waiting"), "a:2")) == ahead + 1


def test_who_can_be_served_does_not_stand_in_line(dry: Bench) -> None:
    """A claim that would wait is an ordinary one as long as there is somebody."""
    free(dry, "q2")
    before = dry.snapshot()
    reply = waits(dry, "a:1", base="abcdefghijklmnop", count=2)
    now = reply[1]
    assert [reply[0], *(row.prospect for row in rows(reply))] == ["claimed", "q2"]
    changed = dry.changes(before)
    changed.pop("history+")
    assert changed == {
        **granted("abcdefghijklmnop00", "q2", now, now + DAY_MS, lists=["three"], list_="three"),
        **token("a%3A1", now, "abcdefghijklmnop00"),
    }


def test_who_is_served_leaves_the_line(dry: Bench) -> None:
    """Its ticket and its key are gone from it in the same step as it is granted."""
    waits(dry, "a:1")
    waits(dry, "b:1")
    free(dry, "q1")
    assert rows(waits(dry, "a:1"))[0].prospect == "q1"
    assert line(dry) == ["b:1"]
    assert dry.server("HMGET", dry.key("list:three:waiters"), "a:1", "key a:1") == [None, None]


def test_the_last_try_takes_what_there_is_or_leaves(dry: Bench) -> None:
    """When its time is over a claim is answered, one way or the other, and with the list's figures."""
    waits(dry, "a:1")
    waits(dry, "a:2")
    reply = waits(dry, "a:1", "last")
    assert (reply[0], reply[2:4], line(dry)) == ("claimed", [[], 0], ["a:2"])
    free(dry, "q3")
    assert rows(waits(dry, "a:2", "last"))[0].prospect == "q3"
    assert line(dry) == []


def test_who_leaves_takes_nothing(dry: Bench) -> None:
    """Though there is somebody."""
    waits(dry, "a:1")
    free(dry, "q1")
    before = dry.snapshot()
    reply = waits(dry, "a:1", "leave")
    assert (reply[0], reply[2:]) == ("claimed", [[], 1, None, 1])
    assert set(dry.changes(before)) == {
        "list:three:waiting[a:1]", "list:three:waiting ttl", "list:three:waiters[a:1]", "list:three:waiters[key a:1]", "list:three:waiters ttl"
    }  # fmt: skip


def test_leave_waiting_takes_one_ticket_out_and_no_other(dry: Bench) -> None:
    """Repeated, it does nothing more; others who wait with its key go on."""
    waits(dry, "a:1", key="k")
    waits(dry, "b:1", key="k")
    waits(dry, "a:2", key="other")
    before = dry.snapshot()
    for _ in range(2):
        assert dry.call("leave_waiting", "three", "a:1", "k")[0] == "left"
        assert dry.changes(before) == {"list:three:waiting[a:1]": GONE, "list:three:waiters[a:1]": GONE, "list:three:waiters[key k]": "b:1"}


# Who is first


def test_what_the_longest_waiters_want_is_left_to_them(dry: Bench) -> None:
    """In their order, as many as each wants: to those behind, and to a claim that does not wait, goes what is beyond that."""
    waits(dry, "a:1", count=2)
    waits(dry, "b:1")
    free(dry, "q1", "q2")
    assert dry.taken("three") == []
    assert waits(dry, "b:1")[0] == "waiting"
    assert waits(dry, "c:1")[0] == "waiting"
    free(dry, "q3")
    assert [row.prospect for row in rows(waits(dry, "b:1"))] == ["q3"]
    assert waits(dry, "c:1")[0] == "waiting"
    assert [row.prospect for row in rows(waits(dry, "a:1", count=2))] == ["q1", "q2"]


def test_beyond_what_is_spoken_for_anybody_is_served(dry: Bench) -> None:
    """In list order, several at once."""
    waits(dry, "a:1")
    free(dry, "q1", "q2", "q3")
    assert [row.prospect for row in dry.taken("three", count=5)] == ["q2", "q3"]


def test_a_waiter_is_not_kept_from_what_it_could_not_take(dry: Bench) -> None:
    """R10: whom its rep removed is not left to it, however long it waits; what it can take is."""
    first = dry.call("attempt", dry.server("HGET", dry.key("claim-of"), "csv:q1"))
    dry.call("dispose", first[2][0], "busy", 1, "", 0)
    dry.age("csv:q1", DAY_MS + 1)
    assert waits(dry, "a:1", rep="ben")[0] == "waiting"
    assert waits(dry, "b:1", "last", rep="ana")[2][0][2] == "q1"
    free(dry, "q2")
    assert dry.taken("three", rep="ana") == []
    assert rows(waits(dry, "a:1", rep="ben"))[0].prospect == "q2"


def test_a_silent_process_loses_its_turn_and_one_that_waits_elsewhere_does_not(dry: Bench) -> None:
    """After 2 s, and not before: its tickets are taken out by the next who looks."""
    waits(dry, "dead:1")
    waits(dry, "alive:1")
    free(dry, "q1")
    silence(dry, "dead", 1_500)
    assert dry.taken("three") == []
    silence(dry, "dead", 2_100)
    assert dry.taken("three") == [], "it is alive:1's"
    assert line(dry) == ["alive:1"]
    assert served(dry, "alive") == ["alive:1"]


def test_hundreds_of_the_dead_keep_nobody(dry: Bench) -> None:
    """One call sees through a thousand of them."""
    for number in range(600):
        waits(dry, f"dead:{number}")
    silence(dry, "dead", 2_100)
    free(dry, "q1")
    assert [row.prospect for row in dry.taken("three")] == ["q1"]
    assert line(dry) == []


def test_a_ticket_older_than_any_wait_is_nobodys(dry: Bench) -> None:
    """Should its process have forgotten it while it lives."""
    waits(dry, "a:1")
    dry.server("ZINCRBY", dry.key("list:three:waiting"), -31_100_000, "a:1")
    free(dry, "q1")
    assert [row.prospect for row in dry.taken("three")] == ["q1"]


def test_more_waiters_than_one_call_looks_at_leave_nothing_to_others(dry: Bench) -> None:
    """In doubt what is free is theirs."""
    for number in range(257):
        waits(dry, f"a:{number}", rep="ben")
    free(dry, "q1")
    assert dry.taken("three") == []


# What a process is told


def test_a_process_is_told_of_its_own_who_could_be_served(dry: Bench) -> None:
    """Of its own tickets those that what is free reaches, the longest waiter first; and when the next one frees."""
    ends = dry.call("read_taken", "csv:q1")[2][0][10]
    waits(dry, "a:1")
    waits(dry, "b:1")
    waits(dry, "a:2")
    assert tend(dry, "a") == [["on", [], [], ends, 0]]
    free(dry, "q2", "q3")
    assert (served(dry, "a"), served(dry, "b")) == (["a:1"], ["b:1"])
    free(dry, "q1")
    assert served(dry, "a") == ["a:1", "a:2"]
    assert tend(dry, "c") == [["on", [], [], None, 0]]


def test_what_is_due_is_settled_by_the_look(dry: Bench) -> None:
    """R13: the prospect is back at its place and told of in one step; a process that says nothing of itself writes nothing when nothing is due."""
    waits(dry, "a:1")
    before = dry.snapshot()
    tend(dry, heard="0")
    assert dry.changes(before) == {}
    dry.age("csv:q2", 600_001)
    assert served(dry) == ["a:1"]
    assert dry.server("ZRANGE", dry.key("list:three:available"), 0, -1) == ["q2"]
    assert [told["type"] for told in dry.history()][-1] == "claim.lapsed"


def test_it_says_that_the_process_lives(dry: Bench) -> None:
    """And that is all that it writes."""
    waits(dry, "a:1")
    silence(dry, "a", 1_900)
    before = dry.snapshot()
    reply = dry.call("tend_waiting", "a", "1", "three")
    assert dry.changes(before) == {"waiting-processes[a]": reply[1], "waiting-processes ttl": reply[1] + MINUTE_MS}


def test_one_list_a_call_is_settled(dry: Bench) -> None:
    """Where more is due the next look is due at once."""
    dry.make_list("other", ["o1"])
    dry.take("other", hold_ms=600_000)
    waits(dry, "a:1")
    waits(dry, "a:2", list_="other")
    dry.age("csv:q1", 600_001)
    dry.age("csv:o1", 600_001)
    reply = dry.call("tend_waiting", "a", "1", "three", "other")
    assert reply[2][0][:2] == ["on", ["a:1"]]
    assert [reply[2][1][1], int(reply[2][1][3])] == [[], reply[1]]
    assert tend(dry, "a", "three", "other")[1][1] == ["a:2"]


def test_nobody_is_sure_of_a_rep_who_removed_all_that_was_looked_at(bench: Bench) -> None:
    """R10: beyond the first 256 there may be somebody for them: to be tried now and then, and kept from nobody else."""
    members = [f"m{number:03d}" for number in range(300)]
    bench.make_list("long", members)
    removed = bench.key("list:long:removed:ana")
    bench.server("HSET", removed, *(word for member in members for word in (member, "1 x")))
    reply = waits(bench, "a:1", list_="long")
    while reply[0] == "on":
        reply = waits(bench, "a:1", list_="long", after=reply[2])
    assert reply[0] == "waiting"
    bench.call("restore", "long", "ana", "csv", "m299", "{}")
    assert tend(bench, "a", "long") == [["on", [], ["a:1"], None, 1]]
    assert [row.prospect for row in bench.taken("long", rep="bo")] == ["m000"]


def test_a_list_that_is_gone_and_one_whose_key_is_broken_are_told_as_lost(dry: Bench) -> None:
    """Whoever waits is to claim again, and hears what is wrong; the other lists are told of as ever."""
    waits(dry, "a:1")
    assert tend(dry, "a", "nowhere", "west", "three") == [
        ["lost", [], [], None, 0], ["lost", [], [], None, 0], ["on", [], [], dry.call("read_taken", "csv:q1")[2][0][10], 0]
    ]  # fmt: skip


def test_a_deleted_list_has_no_line(dry: Bench) -> None:
    """A new list of its name begins with none."""
    waits(dry, "a:1")
    dry.call("delete_list", "three", "{}")
    assert [name for name in dry.snapshot() if ":wait" in name] == [dry.key("waiting-processes")]


# While multi-rep dialing is off


def test_while_it_is_off_each_rep_waits_for_their_own(bench: Bench) -> None:
    """R9: a rep's sessions share one walk, so the longest waiter of the rep is first; other reps have theirs. What a sync brings stirs the list."""
    bench.terms["csv"] = Terms(enabled=False)
    bench.make_list("walk", ["q1"])
    for rep in ("ana", "bo"):
        bench.taken("walk", rep=rep)
    assert waits(bench, "a:1", list_="walk", rep="ana")[0] == "waiting"
    assert waits(bench, "a:2", list_="walk", rep="bo")[0] == "waiting"
    assert tend(bench, "a", "walk") == [["off", [], [], None, 0]]
    bench.fill("walk", ["q1", "q2"])
    assert tend(bench, "a", "walk") == [["off", [], [], None, 1]]
    assert bench.taken("walk", rep="ana") == []
    assert [row.prospect for row in bench.taken("walk", rep="cy", count=5)] == ["q1", "q2"]
    assert [row.prospect for row in rows(waits(bench, "a:2", list_="walk", rep="bo"))] == ["q2"]
    assert [row.prospect for row in rows(waits(bench, "a:1", list_="walk", rep="ana"))] == ["q2"]
    assert line(bench, "walk") == []


# One key


def test_others_who_wait_with_the_key_are_told_at_once(dry: Bench) -> None:
    """R15: theirs is an answer, nobody's prospect is kept for them, and their claim is a repeat."""
    waits(dry, "a:1", key="k")
    waits(dry, "b:1", key="k")
    waits(dry, "b:2")
    free(dry, "q1")
    first = waits(dry, "a:1", key="k")
    assert first[0] == "claimed"
    assert served(dry, "b") == ["b:1"]
    again = waits(dry, "b:1", key="k")
    assert (again[0], again[2]) == ("repeated", first[2])
    free(dry, "q2")
    assert served(dry, "b")[-1] == "b:2"
    assert rows(waits(dry, "b:2"))[0].prospect == "q2"
