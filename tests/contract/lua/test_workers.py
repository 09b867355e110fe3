"""ask_sync, take_sync, hold_sync, and a worker's pages and ends: who runs a list's sync, and when a worker must look at the list next (R12)."""

import json
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.contract.lua.expected import Changes, place
from tests.support.builders import ROOM, Bench
from tests.support.commands import Commands
from tests.support.keyspace import GONE

SOURCE = '{"kind":"report","id":"00O"}'
PLAN = '{"every_minutes":30,"refill_below":3}'
TIMES = {"": ("created_at", "synced_at"), ":sync": ("started_at", "finished_at", "lease", "held", "resumes_at", "waiting_since")}
EMPTY = {"fetched": 0, "added": 0, "updated": 0, "left": 0, "rejected_count": 0}
LOST = {"type": "lost", "detail": "Nobody works on this sync any more. Start it again; everybody is still in the list."}
BUSY = '{"type":"crm-budget","detail":"used up","status":429}'


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """As everywhere, with a list "leads" that has a source, a schedule of 30 minutes, and is refilled below 3; nobody is in it."""
    bench.create_list("leads", "salesforce", SOURCE, PLAN)
    return bench


def run(bench: Bench, list_: str = "leads") -> dict[str, Any]:
    """The list's newest run."""
    told: dict[str, Any] = bench.snapshot()[bench.key(f"list:{list_}:sync")].value
    return told


def told_run(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def older(bench: Bench, ms: int, list_: str = "leads") -> None:
    """Lets so long pass for the list's syncs, and for nothing else."""
    for part, names in TIMES.items():
        key = bench.key(f"list:{list_}{part}")
        for name in names:
            if bench.server("HEXISTS", key, name):
                bench.server("HINCRBY", key, name, -ms)
    for key in ("due", "refilling"):
        bench.server("ZADD", bench.key(key), "XX", "INCR", -ms, list_)


def of_run(**fields: Any) -> Changes:
    return {f"list:leads:sync[{name}]": value for name, value in fields.items()}


def taken(token: str, now: int, list_: str = "leads", *, asked: bool = False) -> Changes:
    """That the run is given to the worker of this token: it is held for 8 s."""
    return {
        f"list:{list_}:sync[token]": token,
        f"list:{list_}:sync[held]": now + 8_000,
        f"list:{list_}:sync[lease]": now + 60_000,
        f"due[{list_}]": now + 8_000,
        f"taken-sync:{token}": list_ + (" asked" if asked else ""),
        f"taken-sync:{token} ttl": now + 8_000,
    }


def finished(now: int, error: str, id_: str = "r1", list_: str = "leads", integration: str = "salesforce") -> dict[str, Any]:
    """A run's end in the history, as one that failed."""
    return {"type": "sync.finished", "at": now, "integration": integration, "list": list_, "detail": {"sync": id_, "state": "failed", "error": error}}


def written(server: Commands) -> int:
    return int(server("INFO", "persistence").split("rdb_changes_since_last_save:")[1].split("\r\n")[0])


# asking


def test_asking_queues_a_run(bench: Bench) -> None:
    """It is there, nothing fetched; a worker must look at the list now, and not for its running low."""
    before = bench.snapshot()
    reply = bench.ask("leads", "r1")
    now = reply[1]
    fields = {"id": "r1", "state": "queued", "started_at": now, **EMPTY}
    assert (reply[0], told_run(reply[2])) == ("asked", {name: str(value) for name, value in fields.items()})
    assert bench.changes(before) == {**of_run(**fields), "due[leads]": now, "refilling[leads]": GONE}


def test_asked_again_it_is_the_run_that_is_under_way(bench: Bench) -> None:
    """Queued or running: whatever id a new one would have had, nothing changes, and something is written, for a store that waits for replicas."""
    for state in ("queued", "running"):
        first = bench.ask("leads", "r1")
        before, wrote = bench.snapshot(), written(bench.server)
        again = bench.ask("leads", "r2")
        assert (again[0], again[2], told_run(again[2])["state"]) == ("asked", first[2], state)
        assert bench.changes(before) == {}
        assert written(bench.server) > wrote
        bench.take_sync("t1")


def test_asking_for_a_run_that_waits_has_it_looked_at_anew(bench: Bench) -> None:
    """At once, by whoever comes; it waits on until then."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.hold("leads", "r1 t1", 0, 600_000, BUSY)
    before = bench.snapshot()
    reply = bench.ask("leads", "r2")
    assert (told_run(reply[2])["id"], told_run(reply[2])["state"]) == ("r1", "waiting")
    assert bench.changes(before) == {**of_run(asked=1), "due[leads]": 0}
    before = bench.snapshot()
    bench.ask("leads", "r3")
    assert bench.changes(before) == {}
    assert bench.take_sync("t2")[9] == 1, "who takes it knows that it was asked for"


def test_asking_where_the_run_is_lost_or_over_queues_another(bench: Bench) -> None:
    """Nothing of the old one stays in the new; how it ended is in the history, before it is forgotten."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.page("leads", "r1 t1", 0, ["a"], known={"cursor": '{"page":1}', "total": "9"})
    older(bench, 60_001)
    before = bench.snapshot()
    now = bench.ask("leads", "r2")[1]
    assert run(bench) == {"id": "r2", "state": "queued", "started_at": now, **EMPTY}
    changed = {path: value for path, value in bench.changes(before).items() if not path.startswith("list:leads:sync")}
    assert changed == {
        "due[leads]": now,
        "list:leads[synced_at]": now,
        "list:leads[pause]": 300_000,
        "list:leads[unready]": 0,
        "history+": [finished(now, "lost")],
    }
    bench.take_sync("t2")
    bench.finish("leads", "r2 t2")
    assert run(bench)["state"] == "done"
    now = bench.ask("leads", "r3")[1]
    assert run(bench) == {"id": "r3", "state": "queued", "started_at": now, **EMPTY}


@pytest.mark.parametrize(("list_", "expected"), [("west", "no-source"), ("nowhere", "list-not-found")])
def test_what_has_no_source_is_not_asked(bench: Bench, list_: str, expected: str) -> None:
    """A list whose members are put in, and one that is not there: nothing changes."""
    before = bench.snapshot()
    assert bench.ask(list_, "r1")[0] == expected
    assert bench.changes(before) == {}


# taking


def test_a_queued_run_is_taken(bench: Bench) -> None:
    """It begins: with its room before all that the list has, in the history, and held by the worker alone."""
    bench.ask("leads", "r1")
    older(bench, 1_000)
    before = bench.snapshot()
    reply = bench.take_sync("t1")
    now = reply[1]
    assert reply == ["taken", now, "leads", "r1", "salesforce", SOURCE, PLAN, None, -1, 0]
    assert (
        bench.changes(before)
        == {
            **taken("t1", now),
            **of_run(state="running", started_at=now, ceiling=0, next=-ROOM),
            "list:leads[floor]": -ROOM,
            "history+": [{"type": "sync.started", "at": now, "integration": "salesforce", "list": "leads", "detail": {"sync": "r1"}}],
        }
        or run(bench)["started_at"] != now
    )


def test_a_taking_that_is_sent_again_gives_the_same_run(bench: Bench) -> None:
    """Its reply was lost: the other list that is due stays for others; the hold begins anew, and that is written."""
    bench.create_list("more", "salesforce", SOURCE, PLAN)
    for list_, id_ in (("leads", "r1"), ("more", "m1")):
        bench.ask(list_, id_)
    first = bench.take_sync("t1")
    mine = first[2]
    before, wrote = bench.snapshot(), written(bench.server)
    again = bench.take_sync("t1")
    now = again[1]
    assert again[2:] == first[2:]
    assert bench.changes(before).items() <= taken("t1", now, mine).items()
    assert run(bench, mine)["held"] == now + 8_000
    assert written(bench.server) > wrote
    assert [told["type"] for told in bench.history()].count("sync.started") == 1 + 2, "west, east and the one"
    assert bench.take_sync("t2")[2] == ({"leads", "more"} - {mine}).pop()


def test_a_taking_of_one_that_was_asked_for_while_it_waited_says_so_again(bench: Bench) -> None:
    """The CRM's limits are read anew, though the first answer was lost."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.hold("leads", "r1 t1", 0, 600_000, BUSY)
    bench.ask("leads", "r1")
    before = bench.snapshot()
    first = bench.take_sync("t2")
    assert first[9] == 1
    gone = of_run(asked=GONE, resumes_at=GONE, error=GONE, state="running")
    assert bench.changes(before) == {**taken("t2", first[1], asked=True), **gone}
    assert bench.take_sync("t2")[2:] == first[2:]


def test_a_token_whose_run_is_over_or_anothers_is_given_it_no_more(bench: Bench) -> None:
    """A sending that comes late, after all: there is nothing due then."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    older(bench, 8_001)
    assert bench.take_sync("t2")[:3:2] == ["taken", "leads"]
    before = bench.snapshot()
    assert bench.take_sync("t1")[0] == "none"
    bench.finish("leads", "r1 t2")
    before = bench.snapshot()
    assert bench.take_sync("t2")[0] == "none"
    assert bench.changes(before).keys() <= {"refilling[leads]"}


def test_one_that_is_held_is_nobody_elses(bench: Bench) -> None:
    """Nothing changes; the reply says when to look again: when it is held no longer."""
    bench.ask("leads", "r1")
    now = bench.take_sync("t1")[1]
    before = bench.snapshot()
    reply = bench.take_sync("t2")
    assert reply == ["none", reply[1], now + 8_000, 0]
    assert bench.changes(before) == {}


def test_one_that_nobody_holds_is_taken_over(bench: Bench) -> None:
    """Under its id, from the cursor that the store has of it, the next page's number after its last. It does not begin once more."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.page("leads", "r1 t1", 4, ["a"], known={"cursor": '{"page":1}'})
    older(bench, 8_001)
    before = bench.snapshot()
    reply = bench.take_sync("t2")
    now = reply[1]
    assert reply == ["taken", now, "leads", "r1", "salesforce", SOURCE, PLAN, '{"page":1}', 4, 0]
    assert bench.changes(before) == taken("t2", now)


def test_one_that_nobody_held_for_a_minute_is_lost(bench: Bench) -> None:
    """It has failed, once; the schedule goes on from there."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    older(bench, 60_001)
    before = bench.snapshot()
    reply = bench.take_sync("t2")
    now = reply[1]
    started = run(bench)["started_at"]
    assert reply == ["none", now, started + 10 * MINUTE_MS, 1]
    assert bench.changes(before) == {
        **of_run(state="failed", finished_at=now, error=LOST),
        "list:leads[synced_at]": now,
        "list:leads[pause]": 2 * 300_000,
        "list:leads[unready]": 0,
        "due[leads]": now + 30 * MINUTE_MS,
        "refilling[leads]": started + 10 * MINUTE_MS,
        "history+": [finished(now, "lost")],
    }
    before = bench.snapshot()
    bench.take_sync("t2")
    assert bench.changes(before) == {}


def test_one_that_waits_is_taken_when_it_may_go_on(bench: Bench) -> None:
    """Not before; and then nothing of its waiting is left but since when, until a page has come."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    now = bench.hold("leads", "r1 t1", 0, 600_000, BUSY)[1]
    before = bench.snapshot()
    assert bench.take_sync("t2")[::2] == ["none", now + 600_000]
    assert bench.changes(before) == {}
    older(bench, 600_001)
    before = bench.snapshot()
    reply = bench.take_sync("t2")
    assert (reply[3], reply[9]) == ("r1", 0)
    assert bench.changes(before) == {**taken("t2", reply[1]), **of_run(state="running", resumes_at=GONE, error=GONE)}
    assert run(bench)["waiting_since"] == now - 600_001


def test_one_that_waited_for_a_day_has_failed(bench: Bench) -> None:
    """With that for which it waited; unless somebody asks for it, who is given one more look."""
    bench.server("HSET", bench.key("list:leads"), "sync", "{}")
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.hold("leads", "r1 t1", 0, 3 * DAY_MS, BUSY)
    older(bench, DAY_MS + 1)
    bench.ask("leads", "r1")
    assert bench.take_sync("t2")[::9] == ["taken", 1]
    bench.hold("leads", "r1 t2", 0, 3 * DAY_MS, BUSY)
    before = bench.snapshot()
    reply = bench.take_sync("t3")
    now = reply[1]
    assert reply == ["none", now, None, 0]
    assert bench.changes(before) == {
        **of_run(state="failed", finished_at=now, resumes_at=GONE),
        "list:leads[synced_at]": now,
        "list:leads[pause]": 600_000,
        "list:leads[unready]": 0,
        "due[leads]": GONE,
        "history+": [finished(now, "crm-budget")],
    }
    assert run(bench)["error"] == json.loads(BUSY)


def test_the_schedule_begins_a_run(bench: Bench) -> None:
    """To the millisecond: 30 minutes after the list was made, under the id that the worker has for it."""
    bench.server("ZREM", bench.key("refilling"), "leads")
    older(bench, 30 * MINUTE_MS - 1_000)
    assert bench.take_sync("t1", "x")[0] == "none"
    older(bench, 1_000)
    before = bench.snapshot()
    reply = bench.take_sync("t1", "x")
    now = reply[1]
    assert reply[:4] == ["taken", now, "leads", "x"]
    assert bench.changes(before) == {
        **taken("t1", now),
        **of_run(id="x", state="running", started_at=now, ceiling=0, next=-ROOM, **EMPTY),
        "list:leads[floor]": -ROOM,
        "history+": [{"type": "sync.started", "at": now, "integration": "salesforce", "list": "leads", "detail": {"sync": "x"}}],
    }


def test_a_list_that_runs_low_is_refilled(bench: Bench) -> None:
    """Below 3: a run begins. Not below: it stays to be looked at, from now on. Who was held or reserved and is past is available."""
    bench.terms["salesforce"].enabled = True
    reply = bench.take_sync("t1", "x")
    assert reply[:4:2] == ["taken", "leads"]
    bench.page("leads", "x t1", 0, ["a", "b", "c"])
    bench.finish("leads", "x t1")
    older(bench, 5 * MINUTE_MS)
    before = bench.snapshot()
    reply = bench.take_sync("t2", "y")
    assert (reply[0], reply[3]) == ("none", 1)
    assert bench.changes(before) == {"refilling[leads]": reply[1]}
    bench.server("ZADD", bench.key("refilling"), 0, "east")
    assert bench.take_sync("t2", "y")[0] == "none"
    assert "east" not in bench.snapshot()[bench.key("refilling")].value, "a list without a source was never to be refilled"
    held = bench.take("leads", hold_ms=30_000)
    bench.age(f"salesforce:{held.prospect}", 30_001)
    assert bench.take_sync("t2", "y")[0] == "none", "the hold is past, though nobody has settled it"
    bench.take("leads")
    reply = bench.take_sync("t2", "y")
    assert reply[:4:2] == ["taken", "leads"]
    assert run(bench)["id"] == "y"


def test_a_list_that_runs_low_before_its_time_waits_for_it(bench: Bench) -> None:
    """However low it is, and wherever it stands among those to be looked at: its place there is put right."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.finish("leads", "r1 t1")
    right = bench.snapshot()[bench.key("refilling")].value
    assert right["leads"] > run(bench)["started_at"]
    bench.server("ZADD", bench.key("refilling"), 0, "leads")
    assert bench.take_sync("t2")[0] == "none"
    assert bench.snapshot()[bench.key("refilling")].value == right


def test_a_broken_list_keeps_no_other_waiting(bench: Bench) -> None:
    """It is looked at again in a minute, if it is still there."""
    bench.create_list("more", "salesforce", SOURCE)
    bench.ask("more", "m1")
    bench.ask("leads", "r1")
    bench.server("ZADD", bench.key("due"), 1, "leads")
    saved = bench.server("DUMP", bench.key("list:leads:sync"))
    bench.server("SET", bench.key("list:leads:sync"), "broken")
    reply = bench.take_sync("t1")
    assert reply[2] == "more"
    assert bench.snapshot()[bench.key("due")].value == {"leads": reply[1] + 60_000, "more": reply[1] + 8_000}
    bench.server("RESTORE", bench.key("list:leads:sync"), 0, saved, "REPLACE")


# holding, leaving, waiting


def test_a_hold_goes_on(bench: Bench) -> None:
    """And is repeated with every call: a slow call of the CRM's may take as long as it does."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    older(bench, 5_000)
    for _ in range(2):
        before = bench.snapshot()
        reply = bench.hold("leads", "r1 t1")
        now = reply[1]
        assert reply == ["held", now]
        expected = of_run(held=now + 8_000, lease=now + 60_000) | {"due[leads]": now + 8_000}
        assert bench.changes(before).items() <= expected.items()
        assert run(bench)["held"] == now + 8_000


def test_a_run_that_is_left_is_the_next_ones_at_once(bench: Bench) -> None:
    """Its worker stops: nothing is waited for."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    before = bench.snapshot()
    now = bench.hold("leads", "r1 t1", 0)[1]
    assert bench.changes(before).items() <= (of_run(held=now, lease=now + 60_000) | {"due[leads]": now}).items()
    assert run(bench)["held"] == now
    assert bench.take_sync("t2")[2:4] == ["leads", "r1"]


def test_a_run_waits_until_the_instant_first_said(bench: Bench) -> None:
    """Said again, it is that instant still; who had it holds it no more, and nobody else does."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    before = bench.snapshot()
    reply = bench.hold("leads", "r1 t1", 0, 600_000, BUSY)
    now = reply[1]
    assert reply == ["waiting", now, now + 600_000]
    error = {"type": "crm-budget", "detail": "used up", "status": 429}
    expected = of_run(state="waiting", resumes_at=now + 600_000, waiting_since=now, error=error, held=now, lease=now + 60_000) | {"due[leads]": now + 600_000}
    assert bench.changes(before).items() <= expected.items()
    before, wrote = bench.snapshot(), written(bench.server)
    again = bench.hold("leads", "r1 t1", 0, 700_000, '{"type":"other"}')
    assert again[::2] == ["waiting", now + 600_000]
    assert bench.changes(before) == {}
    assert written(bench.server) > wrote
    assert bench.hold("leads", "r1 t1")[0] == "sync-lost", "it is not held while it waits"
    assert bench.changes(before) == {}


def test_the_day_of_waiting_is_over_all_waits_until_a_page_comes(bench: Bench) -> None:
    """One wait behind another is one; after a page it is another."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    since = bench.hold("leads", "r1 t1", 0, 600_000, BUSY)[1]
    older(bench, 600_001)
    bench.take_sync("t2")
    bench.hold("leads", "r1 t2", 0, 600_000, BUSY)
    assert run(bench)["waiting_since"] == since - 600_001
    older(bench, 600_001)
    bench.take_sync("t3")
    bench.page("leads", "r1 t3", 0, ["a"], known={"cursor": "{}"})
    assert "waiting_since" not in run(bench)
    again = bench.hold("leads", "r1 t3", 0, 600_000, BUSY)[1]
    assert run(bench)["waiting_since"] == again


STEPS = ("page", "finish", "fail", "hold", "wait")


def step(bench: Bench, verb: str, who: str) -> list[Any]:
    match verb:
        case "page":
            return bench.page("leads", who, 9, ["z"])
        case "finish":
            return bench.finish("leads", who)
        case "fail":
            return bench.call("fail_sync", "leads", who, '{"type":"x"}')
        case "hold":
            return bench.hold("leads", who)
        case _:
            return bench.hold("leads", who, 0, 5_000, BUSY)


@pytest.mark.parametrize("verb", STEPS)
def test_a_step_is_its_holders_alone(bench: Bench, verb: str) -> None:
    """R12: a late sleeper writes nothing: while another holds the run, in its wait, after its end, under another run, and where the list is gone."""
    bench.make_list("west2", ["a"])
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    older(bench, 8_001)
    bench.take_sync("t2")
    for who in ("r1 t1", "r1", "r0 t2", "t2", ""):
        before = bench.snapshot()
        assert step(bench, verb, who)[0] == "sync-lost", who
        assert bench.changes(before) == {}, who
    bench.page("leads", "r1 t2", 0, ["a", "b"])
    if verb != "wait":
        bench.hold("leads", "r1 t2", 0, 1_000, BUSY)
        before = bench.snapshot()
        assert step(bench, verb, "r1 t2")[0] == "sync-lost"
        assert bench.changes(before) == {}
        older(bench, 1_001)
        bench.take_sync("t3")
    bench.finish("leads", "r1 t3" if verb != "wait" else "r1 t2")
    before = bench.snapshot()
    assert step(bench, verb, "r1 t1")[0] == "sync-lost"
    assert bench.changes(before) == {}
    bench.ask("leads", "r4")
    before = bench.snapshot()
    assert step(bench, verb, "r4")[0] == "sync-lost", "it is queued, and nobody's"
    assert bench.changes(before) == {}
    bench.call("sweep_list", bench.call("delete_list", "leads", "{}")[2])
    before = bench.snapshot()
    assert step(bench, verb, "r1 t2")[0] == "list-not-found"
    assert bench.changes(before) == {}


# what pages and ends mean for when the list is looked at


def test_a_workers_page_holds_its_run(bench: Bench) -> None:
    """And its repeat; where its source goes on is kept with it, and how many rejected rows are settled by that."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    known = {"cursor": '{"page":1}', "total": "9", "advice": "add it"}
    before = bench.snapshot()
    now = bench.page("leads", "r1 t1", 0, [("a", "")], rejected=[{"record": "x", "detail": "no"}], known=known)[1]
    changed = {path: value for path, value in bench.changes(before).items() if path.startswith(("list:leads:sync", "due", "refilling"))}
    expected = of_run(
        held=now + 8_000, lease=now + 60_000, page=0, next=place(1), fetched=1, added=1, rejected_count=1, cursor={"page": 1}, total=9, advice="add it"
    )
    expected |= of_run(rejected=[{"record": "x", "detail": "no"}], settled="1 1") | {"due[leads]": now + 8_000}
    assert changed.items() <= expected.items()
    assert expected.keys() - changed.keys() <= {"due[leads]", "list:leads:sync[held]", "list:leads:sync[lease]"}
    older(bench, 5_000)
    before = bench.snapshot()
    now = bench.page("leads", "r1 t1", 0, [("a", "")], known=known)[1]
    assert bench.changes(before) == of_run(held=now + 8_000, lease=now + 60_000) | {"due[leads]": now + 8_000}


def test_a_done_run_plans_the_next(bench: Bench) -> None:
    """By the schedule from its end; when it may be refilled from its start, later each time that nobody new came, an hour at most."""
    pauses = []
    for number, members in enumerate((["a"], ["a"], ["a"], ["a"], ["a"], ["a"], ["a", "b"])):
        bench.ask("leads", f"r{number}")
        bench.take_sync(f"t{number}")
        bench.page("leads", f"r{number} t{number}", 0, members)
        now = bench.finish("leads", f"r{number} t{number}")[1]
        state = bench.snapshot()
        assert state[bench.key("due")].value == {"leads": now + 30 * MINUTE_MS}
        pauses.append(state[bench.key("refilling")].value["leads"] - run(bench)["started_at"])
        assert state[bench.key("list:leads")].value["pause"] == pauses[-1]
    assert [pause // MINUTE_MS for pause in pauses] == [5, 10, 20, 40, 60, 60, 5]


def test_while_many_leave_their_run_is_held(bench: Bench) -> None:
    """With each chunk; at the end where its source went on is forgotten."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.page("leads", "r1 t1", 0, [f"a{number}" for number in range(100)], known={"cursor": "{}"})
    bench.page("leads", "r1 t1", 1, ["b"])
    bench.finish("leads", "r1 t1")
    assert "cursor" not in run(bench)
    bench.ask("leads", "r2")
    bench.take_sync("t2")
    older(bench, 5_000)
    reply = bench.finish("leads", "r2 t2")
    now = reply[1]
    assert reply == ["leaving", now, 100]
    assert (run(bench)["held"], run(bench)["lease"]) == (now + 8_000, now + 60_000)
    assert bench.snapshot()[bench.key("due")].value == {"leads": now + 8_000}
    assert bench.finish("leads", "r2 t2")[0] == "done"
    assert run(bench)["left"] == 101


def test_a_source_that_was_not_ready_is_asked_again_in_a_minute(bench: Bench) -> None:
    """Nobody leaves; the next run that is complete goes by the schedule again."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.page("leads", "r1 t1", 0, ["a", "b"])
    bench.finish("leads", "r1 t1")
    bench.ask("leads", "r2")
    bench.take_sync("t2")
    bench.page("leads", "r2 t2", 0, ["b"])
    before = bench.snapshot()
    now = bench.finish("leads", "r2 t2", complete=False)[1]
    changed = bench.changes(before)
    detail = {"sync": "r2", "state": "done", "fetched": 1, "added": 0, "updated": 0, "left": 0, "rejected": 0}
    assert changed == {
        **of_run(state="done", finished_at=now, complete=0, truncated=0),
        "list:leads[fetched]": 1,
        "list:leads[synced_at]": now,
        "list:leads[pause]": 600_000,
        "list:leads[unready]": 1,
        "due[leads]": now + MINUTE_MS,
        "refilling[leads]": run(bench)["started_at"] + 600_000,
        "history+": [{"type": "sync.finished", "at": now, "integration": "salesforce", "list": "leads", "detail": detail}],
    }
    older(bench, MINUTE_MS)
    assert bench.take_sync("t3", "r3")[3] == "r3"
    bench.page("leads", "r3 t3", 0, ["b"])
    now = bench.finish("leads", "r3 t3")[1]
    assert (bench.snapshot()[bench.key("due")].value, run(bench)["left"]) == ({"leads": now + 30 * MINUTE_MS}, 1)


def test_a_failed_run_plans_the_next(bench: Bench) -> None:
    """As one that is done, by the schedule; where the source goes on is forgotten, for the next one begins anew."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.page("leads", "r1 t1", 0, ["a"], known={"cursor": "{}"})
    before = bench.snapshot()
    now = bench.call("fail_sync", "leads", "r1 t1", '{"type":"crm-not-found"}')[1]
    assert bench.changes(before) == {
        **of_run(state="failed", finished_at=now, error={"type": "crm-not-found"}, cursor=GONE),
        "list:leads[synced_at]": now,
        "list:leads[pause]": 300_000,
        "list:leads[unready]": 0,
        "due[leads]": now + 30 * MINUTE_MS,
        "refilling[leads]": run(bench)["started_at"] + 300_000,
        "history+": [finished(now, "crm-not-found")],
    }


# each row that is rejected counts once


def test_what_a_take_over_reads_again_is_rejected_once(bench: Bench) -> None:
    """A page of the source's whose last members had not come when its worker died: its rows are told again, and the first telling counts no more."""
    for number in range(64):
        bench.make_list(f"l{number}", ["q"], "salesforce")
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.page("leads", "r1 t1", 0, ["a"], rejected=[{"record": "x", "detail": "no phone"}], known={"cursor": '{"page":1}'})
    bench.page("leads", "r1 t1", 1, ["q"], first_line=7)
    bench.page("leads", "r1 t1", 2, ["b"], rejected=[{"record": "y", "detail": "no phone"}])
    full = {"record": "7", "detail": "the prospect is in 64 lists already"}
    rows = [{"record": "x", "detail": "no phone"}, full, {"record": "y", "detail": "no phone"}]
    assert (run(bench)["rejected_count"], run(bench)["rejected"]) == (3, rows)
    older(bench, 8_001)
    assert bench.take_sync("t2")[7:9] == ['{"page":1}', 2]
    assert (run(bench)["rejected_count"], run(bench)["rejected"]) == (1, rows[:1])
    assert bench.take_sync("t2")[0] == "taken"
    bench.page("leads", "r1 t2", 3, ["q"], first_line=7)
    bench.page("leads", "r1 t2", 4, ["b"], rejected=[{"record": "y", "detail": "no phone"}], known={"cursor": '{"page":2}'})
    assert (run(bench)["rejected_count"], run(bench)["rejected"], run(bench)["settled"]) == (3, rows, "3 3")
    older(bench, 8_001)
    bench.take_sync("t3")
    assert (run(bench)["rejected_count"], run(bench)["rejected"]) == (3, rows)
    assert (run(bench)["fetched"], bench.server("ZRANGE", bench.key("list:leads:order"), 0, -1)) == (2, ["a", "b"])


def test_without_a_cursor_yet_nothing_is_settled(bench: Bench) -> None:
    """The first page is read again whole."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    bench.page("leads", "r1 t1", 0, ["a"], rejected=[{"record": "x", "detail": "no phone"}])
    older(bench, 8_001)
    before = bench.snapshot()
    now = bench.take_sync("t2")[1]
    assert bench.changes(before) == {**taken("t2", now), **of_run(rejected_count=0, rejected=GONE)}


# how each that began has ended


@pytest.mark.parametrize("state", ["running", "waiting"])
def test_a_deleted_lists_sync_has_ended(bench: Bench, state: str) -> None:
    """The history tells how each sync that started has ended, before it tells of the deletion; one that was only queued never started."""
    bench.ask("leads", "r1")
    bench.take_sync("t1")
    if state == "waiting":
        bench.hold("leads", "r1 t1", 0, 600_000, BUSY)
    before = bench.snapshot()
    now = bench.call("delete_list", "leads", '{"by":"ann"}', nonce="once")[1]
    told = bench.changes(before)["history+"]
    assert told == [
        finished(now, "list-deleted"),
        {"type": "list.deleted", "at": now, "integration": "salesforce", "list": "leads", "detail": {"by": "ann"}},
    ]
    before = bench.snapshot()
    assert bench.call("delete_list", "leads", '{"by":"ann"}', nonce="once")[0] == "deleted"
    assert bench.changes(before) == {}
    for aside in bench.snapshot()[bench.key("sweep")].value:
        bench.call("sweep_list", aside)
    bench.create_list("leads", "salesforce", SOURCE, PLAN)
    bench.ask("leads", "r2")
    before = bench.snapshot()
    bench.call("sweep_list", bench.call("delete_list", "leads", "{}")[2])
    assert [entry["type"] for entry in bench.changes(before)["history+"]] == ["list.deleted"]


def test_a_files_run_that_is_lost_is_written_down_by_the_worker_who_comes_by(bench: Bench) -> None:
    """It is nobody's to take over, for its file is gone. While it goes on, the look at it is put off to the end of its lease."""
    bench.server("ZREM", bench.key("refilling"), "leads")
    now = bench.begin("west", "f1", 10_000)[1]
    assert bench.snapshot()[bench.key("due")].value["west"] == now + 10_001
    page = bench.page("west", "f1", 0, ["p1"], lease_ms=10_000)[1]
    bench.server("ZADD", bench.key("due"), 1, "west")
    before = bench.snapshot()
    reply = bench.take_sync("t1")
    assert reply[::2] == ["none", page + 10_001]
    assert bench.changes(before) == {"due[west]": page + 10_001}
    older(bench, 10_001, "west")
    before = bench.snapshot()
    now = bench.take_sync("t1")[1]
    assert bench.changes(before) == {
        "list:west:sync[state]": "failed",
        "list:west:sync[finished_at]": now,
        "list:west:sync[error]": LOST,
        "due[west]": GONE,
        "history+": [finished(now, "lost", "f1", "west", "csv")],
    }
    assert bench.server("ZCARD", bench.key("list:west:order")) == 5


def test_a_list_that_is_never_synced_by_itself_is_not_looked_at(bench: Bench) -> None:
    """No schedule, no refill, nothing asked for: an hour or a week later there is nothing due."""
    bench.create_list("quiet", "salesforce", SOURCE, '{"every_minutes":null,"refill_below":null}')
    state = bench.snapshot()
    assert "quiet" not in state[bench.key("due")].value.keys() | state[bench.key("refilling")].value.keys()
    bench.ask("quiet", "q1")
    while (reply := bench.take_sync("t1", "x"))[2] != "quiet":
        bench.finish(reply[2], f"{reply[3]} t1")
    bench.finish("quiet", "q1 t1")
    state = bench.snapshot()
    assert "quiet" not in state[bench.key("due")].value.keys() | state[bench.key("refilling")].value.keys()
    assert state[bench.key("list:quiet")].value["synced_at"] < state[bench.key("list:quiet")].value["created_at"] + HOUR_MS
