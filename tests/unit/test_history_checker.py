"""The checker that other tests rely on sees what it is there for."""

import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservoir.domain.times import rfc3339
from tests.support.history import Record, Taking, double_dials, leaked, lost, takings


def taking(claim: str, from_ms: int, until_ms: int, prospect: str = "csv:p1", owner: str = "ana s-1") -> Taking:
    return Taking(claim, prospect, owner, from_ms, until_ms)


def answer(claim: str, from_ms: int, until_ms: int, *, state: str = "reserved", prospect: str = "p1", rep: str = "ana") -> dict[str, Any]:
    """A claim as the service answers it, or a reservation."""
    return {
        "id": claim,
        "claim": claim,
        "state": state,
        "rep": rep,
        "session": "s-1",
        "prospect": {"integration": "csv", "id": prospect},
        "claimed_at": rfc3339(from_ms),
        "expires_at": rfc3339(until_ms),
    }


@pytest.mark.parametrize(
    ("first", "second", "twice"),
    [
        ((0, 10), (11, 20), False),
        ((0, 10), (10, 20), True),
        ((0, 10), (0, 10), True),
        ((0, 100), (20, 30), True),
        ((20, 30), (0, 100), True),
        ((11, 20), (0, 10), False),
    ],
)
def test_two_claims_at_one_time_are_a_double_dial(first: tuple[int, int], second: tuple[int, int], twice: bool) -> None:
    """Two claims of one prospect that share a millisecond are told, in whatever order they are recorded; a prospect is free the millisecond after."""
    assert bool(double_dials([taking("a", *first), taking("b", *second)])) == twice
    assert not double_dials([taking("a", *first), taking("b", *second, prospect="csv:p2")])


def test_a_long_claim_is_held_against_all_that_follow() -> None:
    """A double dial is seen though a short claim lies between the two, and both pairs are told."""
    assert len(double_dials([taking("long", 0, 100), taking("short", 10, 20), taking("late", 50, 60)])) == 2


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8), st.sampled_from("pq")), max_size=8), st.randoms(use_true_random=False))
def test_the_checker_sees_what_comparing_all_pairs_sees(claims: list[tuple[int, int, str]], order: random.Random) -> None:
    """Some overlap is told if, and only if, there is one."""
    told = [taking(str(number), start, start + long, prospect=prospect) for number, (start, long, prospect) in enumerate(claims)]
    order.shuffle(told)
    truth = any(one.prospect == other.prospect and one.overlaps(other) for one, other in combinations(told, 2))
    assert bool(double_dials(told)) == truth


def test_what_was_told_last_counts_and_what_was_given_back_ends(tmp_path: Path) -> None:
    """A claim that was told anew, extended say, has its last end; one that was given back is its owner's no more from when that was asked for."""
    with Record(tmp_path / "told.jsonl") as record:
        record.granted([answer("a", 0, 50, state="held"), answer("off", 0, 50, state="unreserved")])
        record.granted([answer("a", 0, 90)])
        record.granted([answer("b", 0, 50, state="held", prospect="p2")])
        record.gives_back("b", 20)
    assert takings(tmp_path / "told.jsonl") == {"a": taking("a", 0, 90), "b": taking("b", 0, 19, prospect="csv:p2")}


def test_a_planted_double_dial_is_found_in_the_file(tmp_path: Path) -> None:
    """Of a thousand claims, the one that was granted to a second rep is told by name."""
    with Record(tmp_path / "told.jsonl") as record:
        for number in range(1_000):
            record.granted([answer(f"c{number}", 1_000 * number, 1_000 * number + 999, prospect=f"p{number % 7}")])
        record.granted([answer("thief", 500_500, 500_600, prospect=f"p{500 % 7}", rep="ben")])
    (found,) = double_dials(takings(tmp_path / "told.jsonl").values())
    assert "c500" in found
    assert "thief of ben s-1" in found


def test_what_is_lost_or_another_s_is_told() -> None:
    """An acknowledged claim that is gone, has another owner or another end is told; one whose time is over is not missed."""
    told = [taking("a", 0, 100), taking("b", 0, 100), taking("c", 0, 100), taking("over", 0, 49)]
    live = [answer("a", 0, 100), answer("b", 0, 100, rep="ben"), answer("c", 0, 99)]
    assert [line.split()[1] for line in lost(told, live, 50)] == ["b", "c"]
    assert [line.split()[1] for line in lost(told, live[1:], 50)] == ["a", "b", "c"]
    assert not lost(told[:1], live, 50)


def test_what_nobody_was_told_of_is_a_leak() -> None:
    """A live reservation whose claim is in no answer is told."""
    assert len(leaked([taking("a", 0, 100)], [answer("a", 0, 100), answer("b", 0, 100)])) == 1
