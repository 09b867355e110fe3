"""One run of a sync: its source's pages become the list's members, and whatever stands in the way becomes an error that a person can act on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TypeVar

import orjson

from reservoir.domain.lists import REJECTED_SHOWN, Rejection
from reservoir.domain.refusals import Refused
from reservoir.domain.times import SECOND_MS
from reservoir.integrations.source import CrmError, Page, PassingError, WaitError, Wanted
from reservoir.storage.orgs import Org, OrgStore, UnknownOrgError
from reservoir.storage.redis import StoreUnavailableError
from reservoir.storage.syncs import SyncStore, TakenRun
from reservoir.sync.connections import Connections
from reservoir.sync.reading import Reading, StoppedError
from reservoir.telemetry import request_id

HOLD_EVERY_S = 2.0
"""How often a worker says that it is still at a run; four times in the time for which it holds it."""

PAUSES_S = (5.0, 20.0)
"""How long after a failure that may pass the source is tried again. After the last of them the run has failed: three tries, within 2 minutes."""

SHORT_WAIT_S = 3.0
"""So short a wait is not worth another login: the worker keeps the run, and waits itself."""

STEP_MOST = 50
"""How many members one step of a run brings: so long as the store takes for them (2 ms), a claim may wait."""

BREATH_MOST_S = 0.1
"""How long at most the store is let to the claims after each step. It is as long as the step took, so half of the store's time is theirs."""

BAD_STATUS = 502

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class _LostError(Exception):
    """The run is another worker's, or has ended: nothing more may be written for it."""


class Run:
    """One run that this worker has taken, until it has ended, waits, or is left to another worker."""

    def __init__(
        self,
        orgs: OrgStore,
        syncs: SyncStore,
        connections: Connections,
        org_id: str,
        taken: TakenRun,
        pauses_s: tuple[float, ...],
        turns: asyncio.Lock,
    ) -> None:
        """``turns``: of all the worker's runs, so that half of the store's time is the claims', however many lists are synced at once."""
        self._orgs = orgs
        self._syncs = syncs
        self._connections = connections
        self._org_id = org_id
        self._taken = taken
        self._pauses_s = pauses_s
        self._turns = turns
        self._number = taken.page
        self._cursor = taken.cursor
        self._tries = 0

    async def work(self, stop: asyncio.Event) -> None:
        """Goes on with the run as far as it goes. Nothing that a source does ends the worker. **Raises**: nothing but its own cancelling."""
        request_id.set(self._taken.id)
        working = asyncio.ensure_future(self._ending(stop))
        holding = asyncio.ensure_future(self._hold(working))
        try:
            await working
        except (_LostError, UnknownOrgError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not holding.done():
                raise
            log.warning("a sync is not this worker's any more", extra=self._of)
        except StoreUnavailableError as error:
            log.warning("a sync is left to whoever takes it, for the store is away: %s", error, extra=self._of)
        except Exception:
            log.exception("a sync broke off", extra=self._of)
        finally:
            for task in (working, holding):
                task.cancel()
            await asyncio.gather(working, holding, return_exceptions=True)

    @property
    def _of(self) -> Mapping[str, object]:
        return {"org": self._org_id, "list": self._taken.list, "sync": self._taken.id}

    async def _hold(self, working: "asyncio.Future[None]") -> None:
        """Says that the run is held, while a slow call is under way too; ends the work where it is not."""
        while not working.done():
            await asyncio.sleep(HOLD_EVERY_S)
            with suppress(StoreUnavailableError):
                if await self._orgs.ask(self._org_id, lambda org: self._syncs.hold(org, self._taken)):
                    working.cancel()
                    return

    async def _ending(self, stop: asyncio.Event) -> None:
        """Tries the source until it is read, or cannot be. Whatever a source does becomes the run's error."""
        while True:
            try:
                await self._read(stop)
            except StoppedError:
                await self._tell(lambda org: self._syncs.leave(org, self._taken))
            except CrmError as error:
                candidates: dict[str, object] = {"candidates": list(error.candidates)} if error.candidates else {}
                await self._fail(error.slug, str(error), error.status, candidates)
            except WaitError as error:
                if error.after_s <= SHORT_WAIT_S:
                    await _pause(error.after_s, stop)
                    continue
                await self._wait(error)
            except PassingError as error:
                if self._tries < len(self._pauses_s):
                    self._tries += 1
                    await _pause(self._pauses_s[self._tries - 1], stop)
                    continue
                await self._fail(error.slug, str(error), error.status)
            except (_LostError, StoreUnavailableError, UnknownOrgError):
                raise
            except Exception:
                log.exception("a source did what none may do", extra=self._of)
                detail = f"What the CRM answered could not be made sense of. The service's operator finds more in the log, under {self._taken.id}."
                await self._fail("crm-bad-answer", detail, BAD_STATUS)
            return

    async def _read(self, stop: asyncio.Event) -> None:
        """Reads the source from where the run is, to its end."""
        taken = self._taken
        org = await self._orgs.get(self._org_id)
        wanted = Wanted(taken.source, "first_page" if taken.plan.get("fetch") == "first_page" else "all", org.profile.phone_region if org else "US")
        opener = self._connections.opener(self._org_id, taken.integration, anew=taken.asked)
        reading = Reading(opener, wanted, self._cursor, f"sync of {taken.list}")
        try:
            page = Page(())
            while (following := await reading.page(stop)) is not None:
                page = following
                await self._bring(page, stop)
                if page.cursor is None:
                    break
        finally:
            reading.close()
        ended = {"truncated": page.truncated, "complete": page.complete}
        while not await self._step(lambda org: self._syncs.finish_some(org, taken.list, str(taken), **ended), stop):
            pass
        log.info("a sync is done", extra=self._of)

    async def _bring(self, page: Page, stop: asyncio.Event) -> None:
        """Writes one page of the source's, so many members at a time; with the last of them, where the source goes on, and what could not be a member."""
        known = {} if page.cursor is None else {"cursor": orjson.dumps(dict(page.cursor)).decode()}
        known |= {} if page.total is None else {"total": str(page.total)}
        known |= {} if page.advice is None else {"advice": page.advice}
        rejected = [Rejection(0, row.detail, record=row.record) for row in page.rejected[:REJECTED_SHOWN]]
        for start in range(0, max(1, len(page.members)), STEP_MOST):
            members = [(member.id, member) for member in page.members[start : start + STEP_MOST]]
            last = start + STEP_MOST >= len(page.members)
            told = (rejected, len(page.rejected), known) if last else ([], 0, {})
            self._number += 1
            number = self._number
            await self._step(lambda org: self._syncs.page(org, self._taken.list, str(self._taken), number, members, *told), stop)  # noqa: B023 - called at once
        if page.cursor is not None:
            self._cursor = page.cursor
        self._tries = 0

    async def _wait(self, error: WaitError) -> None:
        told = {"type": error.slug, "detail": str(error), "status": _status(error.status)}
        await self._tell(lambda org: self._syncs.wait(org, self._taken, max(1, round(error.after_s * SECOND_MS)), told))
        log.info("a sync waits: %s", error.slug, extra={**self._of, "seconds": round(error.after_s)})

    async def _fail(self, slug: str, detail: str, status: int, more: Mapping[str, object] = MappingProxyType({})) -> None:
        error = {"type": slug, "detail": detail, "status": _status(status), **more}
        await self._tell(lambda org: self._syncs.fail(org, self._taken.list, str(self._taken), error))
        log.warning("a sync failed: %s", slug, extra=self._of)

    async def _step(self, tell: Callable[[Org], Awaitable[Answer | Refused]], stop: asyncio.Event) -> Answer:
        """Writes a step of the run in its turn, and lets the store to others for as long as that took. **Raises**: _LostError."""
        async with self._turns:
            begun_s = asyncio.get_running_loop().time()
            answer = await self._tell(tell)
            await _breathe(asyncio.get_running_loop().time() - begun_s, stop)
        return answer

    async def _tell(self, tell: Callable[[Org], Awaitable[Answer | Refused]]) -> Answer:
        """Writes a word of the run. **Raises**: _LostError where the run is not this worker's any more."""
        answer = await self._orgs.ask(self._org_id, tell)
        if isinstance(answer, Refused):
            raise _LostError
        return answer


def _status(status: int) -> int:
    return status if 400 <= status <= 599 else BAD_STATUS


async def _breathe(took_s: float, stop: asyncio.Event) -> None:
    """Lets the store to others for as long as a step took; no longer where the worker is to stop."""
    await _pause(min(took_s, BREATH_MOST_S), stop)


async def _pause(for_s: float, stop: asyncio.Event) -> None:
    """Returns after so long, or as soon as the worker is told to stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), for_s)
