"""claim_one and click_to_call: one particular prospect."""

from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.contract.lua.expected import entry, freed, granted, moved, place, row, rows, token
from tests.support.builders import Bench, Row, Terms, data, reservation
from tests.support.keyspace import GONE

BASE = "abcdefghijklmnop"


def test_reserves_a_prospect_in_all_its_lists(bench: Bench) -> None:
    """R2: claimed by id, from no list, it is reserved in every list that has it."""
    before = bench.snapshot()
    reply = bench.claim_one("p4", key="k", base=BASE)
    now = reply[1]
    ends = now + DAY_MS
    assert reply[0] == "claimed"
    assert rows(reply) == [row(f"{BASE}00", "p4", now, ends, mode="power", list=None, member=data("p4"))]
    assert bench.changes(before) == {
        **granted(f"{BASE}00", "p4", now, ends, lists=["west", "east"], mode="power", list_=None),
        **token("k", now, f"{BASE}00"),
        "history+": [entry("claim.reserved", now, f"{BASE}00", "p4", mode="power", list=None, expires_at=ends)],
    }


def test_holds_one_that_is_in_no_list(bench: Bench) -> None:
    """A prospect need be in no list; then nothing is known of it."""
    before = bench.snapshot()
    reply = bench.claim_one("x1", key="k", base=BASE, hold_ms=5_000)
    now = reply[1]
    assert rows(reply) == [row(f"{BASE}00", "x1", now, now + 5_000, state="held", mode="power", list=None)]
    assert bench.changes(before) == {
        **granted(f"{BASE}00", "x1", now, now + 5_000, state="held", lists=[], mode="power", list_=None),
        **token("k", now, f"{BASE}00"),
        "history+": [entry("claim.held", now, f"{BASE}00", "x1", mode="power", list=None, expires_at=now + 5_000)],
    }


def test_from_a_list_it_is_that_lists_claim(bench: Bench) -> None:
    """With a list given the claim is of that list, out of its order."""
    (got,) = rows(bench.claim_one("p4", list_="east"))
    assert (got.list, got.member) == ("east", data("p4"))
    assert bench.claim_one("p5", list_="west", mode="parallel")[0] == "claimed"
    assert [told.prospect for told in bench.taken(count=9)] == ["p1", "p2", "p3"]


@pytest.mark.parametrize(
    ("prospect", "how", "kind"),
    [
        ("p4", {"list_": "nowhere"}, "list-not-found"),
        ("p1", {"list_": "east"}, "not-a-member"),
        ("x1", {"list_": "west"}, "not-a-member"),
        ("p1", {"list_": "crm"}, "not-a-member"),
        ("p4", {"integration": "fax"}, "integration-not-found"),
        ("p9", {}, "do-not-call"),
        ("p9", {"list_": "west"}, "do-not-call"),
        ("p9", {"list_": "north"}, "do-not-call"),
    ],
)
def test_refuses_before_it_writes(bench: Bench, prospect: str, how: dict[str, Any], kind: str) -> None:
    """What is not there, not a member (a list of another integration with that very id too), or flagged by the CRM in any list of the prospect."""
    bench.make_list("crm", ["p1"], "salesforce")
    bench.make_list("north", [("p9", "do-not-call")])
    bench.fill("west", ["p1", "p2", "p3", "p4", "p5", "p9"])
    before = bench.snapshot()
    assert bench.claim_one(prospect, **how)[0] == kind
    assert bench.changes(before) == {}


def test_one_without_a_phone_can_be_claimed_by_id(bench: Bench) -> None:
    """Undialable for a list, it moves in none of its indexes."""
    before = bench.snapshot()
    reply = bench.claim_one("p6", key="k", base=BASE, mode="parallel", list_="east")
    now = reply[1]
    ends = now + DAY_MS
    assert bench.changes(before) == {
        **granted(f"{BASE}00", "p6", now, ends, lists=[], list_="east"),
        **token("k", now, f"{BASE}00"),
        "history+": [entry("claim.reserved", now, f"{BASE}00", "p6", list="east", expires_at=ends)],
    }


@pytest.mark.parametrize("hold_ms", [0, 60_000])
@pytest.mark.parametrize("who", [{"rep": "ana", "session": "s-1"}, {"rep": "bob", "session": "s-2"}])
def test_what_somebody_has_is_refused_with_who_and_until_when(bench: Bench, hold_ms: int, who: dict[str, Any]) -> None:
    """A hold or a reservation, one's own included, is told and nothing is changed."""
    got = bench.take(hold_ms=hold_ms)
    before = bench.snapshot()
    reply = bench.claim_one("p1", **who)
    assert reply[0] == "prospect-reserved"
    assert Row.of(reply[2]) == row(got.id, "p1", got.claimed_at or 0, got.ends, state=got.state)
    assert bench.changes(before) == {}


def test_a_key_deleted_by_hand_frees_nobody(bench: Bench) -> None:
    """R6: the witness stands, the key is written again as it was."""
    got = bench.take()
    before = bench.snapshot()
    bench.server("DEL", bench.key("reservation:csv:p1"))
    reply = bench.claim_one("p1")
    assert (reply[0], Row.of(reply[2]).id) == ("prospect-reserved", got.id)
    assert bench.changes(before) == {}


def test_a_claim_and_its_key_deleted_by_hand_free_nobody(bench: Bench) -> None:
    """R6: nobody knows any more who it was, but until when is known, and told."""
    got = bench.take()
    bench.server("DEL", bench.key("reservation:csv:p1"), bench.key(f"claim:{got.id}"))
    reply = bench.claim_one("p1")
    assert reply[0] == "prospect-reserved"
    told = Row.of(reply[2])
    assert (told.id, told.prospect, told.state, told.rep, told.expires_at) == ("", "p1", "reserved", None, got.ends)
    bench.server("ZADD", bench.key("ends"), 1, "csv:p1")
    bench.server("ZADD", bench.key("list:west:reserved"), 1, "p1")
    assert bench.claim_one("p1")[0] == "claimed"


@pytest.mark.leaves("an operator's key without TTL")
@pytest.mark.parametrize("ttl", [True, False])
def test_a_key_set_by_an_operator_is_obeyed(bench: Bench, ttl: bool) -> None:
    """Nobody of ours has the prospect, and still it is refused, with the key's end if it has one."""
    now = bench.call("settle")[1]
    until = now + HOUR_MS if ttl else None
    bench.server("SET", bench.key("reservation:csv:p1"), "hands off", *(("PXAT", until) if until else ()))
    before = bench.snapshot()
    reply = bench.claim_one("p1")
    assert reply[0] == "prospect-reserved"
    told = Row.of(reply[2])
    assert (told.id, told.integration, told.prospect, told.state, told.rep, told.session, told.expires_at) == ("", "csv", "p1", "reserved", None, None, until)
    assert bench.changes(before) == moved("p1", ["west"], "available", "reserved", until or reply[1] + 60_000)


@pytest.mark.parametrize("hold_ms", [0, 60_000])
def test_what_was_obeyed_is_granted_whole_once_the_key_is_gone(bench: Bench, hold_ms: int) -> None:
    """An operator who takes a key back at once frees the prospect for a claim by id at once, and it stands in one index of each list."""
    bench.server("SET", bench.key("reservation:csv:p4"), "hands off")
    bench.claim_one("p4")
    bench.server("DEL", bench.key("reservation:csv:p4"))
    before = bench.snapshot()
    reply = bench.claim_one("p4", key="k", base=BASE, hold_ms=hold_ms, mode="parallel")
    now = reply[1]
    state, ends = ("held", now + hold_ms) if hold_ms else ("reserved", now + DAY_MS)
    expected = granted(f"{BASE}00", "p4", now, ends, state=state, lists=["west", "east"], list_=None) | token("k", now, f"{BASE}00")
    for list_ in ("west", "east"):
        del expected[f"list:{list_}:available[p4]"]
        expected |= {f"list:{list_}:reserved[p4]": GONE} if hold_ms else {}
    expected["history+"] = [entry(f"claim.{state}", now, f"{BASE}00", "p4", list=None, expires_at=ends)]
    assert bench.changes(before) == expected


def test_one_that_is_past_is_settled_and_granted(bench: Bench) -> None:
    """R13: at the instant of its end, with its lapse in the history first."""
    got = bench.take("east", hold_ms=10_000)
    bench.age("csv:p3", 11_000)
    before = bench.snapshot()
    reply = bench.claim_one("p3", key="k", base=BASE, mode="parallel", rep="bob", session="s-2")
    now = reply[1]
    expected = freed(got.id, "p3", 0, state="held", lists=["west", "east"])
    expected |= granted(f"{BASE}00", "p3", now, now + DAY_MS, lists=["west", "east"], list_=None, rep="bob", session="s-2")
    for list_ in ("west", "east"):
        del expected[f"list:{list_}:available[p3]"]
    assert bench.changes(before) == {
        **expected,
        **token("k", now, f"{BASE}00"),
        "history+": [
            entry("claim.lapsed", got.ends - 11_000, got.id, "p3", list="east"),
            entry("claim.reserved", now, f"{BASE}00", "p3", list=None, rep="bob", session="s-2", expires_at=now + DAY_MS),
        ],
    }


def test_a_repeat_takes_nothing_more(bench: Bench) -> None:
    """R15: 'repeated' with the claim as it stands, also where it stands no more, and when the prospect is somebody else's by now."""
    first = bench.claim_one("p1", key="k", hold_ms=10_000)
    before = bench.snapshot()
    again = bench.claim_one("p1", key="k", hold_ms=10_000)
    assert again[0] == "repeated"
    assert rows(again) == rows(first)
    assert bench.changes(before) == {}
    bench.age("csv:p1", 11_000)
    assert bench.claim_one("p1", key="k", hold_ms=10_000)[::2] == ["repeated", []]
    assert bench.claim_one("p1", rep="bob", session="s-2")[0] == "claimed"
    assert bench.claim_one("p1", key="k", hold_ms=10_000)[::2] == ["repeated", []]


def test_a_repeat_with_another_digest_is_refused(bench: Bench) -> None:
    """The key is remembered over both ways of claiming."""
    bench.claim_one("p1", key="k", digest="one")
    before = bench.snapshot()
    assert bench.claim_one("p2", key="k", digest="two")[0] == "reused"
    assert bench.claim(key="k", digest="two")[0] == "reused"
    assert bench.changes(before) == {}


def test_what_a_refusal_did_not_take_is_not_remembered(bench: Bench) -> None:
    """A key whose request was refused is free for a repeat that may fare better."""
    got = bench.take(hold_ms=10_000)
    assert bench.claim_one("p1", key="k")[0] == "prospect-reserved"
    bench.call("release", got.id)
    assert bench.claim_one("p1", key="k")[0] == "claimed"


def test_while_multi_rep_dialing_is_off_nothing_is_reserved_and_nobody_blocked(bench: Bench) -> None:
    """R9: granted though somebody has a reservation, which stays what it is."""
    bench.take()
    bench.terms["csv"] = Terms(enabled=False, switched_on=1)
    before = bench.snapshot()
    reply = bench.claim_one("p1", key="k", base=BASE, rep="bob", session="s-2", list_="west")
    now = reply[1]
    id_ = f"{BASE}00"
    who: dict[str, Any] = {"rep": "bob", "session": "s-2", "mode": "power"}
    assert rows(reply) == [row(id_, "p1", now, None, state="unreserved", member=data("p1"), **who)]
    fields: dict[str, Any] = {
        **who,
        "integration": "csv",
        "prospect": "p1",
        "list": "west",
        "state": "unreserved",
        "claimed_at": now,
        "attempted_at": now,
        "switched_on": 1,
    }
    assert bench.changes(before) == {
        **{f"claim:{id_}[{name}]": value for name, value in fields.items()},
        f"claim:{id_} ttl": now + 7 * DAY_MS,
        **token("k", now, id_),
        "history+": [entry("claim.unreserved", now, id_, "p1", **who)],
    }


ODD = ["a b", "a:b", "{p}", "*", "100%", "é", "日本", "~.-_@+", "a%2Fb", "..", "p" * 255, "\U0001f600", "a'b\"c\\d", "%", "x\u00a0y"]


@pytest.mark.parametrize("prospect", ODD)
def test_ids_are_data(bench: Bench, prospect: str) -> None:
    """Whatever an id is made of, it is one part of one key, and what is told of it is what was sent."""
    bench.make_list("odd", [prospect])
    before = bench.snapshot()
    reply = bench.claim_one(prospect, key=prospect, base=BASE, list_="odd", rep=prospect, session=prospect, hold_ms=9_000)
    now = reply[1]
    who: dict[str, Any] = {"rep": prospect, "session": prospect, "mode": "power"}
    assert (rows(reply)[0].prospect, rows(reply)[0].rep, rows(reply)[0].session) == (prospect, prospect, prospect)
    changed = bench.changes(before)
    expected = granted(f"{BASE}00", prospect, now, now + 9_000, state="held", lists=["odd"], list_="odd", **who)
    assert {path: changed[path] for path in expected} == expected
    assert bench.call("read_taken", f"csv:{prospect}")[2][0][2] == prospect


# click to call


def test_click_to_call_is_told_and_blocks_nobody(bench: Bench) -> None:
    """R3: nothing but the history is written, and it is there twice if it was asked twice."""
    before = bench.snapshot()
    first = bench.call("click_to_call", "csv", "p1", "west", "ana", "s-1")
    again = bench.call("click_to_call", "csv", "p1", "", "ana", "s-1")
    assert [first[0], *first[2:]] == [again[0], *again[2:]] == ["told", None, 0]
    assert bench.changes(before) == {
        "history+": [
            entry("click_to_call", first[1], None, "p1", mode="click_to_call"),
            entry("click_to_call", again[1], None, "p1", mode="click_to_call", list=None),
        ]
    }
    assert bench.take().prospect == "p1"


@pytest.mark.parametrize("hold_ms", [0, 60_000])
def test_click_to_call_is_never_blocked(bench: Bench, hold_ms: int) -> None:
    """R3: who has the prospect is told, for the rep to see, until that is past."""
    got = bench.take(hold_ms=hold_ms)
    reply = bench.call("click_to_call", "csv", "p1", "", "bob", "s-2")
    assert (reply[0], Row.of(reply[2])) == ("told", row(got.id, "p1", got.claimed_at or 0, got.ends, state=got.state))
    bench.age("csv:p1", (hold_ms or DAY_MS) + 1_000)
    assert bench.call("click_to_call", "csv", "p1", "", "bob", "s-2")[2] is None


def test_click_to_call_tells_of_the_flag(bench: Bench) -> None:
    """The CRM's Do Not Call flag, in whichever list of the prospect, forbids nothing here and is told."""
    bench.make_list("north", [("p1", "do-not-call")])
    assert bench.call("click_to_call", "csv", "p1", "west", "ana", "s-1")[2:] == [None, 1]


@pytest.mark.parametrize(("list_", "kind"), [("nowhere", "list-not-found"), ("east", "not-a-member"), ("crm", "not-a-member")])
def test_click_to_call_refuses_what_is_no_member(bench: Bench, list_: str, kind: str) -> None:
    """With a list given it must have the prospect."""
    bench.make_list("crm", ["p1"], "hubspot")
    before = bench.snapshot()
    assert bench.call("click_to_call", "csv", "p1", list_, "ana", "s-1")[0] == kind
    assert bench.changes(before) == {}


def test_the_key_says_what_a_person_at_a_terminal_wants_to_know(bench: Bench) -> None:
    """GET on the key tells who, which session and list, since when and until when; its TTL is that end."""
    got = bench.take(hold_ms=7_000, rep='o"neil', session="s\\2")
    told = bench.snapshot()[bench.key("reservation:csv:p1")]
    assert told.value == reservation(got.id, got.claimed_at or 0, got.ends, state="held", rep='o"neil', session="s\\2")
    assert told.expires_at_ms == got.ends
    assert place(0) < 0
