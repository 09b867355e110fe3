"""Write-back: what the history says is brought into the CRMs, at least once, and once where the CRM lets it be known again."""

import asyncio
import logging
from contextlib import closing, suppress
from dataclasses import replace

import orjson

from reservoir.domain.times import SECOND_MS
from reservoir.integrations.source import CrmError, PassingError, WaitError
from reservoir.integrations.writer import Change, Writer, Written
from reservoir.storage.orgs import OrgStore, UnknownOrgError
from reservoir.storage.redis import StoreUnavailableError
from reservoir.storage.write_back import Job, WriteBackStore
from reservoir.sync.connections import Connections
from reservoir.sync.threads import OneThread

EVERY_S = 2.0
PAUSE_S, PAUSE_MOST_S = 15.0, 900.0
"""How long nothing is written into a CRM that could not be reached: the first time, and at most, doubling in between."""

log = logging.getLogger(__name__)


class WriteBack:
    """Looks after what is to be written back, in all orgs, beside any number of others."""

    def __init__(self, orgs: OrgStore, kept: WriteBackStore, connections: Connections) -> None:
        self._orgs = orgs
        self._kept = kept
        self._connections = connections

    async def run(self, stop: asyncio.Event) -> None:
        """Works until it is told to stop, and then to the end of the change that it is at. A store that is away is waited for."""
        while not stop.is_set():
            try:
                await self.turn(stop)
            except StoreUnavailableError as error:
                log.warning("write-back waits for the store: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)

    async def turn(self, stop: asyncio.Event) -> None:
        """Everything that is due now. **Raises**: StoreUnavailableError."""
        for org_id in await self._orgs.ids():
            try:
                for integration in await self._orgs.ask(org_id, self._kept.followed):
                    await self._look_after(org_id, integration, stop)
            except UnknownOrgError:
                continue
            except StoreUnavailableError:
                raise
            except Exception:
                log.exception("what the org %s has to be written back cannot be looked after", org_id)

    async def _look_after(self, org_id: str, integration: str, stop: asyncio.Event) -> None:
        while not stop.is_set() and await self._orgs.ask(org_id, lambda org: self._kept.follow(org, integration)):
            pass
        while not stop.is_set() and self._connections.writes(org_id, integration):
            jobs, tries = await self._orgs.ask(org_id, lambda org: self._kept.take(org, integration))
            if not jobs or not await self._deliver(org_id, integration, jobs, tries, stop):
                return

    async def _deliver(self, org_id: str, integration: str, jobs: list[Job], tries: int, stop: asyncio.Event) -> bool:
        """Writes a batch, and tells what became of it. False: the CRM wants to be left alone."""
        changes = {job.id: _change(job) for job in jobs}
        written, problem = await self._write(org_id, integration, list(changes.values()), stop)
        outcomes: list[tuple[Job, str, str | bytes]] = []
        for job in jobs:
            told = written.get((changes[job.id].claim, changes[job.id].what))
            error = told.error if told is not None else problem if isinstance(problem, CrmError) else None
            if error is not None:
                outcomes.append((job, "failed", orjson.dumps({"type": error.slug, "detail": str(error), "status": error.status})))
            else:
                outcomes.append((job, "again", "") if told is None else (job, "done", told.logged or ""))
        pause_s = _pause_s(problem, tries)
        await self._orgs.ask(org_id, lambda org: self._kept.settle(org, integration, outcomes, round(pause_s * SECOND_MS), tries + 1))
        if problem is not None:
            log.warning("write-back into %s: %s", integration, type(problem).__name__, extra={"org": org_id})
        return pause_s == 0

    async def _write(
        self, org_id: str, integration: str, changes: list[Change], stop: asyncio.Event
    ) -> tuple[dict[tuple[str, str], Written], Exception | None]:
        """What became of each change that was come to, and what stood in the way of the rest."""
        opener = self._connections.writer(org_id, integration)
        thread = OneThread(f"write-back into {integration}")
        written: dict[tuple[str, str], Written] = {}

        def write() -> Exception | None:
            writer: Writer
            try:
                with closing(opener()) as writer:
                    for told in writer.write(changes):
                        written[told.change.claim, told.change.what] = told
                        if stop.is_set():  # what is left is written by another worker, or later
                            break
            except (CrmError, PassingError, WaitError) as error:
                return error
            except Exception as error:
                log.exception("a writer did what none may do", extra={"org": org_id})
                return error
            return None

        try:
            return written, await thread.do(write)
        finally:
            thread.end()


def _change(job: Job) -> Change:
    told = job.told
    change = Change(told["claim"], told["what"], told["prospect"], told["rep"], int(told["at"]), repeated=int(told["sent"]) > 1)
    if told["what"] == "fields":
        return replace(change, outcome=told.get("outcome"), fields=told["fields"])
    return replace(change, outcome=told.get("outcome"), call_outcome=told.get("call_outcome"), logged=told.get("logged"))


def _pause_s(problem: Exception | None, tries: int) -> float:
    if problem is None or isinstance(problem, CrmError):
        return 0
    if isinstance(problem, WaitError):
        return max(problem.after_s, 0.001)
    return float(min(PAUSE_S * 2 ** min(tries, 10), PAUSE_MOST_S))
