"""A worker: it runs what syncs are due, in whichever org, beside any number of others on any number of machines."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from reservoir.domain.times import DAY_MS, SECOND_MS
from reservoir.storage import keys, replies
from reservoir.storage.orgs import ACTIVE_MARK_S, OrgStore, UnknownOrgError
from reservoir.storage.redis import StoreUnavailableError
from reservoir.storage.syncs import SyncStore, TakenRun
from reservoir.sync.connections import Connections
from reservoir.sync.runs import PAUSES_S, Run

EVERY_S = 0.5
"""How often a worker looks for what is due."""

RUNS_MOST = 8
"""How many lists a worker syncs at once; each has a thread and a connection."""

LOOKED_BACK_MS = 10 * SECOND_MS
"""An org is marked before something changes in it; a script that was sent then is done within this time."""

ACTIVE_BACK_MS = 3 * round(ACTIVE_MARK_S * SECOND_MS)

BESIDE_S = 10.0
"""How long what works beside it may take to stop; what it was at is another worker's then."""

log = logging.getLogger(__name__)


class Worker:
    """Looks for syncs that are due and runs them. An org in which nothing about syncs changes, and nothing is due, costs nothing."""

    def __init__(
        self,
        orgs: OrgStore,
        syncs: SyncStore,
        connections: Connections,
        *,
        pauses_s: tuple[float, ...] = PAUSES_S,
        beside: Callable[[asyncio.Event], Awaitable[None]] | None = None,
    ) -> None:
        """``beside`` works beside it, until both are told to stop."""
        self._orgs = orgs
        self._syncs = syncs
        self._connections = connections
        self._pauses_s = pauses_s
        self._beside = beside
        self._next_ms: dict[str, int] = {}
        self._refilling: set[str] = set()
        self._looked_ms: int | None = None
        self._runs: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until it is told to stop, and then to the edge of each page that it is at. A store that is away is waited for."""
        beside = asyncio.ensure_future(self._beside(stop)) if self._beside is not None else None
        while not stop.is_set():
            try:
                await self.turn(stop)
            except StoreUnavailableError as error:
                log.warning("syncs wait for the store: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)
        await self.idle()
        if beside is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(beside, BESIDE_S)

    async def idle(self) -> None:
        """Returns when no run is under way."""
        while self._runs:
            await asyncio.wait(self._runs)

    async def turn(self, stop: asyncio.Event) -> None:
        """One look at what is due; what is taken runs on behind it. **Raises**: StoreUnavailableError."""
        if len(self._runs) >= RUNS_MOST:
            return
        store = self._orgs.store
        now_ms = await store.read_clock()
        due = {org_id for org_id, next_ms in self._next_ms.items() if next_ms <= now_ms}
        if self._looked_ms is None:
            due |= set(await self._orgs.ids())
        else:
            since_ms = min(now_ms, self._looked_ms)
            due |= await self._marked(keys.SYNCING, since_ms - LOOKED_BACK_MS)
            if self._refilling:
                due |= self._refilling & await self._marked(keys.ACTIVE, since_ms - ACTIVE_BACK_MS)
        left = sorted(due, key=lambda org_id: self._next_ms.get(org_id, 0))
        while left and len(self._runs) < RUNS_MOST:  # one of each org in turn, so that none keeps the others waiting
            left = [org_id for org_id in left if len(self._runs) >= RUNS_MOST or await self._take(org_id, stop)]
        for org_id in left:
            self._next_ms[org_id] = now_ms
        if self._looked_ms is None or now_ms // DAY_MS != self._looked_ms // DAY_MS:
            await store.command("ZREMRANGEBYSCORE", keys.SYNCING, "-inf", f"({now_ms - DAY_MS}")
        self._looked_ms = now_ms

    async def _marked(self, key: str, since_ms: int) -> set[str]:
        found = await self._orgs.store.command("ZRANGE", key, since_ms, "+inf", "BYSCORE")
        return {replies.text(member) for member in replies.items(found)}

    async def _take(self, org_id: str, stop: asyncio.Event) -> bool:
        """Takes one run of the org, if one is due. False: there is nothing more to do in it for now."""
        try:
            taken = await self._orgs.ask(org_id, self._syncs.take)
        except UnknownOrgError:
            self._next_ms.pop(org_id, None)
            self._refilling.discard(org_id)
            return False
        except StoreUnavailableError:
            raise
        except Exception:
            log.exception("the syncs of the org %s cannot be looked after", org_id)
            return False
        if isinstance(taken, TakenRun):
            run = Run(self._orgs, self._syncs, self._connections, org_id, taken, self._pauses_s, self._turns)
            task = asyncio.create_task(run.work(stop), name=f"sync {taken.id}")
            self._runs.add(task)
            task.add_done_callback(self._runs.discard)
            return True
        self._next_ms.pop(org_id, None)
        if taken.next_ms is not None:
            self._next_ms[org_id] = taken.next_ms
        if taken.refilling:
            self._refilling.add(org_id)
        else:
            self._refilling.discard(org_id)
        return False
