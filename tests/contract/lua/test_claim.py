"""claim: the next prospects of a list, whoever asks, while multi-rep dialing is on."""

import random
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.contract.lua.expected import entry, freed, granted, moved, place, row, rows, token
from tests.support.builders import Bench, Row, Terms, data, reservation
from tests.support.keyspace import GONE

BASE = "abcdefghijklmnop"


def test_reserves_the_first_prospect(bench: Bench) -> None:
    """R1, R2: an attempt that starts with the claim reserves the first prospect of the list for the timeout."""
    before = bench.snapshot()
    reply = bench.claim(key="k", base=BASE)
    now = reply[1]
    ends = now + DAY_MS
    assert reply[0] == "claimed"
    assert rows(reply) == [row(f"{BASE}00", "p1", now, ends, member=data("p1"))]
    assert reply[3:] == [4, None, 1]
    assert bench.changes(before) == {
        **granted(f"{BASE}00", "p1", now, ends),
        **token("k", now, f"{BASE}00"),
        "history+": [entry("claim.reserved", now, f"{BASE}00", "p1", expires_at=ends)],
    }


def test_holds_for_as_long_as_it_is_told(bench: Bench) -> None:
    """A claim with a hold is held, attempted by nobody, and in its session until it ends."""
    before = bench.snapshot()
    reply = bench.claim(key="k", base=BASE, hold_ms=30_000)
    now = reply[1]
    assert rows(reply) == [row(f"{BASE}00", "p1", now, now + 30_000, state="held", member=data("p1"))]
    assert bench.changes(before) == {
        **granted(f"{BASE}00", "p1", now, now + 30_000, state="held"),
        **token("k", now, f"{BASE}00"),
        "history+": [entry("claim.held", now, f"{BASE}00", "p1", expires_at=now + 30_000)],
    }


def test_several_are_taken_in_list_order_in_all_their_lists(bench: Bench) -> None:
    """R2, R13: what a claim takes is taken in every list of the prospect, in the order of the list that was asked."""
    before = bench.snapshot()
    reply = bench.claim(key="k", base=BASE, count=4, rep="bob", session="s:2")
    now = reply[1]
    ends = now + DAY_MS
    ids = [f"{BASE}{number:02d}" for number in range(4)]
    who = {"rep": "bob", "session": "s:2"}
    assert [(got.id, got.prospect) for got in rows(reply)] == list(zip(ids, ["p1", "p2", "p3", "p4"], strict=True))
    assert reply[3:] == [1, None, 1]
    expected: dict[str, Any] = token("k", now, *ids)
    for id_, prospect, lists in zip(ids, ["p1", "p2", "p3", "p4"], [("west",), ("west",), ("west", "east"), ("west", "east")], strict=True):
        expected |= granted(id_, prospect, now, ends, lists=lists, **who)
    expected["history+"] = [entry("claim.reserved", now, id_, f"p{number}", expires_at=ends, **who) for number, id_ in enumerate(ids, 1)]
    assert bench.changes(before) == expected


def test_a_list_that_has_the_prospect_as_undialable_is_left_alone(bench: Bench) -> None:
    """A prospect that one list cannot dial and another can moves in the other only."""
    bench.make_list("north", ["p6"])
    before = bench.snapshot()
    reply = bench.claim("north", key="k", base=BASE)
    now = reply[1]
    assert bench.changes(before) == {
        **granted(f"{BASE}00", "p6", now, now + DAY_MS, lists=["north"], list_="north"),
        **token("k", now, f"{BASE}00"),
        "history+": [entry("claim.reserved", now, f"{BASE}00", "p6", list="north", expires_at=now + DAY_MS)],
    }


def test_undialable_members_are_never_handed_out(bench: Bench) -> None:
    """Of east, p6 has no phone: three are granted, and then it is dry."""
    assert [got.prospect for got in bench.taken("east", count=50)] == ["p3", "p4", "p5"]
    assert bench.claim("east")[2:4] == [[], 0]


def test_a_dry_list_says_when_the_next_one_frees(bench: Bench) -> None:
    """When nothing is available nothing is written, and the soonest end of a hold or reservation is told."""
    bench.take("east", hold_ms=20_000)
    soonest = bench.take("east", hold_ms=10_000)
    bench.take("east")
    before = bench.snapshot()
    reply = bench.claim("east", key="dry")
    assert [reply[0], *reply[2:]] == ["claimed", [], 0, soonest.expires_at, 1]
    assert bench.changes(before) == {}
    assert bench.claim("east", key="dry")[0] == "claimed", "an answer that took nothing is not remembered"


def test_an_empty_list_is_dry_for_ever(bench: Bench) -> None:
    """Nobody is in it, so nobody frees."""
    bench.create_list("empty")
    before = bench.snapshot()
    assert bench.claim("empty")[2:] == [[], 0, None, 1]
    assert bench.changes(before) == {}


def test_fewer_than_asked_for_is_an_answer(bench: Bench) -> None:
    """A claim of 50 on a list of five takes five."""
    reply = bench.claim(count=50)
    assert [got.prospect for got in rows(reply)] == ["p1", "p2", "p3", "p4", "p5"]
    assert reply[3] == 0
    assert reply[4] == rows(reply)[0].expires_at


def test_each_ends_where_its_integrations_timeout_says(bench: Bench) -> None:
    """R7: the length is that of the list's own integration, as the call's terms have it."""
    bench.terms["salesforce"].length_ms = HOUR_MS
    bench.make_list("crm", ["x1"], "salesforce")
    for list_, length in (("west", DAY_MS), ("crm", HOUR_MS)):
        got = bench.take(list_)
        assert got.ends - (got.claimed_at or 0) == length


@pytest.mark.parametrize(("list_", "terms", "kind"), [("nowhere", {"csv": Terms()}, "list-not-found"), ("west", {"hubspot": Terms()}, "integration-not-found")])
def test_refuses_what_is_not_there(bench: Bench, list_: str, terms: dict[str, Terms], kind: str) -> None:
    """No such list, or no terms for its integration: nothing is written."""
    bench.terms = terms
    before = bench.snapshot()
    assert bench.claim(list_)[0] == kind
    assert bench.changes(before) == {}


def test_one_org_never_touches_another(bench: Bench) -> None:
    """R17: the same list, prospect, session and idempotency key in two orgs are two of each."""
    other = Bench(bench.server, "zeta").create()
    other.make_list("west", ["p1"])
    mine = bench.take(key="k", hold_ms=9_000)
    before = bench.snapshot()
    theirs = other.take(key="k", hold_ms=9_000)
    assert theirs.prospect == mine.prospect == "p1"
    assert all(path.startswith("reservoir:{zeta}:") for path in bench.changes(before))
    assert other.call("attempt", mine.id)[0] == "claim-not-found"
    assert other.call("release", mine.id)[0] == "claim-not-found"


# Order


def test_claims_hand_out_in_list_order_and_what_frees_is_back_in_its_place(bench: Bench) -> None:
    """R13: a released hold, a lapsed one and an expired reservation stand where they stood."""
    assert [bench.take(hold_ms=60_000).prospect for _ in range(3)] == ["p1", "p2", "p3"]
    assert bench.take().prospect == "p4"
    held = dict(zip(["p1", "p2", "p3"], bench.server("ZRANGE", bench.key("session:s-1"), 0, -1), strict=True))
    assert bench.call("release", held["p2"])[0] == "released"
    assert bench.take().prospect == "p2"
    bench.age("csv:p3", 70_000)
    bench.age("csv:p4", DAY_MS + 1)
    assert [got.prospect for got in bench.taken(count=5)] == ["p3", "p4", "p5"]
    bench.age("csv:p1", 70_000)
    assert bench.take().prospect == "p1"


def test_a_prospect_is_back_at_the_instant_at_which_its_reservation_expires(bench: Bench) -> None:
    """R13, R19: taken to the millisecond of its end, served in its order right after, with no sweep between."""
    first = bench.take()
    left_ms = first.ends - bench.claim("east")[1]
    bench.age("csv:p1", left_ms - 60_000)
    assert bench.take().prospect == "p2"
    bench.age("csv:p1", 60_001)
    assert bench.take().prospect == "p1"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_next_one_is_the_first_that_nobody_has(bench: Bench, seed: int) -> None:
    """R12, R13, R2: over two lists that share prospects, through holds, attempts, releases, ends and syncs, against a model of a dozen lines."""
    chance = random.Random(seed)
    orders = {"west": [f"p{number}" for number in range(12)], "east": [f"p{number}" for number in range(18, 5, -1)]}
    for list_, prospects in orders.items():
        bench.fill(list_, prospects)
    taken: dict[str, Row] = {}
    for _ in range(250):
        act = chance.choice(["claim", "claim", "claim", "attempt", "release", "end", "sync"])
        list_, prospect = chance.choice(["west", "east"]), chance.choice([*taken, None])
        if act == "claim":
            count = chance.randint(1, 4)
            got = bench.taken(list_, count=count, hold_ms=chance.choice([0, 60_000]))
            assert [row.prospect for row in got] == [one for one in orders[list_] if one not in taken][:count]
            taken |= {row.prospect: row for row in got}
        elif act == "sync":
            chance.shuffle(orders[list_])
            bench.fill(list_, orders[list_])
        elif prospect is None:
            continue
        elif act == "attempt":
            assert bench.call("attempt", taken[prospect].id)[0] == "claim"
        elif act == "release":
            said = bench.call("release", taken[prospect].id)[0]
            assert said in {"released", "reservation-not-removable"}
            if said == "released":
                del taken[prospect]
        elif act == "end":
            bench.age(f"csv:{prospect}", DAY_MS + 1)
            del taken[prospect]


# What falls due


def test_settles_what_is_past_in_all_lists_before_it_grants(bench: Bench) -> None:
    """R13: a lapsed hold on a shared prospect is freed everywhere, its lapse is in the history at its true instant, and it is granted in its order."""
    bench.make_list("north", ["p9", "p3"])
    held = bench.take("east", hold_ms=30_000)
    bench.age("csv:p3", 45_000)
    lapsed_at = held.ends - 45_000
    before = bench.snapshot()
    reply = bench.claim("north", count=2, key="k", base=BASE, session="s-2")
    now = reply[1]
    ends = now + DAY_MS
    expected = freed(held.id, "p3", 0, state="held", lists=["west", "east", "north"])
    expected |= granted(f"{BASE}00", "p9", now, ends, lists=["north"], list_="north", session="s-2")
    expected |= granted(f"{BASE}01", "p3", now, ends, lists=["west", "east", "north"], list_="north", session="s-2")
    for list_ in ("west", "east", "north"):
        del expected[f"list:{list_}:available[p3]"]
    assert bench.changes(before) == {
        **expected,
        **token("k", now, f"{BASE}00", f"{BASE}01"),
        "history+": [
            entry("claim.lapsed", lapsed_at, held.id, "p3", list="east"),
            entry("claim.reserved", now, f"{BASE}00", "p9", list="north", session="s-2", expires_at=ends),
            entry("claim.reserved", now, f"{BASE}01", "p3", list="north", session="s-2", expires_at=ends),
        ],
    }


def test_settles_an_expired_reservation_without_granting_it_to_a_rep_who_removed_it(bench: Bench) -> None:
    """An expiry is written once, with its instant, even where the claim itself takes nobody."""
    bench.make_list("solo", ["p9"])
    got = bench.take("solo")
    bench.call("dispose", got.id, "connected", 1, "", 0)
    bench.age("csv:p9", DAY_MS + 5)
    before = bench.snapshot()
    assert bench.claim("solo")[2:4] == [[], 0]
    expired_at = got.ends - DAY_MS - 5
    assert bench.changes(before) == {
        **freed(got.id, "p9", place(0), lists=["solo"]),
        "history+": [entry("reservation.expired", expired_at, got.id, "p9", list="solo")],
    }


def test_more_due_than_one_call_settles_grants_nothing(bench: Bench) -> None:
    """256 prospects a call: while more is due the reply is 'more'; then all are back, each in the history exactly once at its own instant."""
    prospects = [f"q{number:03d}" for number in range(300)]
    bench.make_list("long", prospects)
    taken = [got for _ in range(6) for got in bench.taken("long", count=50, hold_ms=30_000)]
    for number, got in enumerate(taken):
        bench.age(f"csv:{got.prospect}", 40_000 + number)
    before = bench.snapshot()
    assert bench.claim("long", key="k", count=2)[0] == "more"
    changed = bench.changes(before)
    assert len(changed["history+"]) == 256
    assert len([path for path in changed if path.startswith("list:long:available[")]) == 256
    assert "idempotency:k" not in changed
    assert not any(path.startswith("reservation:") for path in changed)
    reply = bench.claim("long", key="k", count=2)
    assert [got.prospect for got in rows(reply)] == prospects[:2]
    lapses = [(told["claim"], told["at"]) for told in bench.history() if told["type"] == "claim.lapsed"]
    assert sorted(lapses) == sorted((got.id, got.ends - 40_000 - number) for number, got in enumerate(taken))


def test_settling_stops_at_512_moves(bench: Bench) -> None:
    """A prospect in 20 lists is 20 moves, so 26 prospects are one call's work."""
    prospects = [f"q{number:02d}" for number in range(40)]
    for number in range(20):
        bench.make_list(f"l{number}", prospects)
    for got in bench.taken("l0", count=40, hold_ms=30_000):
        bench.age(f"csv:{got.prospect}", 40_000)
    before = bench.snapshot()
    assert bench.claim("l0")[0] == "more"
    assert len(bench.changes(before)["history+"]) == 26
    assert bench.claim("l7")[0] == "claimed"
    assert len([told for told in bench.history() if told["type"] == "claim.lapsed"]) == 40


def test_a_grant_stops_at_800_moves(bench: Bench) -> None:
    """Of 50 prospects in 20 lists each, 40 are granted; fewer than asked for does not mean dry."""
    prospects = [f"q{number:02d}" for number in range(60)]
    for number in range(20):
        bench.make_list(f"l{number}", prospects)
    reply = bench.claim("l3", count=50)
    assert [got.prospect for got in rows(reply)] == prospects[:40]
    assert reply[3] == 20


def test_one_prospect_in_64_lists_is_granted_in_all_of_them(bench: Bench) -> None:
    """The most that a prospect can be in, and the others behind it still follow."""
    for number in range(64):
        bench.make_list(f"l{number}", ["q1", f"x{number}"])
    assert bench.take("l63", hold_ms=9_000).prospect == "q1"
    for number in range(64):
        assert bench.server("ZRANGE", bench.key(f"list:l{number}:held"), 0, -1) == ["q1"]
    bench.age("csv:q1", 10_000)
    assert [got.prospect for got in bench.taken("l5", count=2)] == ["q1", "x5"]


# Repeats (R15)


def test_a_repeat_takes_nothing_more(bench: Bench) -> None:
    """R15: the same key and digest, with another base even, returns the same claims and writes nothing new."""
    first = bench.claim(key="k", base=BASE, count=2)
    before = bench.snapshot()
    again = bench.claim(key="k", base="ponmlkjihgfedcba", count=2)
    assert again[0] == "repeated"
    assert rows(again) == rows(first)
    assert again[3:] == first[3:]
    assert bench.changes(before) == {}


def test_a_repeat_with_another_digest_is_refused(bench: Bench) -> None:
    """Another request under the same key takes nothing and learns nothing."""
    bench.claim(key="k", digest="one")
    before = bench.snapshot()
    reply = bench.claim(key="k", digest="two")
    assert (reply[0], len(reply)) == ("reused", 2)
    assert bench.changes(before) == {}


def test_a_key_forgotten_is_a_new_request(bench: Bench) -> None:
    """The token lives as long as it is told, and no longer."""
    first = bench.take(key="k", kept_ms=5_000)
    assert 0 < bench.server("PTTL", bench.key("idempotency:k")) <= 5_000
    bench.server("PEXPIREAT", bench.key("idempotency:k"), 1)
    assert bench.take(key="k").prospect != first.prospect


def _as_it_is(bench: Bench, id_: str) -> None:
    """Nothing happens to the claim."""


def _attempted(bench: Bench, id_: str) -> None:
    assert bench.call("attempt", id_)[0] == "claim"


def _released(bench: Bench, id_: str) -> None:
    assert bench.call("release", id_)[0] == "released"


def _past(bench: Bench, id_: str) -> None:
    bench.age("csv:p1", 40_000 if bench.server("HGET", bench.key(f"claim:{id_}"), "state") == "held" else DAY_MS + 1)


def _settled(bench: Bench, id_: str) -> None:
    _past(bench, id_)
    assert bench.call("settle")[0] == "settled"


def _taken_again(bench: Bench, id_: str) -> None:
    _past(bench, id_)
    assert bench.take(rep="bob", session="s-2").prospect == "p1"


def _released_and_taken(bench: Bench, id_: str) -> None:
    _released(bench, id_)
    assert bench.take(rep="ana", session="s-1").prospect == "p1"


def _list_deleted(bench: Bench, _: str) -> None:
    reply = bench.call("delete_list", "west", "{}")
    while bench.call("sweep_list", reply[2])[2]:
        pass


def _key_deleted(bench: Bench, _: str) -> None:
    bench.server("DEL", bench.key("reservation:csv:p1"))


@pytest.mark.parametrize(
    ("hold_ms", "then", "state"),
    [
        (30_000, _as_it_is, "held"),
        (0, _as_it_is, "reserved"),
        (30_000, _attempted, "reserved"),
        (30_000, _released, None),
        (30_000, _past, None),
        (30_000, _settled, None),
        (0, _past, None),
        (0, _settled, None),
        (0, _taken_again, None),
        (30_000, _taken_again, None),
        (30_000, _released_and_taken, None),
        (0, _list_deleted, "reserved"),
        (30_000, _list_deleted, "held"),
        (0, _key_deleted, "reserved"),
        (30_000, _key_deleted, "held"),
    ],
)
def test_a_repeat_tells_what_still_stands(bench: Bench, hold_ms: int, then: Any, state: str | None) -> None:
    """R15: a repeat returns its claim while it is its own, never once somebody has it, and takes nobody in its place."""
    got = bench.take(key="k", hold_ms=hold_ms)
    then(bench, got.id)
    before = bench.snapshot()
    reply = bench.claim(key="k", hold_ms=hold_ms)
    assert reply[0] == "repeated"
    assert [(told.id, told.prospect, told.state) for told in rows(reply)] == ([(got.id, "p1", state)] if state else [])
    mended = {"reservation:csv:p1", "reservation:csv:p1 ttl"} if then is _key_deleted else set()
    assert bench.changes(before).keys() == mended


def test_a_repeat_tells_only_those_of_its_claims_that_stand(bench: Bench) -> None:
    """R15: of three, one was released and one attempted."""
    one, two, three = bench.taken(key="k", count=3, hold_ms=30_000)
    bench.call("release", one.id)
    bench.call("attempt", two.id)
    assert [(got.id, got.state) for got in rows(bench.claim(key="k", count=3, hold_ms=30_000))] == [(two.id, "reserved"), (three.id, "held")]


def test_a_repeat_of_what_was_handed_over_unreserved(bench: Bench) -> None:
    """R9, R15: what was taken while multi-rep dialing was off stands as long as its key is remembered, and the repeat moves no place."""
    bench.terms["csv"].enabled = False
    first = bench.claim(key="k", count=2)
    before = bench.snapshot()
    again = bench.claim(key="k", count=2)
    assert again[0] == "repeated"
    assert rows(again) == rows(first)
    assert again[3:] == first[3:] == [3, None, 0]
    assert bench.changes(before) == {}


# Removed members (R10)


def remove(bench: Bench, list_: str, rep: str, prospects: list[str]) -> None:
    """What `dispose` would write, for more members than a test wants to call."""
    flat = [word for prospect in prospects for word in (prospect, "1 x")]
    bench.server("HSET", bench.key(f"list:{list_}:removed:{rep}"), *flat)
    bench.server("SADD", bench.key(f"list:{list_}:removers"), rep)


def test_who_was_removed_is_not_handed_to_that_rep_from_that_list(bench: Bench) -> None:
    """R10: others are handed them still, and the same rep from another list."""
    remove(bench, "west", "ana", ["p1", "p3"])
    assert bench.claim("west", rep="eve", session="s-3", count=1, hold_ms=5_000)[3] == 4
    assert bench.claim("west", count=1)[3] == 2, "ana has p2 now: p4 and p5 are left for her"
    assert [got.prospect for got in bench.taken("west", count=9)] == ["p4", "p5"]
    assert [got.prospect for got in bench.taken("east", count=1)] == ["p3"]
    assert bench.claim("west")[2:4] == [[], 0]


def test_300_removed_members_at_the_head_are_walked_past(bench: Bench) -> None:
    """Where 256 candidates could not be had, the reply carries the place to go on from, and nothing is written but how far all is removed."""
    prospects = [f"q{number:03d}" for number in range(310)]
    bench.make_list("long", prospects)
    remove(bench, "long", "ana", prospects[:300])
    before = bench.snapshot()
    reply = bench.claim("long", key="k", count=2)
    now = reply[1]
    assert reply == ["on", now, place(255)]
    assert bench.changes(before) == {
        "list:long:skips[ana]": f"{now}\n{place(255)}\n",
        "list:long:came[]": now,
        "list:long:skips ttl": now + DAY_MS,
        "list:long:came ttl": now + DAY_MS,
    }
    reply = bench.claim("long", key="k", count=2, after=reply[2])
    assert [got.prospect for got in rows(reply)] == ["q300", "q301"]


def test_the_count_of_what_is_available_to_a_rep_is_exact_for_256_removed(bench: Bench) -> None:
    """256 of 300 members are removed, of which one is reserved."""
    prospects = [f"q{number:03d}" for number in range(300)]
    bench.make_list("long", prospects)
    bench.take("long", rep="eve", session="s-9")
    remove(bench, "long", "ana", prospects[:256])
    assert bench.claim("long")[3] == 300 - 256 - 1


def test_the_time_at_which_the_next_one_frees_is_exact_for_256_removed(bench: Bench) -> None:
    """All of a list is taken, the removed ones first: the rep is told of the one behind them; behind more, of a time that is not later."""
    prospects = [f"q{number:03d}" for number in range(260)]
    bench.make_list("long", prospects)
    ends = {got.prospect: got.ends for got in bench.taken("long", count=50, hold_ms=60_000)}
    for number in range(1, 6):
        ends |= {got.prospect: got.ends for got in bench.taken("long", count=50, hold_ms=60_000 + number * 1_000)}
    remove(bench, "long", "ana", prospects[:256])
    assert bench.claim("long")[3:5] == [0, ends["q256"]]
    remove(bench, "long", "ana", prospects[256:259])
    assert ends["q255"] <= bench.claim("long")[4] <= ends["q259"]


@pytest.mark.parametrize("taken", [1, 257])
def test_a_rep_who_removed_all_who_are_taken_is_told_of_no_time(bench: Bench, taken: int) -> None:
    """Nobody frees for that rep, however many more than 256 are removed: whoever is taken is removed, too."""
    prospects = [f"q{number:03d}" for number in range(300)]
    bench.make_list("long", prospects)
    for left in range(taken, 0, -50):
        bench.taken("long", count=min(50, left), rep="eve", session="s-9")
    remove(bench, "long", "ana", prospects)
    reply = bench.claim("long")
    while reply[0] == "on":
        reply = bench.claim("long", after=reply[2])
    assert [reply[0], *reply[3:5]] == ["claimed", 0, None]


# The witness, and other people's hands


@pytest.mark.parametrize("hold_ms", [0, 60_000])
def test_a_key_deleted_by_hand_frees_nobody(bench: Bench, hold_ms: int) -> None:
    """R6: whatever the index says, `ends` in the future keeps the prospect, and the key is written again as it was."""
    got = bench.take(hold_ms=hold_ms)
    state = "held" if hold_ms else "reserved"
    intact = bench.snapshot()
    bench.server("DEL", bench.key("reservation:csv:p1"))
    bench.server("ZREM", bench.key(f"list:west:{state}"), "p1")
    bench.server("ZADD", bench.key("list:west:available"), place(0), "p1")
    reply = bench.claim(count=5, rep="bob", session="s-2")
    assert [told.prospect for told in rows(reply)] == ["p2", "p3", "p4", "p5"]
    after = bench.snapshot()
    for key in ("reservation:csv:p1", "ends", "claim-of", f"list:west:{state}", f"claim:{got.id}"):
        now, then = after[bench.key(key)], intact[bench.key(key)]
        assert now.expires_at_ms == then.expires_at_ms
        assert now.value.items() >= then.value.items()


def test_a_key_deleted_by_hand_frees_nobody_though_the_only_candidate(bench: Bench) -> None:
    """R6: mended, and since nothing could be had, 'on' to the next."""
    got = bench.take()
    bench.server("DEL", bench.key("reservation:csv:p1"))
    bench.server("ZREM", bench.key("list:west:reserved"), "p1")
    bench.server("ZADD", bench.key("list:west:available"), place(0), "p1")
    before = bench.snapshot()
    reply = bench.claim(key="k")
    assert (reply[0], reply[2]) == ("on", place(0))
    assert bench.changes(before) == {
        "reservation:csv:p1": reservation(got.id, got.ends - DAY_MS, got.ends),
        "reservation:csv:p1 ttl": got.ends,
        **moved("p1", ["west"], "available", "reserved", got.ends),
    }


def test_a_key_set_by_an_operator_is_obeyed_until_it_ends(bench: Bench) -> None:
    """A key that no claim explains keeps the prospect from everybody in all lists until its own end, and is back then."""
    until = bench.claim("east")[1] + HOUR_MS
    bench.call("settle")
    bench.server("SET", bench.key("reservation:csv:p4"), "hands off", "PXAT", until)
    before = bench.snapshot()
    reply = bench.claim("east", key="k")
    assert reply[0] == "on"
    assert bench.changes(before) == moved("p4", ["west", "east"], "available", "reserved", until)
    assert bench.take("east").prospect == "p5"
    assert bench.claim("east")[4] == until
    for list_ in ("west", "east"):
        bench.server("ZADD", bench.key(f"list:{list_}:reserved"), 1, "p4")
    bench.server("PEXPIREAT", bench.key("reservation:csv:p4"), 1)
    before = bench.snapshot()
    assert bench.take("east").prospect == "p4"
    assert [told["type"] for told in bench.changes(before)["history+"]] == ["claim.reserved"], "nobody of ours had the prospect before"


@pytest.mark.leaves("an operator's key without TTL")
def test_a_key_without_ttl_set_by_an_operator_is_obeyed_as_long_as_it_is_there(bench: Bench) -> None:
    """It is looked at again every minute, and granted as soon as it is gone then."""
    bench.server("SET", bench.key("reservation:csv:p1"), "hands off")
    before = bench.snapshot()
    reply = bench.claim()
    assert reply[0] == "on"
    assert bench.changes(before) == moved("p1", ["west"], "available", "reserved", reply[1] + 60_000)
    bench.server("ZADD", bench.key("list:west:reserved"), reply[1] - 1, "p1")
    before = bench.snapshot()
    reply = bench.claim(key="k", base=BASE)
    now = reply[1]
    assert rows(reply)[0].prospect == "p2"
    assert bench.changes(before)["list:west:reserved[p1]"] == now + 60_000
    bench.server("ZADD", bench.key("list:west:reserved"), now - 1, "p1")
    bench.server("DEL", bench.key("reservation:csv:p1"))
    assert bench.take().prospect == "p1"


@pytest.mark.parametrize(("hold_ms", "lasts_ms", "ended"), [(0, DAY_MS, "reservation.expired"), (60_000, 60_000, "claim.lapsed")])
def test_a_key_of_ours_that_an_operator_made_persistent_goes_at_its_end(bench: Bench, hold_ms: int, lasts_ms: int, ended: str) -> None:
    """PERSIST makes nobody stuck: the end of the hold or reservation is what it was."""
    got = bench.take(hold_ms=hold_ms)
    bench.server("PERSIST", bench.key("reservation:csv:p1"))
    assert bench.take(session="s-2").prospect == "p2"
    bench.age("csv:p1", lasts_ms + 5_000)
    assert bench.server("EXISTS", bench.key("reservation:csv:p1")) == 1
    again = bench.take(session="s-2")
    assert again.prospect == "p1"
    assert again.id != got.id
    assert [(told["claim"], told["at"]) for told in bench.history() if told["type"] == ended] == [(got.id, got.ends - lasts_ms - 5_000)]


def test_a_key_whose_life_an_operator_cut_short_is_written_again(bench: Bench) -> None:
    """R6: the witness stands until the expiry, so the prospect does."""
    got = bench.take()
    bench.server("PEXPIREAT", bench.key("reservation:csv:p1"), 1)
    assert [told.prospect for told in bench.taken(count=9)] == ["p2", "p3", "p4", "p5"]
    assert bench.call("read_taken", "csv:p1")[2][0][10] in {got.expires_at, str(got.expires_at)}
    assert bench.claim_one("p1")[0] == "prospect-reserved"
    assert bench.server("PEXPIRETIME", bench.key("reservation:csv:p1")) == got.ends


def test_past_in_the_witness_but_not_in_the_index_is_settled_on_the_way(bench: Bench) -> None:
    """A candidate that `ends` says is past is settled, once, and granted."""
    got = bench.take(hold_ms=5_000)
    bench.age("csv:p1", 6_000)
    bench.server("ZREM", bench.key("list:west:held"), "p1")
    bench.server("ZADD", bench.key("list:west:available"), place(0), "p1")
    assert bench.take(session="s-2").prospect == "p1"
    assert [told["claim"] for told in bench.history() if told["type"] == "claim.lapsed"] == [got.id]


def test_an_index_that_is_due_before_the_witness_frees_nobody(bench: Bench) -> None:
    """R6: an index entry that is past while `ends` is not is put right, and nothing is in the history."""
    got = bench.take()
    bench.server("ZADD", bench.key("list:west:reserved"), 1, "p1")
    before = bench.snapshot()
    assert bench.claim("west", key="k", base=BASE)[0] == "claimed"
    changed = bench.changes(before)
    assert changed["list:west:reserved[p1]"] == got.ends
    assert [told["type"] for told in changed["history+"]] == ["claim.reserved"]


def test_a_broken_index_of_another_list_does_not_stop_a_grant(bench: Bench) -> None:
    """It is stepped over and noted for mending; the grant is whole everywhere else."""
    bench.server("DEL", bench.key("list:east:reserved"))
    bench.server("SET", bench.key("list:east:reserved"), "not an index")
    before = bench.snapshot()
    reply = bench.claim(count=3, key="k", base=BASE)
    now = reply[1]
    ends = now + DAY_MS
    ids = [f"{BASE}{number:02d}" for number in range(3)]
    expected: dict[str, Any] = token("k", now, *ids)
    for id_, prospect in zip(ids, ["p1", "p2", "p3"], strict=True):
        expected |= granted(id_, prospect, now, ends)
    assert bench.changes(before) == {
        **expected,
        "list:east:available[p3]": GONE,
        "broken[east]": True,
        "history+": [entry("claim.reserved", now, id_, f"p{number}", expires_at=ends) for number, id_ in enumerate(ids, 1)],
    }
    bench.server("DEL", bench.key("list:east:reserved"), bench.key("broken"))
    bench.server("ZADD", bench.key("list:east:reserved"), ends, "p3")
