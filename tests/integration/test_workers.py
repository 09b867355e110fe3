"""Workers as processes: the README's own integration, synced by them; killed at a page, frozen past their hold, told to stop."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reservoir.cli.worker import NICE
from tests.support.cli import Running, Service, reservoir, running, service
from tests.support.commands import Commands
from tests.support.plugin import GATED, install, readme_example, write_book
from tests.support.waiting import wait_until

PAGES = [[f"p{page}-{number}" for number in range(3)] for page in range(4)]
ORDER = [id_ for page in PAGES for id_ in page]


class Office:
    """A service without a worker of its own, an org that is connected to a phone book, and workers that are started one by one."""

    def __init__(self, directory: Path, opened: ExitStack, module: str) -> None:
        self.directory = directory
        self.opened = opened
        self.book = directory / "book.json"
        write_book(self.book, PAGES)
        self.environ = {**install(directory, module), "RESERVOIR_ORGS__ACME__PHONEBOOK__PATH": str(self.book)}
        self.service: Service = opened.enter_context(service(directory, "serve --port 0 --no-worker", self.environ))
        self.key = self.service.key()
        body = {"name": "Leads", "integration": "phonebook", "source": {"kind": "book", "id": "all"}}
        status, told = self.service.ask("POST", "/v1/lists", self.key, body)
        assert status == 201, told

    def worker(self) -> Running:
        run = self.opened.enter_context(running(self.directory, "worker", self.environ))
        wait_until(lambda: "reservoir works on syncs" in run.out or run.process.poll() is not None, "the worker works", 60)
        assert run.process.poll() is None, run.err
        return run

    def ask(self) -> Any:
        status, told = self.service.ask("POST", "/v1/lists/leads/sync", self.key, {})
        assert status == 202, told
        return told

    def sync(self) -> Any:
        return self.service.ask("GET", "/v1/lists/leads/sync", self.key)[1]

    def members(self) -> list[str]:
        items = self.service.ask("GET", "/v1/lists/leads/members", self.key)[1]["items"]
        return [one["prospect"]["id"] for one in items]

    def release(self, pages: int) -> None:
        """So many pages of the gated book are there."""
        (self.directory / "released").write_text(str(pages))

    def asked(self, page: int) -> bool:
        """Whether the gated book has been asked for the page, and for none behind it."""
        path = self.directory / "asked"
        return path.exists() and path.read_text() == str(page)

    def let_go(self) -> None:
        """The time passes for which the list's run is held by a worker that says nothing of it."""
        with Commands(int(self.service.store.rpartition(" ")[2])) as client:
            client("HSET", "reservoir:{acme}:list:leads:sync", "held", 0)
            client("ZADD", "reservoir:{acme}:due", "XX", 0, "leads")
            client("ZADD", "reservoir:syncing", int(client("TIME")[0]) * 1_000, "acme")

    def reads(self, fetched: int) -> bool:
        """Whether a run is under way that has read so many."""
        sync = self.sync()
        return bool(sync["state"] == "running" and sync["fetched"] == fetched)

    def until(self, holds: Callable[[], object], what: str, timeout_s: float = 30) -> None:
        wait_until(holds, what, timeout_s)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as opened:
        yield Office(tmp_path, opened, readme_example())


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as opened:
        yield Office(tmp_path, opened, GATED)


def test_the_readmes_integration_is_synced_by_a_worker(office: Office) -> None:
    """As it stands there, from a package of its own; checked, synced, watched on the command line; and its missing file is somebody's to put there."""
    listed = office.service.ask("GET", "/v1/integrations/phonebook", office.key)[1]
    assert listed["connected"] is True
    checked = office.service.ask("POST", "/v1/integrations/phonebook/check", office.key, {})
    assert checked == (200, {"connected": True, "user": None, "may": ["read the file"], "may_not": [], "budget": {}})
    said = reservoir(office.directory, "integration check --org acme phonebook", office.environ)
    assert (said.code, "may read the file" in said.out) == (0, True), said.err
    office.worker()
    watched = reservoir(office.directory, "list sync --org acme --list leads --watch", office.environ)
    assert watched.code == 0, watched.err
    assert "done: 12 read" in watched.out
    assert office.members() == ORDER
    office.book.unlink()
    failed = reservoir(office.directory, "list sync --org acme --list leads --watch", office.environ)
    assert failed.code == 1
    assert "crm-not-found" in failed.err
    assert office.members() == ORDER
    status, told = office.service.ask("POST", "/v1/lists/leads/reset", office.key, {"rep": "ana"})
    assert (status, told["reset"], told["sync"]["list"]) == (200, True, "leads")


def test_without_a_table_a_sync_says_so(office: Office) -> None:
    """`crm-not-connected`; the check on the command line fails with that sentence."""
    del office.environ["RESERVOIR_ORGS__ACME__PHONEBOOK__PATH"]
    reservoir(office.directory, "integration check --org acme phonebook", office.environ).refused(1, "[orgs.acme.phonebook]")
    office.worker()
    office.ask()
    office.until(lambda: office.sync()["state"] == "failed", "it fails")
    assert office.sync()["error"]["type"] == "/problems/crm-not-connected"


def test_a_worker_killed_at_any_page_loses_nobody(gated: Office) -> None:
    """R12: another goes on under the same id, from the page at which it died; nobody is lost, and nobody twice."""
    for page in range(len(PAGES)):
        gated.release(page)
        worker = gated.worker()
        asked = gated.ask()
        gated.until(partial(gated.reads, 3 * page), f"page {page} is awaited")
        worker.send(signal.SIGKILL)
        worker.code()
        assert gated.sync()["state"] == "running"
        gated.let_go()
        other = gated.worker()
        gated.release(len(PAGES))
        gated.until(lambda: gated.sync()["state"] == "done", "the other one finishes it")
        done = gated.sync()
        assert (done["id"], done["fetched"], done["total"], done["complete"]) == (asked["id"], 12, 12, True)
        assert gated.members() == ORDER
        assert other.stop() == 0


def test_a_frozen_worker_that_wakes_late_writes_nothing(gated: Office) -> None:
    """R12: the run is another's by then, and has ended; it goes on with what is due."""
    gated.release(2)
    frozen = gated.worker()
    asked = gated.ask()
    gated.until(lambda: gated.asked(2), "the third page is awaited")
    frozen.send(signal.SIGSTOP)
    gated.let_go()
    other = gated.worker()
    gated.release(len(PAGES))
    gated.until(lambda: gated.sync()["state"] == "done", "the other one finishes it")
    assert other.stop() == 0
    done = gated.sync()
    assert (done["id"], done["fetched"]) == (asked["id"], 12)
    write_book(gated.book, [["late"]])
    frozen.send(signal.SIGCONT)
    gated.until(lambda: "not this worker's any more" in frozen.err, "it sees that the run is not its own")
    assert (gated.sync(), gated.members()) == (done, ORDER)
    gated.ask()
    gated.until(lambda: gated.sync()["state"] == "done", "it works on")
    assert gated.members() == ["late"]


def test_a_worker_that_is_told_to_stop_leaves_at_a_pages_edge(gated: Office) -> None:
    """The page under way is brought, the exit code is 0, and another goes on at once, under the same id."""
    gated.release(1)
    worker = gated.worker()
    asked = gated.ask()
    gated.until(lambda: gated.asked(1), "the second page is awaited")
    worker.send(signal.SIGTERM)
    gated.release(2)
    assert worker.code() == 0
    assert (gated.sync()["state"], gated.sync()["fetched"]) == ("running", 6)
    gated.worker()
    gated.release(len(PAGES))
    gated.until(lambda: gated.sync()["state"] == "done", "the other one finishes it")
    assert (gated.sync()["id"], gated.members()) == (asked["id"], ORDER)


def _pythons(run: Running) -> list[int]:
    return [pid for pid in run.children() if pid not in run.children("server")]


def test_serve_has_a_worker_beside_it_that_is_started_again(tmp_path: Path) -> None:
    """One for the service, however many processes serve; killed, there is another. It stands back where they want the processor."""
    write_book(tmp_path / "book.json", PAGES)
    environ = {**install(tmp_path, readme_example()), "RESERVOIR_ORGS__ACME__PHONEBOOK__PATH": str(tmp_path / "book.json")}
    with service(tmp_path, "serve --port 0 --processes 2", environ) as served:
        key = served.key()
        wait_until(lambda: len(_pythons(served.run)) == 3, "two serve and one works", 60)
        worker = _pythons(served.run)[-1]
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, worker) == min(19, ours + NICE), "the worker stands back")
        assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in _pythons(served.run) if pid != worker} == {ours}
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "which worked on syncs, ended (signal 9)" in served.run.err, "it is seen")
        body = {"name": "Leads", "integration": "phonebook", "source": {"kind": "book", "id": "all"}, "sync": {"refill_below": 5}}
        assert served.ask("POST", "/v1/lists", key, body)[0] == 201
        wait_until(lambda: served.ask("GET", "/v1/lists/leads", key)[1]["counts"]["members"] == 12, "another fills the list that runs low", 60)
        assert served.run.stop() == 0
