"""The replay of a history: each violation by its kind and words, and nothing of what the rules allow."""

from dataclasses import replace
from typing import Any

import pytest

from reservoir.domain.history import Entry
from reservoir.domain.proof import Replay, Standing
from reservoir.domain.times import DAY_MS, HOUR_MS

T = 1_795_000_000_000


def entry(type_: str, claim: str | None, at_ms: int, until_ms: int | None = None, prospect: str | None = "p1") -> Entry:
    ends = None if until_ms is None else T + until_ms
    return Entry(f"{T + at_ms + 5}-0", type_, T + at_ms, T + at_ms + 5, integration="csv", prospect=prospect, claim=claim, expires_at_ms=ends)


def replayed(*entries: Entry, whole: bool = True) -> Replay:
    replay = Replay(T, whole=whole)
    for one in entries:
        replay.record(one)
    return replay


HELD = entry("claim.held", "a", 0, 60)
RESERVED = entry("claim.reserved", "a", 0, 1_000)
EXTENDED = entry("claim.extended", "a", 50, 900)


@pytest.mark.parametrize(
    ("entries", "kind", "said"),
    [
        ([entry("claim.held", None, 0, 60)], "impossible", "does not say who or until when"),
        ([entry("claim.reserved", "a", 0)], "impossible", "does not say who or until when"),
        ([entry("claim.reserved", "a", 0, -1)], "wrong-end", "before it begins"),
        ([RESERVED, entry("claim.reserved", "a", 5, 1_000, "p2")], "impossible", "has csv:p1 already"),
        ([RESERVED, entry("claim.reserved", "a", 5, 1_005)], "impossible", "granted again"),
        ([HELD, entry("claim.held", "a", 5, 60)], "impossible", "granted again"),
        ([HELD, entry("claim.reserved", "a", 61, 1_000)], "impossible", "after its hold had lapsed"),
        ([HELD, entry("claim.extended", "a", 61, 100)], "impossible", "was extended"),
        ([RESERVED, entry("claim.extended", "a", 5, 999)], "wrong-end", "was shortened"),
        ([HELD, entry("claim.extended", "a", 5, 8 * HOUR_MS + 1)], "wrong-end", "beyond its limit"),
        ([RESERVED, entry("claim.extended", "a", 5, 1_000 + DAY_MS + 1)], "wrong-end", "beyond its limit"),
        ([HELD, entry("claim.released", "a", 61)], "impossible", "was released"),
        ([HELD, entry("claim.lapsed", "a", 61)], "wrong-end", "though it was to end"),
        ([HELD, entry("claim.lapsed", "a", 59)], "early-end", "though it was to stand"),
        ([HELD, entry("claim.lapsed", "b", 60)], "impossible", "did not have the prospect"),
        ([RESERVED, replace(entry("claim.lapsed", "a", 1_000), detail={"reserved": False})], "impossible", "ended as claim.lapsed"),
        ([HELD, EXTENDED, entry("claim.held", "b", 900, 960)], "double-dial", "while a had the prospect"),
        ([HELD, entry("claim.lapsed", "a", 60), entry("claim.held", "b", 60, 90)], "double-dial", "while a had the prospect"),
    ],
)
def test_what_no_rule_allows(entries: list[Entry], kind: str, said: str) -> None:
    """It is found, by its kind, and nothing else is."""
    (found,) = replayed(*entries).findings.shown
    assert (found.kind, said in found.detail) == (kind, True), found


@pytest.mark.parametrize(
    "entries",
    [
        [HELD, entry("claim.released", "a", 20), entry("claim.held", "b", 20, 80)],
        [HELD, entry("claim.lapsed", "a", 60), entry("claim.reserved", "b", 61, 80)],
        [HELD, entry("claim.reserved", "b", 61, 80)],
        [HELD, entry("claim.reserved", "a", 60, 61), entry("reservation.expired", "a", 61)],
        [HELD, entry("claim.extended", "a", 5, 8 * HOUR_MS)],
        [RESERVED, entry("claim.extended", "a", 5, 1_000 + DAY_MS), entry("reservation.expired", "a", 1_000 + DAY_MS)],
        [RESERVED, entry("claim.unreserved", "b", 5), entry("claim.attempted", "b", 6), entry("click_to_call", None, 7)],
        [RESERVED, entry("claim.unreserved", "b", 5), replace(entry("claim.lapsed", "b", 60), detail={"reserved": False})],
        [RESERVED, entry("claim.reserved", "b", 5, 1_000, "p2"), replace(entry("claim.reserved", "c", 5, 9), integration="hubspot")],
    ],
)
def test_what_the_rules_allow(entries: list[Entry]) -> None:
    """Ends and grants in one millisecond, a hold attempted in its last, extensions to their limits, an end that nobody recorded: nothing is found."""
    assert replayed(*entries).findings.shown == []


STANDS = Standing("csv:p1", T + 1_000, "a", T + 1_000, "a", {"member": "csv:p1", "state": "reserved", "expires_at": T + 1_000, "claimed_at": T})


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"ends_ms": None}, "lost", "the store has nobody"),
        ({"ends_ms": T + 10}, "lost", "the store has nobody"),
        ({"claim": "b"}, "lost", "the store says b"),
        ({"ends_ms": T + 999, "key_ends_ms": T + 999}, "wrong-end", "in the store"),
        ({"key_ends_ms": T + 999}, "wrong-end", "its key ends"),
        ({"key_ends_ms": -1}, "wrong-end", "no time"),
        ({"key_claim": "b"}, "lost", "its key names b"),
        ({"record": None}, "lost", "no record"),
        ({"record": {**(STANDS.record or {}), "member": "csv:p2"}}, "impossible", "is a claim of csv:p2"),
        ({"record": {**(STANDS.record or {}), "state": "held"}}, "wrong-end", "is held"),
        ({"record": {**(STANDS.record or {}), "expires_at": T + 999}}, "wrong-end", "by its record"),
    ],
)
def test_a_store_that_says_otherwise(changes: dict[str, Any], kind: str, said: str) -> None:
    """Each of the witness, the claim, the key and the record is held against the history."""
    replay = replayed(RESERVED)
    replay.judge(STANDS, T + 20)
    assert replay.findings.shown == []
    replay.judge(replace(STANDS, **changes), T + 20)
    (found,) = replay.findings.shown
    assert (found.kind, said in found.detail) == (kind, True), found


def test_what_stands_though_by_the_history_it_is_over() -> None:
    """An end that the store has put off is told, and so is a claim that was never granted."""
    replay = replayed(RESERVED)
    replay.judge(replace(STANDS, ends_ms=T + 2_000), T + 1_001)
    replay.judge(replace(STANDS, prospect="csv:p9"), T + 20)
    assert [(one.kind, one.prospect) for one in replay.findings.shown] == [("wrong-end", "csv:p1"), ("unknown", "csv:p9")]


def test_memory_is_bounded_and_what_is_shown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the history is: who had a prospect is forgotten in time, and of what is wrong the first are shown and all are counted."""
    monkeypatch.setattr("reservoir.domain.proof.ENDED_KEPT", 10)
    monkeypatch.setattr("reservoir.domain.proof.SHOWN_MOST", 3)
    replay = Replay(T, whole=True)
    for number in range(50):
        replay.record(entry("claim.held", f"c{number}", 0, 60, f"p{number}"))
        replay.record(entry("claim.released", f"c{number}", 1, None, f"p{number}"))
        replay.record(entry("claim.released", f"c{number}", 1, None, f"p{number}"))
    assert (len(replay._ended), len(replay.findings.shown), replay.findings.counts) == (10, 3, {"impossible": 50})
    assert (replay.taken, replay._prospect_of) == ({}, {})
