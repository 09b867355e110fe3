"""follow_write_back, take_write_back, settle_write_back, retry_write_back, read_write_back: what is to be written into a CRM, from the history to its end."""

import json
from typing import Any

import pytest

from tests.support.builders import Bench
from tests.support.keyspace import GONE

BASE = "write-back:csv"


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """As everywhere, with a reader at the start of the history."""
    bench.server("HSET", bench.key("history-readers"), BASE, "0-0")
    return bench


def job(claim: str = "c1", **more: Any) -> dict[str, Any]:
    return {"claim": claim, "what": "call", "prospect": "p1", "rep": "ana", "at": "1000", "rev": 0, "sent": 0} | more


def attempt(claim: str = "c1", *, due: int = 5_000, unsure: bool = False, **more: Any) -> dict[str, Any]:
    return {"kind": "attempt", "job": job(claim, **more), "due": str(due), "unsure": unsure}


def outcome(claim: str = "c1", what: str = "busy", *, log: bool = True, **more: Any) -> dict[str, Any]:
    return {"kind": "outcome", "job": job(claim, at="2000"), "outcome": what, "log": log} | more


def follow(bench: Bench, *told: Any, place: str = "0-0", reached: str = "0-1") -> list[Any]:
    return bench.call("follow_write_back", "csv", place, reached, '{"log_calls":true}', *map(json.dumps, told))


def kept(bench: Bench, id_: str) -> Any:
    """A job as it is kept, or None."""
    told = bench.server("HGET", bench.key(f"{BASE}:jobs"), id_)
    return json.loads(told) if told else None


def settle(bench: Bench, *outcomes: Any, pause: int = 0, tries: int = 0) -> list[Any]:
    return bench.call("settle_write_back", "csv", pause, tries, *outcomes)


def test_an_attempt_becomes_a_job(bench: Bench) -> None:
    """Due when it is due, counted for its list, in one step with the reader's moving on; a repeat finds the reader moved, and does nothing."""
    before = bench.snapshot()
    assert follow(bench, attempt(list="west"))[0] == "followed"
    assert bench.changes(before) == {
        "history-readers[write-back:csv]": "0-1",
        f"{BASE}:state[followed]": {"log_calls": True},
        f"{BASE}:jobs[c1:call]": job(list="west"),
        f"{BASE}:due[c1:call]": 5_000,
        f"{BASE}:pending[c1:call]": 1_000,
        f"{BASE}:pending-of:west[c1:call]": 1_000,
    }
    before = bench.snapshot()
    assert follow(bench, attempt("c2"))[0] == "moved"
    assert bench.changes(before) == {}


def test_a_call_that_may_not_have_begun_is_asked_of_its_claim(bench: Bench) -> None:
    """An unreserved claim's call began with it if the claim says so."""
    bench.server("HSET", bench.key("claim:c1"), "attempted_at", "1000")
    bench.server("PEXPIRE", bench.key("claim:c1"), 60_000)
    follow(bench, attempt("c1", unsure=True), attempt("c2", unsure=True))
    assert (kept(bench, "c1:call"), kept(bench, "c2:call")) == (job(), None)
    bench.server("DEL", bench.key("claim:c1"))


def test_a_call_that_is_told_to_have_begun_twice_keeps_its_outcome(bench: Bench) -> None:
    """The first word of it counts."""
    follow(bench, attempt())
    follow(bench, outcome(), place="0-1", reached="0-2")
    follow(bench, attempt(at="1001"), place="0-2", reached="0-3")
    assert kept(bench, "c1:call") == job(outcome="busy", rev=1)


def test_a_disposition_makes_the_call_due_and_changes_fields(bench: Bench) -> None:
    """Another one later adds its own; where fields are the same, the later one counts."""
    follow(bench, attempt())
    reply = follow(bench, outcome(fields={"a": "1", "b": True}, call_outcome="own"), place="0-1", reached="0-2")
    now = reply[1]
    assert kept(bench, "c1:call") == job(outcome="busy", call_outcome="own", rev=1)
    assert kept(bench, "c1:fields") == job(what="fields", at="2000", rev=1, fields={"a": "1", "b": True})
    due = bench.snapshot()[bench.key(f"{BASE}:due")].value
    assert due == {"c1:call": now, "c1:fields": now}
    follow(bench, outcome(what="no_answer", fields={"a": "2"}), place="0-2", reached="0-3")
    assert kept(bench, "c1:call") == job(outcome="no_answer", rev=2)
    assert kept(bench, "c1:fields")["fields"] == {"a": "2", "b": True}


def test_a_disposition_of_a_call_that_is_not_logged_logs_none(bench: Bench) -> None:
    """Its attempt came before the switch; its fields are changed all the same. One that was logged is updated, while calls are logged."""
    follow(bench, outcome(fields={"a": "1"}))
    assert (kept(bench, "c1:call"), kept(bench, "c1:fields") is not None) == (None, True)
    bench.server("HSET", bench.key("claim:c2"), "logged", "77")
    bench.server("PEXPIRE", bench.key("claim:c2"), 60_000)
    follow(bench, outcome("c2", log=False), place="0-1", reached="0-2")
    assert kept(bench, "c2:call") is None
    follow(bench, outcome("c2"), place="0-2", reached="0-3")
    assert kept(bench, "c2:call") == job("c2", at="2000", outcome="busy", logged="77", rev=1)
    bench.server("DEL", bench.key("claim:c2"))


def test_the_reader_goes_when_nothing_more_can_come(bench: Bench) -> None:
    """With the setting that it knew."""
    follow(bench, attempt())
    before = bench.snapshot()
    assert bench.call("follow_write_back", "csv", "0-1", "", "{}")[0] == "followed"
    assert bench.changes(before) == {"history-readers[write-back:csv]": GONE, f"{BASE}:state[followed]": GONE}


def test_what_is_due_is_one_workers_for_a_while(bench: Bench) -> None:
    """And due again after it; what is not due yet is nobody's."""
    now = follow(bench, attempt("c1"), attempt("c2", due=1 << 45))[1]
    taken = bench.call("take_write_back", "csv", 60_000, 10)
    assert (taken[0], taken[2], [json.loads(told) for told in taken[3]], taken[4]) == ("taken", ["c1:call"], [job(sent=1)], 0)
    assert bench.snapshot()[bench.key(f"{BASE}:due")].value["c1:call"] == taken[1] + 60_000 >= now + 60_000
    assert bench.call("take_write_back", "csv", 60_000, 10)[0] == "none"
    bench.server("ZADD", bench.key(f"{BASE}:due"), taken[1] - 1, "c1:call")
    assert json.loads(bench.call("take_write_back", "csv", 60_000, 10)[3][0])["sent"] == 2


def test_done_is_done(bench: Bench) -> None:
    """Nothing of it is left but the CRM's id of the call, with the claim if that is still known; a repeat changes nothing."""
    bench.server("HSET", bench.key("claim:c1"), "rep", "ana")
    bench.server("PEXPIRE", bench.key("claim:c1"), 60_000)
    before = bench.snapshot()
    follow(bench, attempt("c1", list="west"), attempt("c2"))
    for _ in range(2):
        assert settle(bench, "c1:call", 0, "done", "77", "c2:call", 0, "done", "78")[0] == "settled"
        expected = {"claim:c1[logged]": 77, "history-readers[write-back:csv]": "0-1", f"{BASE}:state[followed]": {"log_calls": True}}
        assert bench.changes(before) == expected
    bench.server("DEL", bench.key("claim:c1"))


@pytest.mark.parametrize("ended", ["done", "failed", "again"])
def test_what_changed_meanwhile_stays_due(bench: Bench, ended: str) -> None:
    """The disposition that came while the call was written is written next; into the call that was logged."""
    follow(bench, attempt())
    bench.call("take_write_back", "csv", 60_000, 10)
    follow(bench, outcome(), place="0-1", reached="0-2")
    now = settle(bench, "c1:call", 0, ended, {"done": "77", "failed": "{}", "again": ""}[ended])[1]
    assert kept(bench, "c1:call") == job(outcome="busy", rev=1, sent=1) | ({"logged": "77"} if ended == "done" else {})
    assert bench.snapshot()[bench.key(f"{BASE}:due")].value == {"c1:call": now}


def test_what_is_refused_is_kept_told_and_retried(bench: Bench) -> None:
    """In the order of its refusal, a page at a time; once it is due again it is pending as before, and a repeat of the retry finds none."""
    follow(bench, *(attempt(f"c{number}", list="west") for number in range(3)), attempt("c9"))
    error = {"type": "crm-permission", "detail": "d", "status": 403}
    for number in range(3):
        settle(bench, f"c{number}:call", 0, "failed", json.dumps(error))
    told = bench.call("read_write_back", "csv", "", "", 2)
    assert (told[2], told[3], told[4], told[5], told[7]) == (1, 1_000, 3, ["c0:call", "c1:call"], 1)
    refused = json.loads(told[6][1])
    assert refused == job("c1", list="west", error=error, failed_at=refused["failed_at"])
    assert bench.call("read_write_back", "csv", refused["failed_at"], "c1:call", 2)[5] == ["c2:call"]
    assert bench.call("take_write_back", "csv", 60_000, 10)[2] == ["c9:call"]
    before = bench.snapshot()
    reply = bench.call("retry_write_back", "csv")
    now = reply[1]
    assert reply == ["retrying", now, 3, 0]
    changes = bench.changes(before)
    assert changes[f"{BASE}:due[c1:call]"] == now
    assert changes[f"{BASE}:pending-of:west[c1:call]"] == 1_000
    assert changes[f"{BASE}:failed[c1:call]"] is changes[f"{BASE}:failed-of:west[c1:call]"] is GONE
    assert kept(bench, "c1:call") == job("c1", list="west")
    assert bench.call("retry_write_back", "csv")[2:] == [0, 0]


@pytest.mark.parametrize("ended", ["done", "again"])
def test_what_was_refused_is_not_changed_by_who_comes_too_late(bench: Bench, ended: str) -> None:
    """It stays refused, until a retry or another disposition makes it due again."""
    follow(bench, attempt())
    settle(bench, "c1:call", 0, "failed", "{}")
    before = bench.snapshot()
    settle(bench, "c1:call", 0, ended, "")
    assert bench.changes(before) == {}
    now = follow(bench, outcome(), place="0-1", reached="0-2")[1]
    assert kept(bench, "c1:call") == job(outcome="busy", rev=1)
    assert bench.snapshot()[bench.key(f"{BASE}:due")].value == {"c1:call": now}


def test_a_pause_holds_everything_until_it_is_over(bench: Bench) -> None:
    """How often the CRM could not be reached is told with what is taken next; an answer of the CRM, and a retry, end both."""
    follow(bench, attempt())
    for retried in (False, True):
        now = settle(bench, pause=60_000, tries=3)[1]
        state = bench.server("HGETALL", bench.key(f"{BASE}:state"))
        assert {"not_before": str(now + 60_000), "tries": "3"}.items() <= dict(zip(state[::2], state[1::2], strict=True)).items()
        assert bench.call("take_write_back", "csv", 60_000, 10)[0] == "none"
        if retried:
            bench.call("retry_write_back", "csv")
        else:
            settle(bench)
        assert bench.server("HMGET", bench.key(f"{BASE}:state"), "not_before", "tries") == [None, None]
    settle(bench, pause=60_000, tries=3)
    bench.server("HSET", bench.key(f"{BASE}:state"), "not_before", "1")
    assert bench.call("take_write_back", "csv", 60_000, 10)[4] == 3
