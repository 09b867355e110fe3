"""How a worker keeps its runs, loses them, and shares them with others (R12)."""

import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from reservoir.domain.claims import Granted
from reservoir.domain.lists import ListDefinition
from reservoir.domain.settings import OrgProfile
from reservoir.domain.times import DAY_MS, MINUTE_MS, SECOND_MS
from reservoir.integrations.source import RejectedRecord, WaitError
from reservoir.storage import keys
from reservoir.storage.claims import ClaimStore, RequestKey, Taker
from reservoir.storage.orgs import OrgStore
from reservoir.storage.redis import StoreUnavailableError, open_store
from reservoir.storage.scripts import Verb
from reservoir.storage.settings import SettingsStore
from reservoir.storage.syncs import HOLD_MS, NothingDue, SyncStore, TakenRun
from reservoir.sync import reading, runs, worker
from tests.conftest import known
from tests.support.commands import Commands
from tests.support.desk import PLAN, Desk
from tests.support.engine import EngineProcess
from tests.support.proxy import proxy_to
from tests.support.scripted import Script
from tests.support.waiting import await_until

Write = Callable[..., Awaitable[list[Any]]]


def field(desk: Desk, name: str) -> str:
    told: str = desk.client("HGET", desk.org.prefix + "list:leads:sync", name)
    return told


async def test_a_killed_workers_run_is_anothers_within_ten_seconds(desk: Desk) -> None:
    """By the store's clock: it was held for so long from the last word of it, others know until when, and look as often as they do."""
    await desk.create()
    await desk.ask()
    taken = await desk.syncs.take(desk.org)
    assert isinstance(taken, TakenRun)
    said_ms, until_ms = int(field(desk, "started_at")), int(field(desk, "held"))
    assert until_ms == said_ms + HOLD_MS
    assert await desk.syncs.take(desk.org) == NothingDue(until_ms, 0), "so the other is at it at the first of its looks after that"
    assert HOLD_MS + 2 * worker.EVERY_S * SECOND_MS < 10 * SECOND_MS
    assert runs.HOLD_EVERY_S * SECOND_MS * 3 < HOLD_MS, "one that lives says so often enough"
    desk.age(HOLD_MS - 2_000)
    assert isinstance(await desk.syncs.take(desk.org), NothingDue)
    desk.age(2_001)
    script = Script([["a"]])
    await desk.worker(script).once()
    assert ((await desk.sync()).id, (await desk.sync()).state, script.opened) == (taken.id, "done", 1)


async def test_a_run_is_held_while_a_slow_call_is_under_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the CRM takes: the worker says again and again that it is at it, and so no other takes it."""
    monkeypatch.setattr(runs, "HOLD_EVERY_S", 0.01)
    await desk.create()
    await desk.ask()
    gate = threading.Event()
    script = Script([["a"]], gates={0: gate})
    slow = desk.worker(script)
    await slow.worker.turn(slow.stop)
    await await_until(lambda: script.asked == [0], "the call is under way")
    for _ in range(3):
        desk.age(7_000)
        aged = int(field(desk, "held"))
        await await_until(lambda aged=aged: int(field(desk, "held")) >= aged + 7_000, "it is said anew")  # type: ignore[misc]
    assert isinstance(await desk.syncs.take(desk.org), NothingDue)
    gate.set()
    await slow.worker.idle()
    assert ((await desk.sync()).state, script.opened) == ("done", 1)


async def test_a_run_that_is_lost_meanwhile_ends_though_its_call_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is free for other lists, and what comes of the call is nobody's."""
    monkeypatch.setattr(runs, "HOLD_EVERY_S", 0.01)
    await desk.create()
    await desk.ask()
    gate = threading.Event()
    script = Script([["late"]], gates={0: gate})
    slow = desk.worker(script)
    await slow.worker.turn(slow.stop)
    await await_until(lambda: script.asked == [0], "the call is under way")
    desk.client("HSET", desk.org.prefix + "list:leads:sync", "token", "another's")
    await slow.worker.idle()
    assert script.closed == 0, "the call is under way still"
    gate.set()
    await await_until(lambda: script.closed == 1, "the source is closed when its call has ended")
    assert (desk.order(), field(desk, "token")) == ([], "another's")


async def test_a_call_that_takes_too_long_is_left_when_the_worker_stops(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given its time; then its page is another's to read again, at once, and what it brings after all is not written."""
    monkeypatch.setattr(reading, "CALL_MORE_S", 0.01)
    await desk.create()
    asked = await desk.ask()
    gate = threading.Event()
    script = Script([["a"], ["b"]], gates={1: gate})
    slow = desk.worker(script)
    await slow.worker.turn(slow.stop)
    await await_until(lambda: script.asked == [0, 1], "the second page is asked for")
    slow.stop.set()
    await slow.worker.idle()
    assert (field(desk, "state"), desk.order(), script.closed) == ("running", ["a"], 0)
    other = Script([["a"], ["b"]])
    await desk.worker(other).once()
    done = await desk.sync()
    assert (done.id, done.state, desk.order(), other.asked) == (asked.id, "done", ["a", "b"], [1])
    gate.set()
    await await_until(lambda: script.closed == 1, "the source is closed when its call has ended")
    assert await desk.sync() == done


class FallingStore:
    """Lets so many steps of a run through, then the store is away."""

    def __init__(self, orgs: OrgStore, verb: Verb, through: int) -> None:
        self.orgs, self.verb, self.through = orgs, verb, through
        self.write: Write = orgs.write

    async def __call__(self, verb: Verb, *arguments: Any) -> Any:
        if verb == self.verb:
            if self.through == 0:
                raise StoreUnavailableError("the store is away")
            self.through -= 1
        return await self.write(verb, *arguments)


@pytest.mark.parametrize(
    ("verb", "through"), [("import_page", 0), ("import_page", 2), ("import_page", 3), ("import_page", 4), ("finish_sync", 0), ("finish_sync", 1)]
)
async def test_a_worker_that_dies_at_any_step_loses_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch, verb: Verb, through: int) -> None:
    """Nobody comes twice, no rejected row counts twice, and who left the source leaves once: a page of the source's is whole, or read again."""
    await desk.create()
    await desk.ask()
    before = [f"o{number}" for number in range(130)]
    script = Script([before])
    await desk.worker(script).once()
    asked = await desk.ask()
    people = [f"p{number:03}" for number in range(180)]
    script.pages = [people[:120], people[120:]]
    script.rejected = {0: [RejectedRecord("x", "a company")], 1: [RejectedRecord("y", "a company")]}
    with monkeypatch.context() as fallen:
        fallen.setattr(desk.orgs, "write", FallingStore(desk.orgs, verb, through))
        await desk.worker(script).once()
    assert (await desk.sync()).state == "running"
    desk.age(HOLD_MS + 1)
    await desk.worker(script).once()
    done = await desk.sync()
    assert (done.id, done.state, done.fetched, done.added, done.left) == (asked.id, "done", 180, 180, 130)
    assert (done.rejected_count, [row.record for row in done.rejected]) == (2, ["x", "y"])
    assert desk.order() == people
    kinds = desk.client("XRANGE", desk.org.prefix + "history", "-", "+")
    assert [entry[1][1] for entry in kinds if entry[1][1].startswith("sync.")] == ["sync.started", "sync.finished"] * 2


async def test_a_short_wait_is_not_worth_another_login(desk: Desk) -> None:
    """The worker keeps the run, and goes on where it was."""
    await desk.create()
    await desk.ask()
    script = Script([["a"], ["b"]], faults={1: [WaitError("crm-budget", "In a moment.", after_s=0.0)]})
    await desk.worker(script).once()
    assert ((await desk.sync()).state, script.asked, "resumes_at" in script.last) == ("done", [0, 1, 1], False)
    kept = [WaitError("crm-budget", "Later.", after_s=runs.SHORT_WAIT_S + 1)]
    script.faults = {0: list(kept)}
    await desk.ask()
    await desk.worker(script).once()
    assert (await desk.sync()).state == "waiting"


async def test_who_is_asked_for_while_waiting_reads_the_crms_limits_anew(desk: Desk) -> None:
    """Only then: one that goes on by itself believes what the CRM said."""
    await desk.create()
    await desk.ask()
    script = Script([["a"]], faults={0: [WaitError("crm-budget", "Used up.", after_s=600), WaitError("crm-budget", "Used up.", after_s=600)]})
    await desk.worker(script).once()
    desk.age(601_000)
    await desk.worker(script).once()
    assert script.anew == [False, False]
    waits = await desk.sync()
    assert waits.state == "waiting"
    assert (await desk.ask()).id == waits.id
    await desk.worker(script).once()
    assert ((await desk.sync()).id, (await desk.sync()).state, script.anew) == (waits.id, "done", [False, False, True])


# many lists, many orgs


async def lists(orgs: OrgStore, desk: Desk, org_id: str, count: int) -> None:
    """So many lists of an org, each asked for."""
    org = await orgs.get(org_id)
    assert org is not None
    for number in range(count):
        id_ = f"{org_id}-{number}"
        await desk.lists.create(org, ListDefinition(id_, id_, "salesforce", {"kind": "report", "id": "x"}, PLAN, 0), exact=True, by="a test")
        await desk.syncs.ask(org, id_)


async def under_way(orgs: OrgStore, desk: Desk) -> list[str]:
    found = []
    for org_id in ("acme", "zeta"):
        org = await orgs.get(org_id)
        assert org is not None
        found += [state.definition.id for state in (await desk.lists.page(org, 100, None))[0] if state.last_sync and state.last_sync.state == "running"]
    return found


async def test_a_worker_has_so_many_runs_at_once_and_takes_of_each_org_in_turn(desk: Desk, orgs: OrgStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An org that asks for many keeps no other waiting; what is left is taken as soon as there is room."""
    monkeypatch.setattr(worker, "RUNS_MOST", 4)
    await orgs.create(OrgProfile("zeta", "Zeta"))
    await lists(orgs, desk, "acme", 5)
    await lists(orgs, desk, "zeta", 2)
    gate = threading.Event()
    script = Script([["a"]], gates={0: gate})
    one = desk.worker(script)
    await one.worker.turn(one.stop)
    taken = await under_way(orgs, desk)
    assert [id_[:4] for id_ in taken] == ["acme", "acme", "zeta", "zeta"]
    monkeypatch.setattr(worker, "LOOKED_BACK_MS", -DAY_MS)  # nothing that was marked meanwhile reminds it
    await one.worker.turn(one.stop)
    assert await under_way(orgs, desk) == taken
    gate.set()
    await one.worker.idle()
    for _ in range(2):
        await one.once()
    assert script.closed == 7
    assert await under_way(orgs, desk) == []


@pytest.mark.leaves("a key of the wrong type")
async def test_an_org_that_cannot_be_looked_after_keeps_no_other_waiting(
    desk: Desk, orgs: OrgStore, client: Commands, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names it; one that was deleted meanwhile is no fault."""
    await orgs.create(OrgProfile("zeta", "Zeta"))
    script = Script([["a"]])
    one = desk.worker(script)
    await one.once()
    await lists(orgs, desk, "zeta", 1)
    client("SET", desk.org.prefix + "due", "of the wrong type")
    for org_id in ("acme", "gone"):
        client("ZADD", keys.SYNCING, int(client("TIME")[0]) * 1_000, org_id)
    await one.once()
    assert script.closed == 1
    assert "the syncs of the org acme cannot be looked after" in caplog.text
    assert "gone" not in caplog.text


async def test_what_changes_behind_a_worker_that_looks_is_seen(desk: Desk) -> None:
    """After its first look at every org it looks only where something was marked, or falls due."""
    await desk.create()
    script = Script([["a"]])
    one = desk.worker(script)
    await one.once()
    await desk.ask()
    await one.once()
    assert (await desk.sync()).state == "done"
    script.faults = {0: [WaitError("crm-budget", "Used up.", after_s=600)]}
    await desk.ask()
    await one.once()
    assert (await desk.sync()).state == "waiting"
    await desk.ask()
    await one.once()
    assert (await desk.sync()).state == "done"


async def test_what_falls_due_by_itself_is_seen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was told when to look again looks then, though nothing says that anything changed."""
    await desk.create()
    await desk.ask()
    taken = await desk.syncs.take(desk.org)
    assert isinstance(taken, TakenRun)
    assert await desk.syncs.wait(desk.org, taken, 50, {"type": "crm-budget", "detail": "Used up.", "status": 429}) is None
    one = desk.worker(Script([["a"]]))
    await one.once()
    monkeypatch.setattr(worker, "LOOKED_BACK_MS", -DAY_MS)

    async def done() -> bool:
        await one.once()
        return (await desk.sync()).state == "done"

    await await_until(done, "it goes on when it may")


async def test_a_list_that_reps_empty_is_refilled(desk: Desk, orgs: OrgStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that knows that a list may run low looks at it whenever somebody claims in the org."""
    await SettingsStore(orgs).set_multi_rep_dialing(desk.org, "salesforce", replace(desk.org.settings["salesforce"], enabled=True), "a test")
    desk.org = await known(orgs, "acme")
    await desk.create(refill_below=2)
    script = Script([["a", "b", "c"]])
    one = desk.worker(script)
    for _ in range(2):
        await one.once()
    desk.age(5 * MINUTE_MS)
    monkeypatch.setattr(worker, "LOOKED_BACK_MS", -DAY_MS)  # nothing that was marked when the list was made reminds it
    await one.once()
    assert script.opened == 1
    for number in range(2):
        claimed = await ClaimStore(orgs).claim_next(desk.org, "leads", Taker(f"rep-{number}", "s-1", "power", None), 1, RequestKey.of(None, "/", {}))
        assert isinstance(claimed, Granted)
    await one.once()
    assert script.opened == 2


async def test_a_taking_whose_answer_is_lost_takes_one_list(desk: Desk, server: EngineProcess) -> None:
    """Sent again by itself, it gives the same run: the other list that is due is at once another worker's."""
    await desk.create()
    await desk.ask()
    await lists(desk.orgs, desk, "acme", 1)
    async with proxy_to(server.port) as proxy:
        far = await open_store(proxy.url)
        try:
            orgs = OrgStore(far, desk.orgs.integrations)
            proxy.lose(b"taken")
            taken = await orgs.ask("acme", SyncStore(orgs).take)
        finally:
            await far.close()
        assert proxy.lost == 1
    other = await desk.syncs.take(desk.org)
    assert isinstance(taken, TakenRun)
    assert isinstance(other, TakenRun)
    assert {taken.list, other.list} == {"leads", "acme-0"}
    assert await desk.syncs.hold(desk.org, taken) is None
    started = [entry for entry in desk.client("XRANGE", desk.org.prefix + "history", "-", "+") if entry[1][1] == "sync.started"]
    assert len(started) == 2
