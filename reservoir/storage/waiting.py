"""Waiting for a list's prospects: the claims of this process that wait, and the one look at the store that tells all of them when to claim again.

Who is served is decided by the store, claim by claim (`lua/waiting.lua`): the longest waiter first, over all processes. What is here only says when to ask.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterable

from reservoir.storage import replies
from reservoir.storage.clock import HostTime
from reservoir.storage.names import random_name
from reservoir.storage.orgs import Org, OrgStore, StaleError, UnknownOrgError
from reservoir.storage.redis import StoreUnavailableError

LOOK_S = 0.1
"""How often a process looks at what its claims wait for, in each org in which any does. The end of a hold or reservation is looked at when it comes."""

HEARD_S = 0.5
"""How often a process says that it lives: four times as often as it must."""

SILENT_MOST_S = 2.0
"""After which a process that was not heard of has lost its waiters' turn."""

UNSURE_S = 1.0
"""How often a claim is tried of which nobody can say whether it helps."""

SOONEST_S = 0.002
LISTS_MOST = 16

log = logging.getLogger(__name__)


class Wait:
    """One request that waits, however often it must claim. It stands in line under its ``ticket``, from the first claim that finds nothing; what it is granted
    has ids that begin with its ``base``.

    **Units**: ``until_s`` is the event loop's clock.
    """

    def __init__(self, ticket: str, seconds: int) -> None:
        self.ticket = ticket
        self.base = random_name(16)
        self.until_s = asyncio.get_running_loop().time() + seconds
        self.in_line = False
        self.gone = False
        self.stirred = 0
        self.tried_s = float("-inf")
        self.generation = ""
        self._woken: asyncio.Future[None] | None = None

    def give_up(self) -> None:
        """Nobody is there any more to be told: it takes nothing from now on."""
        self.gone = True
        self.wake()

    def wake(self, error: Exception | None = None) -> None:
        """Ends a `sleep`, by the error if there is one."""
        if self._woken is not None and not self._woken.done():
            if error is None:
                self._woken.set_result(None)
            else:
                self._woken.set_exception(error)

    async def sleep(self) -> None:
        """Returns when it is worth claiming again, or when there is nothing more to wait for. **Raises**: what it was woken with."""
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        timer = loop.call_at(self.until_s, self.wake)
        try:
            if not self.gone:
                await self._woken
        finally:
            timer.cancel()
            self._woken = None


class Waiting:
    """The claims of one process that wait, in all orgs."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs
        self.process = random_name(10)
        self.stopped = False
        self._numbers = itertools.count(1)
        self._waits: dict[str, dict[str, dict[str, Wait]]] = {}
        self._looks: dict[str, _Look] = {}

    def begin(self, seconds: int) -> Wait:
        """A request that waits so long, if it must."""
        return Wait(f"{self.process}:{next(self._numbers)}", seconds)

    def word(self, wait: Wait) -> str:
        """What the request's next claim says of its waiting: the script's word, and the ticket."""
        if self.stopped or wait.gone:
            return f"leave {wait.ticket}" if wait.in_line or wait.gone else ""
        over = asyncio.get_running_loop().time() >= wait.until_s
        return f"{'last' if over else 'wait'} {wait.ticket}"

    async def turn(self, org: Org, list_id: str, wait: Wait) -> None:
        """Returns when a claim that stands in line is to be made again: it may be served, or its time is over.

        **Raises**: StaleError, if what is known of the org is true no more; StoreUnavailableError, if the store is.
        """
        if self.stopped:
            return
        wait.generation = org.generation
        waits = self._waits.setdefault(org.id, {}).setdefault(list_id, {})
        waits[wait.ticket] = wait
        look = self._looks.get(org.id)
        if look is None:
            look = self._looks[org.id] = _Look(self, org.id)
        if len(waits) == 1:
            look.soon.set()
        try:
            await wait.sleep()
        finally:
            del waits[wait.ticket]
            if not waits:
                self._waits[org.id].pop(list_id, None)

    async def leave(self, org_id: str, list_id: str, wait: Wait, key: str) -> None:
        """The request stands in line no more. Where the store is away, its ticket loses its turn by itself."""
        if not wait.in_line:
            return
        wait.in_line = False
        try:
            await self._orgs.ask(org_id, lambda org: self._orgs.write("leave_waiting", org, list_id, wait.ticket, key))
        except (StoreUnavailableError, UnknownOrgError) as error:
            log.warning("a claim that waits no more stands in line until its time is over: %s", error)

    def stop(self) -> None:
        """All who wait are to be answered now, and nobody waits from now on."""
        self.stopped = True
        for org_id in self._waits:
            self.wake(org_id)

    async def close(self) -> None:
        """Nothing looks any more."""
        looks = list(self._looks.values())
        for look in looks:
            look.task.cancel()
        await asyncio.gather(*(look.task for look in looks), return_exceptions=True)

    def lists(self, org_id: str) -> list[str]:
        """The lists of an org for which claims wait here."""
        return [list_id for list_id, waits in self._waits.get(org_id, {}).items() if waits]

    def waits(self, org_id: str, list_id: str) -> dict[str, Wait]:
        """The claims that wait for a list here, by their tickets."""
        return self._waits.get(org_id, {}).get(list_id, {})

    def wake(self, org_id: str, error: Exception | None = None) -> None:
        """All of an org who wait here claim again, or end by the error."""
        for list_id in self.lists(org_id):
            for wait in self.waits(org_id, list_id).values():
                wait.wake(error)

    async def look(self, org: Org, lists: list[str], *, heard: bool) -> int | None:
        """Looks at what the claims on up to 16 lists wait for, and wakes those that are to claim again. Returns when something in them ends next (ms)."""
        self._wake_stale(org, lists)
        reply = await self._orgs.write("tend_waiting", org, self.process, int(heard), *lists)
        ends: list[int] = []
        for list_id, told in zip(lists, replies.items(reply[2]), strict=True):
            kind, served, unsure, next_ms, stirred = replies.items(told)
            waits = self.waits(org.id, list_id)
            for ticket in replies.items(served):
                if (wait := waits.get(replies.text(ticket))) is not None:
                    wait.wake()
            _try(wait for ticket in replies.items(unsure) if (wait := waits.get(replies.text(ticket))) is not None)
            if kind == b"lost":
                _try(waits.values())
            elif kind == b"off":
                _try(wait for wait in waits.values() if wait.stirred != replies.integer(stirred))
            if next_ms is not None:
                ends.append(replies.integer(next_ms))
        return min(ends, default=None)

    def _wake_stale(self, org: Org, lists: Iterable[str]) -> None:
        """Wakes those that know an older org: another request has read it anew meanwhile, so the store will not tell a look that it is stale."""
        for list_id in lists:
            for wait in self.waits(org.id, list_id).values():
                if wait.generation != org.generation:
                    wait.wake(StaleError(org.id))

    def until_s(self, at_ms: int) -> float:
        """How long until the store's clock is past an instant."""
        return (at_ms + 1 - self._orgs.store.clock.predict(HostTime.read())) / 1_000

    async def org(self, org_id: str) -> Org | None:
        """The org as it is remembered."""
        return await self._orgs.get(org_id)

    def seen(self, look: "_Look") -> None:
        """Nobody waits in the org any more."""
        if self._looks.get(look.org_id) is look:
            del self._looks[look.org_id]


def _try(waits: Iterable[Wait]) -> None:
    """Wakes claims of which nobody can say whether it helps, each now and then."""
    now_s = asyncio.get_running_loop().time()
    for wait in waits:
        if now_s - wait.tried_s >= UNSURE_S:
            wait.tried_s = now_s
            wait.wake()


class _Look:
    """The looking after one org's waiting claims, for as long as there are any."""

    def __init__(self, waiting: Waiting, org_id: str) -> None:
        self.org_id = org_id
        self.soon = asyncio.Event()
        self._waiting = waiting
        self._heard_s = asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self._run(), name=f"waiting in {org_id}")

    async def _run(self) -> None:
        try:
            while self._waiting.lists(self.org_id):
                wait_s = await self._once()
                self.soon.clear()
                try:
                    async with asyncio.timeout(wait_s):
                        await self.soon.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting.seen(self)

    async def _once(self) -> float:
        """One look; returns after how long the next one is due."""
        waiting, org_id = self._waiting, self.org_id
        try:
            return await self._look()
        except StaleError as error:
            await self._read_anew(error)
        except StoreUnavailableError as error:
            log.warning("claims that wait are refused: %s", error)
            waiting.wake(org_id, StoreUnavailableError(str(error), retry_after_s=error.retry_after_s))
        except Exception as error:
            log.exception("what claims in %s wait for cannot be looked at", org_id)
            waiting.wake(org_id, error)
        return LOOK_S

    async def _look(self) -> float:
        org = await self._waiting.org(self.org_id)
        if org is None:
            raise StaleError(self.org_id)
        loop = asyncio.get_running_loop()
        lists, began_s = self._waiting.lists(self.org_id), loop.time()
        heard = began_s - self._heard_s >= HEARD_S
        ends = [await self._waiting.look(org, lists[at : at + LISTS_MOST], heard=heard and at == 0) for at in range(0, len(lists), LISTS_MOST)]
        if heard:
            lost, self._heard_s = began_s - self._heard_s >= SILENT_MOST_S, began_s
            if lost:  # others may have taken this process for dead, and its tickets out of the line
                self._waiting.wake(self.org_id)
        soonest_s = min((self._waiting.until_s(at_ms) for at_ms in ends if at_ms is not None), default=LOOK_S)
        return min(LOOK_S, max(SOONEST_S, soonest_s))

    async def _read_anew(self, error: StaleError) -> None:
        """Reads the org once for all who wait, who then say anew who they are."""
        try:
            await self._waiting.org(self.org_id)
        except StoreUnavailableError as unavailable:
            self._waiting.wake(self.org_id, unavailable)
        else:
            self._waiting.wake(self.org_id, error)
