"""A worker's runs: pages of a source become members, what is wrong becomes an error, and no run is lost with its worker (R12)."""

import asyncio
import threading
from typing import Any

import pytest

from reservoir.domain.lists import ListDefinition
from reservoir.domain.times import DAY_MS, MINUTE_MS
from reservoir.integrations.source import CrmError, PassingError, RejectedRecord, WaitError
from reservoir.storage.budgets import BudgetStore
from reservoir.storage.orgs import OrgStore
from reservoir.storage.scripts import Verb
from reservoir.storage.syncs import TakenRun
from reservoir.sync import runs
from reservoir.sync.connections import Connections
from reservoir.sync.worker import Worker
from tests.support.desk import PLAN, Desk
from tests.support.scripted import Script, person
from tests.support.waiting import await_until


async def test_a_sync_that_is_asked_for_is_queued_and_run(desk: Desk) -> None:
    """Queued until a worker takes it; then its pages are the list, in the source's order, with what the CRM said beforehand."""
    await desk.create()
    worker = desk.worker(Script([["a", "b"], ["c"]], total=3))
    await worker.once()
    assert (await desk.state()).last_sync is None, "none starts until it is asked for"
    asked = await desk.ask()
    assert asked.state == "queued"
    assert (await desk.ask()).id == asked.id, "one that is under way is the one"
    await worker.once()
    done = await desk.sync()
    assert (done.id, done.state, done.fetched, done.added, done.total, done.complete, done.truncated) == (asked.id, "done", 3, 3, 3, True, False)
    assert desk.order() == ["a", "b", "c"]
    assert (await desk.state()).fetched == 3
    assert (worker.script.opened, worker.script.closed, worker.script.asked) == (1, 1, [0, 1])


async def test_large_pages_are_brought_in_pieces(desk: Desk) -> None:
    """A page of 1,000 is one of the source's, and twenty of the store's, in order."""
    await desk.create()
    people = [f"p{number:04}" for number in range(1_030)]
    await desk.ask()
    await desk.worker(Script([people[:1_000], people[1_000:]])).once()
    assert desk.order() == people
    assert desk.client("HGET", desk.org.prefix + "list:leads:sync", "page") == "20", "numbered from 0, and one more"


async def test_after_each_step_the_store_is_the_claims(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as the step took, and a tenth of a second at most: while members come, and while they leave."""
    seen: list[float | str] = []
    write = desk.orgs.write

    async def written(verb: Verb, *arguments: Any) -> Any:
        seen.append(verb)
        return await write(verb, *arguments)

    async def paused(for_s: float, stop: asyncio.Event) -> None:
        assert not stop.is_set()
        seen.append(for_s)

    monkeypatch.setattr(desk.orgs, "write", written)
    monkeypatch.setattr(runs, "_pause", paused)
    await desk.create()
    people = [f"p{number:04}" for number in range(260)]
    script = Script([people])
    for pages in ([people], [people[:10]]):
        script.pages = pages
        await desk.ask()
        await desk.worker(script).once()
    steps = [one for one in seen if isinstance(one, float) or one in {"import_page", "finish_sync"}]
    breaths = [one for one in steps if isinstance(one, float)]
    assert [one if isinstance(one, str) else "breath" for one in steps] == [
        *["import_page", "breath"] * 6,
        *["finish_sync", "breath"] * 1,
        *["import_page", "breath"] * 1,
        *["finish_sync", "breath"] * 3,
    ]
    assert all(0 < one <= runs.BREATH_MOST_S for one in breaths)


async def test_the_runs_of_a_worker_take_turns_at_the_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lists it syncs at once, no step comes in another's breath."""
    seen: list[str] = []
    write = desk.orgs.write

    async def written(verb: Verb, *arguments: Any) -> Any:
        if verb in {"import_page", "finish_sync"}:
            seen.append("step")
        return await write(verb, *arguments)

    async def paused(for_s: float, stop: asyncio.Event) -> None:
        del for_s, stop
        await asyncio.sleep(0)
        seen.append("breath")

    monkeypatch.setattr(desk.orgs, "write", written)
    monkeypatch.setattr(runs, "_pause", paused)
    for number in range(3):
        wanted = ListDefinition(f"l{number}", "L", "salesforce", {"kind": "report", "id": "x"}, PLAN, 0)
        await desk.lists.create(desk.org, wanted, exact=True, by="a test")
        await desk.syncs.ask(desk.org, wanted.id)
    script = Script([[f"p{number}" for number in range(120)]])
    await desk.worker(script).once()
    assert script.closed == 3
    assert seen == ["step", "breath"] * 3 * (3 + 1)


async def test_a_breath_is_no_longer_than_a_step_and_none_where_the_worker_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is slow for a while does not stop a sync."""
    paused: list[float] = []

    async def pause(for_s: float, stop: asyncio.Event) -> None:
        del stop
        paused.append(for_s)

    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(runs._breathe(60.0, stop), 30)
    monkeypatch.setattr(runs, "_pause", pause)
    for took_s in (0.004, 60.0):
        await runs._breathe(took_s, stop)
    assert paused == [0.004, runs.BREATH_MOST_S]


async def test_members_can_be_claimed_page_by_page(desk: Desk) -> None:
    """R12: while the second page is awaited, the first is there, in front."""
    await desk.create()
    await desk.ask()
    gate = threading.Event()
    worker = desk.worker(Script([["b", "a"], ["c"]], gates={1: gate}))
    await worker.worker.turn(worker.stop)
    await await_until(lambda: desk.order() == ["b", "a"], "the first page is in")
    assert (await desk.sync()).state == "running"
    assert (await desk.state()).counts.available == 2
    gate.set()
    await worker.worker.idle()
    assert desk.order() == ["b", "a", "c"]


async def test_who_comes_again_keeps_the_first_place(desk: Desk) -> None:
    """A report's own first page, then the rest by keyset: nobody is counted twice, and nobody is rejected for it."""
    await desk.create()
    await desk.ask()
    await desk.worker(Script([["c", "a"], ["a", "b"], ["c", "d"]])).once()
    done = await desk.sync()
    assert desk.order() == ["c", "a", "b", "d"]
    assert (done.fetched, done.added, done.rejected_count) == (4, 4, 0)


async def test_rejected_records_are_told_by_their_id(desk: Desk) -> None:
    """Rows that cannot be members are no error of the run."""
    await desk.create()
    await desk.ask()
    await desk.worker(Script([["a"], ["b"]], rejected={0: [RejectedRecord("001A", "a company")], 1: [RejectedRecord("", "no person")]})).once()
    done = await desk.sync()
    assert [(row.record, row.detail) for row in done.rejected] == [("001A", "a company"), ("", "no person")]
    assert (done.state, done.rejected_count) == ("done", 2)


async def test_who_left_the_source_leaves_after_a_complete_run_only(desk: Desk) -> None:
    """R12: not while the source was not ready; that is asked again within 5 minutes, by itself."""
    await desk.create()
    await desk.ask()
    worker = desk.worker(Script([["a", "b"]]))
    await worker.once()
    worker.script.pages, worker.script.last = [["b"]], {"complete": False}
    await desk.ask()
    await worker.once()
    unready = await desk.sync()
    assert (unready.state, unready.complete, desk.order()) == ("done", False, ["b", "a"])
    worker.script.last = {}
    await worker.once()
    assert (await desk.sync()).id == unready.id
    desk.age(5 * MINUTE_MS)
    await desk.worker(worker.script).once()
    again = await desk.sync()
    assert (again.id != unready.id, again.complete, again.left, desk.order()) == (True, True, 1, ["b"])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (CrmError("crm-permission", "Ask for the scope x.", status=403), {"type": "crm-permission", "detail": "Ask for the scope x.", "status": 403}),
        (CrmError("crm-ambiguous", "Which?", candidates=("A", "B")), {"type": "crm-ambiguous", "detail": "Which?", "status": 502, "candidates": ["A", "B"]}),
        (CrmError("crm-not-found", "Gone.", status=200), {"type": "crm-not-found", "detail": "Gone.", "status": 502}),
    ],
)
async def test_what_a_person_must_mend_fails_at_once(desk: Desk, fault: CrmError, expected: dict[str, Any]) -> None:
    """R12: with who must do what; everybody stays in, what came stands, and the list's figures are those of its last whole run."""
    await desk.create()
    await desk.ask()
    worker = desk.worker(Script([["a", "b"]], last={"truncated": True}))
    await worker.once()
    script = worker.script
    script.pages, script.last, script.faults = [["c"], ["d"]], {}, {1: [fault]}
    await desk.ask()
    await worker.once()
    failed = await desk.sync()
    assert (failed.state, failed.error, failed.fetched) == ("failed", expected, 1)
    assert desk.order() == ["c", "a", "b"]
    state = await desk.state()
    assert (state.fetched, state.truncated) == (2, True)


async def test_what_may_pass_is_tried_three_times(desk: Desk) -> None:
    """From the page where it broke off; a page that comes makes the tries anew."""
    await desk.create()
    await desk.ask()
    down = PassingError("crm-unavailable", "It is down.", status=503)
    worker = desk.worker(Script([["a"], ["b"], ["c"]], faults={1: [down, down], 2: [down, down]}))
    await worker.once()
    assert ((await desk.sync()).state, worker.script.asked) == ("done", [0, 1, 1, 1, 2, 2, 2])
    worker.script.faults = {0: [down, down, down]}
    await desk.ask()
    await worker.once()
    failed = await desk.sync()
    assert (failed.state, failed.error) == ("failed", {"type": "crm-unavailable", "detail": "It is down.", "status": 503})


async def test_what_no_source_may_do_fails_the_run_and_not_the_worker(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the fault, the answer only where to look for it."""
    await desk.create()
    asked = await desk.ask()
    worker = desk.worker(Script([["a"]], faults={0: [KeyError("a secret")]}))
    await worker.once()
    failed = await desk.sync()
    assert failed.error is not None
    assert (failed.error["type"], asked.id in str(failed.error["detail"]), "secret" in str(failed.error)) == ("crm-bad-answer", True, False)
    assert "a source did what none may do" in caplog.text
    await desk.ask()
    await worker.once()
    assert (await desk.sync()).state == "done"


async def test_a_sync_waits_for_what_time_cures_and_goes_on_under_its_id(desk: Desk) -> None:
    """What it has read stays; at the time it goes on from there."""
    await desk.create()
    asked = await desk.ask()
    worker = desk.worker(Script([["a"], ["b"]], faults={1: [WaitError("crm-budget", "Used up.", after_s=600, status=429)]}))
    await worker.once()
    waits = await desk.sync()
    assert (waits.id, waits.state, waits.fetched, waits.error) == (asked.id, "waiting", 1, {"type": "crm-budget", "detail": "Used up.", "status": 429})
    assert waits.resumes_at_ms is not None
    assert 599_000 < waits.resumes_at_ms - waits.started_at_ms < 660_000
    await worker.once()
    assert (await desk.sync()).state == "waiting"
    desk.age(601_000)
    await desk.worker(worker.script).once()
    done = await desk.sync()
    assert (done.id, done.state, done.error, done.resumes_at_ms, desk.order()) == (asked.id, "done", None, None, ["a", "b"])
    assert worker.script.asked == [0, 1, 1]


async def test_a_waiting_sync_that_is_asked_for_looks_anew_at_once(desk: Desk) -> None:
    """The same run; if the CRM still says no, it waits on."""
    await desk.create()
    await desk.ask()
    busy: list[Exception] = [WaitError("crm-budget", "Used up.", after_s=600), WaitError("crm-budget", "Used up still.", after_s=300)]
    worker = desk.worker(Script([["a"]], faults={0: busy}))
    await worker.once()
    waiting = await desk.sync()
    assert (await desk.ask()).id == waiting.id
    await worker.once()
    still = await desk.sync()
    assert still.error is not None
    assert (still.id, still.state, still.error["detail"]) == (waiting.id, "waiting", "Used up still.")
    await desk.ask()
    await worker.once()
    assert (await desk.sync()).state == "done"


async def test_a_sync_that_waited_for_a_day_has_failed(desk: Desk) -> None:
    """With that for which it waited."""
    await desk.create()
    await desk.ask()
    worker = desk.worker(Script([["a"]], faults={0: [WaitError("crm-budget", "Used up.", after_s=3 * 86_400)]}))
    await worker.once()
    desk.age(DAY_MS + 1)
    await desk.worker(worker.script).once()
    failed = await desk.sync()
    assert failed.error is not None
    assert (failed.state, failed.error["type"]) == ("failed", "crm-budget")


async def test_without_a_connection_a_sync_says_who_must_do_what(orgs: OrgStore, desk: Desk) -> None:
    """`crm-not-connected`."""
    await desk.create()
    await desk.ask()
    worker = Worker(orgs, desk.syncs, Connections(orgs, BudgetStore(orgs), lambda _, __: None))
    await worker.turn(asyncio.Event())
    await worker.idle()
    failed = await desk.sync()
    assert failed.error is not None
    assert (failed.state, failed.error["type"]) == ("failed", "crm-not-connected")
    assert "[orgs.acme.salesforce]" in str(failed.error["detail"])


# the clock


async def test_a_schedule_counts_from_the_end_of_the_last_run(desk: Desk) -> None:
    """Or from the list's creation."""
    await desk.create(every_minutes=30)
    script = Script([["a"]])
    await desk.worker(script).once()
    assert (await desk.state()).last_sync is None
    desk.age(30 * MINUTE_MS)
    await desk.worker(script).once()
    first = await desk.sync()
    assert first.state == "done"
    desk.age(29 * MINUTE_MS)
    await desk.worker(script).once()
    assert (await desk.sync()).id == first.id
    desk.age(MINUTE_MS)
    script.faults = {0: [CrmError("crm-not-found", "Gone.")]}
    await desk.worker(script).once()
    failed = await desk.sync()
    assert (failed.id != first.id, failed.state) == (True, "failed")
    desk.age(30 * MINUTE_MS)
    await desk.worker(script).once()
    assert ((await desk.sync()).id != failed.id, (await desk.sync()).state) == (True, "done")


async def test_a_list_that_runs_low_is_refilled_with_longer_and_longer_pauses(desk: Desk) -> None:
    """5 minutes from the start of the last run, twice as long each time that nobody new came, an hour at most; somebody new ends that."""
    await desk.create(refill_below=3)
    script = Script([["a", "b"]])
    await desk.worker(script).once()
    seen = {(await desk.sync()).id}
    for minutes in (5, 10, 20, 40, 60, 60):
        desk.age(minutes * MINUTE_MS - 2_000)
        await desk.worker(script).once()
        assert (await desk.sync()).id in seen, minutes
        desk.age(2_000)
        await desk.worker(script).once()
        assert (await desk.sync()).id not in seen, minutes
        seen.add((await desk.sync()).id)
    script.pages = [["a", "b", "c"]]
    await desk.ask()
    await desk.worker(script).once()
    seen.add((await desk.sync()).id)
    desk.age(60 * MINUTE_MS)
    await desk.worker(script).once()
    assert (await desk.sync()).id in seen, "it does not run low"


# who holds a run


async def test_two_workers_share_the_lists_one_at_a_time(desk: Desk) -> None:
    """While one has a list's run, the other finds nothing."""
    await desk.create()
    await desk.ask()
    gate = threading.Event()
    script = Script([["a"]], gates={0: gate})
    one, other = desk.worker(script), desk.worker(script)
    await one.worker.turn(one.stop)
    await await_until(lambda: script.asked == [0], "the one is at it")
    await other.once()
    assert script.opened == 1
    gate.set()
    await one.worker.idle()
    assert ((await desk.sync()).state, script.opened) == ("done", 1)


async def test_a_run_that_nobody_holds_is_taken_over_from_its_last_page(desk: Desk) -> None:
    """Under its id; who had it and wakes late writes nothing, and nobody comes twice."""
    await desk.create()
    asked = await desk.ask()
    taken = await desk.syncs.take(desk.org)
    assert isinstance(taken, TakenRun)
    known = {"cursor": '{"page": 1}'}
    assert await desk.syncs.page(desk.org, "leads", str(taken), 0, [("a", person("a"))], [], 0, known) is None
    assert await desk.syncs.page(desk.org, "leads", str(taken), 1, [("b", person("b"))], [], 0) is None
    script = Script([["a"], ["b", "c"]])
    await desk.worker(script).once()
    assert (script.opened, (await desk.sync()).state) == (0, "running")
    desk.age(8_001)
    await desk.worker(script).once()
    done = await desk.sync()
    assert (done.id, done.state, done.fetched, desk.order(), script.asked) == (asked.id, "done", 3, ["a", "b", "c"], [1])
    before = desk.client("HGETALL", desk.org.prefix + "list:leads:sync")
    for late in (
        desk.syncs.page(desk.org, "leads", str(taken), 9, [("z", person("z"))], [], 0),
        desk.syncs.finish(desk.org, "leads", str(taken)),
        desk.syncs.fail(desk.org, "leads", str(taken), {"type": "lost"}),
        desk.syncs.wait(desk.org, taken, 5_000, {"type": "lost"}),
        desk.syncs.hold(desk.org, taken),
    ):
        refused = await late
        assert refused is not None
        assert refused.slug == "sync-lost"
    assert desk.client("HGETALL", desk.org.prefix + "list:leads:sync") == before


async def test_a_run_that_nobody_held_for_a_minute_is_lost(desk: Desk) -> None:
    """Whoever reads says so at once, and the next worker writes it."""
    await desk.create()
    asked = await desk.ask()
    assert isinstance(await desk.syncs.take(desk.org), TakenRun)
    desk.age(60_001)
    lost = await desk.sync()
    assert lost.error is not None
    assert (lost.state, lost.error["type"]) == ("failed", "lost")
    script = Script([["a"]])
    await desk.worker(script).once()
    assert (script.opened, desk.client("HGET", desk.org.prefix + "list:leads:sync", "state")) == (0, "failed")
    assert (await desk.ask()).id != asked.id


async def test_a_worker_that_stops_leaves_its_run_at_a_pages_edge(desk: Desk) -> None:
    """The page that is under way is brought; then another goes on at once."""
    await desk.create()
    asked = await desk.ask()
    gate = threading.Event()
    script = Script([["a"], ["b"], ["c"]], gates={1: gate})
    worker = desk.worker(script)
    await worker.worker.turn(worker.stop)
    await await_until(lambda: script.asked == [0, 1], "the second page is asked for")
    worker.stop.set()
    gate.set()
    await worker.worker.idle()
    assert (desk.order(), (await desk.sync()).state) == (["a", "b"], "running")
    await desk.worker(script).once()
    done = await desk.sync()
    assert (done.id, done.state, desk.order(), script.asked) == (asked.id, "done", ["a", "b", "c"], [0, 1, 2])


async def test_another_source_ends_the_run(desk: Desk) -> None:
    """PATCH of `source`: failed, `source-changed`; the members stay until the next complete run."""
    await desk.create()
    await desk.ask()
    gate = threading.Event()
    script = Script([["a"], ["b"], ["c"]], gates={1: gate})
    worker = desk.worker(script)
    await worker.worker.turn(worker.stop)
    await await_until(lambda: desk.order() == ["a"], "the first page is in")
    before = (await desk.state()).definition
    after = ListDefinition("leads", "Leads", "salesforce", {"kind": "report", "id": "00O000000000002AAA"}, before.sync, 0)
    assert await desk.lists.change(desk.org, before, after, "a test") is True
    gate.set()
    await worker.worker.idle()
    failed = await desk.sync()
    assert failed.error is not None
    assert (failed.state, failed.error["type"], desk.order()) == ("failed", "source-changed", ["a"])
    assert script.asked == [0, 1], "nothing more is asked of a CRM for nobody"


async def test_a_deleted_list_ends_its_run(desk: Desk) -> None:
    """Nothing more is written, also where a list of the same id is made anew."""
    await desk.create()
    await desk.ask()
    gate = threading.Event()
    script = Script([["a"], ["b"]], gates={1: gate})
    worker = desk.worker(script)
    await worker.worker.turn(worker.stop)
    await await_until(lambda: desk.order() == ["a"], "the first page is in")
    assert await desk.lists.delete(desk.org, "leads", "a test") is None
    await desk.create()
    gate.set()
    await worker.worker.idle()
    assert (desk.order(), (await desk.state()).last_sync) == ([], None)
