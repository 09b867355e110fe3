"""dispose: the outcome of a call, and a rep's remove (R10)."""

import json
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.contract.lua.expected import entry
from tests.support.builders import Bench, Row, Terms


def dispose(bench: Bench, got: Row, outcome: str = "busy", *, remove: bool = False, note: str | None = None) -> list[Any]:
    return bench.call("dispose", got.id, outcome, int(remove), note or "", int(note is not None))


def recorded(bench: Bench, got: Row) -> list[dict[str, Any]]:
    """The dispositions of the claim in the history."""
    return [told["detail"] for told in bench.history() if told["type"] == "disposition.recorded" and told["claim"] == got.id]


def test_records_an_outcome(bench: Bench) -> None:
    """With the claim, note and all; in the history without the note. It never changes a reservation."""
    got = bench.take()
    before = bench.snapshot()
    reply = dispose(bench, got, "connected", note="spoke to Dana, +1 415 555 0100")
    now = reply[1]
    assert reply == ["recorded", now]
    assert bench.changes(before) == {
        f"claim:{got.id}[disposition]": {"outcome": "connected", "remove": False, "note": "spoke to Dana, +1 415 555 0100", "at": str(now)},
        f"notes:csv:p1[{got.id}]": True,
        "notes:csv:p1 ttl": got.ends + 9 * DAY_MS,
        "history+": [entry("disposition.recorded", now, got.id, "p1", detail={"outcome": "connected", "remove": False})],
    }


@pytest.mark.parametrize("note", [None, "", "x", 'quotes " and \\ and \u00e9 and \U0001f600', "line\nbreak", "a/b", "%s", "y" * 2_000])
@pytest.mark.parametrize("remove", [False, True])
def test_the_same_body_again_records_nothing_more(bench: Bench, note: str | None, remove: bool) -> None:
    """Whatever the note is made of; no note and an empty one are two bodies."""
    got = bench.take()
    dispose(bench, got, "voicemail", note=note, remove=remove)
    before = bench.snapshot()
    assert dispose(bench, got, "voicemail", note=note, remove=remove)[0] == "recorded"
    assert bench.changes(before) == {}
    assert before[bench.key(f"claim:{got.id}")].value["disposition"]["note"] == note


def test_another_body_replaces_it_and_the_history_has_both(bench: Bench) -> None:
    """And the first one again is another one then."""
    got = bench.take()
    for outcome, note in (("busy", None), ("busy", ""), ("connected", ""), ("busy", None)):
        assert dispose(bench, got, outcome, note=note)[0] == "recorded"
    assert [told["outcome"] for told in recorded(bench, got)] == ["busy", "busy", "connected", "busy"]
    told = json.loads(bench.server("HGET", bench.key(f"claim:{got.id}"), "disposition"))
    assert (told["outcome"], told["note"]) == ("busy", None)


def test_remove_takes_the_prospect_out_of_that_reps_dialing_of_that_list(bench: Bench) -> None:
    """R10: what is written, and that it is written once, whichever later claim removes again."""
    got = bench.take("east", rep="ana@acme.com")
    before = bench.snapshot()
    reply = dispose(bench, got, remove=True)
    now = reply[1]
    who = {"rep": "ana@acme.com", "list": "east"}
    assert bench.changes(before) == {
        f"claim:{got.id}[disposition]": {"outcome": "busy", "remove": True, "note": None, "at": str(now)},
        "list:east:removed:ana@acme.com[p3]": f"{now} {got.id}",
        "list:east:removers[ana@acme.com]": True,
        "list:east:removals[ana@acme.com p3]": 0,
        "history+": [
            entry("disposition.recorded", now, got.id, "p3", detail={"outcome": "busy", "remove": True}, **who),
            entry("prospect.removed", now, got.id, "p3", **who),
        ],
    }
    bench.age("csv:p3", DAY_MS + 1)
    again = Row.of(bench.claim_one("p3", list_="east", rep="ana@acme.com")[2][0])
    before = bench.snapshot()
    dispose(bench, again, remove=True)
    assert set(bench.changes(before)) == {f"claim:{again.id}[disposition]", "history+"}
    assert bench.server("HGET", bench.key("list:east:removed:ana@acme.com"), "p3") == f"{now} {got.id}"


@pytest.mark.parametrize(("mapped", "removes"), [("csv", True), ("hubspot csv", True), ("hubspot salesforce", False), ("", False), ("csv2 xcsv", False)])
def test_an_outcome_removes_by_itself_where_the_setting_says_so(bench: Bench, mapped: str, removes: bool) -> None:
    """R10: of a claim of that integration, once; what was asked for is what is recorded."""
    got = bench.take("east")
    before = bench.snapshot()
    for _ in range(2):
        assert bench.call("dispose", got.id, "busy", 0, "", 0, mapped)[0] == "recorded"
    changes = bench.changes(before)
    assert changes[f"claim:{got.id}[disposition]"]["remove"] is False
    assert [told["type"] for told in changes["history+"]] == ["disposition.recorded"] + ["prospect.removed"] * removes
    assert ("list:east:removals[ana p3]" in changes) is removes


def test_an_outcome_removes_nobody_of_a_claim_without_a_list(bench: Bench) -> None:
    """The setting asks for it of every claim, so it is no refusal."""
    got = Row.of(bench.claim_one("p1")[2][0])
    before = bench.snapshot()
    assert bench.call("dispose", got.id, "busy", 0, "", 0, "csv")[0] == "recorded"
    assert set(bench.changes(before)) == {f"claim:{got.id}[disposition]", "history+"}


def test_a_remove_lasts_though_the_prospect_leaves_and_returns(bench: Bench) -> None:
    """R10: until it is undone or the list is deleted; a list made anew under the same id knows of none."""
    got = bench.take()
    dispose(bench, got, remove=True)
    bench.age("csv:p1", DAY_MS + 1)
    bench.fill("west", ["p2"])
    bench.fill("west", ["p1"])
    assert bench.taken(rep="ana") == []
    aside = bench.call("delete_list", "west", "{}")[2]
    assert bench.call("sweep_list", aside)[2] > 0
    assert not [key for key in bench.snapshot() if ":removed:" in key or ":removers" in key or ":removals" in key]
    bench.make_list("west", ["p1"])
    assert bench.take(rep="ana").prospect == "p1"
    assert bench.call("sweep_list", aside)[2] == 0


def test_a_remove_from_a_list_that_is_gone_is_only_recorded(bench: Bench) -> None:
    """There is nothing to remove from, and no key is left for a list that is not there."""
    got = bench.take()
    bench.call("sweep_list", bench.call("delete_list", "west", "{}")[2])
    before = bench.snapshot()
    assert dispose(bench, got, remove=True)[0] == "recorded"
    assert set(bench.changes(before)) == {f"claim:{got.id}[disposition]", "history+"}


@pytest.mark.parametrize("end", ["reserved", "expired", "settled", "taken again"])
def test_an_outcome_is_recorded_until_long_after_the_end(bench: Bench, end: str) -> None:
    """A late disposition still knows who it was, for 7 days."""
    got = bench.take()
    if end != "reserved":
        bench.age("csv:p1", 2 * DAY_MS)
    if end in {"settled", "taken again"}:
        bench.call("settle")
    if end == "taken again":
        bench.take(rep="bob", session="s-2")
    ttl = bench.snapshot()[bench.key(f"claim:{got.id}")].expires_at_ms
    before = bench.snapshot()
    assert dispose(bench, got)[0] == "recorded"
    assert set(bench.changes(before)) == {f"claim:{got.id}[disposition]", "history+"}
    assert bench.snapshot()[bench.key(f"claim:{got.id}")].expires_at_ms == ttl


@pytest.mark.parametrize("then", ["nothing", "release", "lapse"])
def test_a_hold_that_was_never_attempted_has_no_outcome(bench: Bench, then: str) -> None:
    """Held, released or lapsed: no call was made."""
    got = bench.take(hold_ms=30_000)
    if then == "release":
        bench.call("release", got.id)
    if then == "lapse":
        bench.age("csv:p1", 31_000)
    before = bench.snapshot()
    assert dispose(bench, got)[0] == "claim-not-attempted"
    assert bench.changes(before) == {}


def test_a_hold_that_was_attempted_has_one(bench: Bench) -> None:
    """R4: however the call ended."""
    got = bench.take(hold_ms=30_000)
    bench.call("attempt", got.id)
    assert dispose(bench, got, "cancelled")[0] == "recorded"


def test_an_unreserved_claim_has_one_once_its_call_began(bench: Bench) -> None:
    """R9: with a hold, from its attempt on."""
    bench.terms["csv"] = Terms(enabled=False)
    assert dispose(bench, bench.take())[0] == "recorded"
    got = bench.take(hold_ms=30_000)
    assert dispose(bench, got)[0] == "claim-not-attempted"
    bench.call("attempt", got.id)
    assert dispose(bench, got, remove=True)[0] == "recorded"
    assert bench.server("HKEYS", bench.key("list:west:removed:ana")) == [got.prospect]


def test_a_remove_needs_a_list(bench: Bench) -> None:
    """A claim by id from no list has none to remove from; without remove it is recorded."""
    got = Row.of(bench.claim_one("p1")[2][0])
    before = bench.snapshot()
    assert dispose(bench, got, remove=True)[0] == "no-list"
    assert bench.changes(before) == {}
    assert dispose(bench, got)[0] == "recorded"


def test_of_a_claim_that_is_not_there(bench: Bench) -> None:
    """Nothing is written."""
    before = bench.snapshot()
    assert bench.call("dispose", "abcdefghijklmnop00", "busy", 0, "", 0)[0] == "claim-not-found"
    assert bench.changes(before) == {}
