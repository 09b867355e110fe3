"""Two processes of the service on one store, as the state machine drives them: one act at a time, each by either of them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from reservoir.storage.claims import ClaimStore
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.places import PlaceStore
from reservoir.storage.prospects import ProspectStore
from reservoir.storage.redis import Store, open_store
from reservoir.storage.removals import RemovalStore
from reservoir.storage.reservations import ReservationStore
from reservoir.storage.settings import SettingsStore
from reservoir.storage.settling import Settling
from reservoir.storage.syncs import SyncStore
from reservoir.storage.why import WhyStore
from tests.conftest import INTEGRATIONS
from tests.support.commands import Commands
from tests.support.engine import EngineProcess

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Process:
    """What one process has of the service, down to the store. It remembers orgs on its own."""

    orgs: OrgStore
    claims: ClaimStore
    lists: ListStore
    removals: RemovalStore
    places: PlaceStore
    syncs: SyncStore
    reservations: ReservationStore
    prospects: ProspectStore
    settings: SettingsStore
    settling: Settling
    why: WhyStore

    @classmethod
    def on(cls, store: Store) -> "Process":
        orgs = OrgStore(store, INTEGRATIONS)
        lists, settings = ListStore(orgs), SettingsStore(orgs)
        return cls(
            orgs,
            ClaimStore(orgs),
            lists,
            RemovalStore(orgs),
            PlaceStore(orgs),
            SyncStore(orgs),
            ReservationStore(orgs),
            ProspectStore(orgs),
            settings,
            Settling(orgs, lists, settings, 30),
            WhyStore(orgs),
        )


class World:
    """The server, the event loop and the connections that all examples share."""

    def __init__(self, server: EngineProcess) -> None:
        self.server = server
        self.commands = Commands(server.port)
        self._loop = asyncio.new_event_loop()
        self._stores = [self.run(open_store(server.url)) for _ in range(2)]

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Awaits the work on the world's own event loop."""
        return self._loop.run_until_complete(work)

    def processes(self) -> list[Process]:
        """Two processes that have just started."""
        return [Process.on(store) for store in self._stores]

    def ask(self, process: Process, org: str, question: Callable[[Org], Awaitable[Answer]]) -> Answer:
        """Asks a process, which reads the org anew if it has changed."""
        return self.run(process.orgs.ask(org, question))

    def now_ms(self) -> int:
        """The store's time."""
        seconds, micros = map(int, self.commands("TIME"))
        return seconds * 1_000 + micros // 1_000

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for store in self._stores:
            self.run(store.close())
        self._loop.close()
        self.commands.close()
