"""attempt, release, extend: what is done to a claim afterwards."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.contract.lua.expected import entry, moved, place, row
from tests.support.builders import TTL_MS, Bench, Row, Terms, data, reservation
from tests.support.keyspace import GONE

VERBS = [("attempt", ()), ("release", ()), ("extend", (60_000,))]


def held(bench: Bench, list_: str = "east", **how: Any) -> Row:
    """A hold of 30 s on p3, who is in west and east."""
    return bench.take(list_, hold_ms=30_000, **how)


def attempted_changes(got: Row, now: int, length_ms: int, *, lists: tuple[str, ...] = ("west", "east"), last: bool = True) -> dict[str, Any]:
    """What an attempt of a hold must change, but for the history."""
    ends = now + length_ms
    changed: dict[str, Any] = {
        f"reservation:csv:{got.prospect}": reservation(got.id, got.claimed_at or 0, ends, list_=got.list, attempted_ms=now),
        f"reservation:csv:{got.prospect} ttl": ends,
        f"ends[csv:{got.prospect}]": ends,
        f"claim:{got.id}[state]": "reserved",
        f"claim:{got.id}[attempted_at]": now,
        f"claim:{got.id}[expires_at]": ends,
        f"claim:{got.id} ttl": ends + TTL_MS["reserved"],
        f"session:s-1[{got.id}]": GONE,
        **moved(got.prospect, lists, "held", "reserved", ends),
    }
    return changed | ({"session:s-1 ttl": GONE} if last else {})


# attempt


def test_an_attempt_reserves_from_now(bench: Bench) -> None:
    """R2, R5: a hold becomes a reservation whose timeout runs from the attempt, in all its lists, and leaves its session's holds."""
    got = held(bench)
    before = bench.snapshot()
    reply = bench.call("attempt", got.id)
    now = reply[1]
    ends = now + DAY_MS
    assert reply[0] == "claim"
    assert Row.of(reply[2]) == row(got.id, "p3", got.claimed_at or 0, ends, attempted=now, list="east", member=data("p3"))
    assert bench.changes(before) == {
        **attempted_changes(got, now, DAY_MS),
        "history+": [entry("claim.reserved", now, got.id, "p3", list="east", expires_at=ends)],
    }


def test_an_attempt_repeated_moves_nothing(bench: Bench) -> None:
    """R15: the same claim, its expiry unmoved, whatever the timeout is by now (R7)."""
    got = held(bench)
    first = bench.call("attempt", got.id)
    bench.terms["csv"].length_ms = HOUR_MS
    before = bench.snapshot()
    again = bench.call("attempt", got.id)
    assert again[0] == "claim"
    assert Row.of(again[2]) == Row.of(first[2])
    assert bench.changes(before) == {}


def test_an_attempt_of_what_was_reserved_at_once_is_a_repeat(bench: Bench) -> None:
    """A claim without a hold was attempted as it was made."""
    got = bench.take()
    before = bench.snapshot()
    assert Row.of(bench.call("attempt", got.id)[2]) == got
    assert bench.changes(before) == {}


@pytest.mark.parametrize("length_ms", [3_600, HOUR_MS, 25 * HOUR_MS, 365 * DAY_MS])
def test_an_attempt_takes_the_timeout_of_now(bench: Bench, length_ms: int) -> None:
    """R7: what is set between hold and attempt holds for the attempt."""
    got = held(bench)
    bench.terms["csv"].length_ms = length_ms
    before = bench.snapshot()
    reply = bench.call("attempt", got.id)
    changed = bench.changes(before)
    assert {path: value for path, value in changed.items() if path != "history+"} == attempted_changes(got, reply[1], length_ms)


def test_a_hold_taken_while_it_was_on_still_reserves_at_its_attempt(bench: Bench) -> None:
    """R9: though multi-rep dialing was switched off since."""
    got = held(bench)
    bench.terms["csv"].enabled = False
    before = bench.snapshot()
    reply = bench.call("attempt", got.id)
    assert Row.of(reply[2]).state == "reserved"
    assert bench.changes(before)["ends[csv:p3]"] == reply[1] + DAY_MS


def test_an_attempt_needs_terms(bench: Bench) -> None:
    """An integration that the caller does not know is refused, and nothing is written."""
    got = held(bench)
    del bench.terms["csv"]
    before = bench.snapshot()
    assert bench.call("attempt", got.id)[0] == "integration-not-found"
    assert bench.changes(before) == {}


def test_one_of_a_sessions_holds_is_attempted(bench: Bench) -> None:
    """The others stay held, in the session too."""
    got = held(bench)
    other = held(bench)
    before = bench.snapshot()
    reply = bench.call("attempt", got.id)
    changed = bench.changes(before)
    assert {path: value for path, value in changed.items() if path != "history+"} == attempted_changes(got, reply[1], DAY_MS, last=False)
    assert bench.server("ZRANGE", bench.key("session:s-1"), 0, -1) == [other.id]


# release


def test_a_release_gives_the_prospect_back_in_its_place_in_all_its_lists(bench: Bench) -> None:
    """R13: available again where it stood, its claim known for a day."""
    got = held(bench)
    before = bench.snapshot()
    reply = bench.call("release", got.id)
    now = reply[1]
    assert reply == ["released", now]
    assert bench.changes(before) == {
        "reservation:csv:p3": GONE,
        "reservation:csv:p3 ttl": GONE,
        "ends[csv:p3]": GONE,
        "claim-of[csv:p3]": GONE,
        f"claim:{got.id}[state]": "released",
        f"claim:{got.id}[expires_at]": now,
        f"claim:{got.id} ttl": now + DAY_MS,
        f"session:s-1[{got.id}]": GONE,
        "session:s-1 ttl": GONE,
        "list:west:held[p3]": GONE,
        "list:west:available[p3]": place(2),
        "list:east:held[p3]": GONE,
        "list:east:available[p3]": place(0),
        "history+": [entry("claim.released", now, got.id, "p3", list="east")],
    }
    before = bench.snapshot()
    assert bench.call("release", got.id)[0] == "released"
    assert bench.changes(before) == {}, "a repeat changes nothing"


def test_a_repeated_release_frees_nobody_elses_hold(bench: Bench) -> None:
    """A claim is released by its own id only: the next one's hold on the same prospect stays."""
    got = held(bench)
    bench.call("release", got.id)
    theirs = held(bench, rep="bob", session="s-2")
    assert theirs.prospect == "p3"
    before = bench.snapshot()
    assert bench.call("release", got.id)[0] == "released"
    assert bench.changes(before) == {}
    assert bench.call("attempt", theirs.id)[0] == "claim"


def test_a_reservation_cannot_be_released(bench: Bench) -> None:
    """R6: refused with when it expires, before its expiry, after it, and once somebody else has the prospect."""
    got = bench.take()
    before = bench.snapshot()
    reply = bench.call("release", got.id)
    assert (reply[0], reply[2]) == ("reservation-not-removable", got.ends)
    assert bench.changes(before) == {}
    bench.age("csv:p1", DAY_MS + 1_000)
    assert bench.call("release", got.id)[2] == got.ends - DAY_MS - 1_000
    assert bench.take(rep="bob", session="s-2").prospect == "p1"
    before = bench.snapshot()
    assert bench.call("release", got.id)[::2] == ["reservation-not-removable", got.ends - DAY_MS - 1_000]
    assert bench.changes(before) == {}


@pytest.mark.leaves("an operator's key without TTL")
def test_a_release_leaves_an_operators_key(bench: Bench) -> None:
    """A key that somebody set by hand over a hold outlives its release, and is obeyed."""
    got = held(bench)
    bench.server("SET", bench.key("reservation:csv:p3"), "hands off")
    before = bench.snapshot()
    reply = bench.call("release", got.id)
    assert reply[0] == "released"
    changed = bench.changes(before)
    assert "reservation:csv:p3" not in changed
    assert changed["list:west:reserved[p3]"] == changed["list:east:reserved[p3]"] == reply[1] + 60_000
    assert bench.take("east").prospect == "p4"


# extend


@pytest.mark.parametrize(("hold_ms", "state"), [(30_000, "held"), (0, "reserved")])
def test_an_extension_keeps_the_prospect_for_so_long_from_now(bench: Bench, hold_ms: int, state: str) -> None:
    """R16: the key, the witness, the claim and every list end at the new instant."""
    bench.terms["csv"].length_ms = 30_000
    got = bench.take("east", hold_ms=hold_ms)
    before = bench.snapshot()
    reply = bench.call("extend", got.id, 120_000)
    now = reply[1]
    ends = now + 120_000
    assert reply[0] == "claim"
    assert Row.of(reply[2]) == row(got.id, "p3", got.claimed_at or 0, ends, state=state, list="east", member=data("p3"))
    changed = {
        "reservation:csv:p3": reservation(got.id, got.claimed_at or 0, ends, state=state, list_="east"),
        "reservation:csv:p3 ttl": ends,
        "ends[csv:p3]": ends,
        f"claim:{got.id}[expires_at]": ends,
        f"claim:{got.id} ttl": ends + TTL_MS[state],
        f"list:west:{state}[p3]": ends,
        f"list:east:{state}[p3]": ends,
        "history+": [entry("claim.extended", now, got.id, "p3", list="east", expires_at=ends)],
    }
    if state == "reserved":
        changed[f"claim:{got.id}[first_expires_at]"] = got.ends
    assert bench.changes(before) == changed


@pytest.mark.parametrize("hold_ms", [30_000, 0])
def test_an_extension_never_shortens(bench: Bench, hold_ms: int) -> None:
    """What ends later already is told as it is, and nothing is written."""
    got = bench.take("east", hold_ms=hold_ms)
    before = bench.snapshot()
    reply = bench.call("extend", got.id, 5_000)
    assert (reply[0], Row.of(reply[2]).ends) == ("claim", got.ends)
    assert bench.changes(before) == {}


def test_a_hold_can_be_extended_until_8_h_after_its_claim(bench: Bench) -> None:
    """Beyond, the limit is told and nothing is moved; up to it, granted."""
    got = held(bench)
    bench.age("csv:p3", 29_000)
    claimed_at = (got.claimed_at or 0) - 29_000
    limit = claimed_at + 8 * HOUR_MS
    before = bench.snapshot()
    reply = bench.call("extend", got.id, 8 * HOUR_MS)
    assert (reply[0], reply[2]) == ("extension-limit", limit)
    assert bench.changes(before) == {}
    assert bench.call("extend", got.id, HOUR_MS)[0] == "claim"
    for hours in range(2, 8):
        bench.age("csv:p3", HOUR_MS - 1_000)
        claimed_at -= HOUR_MS - 1_000
        assert bench.call("extend", got.id, HOUR_MS)[0] == "claim", hours
    bench.age("csv:p3", HOUR_MS - 1_000)
    claimed_at -= HOUR_MS - 1_000
    assert bench.call("extend", got.id, HOUR_MS)[::2] == ["extension-limit", claimed_at + 8 * HOUR_MS]


def test_a_reservation_can_be_extended_until_24_h_past_its_first_expiry(bench: Bench) -> None:
    """R16: however often it is extended, the bound counts from the first expiry."""
    bench.terms["csv"].length_ms = HOUR_MS
    got = bench.take()
    assert bench.call("extend", got.id, 25 * HOUR_MS + 60_000)[::2] == ["extension-limit", got.ends + DAY_MS]
    assert bench.call("extend", got.id, 20 * HOUR_MS)[0] == "claim"
    before = bench.snapshot()
    reply = bench.call("extend", got.id, 24 * HOUR_MS + 30 * 60_000)
    assert reply[0] == "claim"
    assert f"claim:{got.id}[first_expires_at]" not in bench.changes(before)
    assert bench.call("extend", got.id, 25 * HOUR_MS + 60_000)[::2] == ["extension-limit", got.ends + DAY_MS]


def test_an_extended_reservation_expires_where_it_was_extended_to(bench: Bench) -> None:
    """R13, R16: and is in the history once, at that instant."""
    bench.terms["csv"].length_ms = 30_000
    got = bench.take()
    ends = Row.of(bench.call("extend", got.id, 120_000)[2]).ends
    bench.age("csv:p1", 100_000)
    assert bench.take().prospect == "p2"
    bench.age("csv:p1", 25_000)
    assert bench.take().prospect == "p1"
    assert [told["at"] for told in bench.history() if told["type"] == "reservation.expired"] == [ends - 125_000]


# what is true of all three


@pytest.mark.parametrize(("verb", "more"), VERBS)
def test_of_a_claim_that_is_not_there(bench: Bench, verb: Any, more: tuple[int, ...]) -> None:
    """Never made, or known no more: nothing is written."""
    before = bench.snapshot()
    assert bench.call(verb, "abcdefghijklmnop00", *more)[0] == "claim-not-found"
    assert bench.changes(before) == {}


@pytest.mark.parametrize(("verb", "more"), VERBS)
@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("taken_again", [False, True])
def test_of_a_hold_that_lapsed(bench: Bench, verb: Any, more: tuple[int, ...], settled: bool, taken_again: bool) -> None:
    """Whether or not it was settled, and whoever has the prospect since: it has lapsed, and nothing is written."""
    got = held(bench)
    bench.age("csv:p3", 31_000)
    if settled:
        bench.call("settle")
    if taken_again:
        assert bench.take("east", rep="ana", session="s-1").prospect == "p3"
    before = bench.snapshot()
    reply = bench.call(verb, got.id, *more)
    assert (reply[0], len(reply)) == ("claim-lapsed", 2)
    assert bench.changes(before) == {}


@pytest.mark.parametrize(("verb", "more"), [VERBS[0], VERBS[2]])
def test_of_a_hold_that_was_released(bench: Bench, verb: Any, more: tuple[int, ...]) -> None:
    """It is not its owner's any more, though nobody else's either: do not dial."""
    got = held(bench)
    bench.call("release", got.id)
    before = bench.snapshot()
    assert bench.call(verb, got.id, *more)[0] == "claim-lapsed"
    assert bench.changes(before) == {}


@pytest.mark.parametrize(("verb", "more"), [VERBS[0], VERBS[2]])
@pytest.mark.parametrize("settled", [False, True])
def test_of_a_reservation_that_expired(bench: Bench, verb: Any, more: tuple[int, ...], settled: bool) -> None:
    """The dialer must not dial, and a call that outlasted its reservation cannot take it back."""
    got = bench.take()
    bench.age("csv:p1", DAY_MS + 1)
    if settled:
        bench.call("settle")
    before = bench.snapshot()
    assert bench.call(verb, got.id, *more)[0] == "claim-lapsed"
    assert bench.changes(before) == {}


@pytest.mark.parametrize(("verb", "more"), VERBS)
def test_of_a_hold_whose_key_was_deleted_by_hand(bench: Bench, verb: Any, more: tuple[int, ...]) -> None:
    """The hold stands as the witness says; the verb does what it would have done."""
    got = held(bench)
    bench.server("DEL", bench.key("reservation:csv:p3"))
    assert bench.call(verb, got.id, *more)[0] == {"release": "released"}.get(verb, "claim")


@pytest.mark.parametrize(("verb", "more"), VERBS)
def test_of_a_hold_whose_prospect_left_every_list(bench: Bench, verb: Any, more: tuple[int, ...]) -> None:
    """R12: a claim outlives the membership: nothing is put into a list that has no such member."""
    got = held(bench)
    bench.fill("east", ["p4"])
    bench.fill("west", ["p4"])
    before = bench.snapshot()
    assert bench.call(verb, got.id, *more)[0] == {"release": "released"}.get(verb, "claim")
    assert not [path for path in bench.changes(before) if path.startswith("list:")]


@pytest.mark.parametrize(("verb", "more"), VERBS)
def test_of_a_claim_whose_list_is_gone(bench: Bench, verb: Any, more: tuple[int, ...]) -> None:
    """R12: the other lists follow, the deleted one is not made again."""
    got = held(bench)
    aside = bench.call("delete_list", "east", "{}")[2]
    before = bench.snapshot()
    reply = bench.call(verb, got.id, *more)
    assert reply[0] == {"release": "released"}.get(verb, "claim")
    assert not [path for path in bench.changes(before) if path.startswith("list:east")]
    assert [path for path in bench.changes(before) if path.startswith("list:west")]
    if verb != "release":
        assert Row.of(reply[2]).member == data("p3"), "west still knows the prospect"
    bench.call("sweep_list", aside)


# Unreserved claims (R9)


def unreserved(bench: Bench, hold_ms: int) -> Row:
    bench.terms["csv"] = Terms(enabled=False, switched_on=1)
    return bench.take(hold_ms=hold_ms)


@pytest.mark.parametrize("hold_ms", [0, 30_000])
@pytest.mark.parametrize(("verb", "more"), VERBS[1:])
def test_an_unreserved_claim_has_nothing_to_give_back_or_extend(bench: Bench, verb: Any, more: tuple[int, ...], hold_ms: int) -> None:
    """R9: refused, and nothing is written."""
    got = unreserved(bench, hold_ms)
    before = bench.snapshot()
    assert bench.call(verb, got.id, *more)[0] == "claim-unreserved"
    assert bench.changes(before) == {}


def test_the_attempt_of_an_unreserved_hold(bench: Bench) -> None:
    """R9: it stays unreserved, is known for 7 days from then, and a repeat changes nothing."""
    got = unreserved(bench, 30_000)
    before = bench.snapshot()
    reply = bench.call("attempt", got.id)
    now = reply[1]
    told = Row.of(reply[2])
    assert (reply[0], told.state, told.attempted_at) == ("claim", "unreserved", now)
    assert bench.changes(before) == {
        f"claim:{got.id}[attempted_at]": now,
        f"claim:{got.id} ttl": now + 7 * DAY_MS,
        f"unreserved-ends[{got.id}]": GONE,
        "history+": [entry("claim.attempted", now, got.id, "p1")],
    }
    before = bench.snapshot()
    assert Row.of(bench.call("attempt", got.id)[2]) == told
    assert bench.changes(before) == {}


def test_the_attempt_of_an_unreserved_claim_that_began_with_its_call(bench: Bench) -> None:
    """R9: it is a repeat, whether multi-rep dialing came on since or not."""
    got = unreserved(bench, 0)
    before = bench.snapshot()
    assert Row.of(bench.call("attempt", got.id)[2]) == got
    bench.terms["csv"] = Terms(switched_on=2)
    assert Row.of(bench.call("attempt", got.id)[2]) == got
    assert bench.changes(before) == {}


def test_an_unreserved_hold_runs_out(bench: Bench) -> None:
    """R9: past its end it has lapsed."""
    got = unreserved(bench, 30_000)
    bench.age_unreserved(got.id, 31_000)
    before = bench.snapshot()
    assert bench.call("attempt", got.id)[0] == "claim-lapsed"
    assert bench.changes(before) == {}


@pytest.mark.parametrize("terms", [Terms(switched_on=2), Terms(enabled=False, switched_on=2)])
def test_an_unreserved_hold_lapses_once_multi_rep_dialing_comes_on(bench: Bench, terms: Terms) -> None:
    """R9: even if it went off again since, for somebody may have reserved the prospect between."""
    got = unreserved(bench, 30_000)
    bench.terms["csv"] = terms
    before = bench.snapshot()
    assert bench.call("attempt", got.id)[0] == "claim-lapsed"
    assert bench.changes(before) == {}
