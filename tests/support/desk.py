"""A list that workers of this process sync, and what a test asks of it."""

from reservoir.domain.lists import ListDefinition, ListState, Sync
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.syncs import SyncStore
from tests.support.commands import Commands
from tests.support.scripted import Script, Working, working

PLAN: dict[str, object] = {"every_minutes": None, "refill_below": None, "fetch": "all"}


class Desk:
    """One org with a list "leads", what a caller asks of it, and time that has passed for its syncs."""

    def __init__(self, orgs: OrgStore, org: Org, client: Commands) -> None:
        self.orgs, self.org, self.client = orgs, org, client
        self.lists, self.syncs = ListStore(orgs), SyncStore(orgs)

    async def create(self, **plan: object) -> None:
        source = {"kind": "report", "id": "00O000000000001AAA"}
        assert await self.lists.create(self.org, ListDefinition("leads", "Leads", "salesforce", source, PLAN | plan, 0), exact=True, by="a test") == "leads"

    async def ask(self) -> Sync:
        asked = await self.syncs.ask(self.org, "leads")
        assert isinstance(asked, Sync)
        return asked

    async def state(self) -> ListState:
        state = await self.lists.get(self.org, "leads")
        assert isinstance(state, ListState)
        return state

    async def sync(self) -> Sync:
        newest = await self.syncs.newest(self.org, "leads")
        assert isinstance(newest, Sync)
        return newest

    def order(self) -> list[str]:
        members: list[str] = self.client("ZRANGE", self.org.prefix + "list:leads:order", 0, -1)
        return members

    def age(self, ms: int) -> None:
        """Lets so long pass for the list's syncs, and for nothing else."""
        base = self.org.prefix + "list:leads"
        for key, names in (
            (base, ("created_at", "synced_at")),
            (f"{base}:sync", ("started_at", "finished_at", "lease", "held", "resumes_at", "waiting_since")),
        ):
            for name in names:
                if self.client("HGET", key, name):
                    self.client("HINCRBY", key, name, -ms)
        for key in ("due", "refilling"):
            self.client("ZADD", self.org.prefix + key, "XX", "INCR", -ms, "leads")

    def worker(self, script: Script) -> Working:
        return working(self.orgs, script)
