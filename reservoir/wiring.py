"""From config to a running whole: opens the store, refuses one that cannot keep the promises, and closes all of it again."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from reservoir.config import Config
from reservoir.domain.settings import OrgProfile
from reservoir.integrations.base import integrations
from reservoir.storage.budgets import BudgetStore
from reservoir.storage.claims import ClaimStore
from reservoir.storage.history import HistoryStore
from reservoir.storage.lane import Replication
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import OrgStore
from reservoir.storage.places import PlaceStore
from reservoir.storage.prospects import ProspectStore
from reservoir.storage.redis import Store, open_store
from reservoir.storage.removals import RemovalStore
from reservoir.storage.reservations import ReservationStore
from reservoir.storage.safety import Durability, Finding, inspect
from reservoir.storage.settings import SettingsStore
from reservoir.storage.settling import Settling
from reservoir.storage.syncs import SyncStore
from reservoir.storage.why import WhyStore
from reservoir.storage.write_back import WriteBackStore
from reservoir.sync.connections import Connections
from reservoir.sync.imports import Imports
from reservoir.sync.worker import Worker
from reservoir.sync.write_back import WriteBack


class UnsafeStoreError(Exception):
    """The store cannot keep what the service promises: one plain sentence that says what it found and what to set."""


@dataclass(frozen=True, slots=True)
class Services:
    """All that a process needs, by what it is for."""

    config: Config
    store: Store
    durability: Durability
    orgs: OrgStore
    settings: SettingsStore
    claims: ClaimStore
    reservations: ReservationStore
    history: HistoryStore
    write_back: WriteBackStore
    prospects: ProspectStore
    why: WhyStore
    lists: ListStore
    removals: RemovalStore
    places: PlaceStore
    syncs: SyncStore
    imports: Imports
    connections: Connections
    worker: Worker
    settling: Settling

    async def findings(self) -> list[Finding]:
        """What the promises rest on, as the store is now. **Raises**: StoreUnavailableError."""
        return await inspect(self.store, self.durability)


@asynccontextmanager
async def services(config: Config, url: str) -> AsyncIterator[Services]:
    """Opens everything on the store at ``url`` (an embedded engine's, or the config's own), and closes it at the end.

    **Raises**: StoreUnavailableError; UnsafeStoreError.
    """
    replicas = config.redis.wait_replicas
    store = await open_store(url, Replication(replicas, config.redis.wait_timeout_ms) if replicas else None)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(store.close)
        durability = Durability(replicas, config.redis.durability_confirmed)
        _refuse_unsafe(await inspect(store, durability), allow_unsafe=config.redis.allow_unsafe)
        orgs = OrgStore(store, tuple(integrations()))
        lists, settings, syncs = ListStore(orgs), SettingsStore(orgs), SyncStore(orgs)
        claims, history = ClaimStore(orgs), HistoryStore(orgs)
        write_back = WriteBackStore(orgs, history)
        connections = Connections(orgs, BudgetStore(orgs), config.table_of)
        closing.push_async_callback(claims.waiting.close)
        yield Services(
            config=config,
            store=store,
            durability=durability,
            orgs=orgs,
            settings=settings,
            claims=claims,
            reservations=ReservationStore(orgs),
            history=history,
            prospects=ProspectStore(orgs),
            why=WhyStore(orgs),
            lists=lists,
            removals=RemovalStore(orgs),
            places=PlaceStore(orgs),
            syncs=syncs,
            imports=Imports(orgs, syncs),
            connections=connections,
            write_back=write_back,
            worker=Worker(orgs, syncs, connections, beside=WriteBack(orgs, write_back, connections).run),
            settling=Settling(orgs, lists, settings, config.history.retention_days),
        )


async def create_configured_orgs(opened: Services) -> None:
    """Creates the orgs that the config names, where they do not exist. One that exists is left as it is: after its creation an admin decides."""
    for org_id, org in opened.config.orgs.items():
        await opened.orgs.create(OrgProfile(org_id, org.name or org_id, org.time_zone, org.phone_region, org.sandbox))


def _refuse_unsafe(findings: list[Finding], *, allow_unsafe: bool) -> None:
    refused = [finding for finding in findings if finding.standing == "unusable" or (finding.standing == "unsafe" and not allow_unsafe)]
    if refused:
        way_out = "" if any(finding.standing == "unusable" for finding in refused) else " To serve all the same, set redis.allow_unsafe = true."
        raise UnsafeStoreError(f"This store cannot keep what reservoir promises: {'; '.join(map(str, refused))}.{way_out}")
