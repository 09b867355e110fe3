"""read_claim, read_history, read_taken, read_reservations, read_members, read_lists, read_org: what is told, and that nothing is written by it."""

import json
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.contract.lua.expected import place, row
from tests.support.builders import Bench, Row, Terms, data


@pytest.fixture(autouse=True)
def nothing_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading script of these tests leaves the keyspace as it was."""
    call = bench.call

    def watched(verb: Any, *own: Any) -> list[Any]:
        if not verb.startswith("read_"):
            return call(verb, *own)
        before = bench.snapshot()
        reply = call(verb, *own)
        assert bench.changes(before) == {}
        return reply

    monkeypatch.setattr(bench, "call", watched)


def told_lists(bench: Bench, *lists: str) -> list[Any]:
    """For each list: members, available, held, reserved, undialable, next."""
    told: list[Any] = [state and [*state[2:7], int(state[7]) if state[7] else None] for state in bench.call("read_lists", *lists)[2]]
    return told


# claims


def test_a_claim_as_it_stands(bench: Bench) -> None:
    """Its row with the member's data, in every state, and its disposition."""
    got = bench.take("east", hold_ms=30_000)
    assert Row.of(bench.call("read_claim", got.id)[2]) == got
    attempted = Row.of(bench.call("attempt", got.id)[2])
    bench.call("dispose", got.id, "busy", 0, "n", 1)
    told = Row.of(bench.call("read_claim", got.id)[2])
    assert json.loads(told.disposition or "")["outcome"] == "busy"
    assert (told.state, told.expires_at, told.attempted_at) == ("reserved", attempted.expires_at, attempted.attempted_at)
    other = bench.take(hold_ms=30_000)
    bench.call("release", other.id)
    assert Row.of(bench.call("read_claim", other.id)[2]).state == "released"
    assert bench.call("read_claim", "abcdefghijklmnop00")[0] == "claim-not-found"


def test_a_claims_member_is_told_as_its_list_has_it_or_any_other(bench: Bench) -> None:
    """Its own list first; where that does not know the prospect any more, another one that it is in; else nothing."""
    got = bench.take("east")
    bench.begin("west", "r2")
    bench.page("west", "r2", 0, ["p3"], version=2)
    assert Row.of(bench.call("read_claim", got.id)[2]).member == data("p3")
    bench.fill("east", [])
    assert Row.of(bench.call("read_claim", got.id)[2]).member == data("p3", 2)
    bench.finish("west", "r2")
    bench.fill("west", [])
    assert Row.of(bench.call("read_claim", got.id)[2]).member is None


def test_a_member_is_told_from_a_list_that_has_it_as_undialable(bench: Bench) -> None:
    """The mark on the tie is no part of the list's name."""
    (got,) = (Row.of(told) for told in bench.claim_one("p6")[2])
    assert got.member == data("p6")
    assert Row.of(bench.call("read_claim", got.id)[2]).member == data("p6")


# who is taken


def test_who_has_each_of_some_prospects(bench: Bench) -> None:
    """In the order asked for; what is past, released or was never taken is nobody's, settled or not."""
    held = bench.take(hold_ms=30_000)
    reserved = bench.take()
    released = bench.take(hold_ms=30_000)
    bench.call("release", released.id)
    past = bench.take("east", hold_ms=30_000)
    bench.age(f"csv:{past.prospect}", 31_000)
    bench.server("PERSIST", bench.key(f"reservation:csv:{past.prospect}"))
    asked = [f"csv:{prospect}" for prospect in ("p2", "x", "p1", released.prospect, past.prospect, "p2")]
    rows = bench.call("read_taken", *asked, "salesforce:p1")[2]
    assert [told and Row.of(told) for told in rows] == [
        row(reserved.id, "p2", reserved.claimed_at or 0, reserved.ends),
        None,
        row(held.id, "p1", held.claimed_at or 0, held.ends, state="held"),
        None,
        None,
        row(reserved.id, "p2", reserved.claimed_at or 0, reserved.ends),
        None,
    ]
    assert bench.call("read_taken")[2] == []


@pytest.mark.leaves("an operator's key without TTL")
def test_an_operators_key_is_told_without_who(bench: Bench) -> None:
    """With its end, if it has one."""
    until = bench.call("read_taken")[1] + HOUR_MS
    bench.server("SET", bench.key("reservation:csv:p1"), "hands off", "PXAT", until)
    bench.server("SET", bench.key("reservation:csv:p2"), "hands off")
    assert [told[:11] for told in bench.call("read_taken", "csv:p1", "csv:p2")[2]] == [
        ["", "csv", "p1", None, None, None, None, "reserved", None, None, until],
        ["", "csv", "p2", None, None, None, None, "reserved", None, None, None],
    ]


def test_a_taken_prospect_whose_key_was_deleted_is_told(bench: Bench) -> None:
    """R6: the witness is enough, with the claim and without."""
    got = bench.take()
    bench.server("DEL", bench.key("reservation:csv:p1"))
    assert Row.of(bench.call("read_taken", "csv:p1")[2][0]).id == got.id
    bench.server("DEL", bench.key(f"claim:{got.id}"))
    assert bench.call("read_taken", "csv:p1")[2][0][10] == got.ends
    bench.server("FLUSHALL")


# reservations in pages


def pages(bench: Bench, most: int, between: Any = None) -> list[str]:
    """The prospects of all pages."""
    found: list[str] = []
    end, member = "", ""
    for _ in range(200):
        reply = bench.call("read_reservations", end, member, most)
        found += [told[2] for told in reply[2]]
        if reply[3] is None:
            return found
        end, member = reply[3], reply[4]
        if between:
            between()
            between = None
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("most", [1, 2, 3, 7, 250])
def test_live_ones_the_soonest_to_end_first(bench: Bench, most: int) -> None:
    """In pages of any size each is told once, what is past not at all, and many that end in one millisecond are no obstacle."""
    bench.make_list("long", [f"q{number:02d}" for number in range(30)])
    same = [got.prospect for got in bench.taken("long", count=20, hold_ms=60_000)]
    first = bench.take("long", hold_ms=20_000).prospect
    last = bench.take("long").prospect
    gone = bench.take("long", hold_ms=10_000).prospect
    bench.age(f"csv:{gone}", 11_000)
    assert pages(bench, most) == [first, *same, last]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_page_goes_on_where_the_last_entry_was(bench: Bench, most: int) -> None:
    """Though that one was released, expired, or extended meanwhile: nobody else is left out, and nobody told twice."""
    bench.make_list("long", [f"q{number:02d}" for number in range(12)])
    for change in ("release", "extend", "age"):
        bench.terms["csv"].length_ms = HOUR_MS
        taken = bench.taken("long", count=6, hold_ms=60_000, session=change)
        last = taken[most - 1]

        def between(change: str = change, last: Row = last) -> None:
            if change == "age":
                bench.age(f"csv:{last.prospect}", 61_000)
            else:
                assert bench.call("release" if change == "release" else "extend", last.id, *((120_000,) if change == "extend" else ()))[0] in {
                    "released",
                    "claim",
                }

        found = pages(bench, most, between)
        assert found[:6] == [got.prospect for got in taken], change
        assert found[6:] == ([last.prospect] if change == "extend" else []), change
        for got in taken:
            bench.call("release", got.id)
        bench.call("settle")


# members


def test_members_in_list_order_with_how_they_stand(bench: Bench) -> None:
    """Data, flags, what the rep removed, and who has them; in pages."""
    bench.fill("west", ["p2", ("p1", "no-phone"), ("p9", "do-not-call"), "p3", "p4"])
    got = bench.take(hold_ms=30_000)
    past = bench.taken(count=1)[0]
    bench.call("dispose", past.id, "busy", 1, "", 0)
    bench.age(f"csv:{past.prospect}", DAY_MS + 1)
    (undialable,) = (Row.of(told) for told in bench.claim_one("p1")[2])
    found, after = [], ""
    while True:
        reply = bench.call("read_members", "west", after, 2, "ana")
        found += reply[2]
        if not reply[3]:
            break
        after = reply[2][-1][1]
    assert [(told[0], int(told[1]), told[2], *told[3:6], told[6] and told[6][0]) for told in found] == [
        ("p2", place(0, 2), data("p2"), 0, 0, 0, got.id),
        ("p1", place(1, 2), data("p1"), 1, 0, 0, undialable.id),
        ("p9", place(2, 2), data("p9"), 1, 1, 0, None),
        ("p3", place(3, 2), data("p3"), 0, 0, 1, None),
        ("p4", place(4, 2), data("p4"), 0, 0, 0, None),
    ]
    assert [told[5] for told in bench.call("read_members", "west", "", 250, "")[2]] == [0, 0, 0, 0, 0]
    assert bench.call("read_members", "west", place(4, 2), 250, "")[2:] == [[], None]
    assert bench.call("read_members", "nowhere", "", 250, "")[0] == "list-not-found"


def test_a_page_that_ends_with_the_list_is_the_last(bench: Bench) -> None:
    """No empty page follows."""
    reply = bench.call("read_members", "west", "", 5, "")
    assert (len(reply[2]), reply[3]) == (5, None)


# lists


def test_lists_add_up_at_every_instant(bench: Bench) -> None:
    """R11: what is past counts as available, settled or not; what one list cannot dial counts there as that only."""
    assert told_lists(bench, "west", "nowhere", "east") == [[5, 5, 0, 0, 0, None], None, [4, 3, 0, 0, 1, None]]
    bench.take("east", hold_ms=30_000)
    bench.take("east")
    bench.claim_one("p6")
    assert told_lists(bench, "west", "east") == [[5, 3, 1, 1, 0, None], [4, 1, 1, 1, 1, None]]
    bench.age("csv:p3", 31_000)
    bench.age("csv:p4", DAY_MS + 1)
    assert told_lists(bench, "west", "east") == [[5, 5, 0, 0, 0, None], [4, 3, 0, 0, 1, None]]
    bench.call("settle")
    assert told_lists(bench, "west", "east") == [[5, 5, 0, 0, 0, None], [4, 3, 0, 0, 1, None]]
    assert told_lists(bench) == []


def test_the_next_to_free_is_told_when_none_is_available(bench: Bench) -> None:
    """The soonest of holds and reservations."""
    bench.terms["csv"].length_ms = 20_000
    first = bench.take("east", hold_ms=30_000)
    second = bench.take("east")
    bench.terms["csv"].length_ms = DAY_MS
    assert told_lists(bench, "east")[0][5] is None
    bench.take("east")
    assert told_lists(bench, "east")[0][5] == second.ends
    bench.call("extend", second.id, 90_000)
    assert told_lists(bench, "east")[0][5] == first.ends


def test_a_lists_definition_and_newest_sync(bench: Bench) -> None:
    """As flat hashes; none yet is an empty one."""
    bench.create_list("new")
    definition, sync = bench.call("read_lists", "new")[2][0][:2]
    assert dict(zip(definition[::2], definition[1::2], strict=True)) | {"created_at": "", "made": ""} == {
        "made": "",
        "name": "New",
        "integration": "csv",
        "source": "null",
        "sync": "{}",
        "created_at": "",
        "floor": "0",
    }
    assert sync == []
    sync = bench.call("read_lists", "west")[2][0][1]
    assert dict(zip(sync[::2], sync[1::2], strict=True))["state"] == "done"


# the org


def test_an_org_at_one_generation(bench: Bench) -> None:
    """Its profile, keys and settings; no org, nothing."""
    bench.call("configure", "SET", "settings:csv", "", '{"enabled":true}', "settings.changed", "csv", "{}")
    bench.generation = bench.server("GET", bench.key("generation"))
    bench.call("configure", "SET", "write-back:csv", "", '{"log_calls":true}', "settings.changed", "csv", "{}")
    generation = bench.server("GET", bench.key("generation"))
    bench.generation = generation
    bench.call("configure", "HSET", "keys", "k1", '{"name":"n"}', "key.created", "", "{}")
    reply = bench.call("read_org", "salesforce", "csv")
    assert reply[0] == "org"
    assert reply[2] == int(generation) + 1
    assert json.loads(reply[3])["id"] == "acme"
    assert reply[4:] == [["k1", '{"name":"n"}'], [None, '{"enabled":true}'], [None, '{"log_calls":true}']]
    assert Bench(bench.server, "zeta").call("read_org")[0] == "none"


def test_terms_do_not_matter_to_what_is_told(bench: Bench) -> None:
    """R7: switched off, reservations run on, are counted and shown."""
    got = bench.take()
    bench.terms["csv"] = Terms(enabled=False)
    assert told_lists(bench, "west") == [[5, 4, 0, 1, 0, None]]
    assert Row.of(bench.call("read_taken", "csv:p1")[2][0]).id == got.id


# the history


def test_the_history_in_chunks(bench: Bench) -> None:
    """Behind an id, up to another, at most so many, and whether there are more; always with the id of the newest."""
    for _ in range(3):
        bench.take()
    whole = bench.call("read_history", "", "+", 500)
    ids = [id_ for id_, _ in whole[2]]
    assert [told["type"] for told in bench.history()] == [fields[1] for _, fields in whole[2]]
    assert whole[3:] == [None, ids[-1]]
    first = bench.call("read_history", "", "+", 2)
    assert ([id_ for id_, _ in first[2]], first[3:]) == (ids[:2], [1, ids[-1]])
    rest = bench.call("read_history", ids[1], ids[-2], 500)
    assert ([id_ for id_, _ in rest[2]], rest[3:]) == (ids[2:-1], [None, ids[-1]])
    assert bench.call("read_history", ids[-1], "+", 500)[2:] == [[], None, ids[-1]]


def test_an_org_without_a_history(bench: Bench) -> None:
    """Nothing is read, and there is no newest."""
    other = Bench(bench.server, "zeta").create()
    assert other.call("read_history", "", "+", 500)[2:] == [[], None, "0-0"]


def test_at_most_500_entries_a_call(bench: Bench) -> None:
    """The rest is told to be there."""
    for number in range(600):
        bench.server("XADD", bench.key("history"), "*", "type", "list.created", "at", number)
    reply = bench.call("read_history", "", "+", 500)
    assert (len(reply[2]), reply[3]) == (500, 1)
    assert bench.call("read_history", reply[2][-1][0], "+", 500)[3] is None


# what stands, with what was recorded


def test_what_stands_is_told_with_the_history_up_to_that_instant(bench: Bench) -> None:
    """The witness, the claim, the key and the record of each, and the history's figures."""
    got = bench.take("east")
    history = bench.call("read_history", "", "+", 500)[2]
    reply = bench.call("read_standing", "", "", "", 250)
    assert (reply[2], reply[4:]) == (history, [None, None, len(history), len(history), "0-0"])
    ((member, ends, claim, text, key_ends, *record),) = reply[3]
    assert (member, int(ends), claim, json.loads(text)["claim"], key_ends) == ("csv:p3", got.ends, got.id, got.id, got.ends)
    assert [str(part) for part in record] == ["csv", "p3", "reserved", str(got.ends), str(got.claimed_at)]
    newest = history[-1][0]
    assert bench.call("read_standing", newest, "", "", 250, "csv:p1", "csv:p3")[2:4] == [[], [["csv:p1", None, None, None, -2, *[None] * 5], reply[3][0]]]


def test_what_stands_in_pages_though_all_end_at_one_instant(bench: Bench) -> None:
    """Each once, soonest first, to the end."""
    bench.make_list("long", [f"q{number:02d}" for number in range(50)])
    bench.taken("long", count=50)
    newest = bench.call("read_history", "", "+", 500)[4]
    seen, ends, member = [], "", ""
    while True:
        reply = bench.call("read_standing", newest, ends, member, 7)
        seen += [row[0] for row in reply[3]]
        if reply[4] is None:
            break
        ends, member = str(reply[4]), reply[5]
    assert seen == [f"csv:q{number:02d}" for number in range(50)]


def test_nothing_is_told_of_what_stands_before_all_is_told_of_what_was_recorded(bench: Bench) -> None:
    """500 entries a call; the rest comes with those who stand."""
    bench.take()
    for number in range(600):
        bench.server("XADD", bench.key("history"), "*", "type", "list.created", "at", number)
    reply = bench.call("read_standing", "", "", "", 250)
    assert (len(reply[2]), reply[3]) == (500, None)
    rest = bench.call("read_standing", reply[2][-1][0], "", "", 250)
    assert (len(rest[3]), len(rest[2])) == (1, reply[6] - 500)
