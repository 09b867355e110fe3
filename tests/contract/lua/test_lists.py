"""create_list, change_list, delete_list, sweep_list, mend_list: a list's life but for its members' coming and going."""

import json
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.contract.lua import expected
from tests.contract.lua.expected import place
from tests.support.builders import Bench, data
from tests.support.keyspace import GONE

SOURCE = '{"kind":"report","id":"00O1"}'
SYNC = '{"every_minutes":30}'


def create(bench: Bench, list_: str, *, exact: bool = True, name: str = "Q4", integration: str = "salesforce") -> list[Any]:
    return bench.call("create_list", list_, "0" if exact else "1", name, integration, SOURCE, SYNC, '{"by":"ada"}')


def delete(bench: Bench, list_: str) -> str:
    """Deletes a list, and returns what is to be swept."""
    reply = bench.call("delete_list", list_, '{"by":"ada"}')
    assert reply[0] == "deleted"
    return str(reply[2])


# create


def test_creates_a_list(bench: Bench) -> None:
    """Its definition, its place among the lists, its entry in the history."""
    before = bench.snapshot()
    reply = create(bench, "q4-west")
    now = reply[1]
    assert reply == ["created", now, "q4-west"]
    fields = {
        "name": "Q4",
        "integration": "salesforce",
        "source": {"kind": "report", "id": "00O1"},
        "sync": {"every_minutes": 30},
        "created_at": now,
        "floor": 0,
    }
    changed = bench.changes(before)
    assert {path: value for path, value in changed.items() if path != "list:q4-west[made]"} == {
        **{f"list:q4-west[{name}]": value for name, value in fields.items()},
        "lists[q4-west]": 0,
        "due[q4-west]": now + 30 * 60_000,
        "history+": [{"type": "list.created", "at": now, "integration": "salesforce", "list": "q4-west", "detail": {"by": "ada"}}],
    }


def test_an_id_that_is_taken_is_refused(bench: Bench) -> None:
    """If that very id is wanted; nothing is written."""
    before = bench.snapshot()
    assert create(bench, "west")[0] == "list-exists"
    assert bench.changes(before) == {}


def test_another_id_is_found_where_any_will_do(bench: Bench) -> None:
    """-2, -3, …, within 64 letters, and still an id."""
    assert [create(bench, "west", exact=False)[2] for _ in range(3)] == ["west-2", "west-3", "west-4"]
    long = "a" * 60 + "-bcd"
    assert create(bench, long, exact=False)[2] == long
    assert create(bench, long, exact=False)[2] == "a" * 60 + "-b-2"
    hyphen = "c" * 61 + "-dd"
    assert create(bench, hyphen, exact=False)[2] == hyphen
    assert create(bench, hyphen, exact=False)[2] == "c" * 61 + "-2", "two hyphens in a row are no list id"


def test_a_create_that_is_sent_again_is_the_same_list(bench: Bench) -> None:
    """A reply that was lost costs no second list, and is no refusal: the same call, the same to the byte, tells the same."""
    for exact in (True, False):
        words = ("made", "0" if exact else "1", "Made", "csv", "null", "{}", '{"by":"ada"}')
        before = bench.snapshot()
        first = bench.call("create_list", *words, nonce=f"same{exact}")
        made = bench.changes(before)
        before = bench.snapshot()
        again = bench.call("create_list", *words, nonce=f"same{exact}")
        assert first[::2] == again[::2] == ["created", "made" if exact else "made-2"]
        assert bench.changes(before) == {}
        assert made["history+"][0]["type"] == "list.created"


# change


def test_changes_what_an_admin_says_of_it(bench: Bench) -> None:
    """If it is what the caller read; otherwise nothing."""
    create(bench, "q4")
    before = bench.snapshot()
    words = ("q4", "Q4", SOURCE, SYNC, "Q4 West", "null", '{"refill_below":50}', '{"by":"ada"}')
    reply = bench.call("change_list", *words)
    now = reply[1]
    assert reply == ["changed", now]
    assert bench.changes(before) == {
        "list:q4[name]": "Q4 West",
        "list:q4[source]": "null",
        "list:q4[sync]": {"refill_below": 50},
        "due[q4]": GONE,
        "history+": [{"type": "list.changed", "at": now, "integration": "salesforce", "list": "q4", "detail": {"by": "ada"}}],
    }
    before = bench.snapshot()
    assert bench.call("change_list", *words)[0] == "raced"
    assert bench.changes(before) == {}


@pytest.mark.parametrize("words", [("x", SOURCE, SYNC), ("Q4", "x", SYNC), ("Q4", SOURCE, "x")])
def test_a_change_of_what_was_changed_since_is_refused(bench: Bench, words: tuple[str, ...]) -> None:
    """Name, source and sync are each compared."""
    create(bench, "q4")
    before = bench.snapshot()
    assert bench.call("change_list", "q4", *words, "n", "null", "{}", "{}")[0] == "raced"
    assert bench.call("change_list", "nowhere", *words, "n", "null", "{}", "{}")[0] == "list-not-found"
    assert bench.changes(before) == {}


# delete and sweep


def test_deletes_all_of_a_list_but_reservations(bench: Bench) -> None:
    """Its keys, removals and places go at once; who is taken stays so everywhere else; the ties are swept after."""
    got = bench.taken("west", count=3)
    bench.call("dispose", got[0].id, "busy", 1, "", 0)
    bench.terms["csv"].enabled = False
    bench.take(rep="eve")
    before = bench.snapshot()
    reply = bench.call("delete_list", "west", '{"by":"ada"}', nonce="again")
    now, aside = reply[1], reply[2]
    gone = {
        f"list:west{part}": GONE
        for key, entry in before.items()
        for part in [key.removeprefix(bench.key("list:west"))]
        if key.startswith(bench.key("list:west"))
        for part in ([f"{part}[{name}]" for name in entry.value] if entry.type != "string" else [part])
    }
    assert len(gone) > 30
    assert gone.pop("list:west:removed:ana[p1]") is GONE, "which is swept"
    assert bench.changes(before) == {
        **gone,
        f"sweep:{aside}:removers[ana]": True,
        "lists[west]": GONE,
        "swept": 1,
        f"sweep[{aside}]": "csv again",
        **{f"sweep:{aside}[p{number}]": place(number - 1) for number in range(1, 6)},
        **{f"sweep-members:{aside}[p{number}]": json.loads(data(f"p{number}")) for number in range(1, 6)},
        "history+": [{"type": "list.deleted", "at": now, "integration": "csv", "list": "west", "detail": {"by": "ada"}}],
    }
    before = bench.snapshot()
    assert bench.call("delete_list", "west", "{}")[0] == "list-not-found"
    assert bench.call("delete_list", "west", '{"by":"ada"}', nonce="again")[::2] == ["deleted", aside], "the same call, its reply lost, sent again"
    assert bench.changes(before) == {}
    assert create(bench, "west", integration="csv")[::2] == ["sweeping", aside], "its removals are not those of a list made anew under its id"
    assert bench.call("sweep_list", aside)[::2] == ["swept", 6]
    assert bench.changes(before) == {f"sweep:{aside}:removers[ana]": GONE, "list:west:removed:ana[p1]": GONE}
    before = bench.snapshot()
    assert bench.call("sweep_list", aside)[::2] == ["swept", 0]
    assert bench.changes(before) == {
        f"sweep[{aside}]": GONE,
        **{f"{key}:{aside}[p{number}]": GONE for number in range(1, 6) for key in ("sweep", "sweep-members")},
        **expected.aside(*(f"p{number}" for number in range(1, 6))),
        "lists-of:csv[p1]": GONE,
        "lists-of:csv[p2]": GONE,
        **{f"lists-of:csv[p{number}]": "east" for number in (3, 4, 5)},
    }
    before = bench.snapshot()
    assert bench.call("sweep_list", aside)[::2] == ["swept", 0]
    assert bench.changes(before) == {}


def test_an_empty_list_is_swept_in_one_step(bench: Bench) -> None:
    """One that never had a member."""
    create(bench, "q4")
    aside = delete(bench, "q4")
    before = bench.snapshot()
    assert bench.call("sweep_list", aside)[::2] == ["swept", 0]
    assert bench.changes(before) == {f"sweep[{aside}]": GONE}


def test_many_are_untied_a_chunk_at_a_time(bench: Bench) -> None:
    """250 a call."""
    bench.make_list("long", [f"q{number:03d}" for number in range(600)])
    aside = delete(bench, "long")
    assert [bench.call("sweep_list", aside)[2] for _ in range(3)] == [350, 100, 0]
    assert bench.server("HLEN", bench.key("lists-of:csv")) == 6


def test_a_list_made_anew_under_the_same_id_keeps_its_own(bench: Bench) -> None:
    """The id is free at once: whoever is in the new list stays tied to it, whoever was only in the old one does not."""
    got = bench.take("west")
    aside = delete(bench, "west")
    bench.make_list("west", ["p2", ("p3", "no-phone"), "p1"])
    bench.call("sweep_list", aside)
    told = bench.snapshot()[bench.key("lists-of:csv")].value
    assert {prospect: set(marks.split()) for prospect, marks in told.items()} == {
        "p1": {"west"},
        "p2": {"west"},
        "p3": {"!west", "east"},
        "p4": {"east"},
        "p5": {"east"},
        "p6": {"!east"},
    }
    assert [told.prospect for told in bench.taken("west", count=9)] == ["p2"], "p1 is reserved still"
    bench.age("csv:p1", DAY_MS + 1)
    assert bench.take("west").prospect == "p1"
    assert [told["claim"] for told in bench.history() if told["type"] == "reservation.expired"] == [got.id]


def test_a_list_of_another_integration_under_the_same_id_keeps_nobody_tied(bench: Bench) -> None:
    """The same record id in both: the new list comes when the old ties are gone, and one's reservation does not touch the other's list."""
    aside = delete(bench, "west")
    reply = bench.call("create_list", "west", "0", "West", "hubspot", "null", "{}", "{}")
    assert (reply[0], reply[2]) == ("sweeping", aside)
    bench.call("sweep_list", aside)
    bench.make_list("west", ["p3", "p1"], "hubspot")
    state = bench.snapshot()
    assert state[bench.key("lists-of:hubspot")].value == {"p1": "west", "p3": "west"}
    assert state[bench.key("lists-of:csv")].value == {"p3": "east", "p4": "east", "p5": "east", "p6": "!east"}
    bench.take("east")
    assert bench.take("west").prospect == "p3"


def test_two_deletions_of_one_id_in_a_millisecond_are_two(bench: Bench) -> None:
    """Each has its own members to untie."""
    asides = []
    for number in range(3):
        bench.make_list("again", [f"q{number}"])
        asides.append(delete(bench, "again"))
    assert len(set(asides)) == 3
    for aside in asides:
        assert bench.call("sweep_list", aside)[2] == 0
    assert not [prospect for prospect in bench.snapshot()[bench.key("lists-of:csv")].value if prospect.startswith("q")]


def test_a_list_whose_order_is_of_another_type_can_be_deleted(bench: Bench) -> None:
    """What cannot be swept is not kept aside for ever, and the id is free."""
    bench.server("DEL", bench.key("list:east:order"))
    bench.server("SET", bench.key("list:east:order"), "not an index")
    aside = delete(bench, "east")
    assert bench.call("sweep_list", aside)[::2] == ["swept", 0]
    assert not [key for key in bench.snapshot() if "east" in key]
    bench.server("FLUSHALL")


@pytest.mark.parametrize("between", ["nothing", "claims"])
def test_while_a_deleted_list_is_swept_its_prospects_can_be_claimed(bench: Bench, between: str) -> None:
    """A tie that is not untied yet makes no key of a list that is not there."""
    aside = delete(bench, "west")
    if between == "claims":
        got = bench.take("east", hold_ms=30_000)
        bench.call("release", got.id)
        bench.take("east")
        assert not [key for key in bench.snapshot() if key.startswith(bench.key("list:west"))]
    bench.call("sweep_list", aside)


# mend


@pytest.mark.parametrize("index", ["available", "held", "reserved"])
def test_mends_an_index_of_the_wrong_type(bench: Bench, index: str) -> None:
    """It is built anew from the order and from who is taken; the others stay as they are, and so does every other list."""
    bench.take("east", hold_ms=30_000)
    bench.take("east")
    intact = bench.snapshot()
    bench.server("DEL", bench.key(f"list:east:{index}"))
    bench.server("RPUSH", bench.key(f"list:east:{index}"), "not an index")
    bench.server("SADD", bench.key("broken"), "east")
    assert bench.call("mend_list", "east", "")[0] == "mended"
    assert bench.changes(intact) == {}
    assert bench.call("mend_list", "east", "")[0] == "mended"
    assert bench.changes(intact) == {}, "a repeat builds the same"


def test_mends_a_chunk_at_a_time(bench: Bench) -> None:
    """250 members a call, and an operator's key is obeyed on the way."""
    prospects = [f"q{number:03d}" for number in range(600)]
    bench.make_list("long", prospects)
    taken = bench.taken("long", count=50, hold_ms=30_000)
    until = bench.call("settle")[1] + HOUR_MS
    bench.server("SET", bench.key("reservation:csv:q400"), "hands off", "PXAT", until)
    intact = bench.snapshot()
    for index in ("available", "held"):
        bench.server("DEL", bench.key(f"list:long:{index}"))
    bench.server("SET", bench.key("list:long:held"), "not an index")
    bench.server("SADD", bench.key("broken"), "long")
    replies = [bench.call("mend_list", "long", "")]
    while replies[-1][0] == "mending":
        replies.append(bench.call("mend_list", "long", replies[-1][2]))
    assert [reply[0] for reply in replies] == ["mending", "mending", "mended"]
    assert bench.changes(intact) == {"list:long:available[q400]": GONE, "list:long:reserved[q400]": until}
    assert taken[0].prospect == "q000"


def test_what_cannot_be_mended_is_said(bench: Bench) -> None:
    """Without the order nothing is known of the places; a list that is gone needs no mending."""
    bench.server("SADD", bench.key("broken"), "gone")
    assert bench.call("mend_list", "gone", "")[0] == "mended"
    bench.server("DEL", bench.key("list:east:order"))
    bench.server("SET", bench.key("list:east:order"), "not an index")
    before = bench.snapshot()
    assert bench.call("mend_list", "east", "")[0] == "beyond-mending"
    assert bench.changes(before) == {}
    bench.server("FLUSHALL")


def test_settling_says_how_many_lists_are_to_be_mended(bench: Bench) -> None:
    """So that whoever settles mends them."""
    assert bench.call("settle")[4] == 0
    bench.server("DEL", bench.key("list:east:reserved"))
    bench.server("SET", bench.key("list:east:reserved"), "not an index")
    bench.taken("west", count=3)
    assert bench.call("settle")[4] == 1
    bench.call("mend_list", "east", "")
    assert bench.call("settle")[4] == 0


def test_a_deleted_list_is_not_to_be_mended(bench: Bench) -> None:
    """It is forgotten with its keys."""
    bench.server("SADD", bench.key("broken"), "west")
    bench.call("sweep_list", delete(bench, "west"))
    assert bench.call("settle")[4] == 0
