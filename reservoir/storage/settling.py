"""The settling of what falls due: within a second, in every org in which something is taken, by whichever process is there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from reservoir import metrics
from reservoir.domain.times import DAY_MS, SECOND_MS
from reservoir.storage import history, keys, replies
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import ACTIVE_MARK_S, OrgStore, StaleError, UnknownOrgError
from reservoir.storage.redis import StoreUnavailableError
from reservoir.storage.settings import SettingsStore

EVERY_S = 0.5
"""How often a process looks for what is due. Half of what is promised, so that a slow turn keeps the promise."""

LOOKED_BACK_MS = 3 * round(ACTIVE_MARK_S * SECOND_MS)
"""An org marked active in this time before the last look may have got something since that ends sooner than what is known to end next."""

TIDY_EVERY_S = 60.0
TRIM_EVERY_S = 3_600.0
"""How often a process lets go of what is old in orgs that are quiet, too."""

log = logging.getLogger(__name__)


class Settling:
    """Looks after what falls due in all orgs. An org in which nothing was taken lately and nothing is due costs nothing."""

    def __init__(self, orgs: OrgStore, lists: ListStore, settings: SettingsStore, retention_days: int) -> None:
        self._orgs = orgs
        self._lists = lists
        self._settings = settings
        self._retention_ms = retention_days * DAY_MS
        self._next_ms: dict[str, int] = {}
        self._looked_ms = 0
        self._tidy_at_s = self._trim_at_s = 0.0

    async def everything(self) -> None:
        """Settles all that is due in all orgs, and finishes what a process that died left half-way: before a process says it is ready."""
        for org_id in await self._orgs.ids():
            await self._look_after(org_id, self._orgs.finish_deletion, self._settle, self._sweep)

    async def run(self) -> None:
        """Settles for ever, until it is cancelled. A store that is away is waited for."""
        while True:
            try:
                await self.turn()
            except StoreUnavailableError as error:
                log.warning("settling waits for the store: %s", error)
            await asyncio.sleep(EVERY_S)

    async def turn(self) -> None:
        """One look at what is due."""
        store = self._orgs.store
        now_ms = await store.read_clock()
        metrics.CLOCK_OFF.set(abs(store.clock.jump_ms or 0) / SECOND_MS)
        if not store.clock.trusted:
            return
        since_ms = min(now_ms, self._looked_ms) - LOOKED_BACK_MS
        marked = replies.items(await store.command("ZRANGE", keys.ACTIVE, since_ms, "+inf", "BYSCORE"))
        metrics.SETTLED_AT.set(now_ms / SECOND_MS)
        for next_ms in self._next_ms.values():
            if next_ms < now_ms:
                metrics.SETTLE_LAG.observe((now_ms - next_ms) / SECOND_MS)
        due = {org_id for org_id, next_ms in self._next_ms.items() if next_ms < now_ms}
        for org_id in sorted(due | {replies.text(member) for member in marked}):
            await self._look_after(org_id, self._settle)
        self._looked_ms = now_ms
        await self._settings.write_used()
        if asyncio.get_running_loop().time() >= self._tidy_at_s:
            self._tidy_at_s = asyncio.get_running_loop().time() + TIDY_EVERY_S
            await self._tidy(now_ms)

    async def _look_after(self, org_id: str, *duties: Callable[[str], Awaitable[None]]) -> None:
        """Does what is to be done in one org. What is wrong in it is logged, and keeps no other org waiting."""
        for duty in duties:
            try:
                await duty(org_id)
            except UnknownOrgError:
                return
            except StoreUnavailableError:
                raise
            except Exception:
                log.exception("the org %s cannot be looked after", org_id)

    async def _sweep(self, org_id: str) -> None:
        await self._orgs.ask(org_id, self._lists.sweep)

    async def _settle(self, org_id: str) -> None:
        while (org := await self._orgs.get(org_id)) is not None:
            try:
                reply = await self._orgs.write("settle", org)
            except StaleError:
                continue
            if reply[4]:
                await self._orgs.ask(org_id, self._lists.mend)
            next_ms = replies.optional_integer(reply[3])
            if next_ms is not None:
                self._next_ms[org_id] = next_ms
            else:
                self._next_ms.pop(org_id, None)
            if next_ms is None or next_ms >= replies.integer(reply[1]):
                return
        self._next_ms.pop(org_id, None)

    async def _tidy(self, now_ms: int) -> None:
        """Lets go of history past its retention, of lists whose deletion was cut short, and of the marks of orgs that have been quiet."""
        store, now_s = self._orgs.store, asyncio.get_running_loop().time()

        async def trim(org_id: str) -> None:
            await history.trim(store, org_id, now_ms - self._retention_ms)

        if now_s >= self._trim_at_s:
            self._trim_at_s = now_s + TRIM_EVERY_S
            for org_id in await self._orgs.ids():
                await self._look_after(org_id, self._orgs.finish_deletion, trim)
        for member in replies.items(await store.command("ZRANGE", keys.ACTIVE, "-inf", "+inf", "BYSCORE")):
            await self._look_after(replies.text(member), trim, self._sweep)
        await store.command("ZREMRANGEBYSCORE", keys.ACTIVE, "-inf", f"({now_ms - DAY_MS}")
