"""An org's budgets of calls to its CRM, kept at the store, so that all workers together spend no more than there is."""

from reservoir.domain.times import SECOND_MS
from reservoir.storage import replies
from reservoir.storage.keys import encoded
from reservoir.storage.orgs import Org, OrgStore


class BudgetStore:
    """The budgets of every org, each by integration and by what is spent."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def spend(self, org: Org, integration: str, what: str, most: int, per_s: float) -> float | None:
        """Takes one of ``most`` in a sliding window of ``per_s`` seconds; returns None, or in how many seconds one may be free."""
        reply = await self._orgs.write("spend", org, integration, what, most, round(per_s * SECOND_MS))
        return None if reply[0] == b"spent" else replies.integer(reply[2]) / SECOND_MS

    async def spent(self, org: Org, integration: str, what: str, per_s: float) -> int:
        """How many were spent in the last ``per_s`` seconds."""
        store = self._orgs.store
        since_ms = await store.read_clock() - round(per_s * SECOND_MS)
        return replies.integer(await store.command("ZCOUNT", f"{org.prefix}spent:{integration}:{encoded(what)}", f"({since_ms}", "+inf"))

    async def hold(self, org: Org, integration: str, what: str, for_s: float) -> None:
        """Nobody spends for so long."""
        await self._orgs.write("pace", org, integration, what, "hold", 0, _ms(for_s))

    async def left(self, org: Org, integration: str, what: str, count: int, for_s: float) -> None:
        """The CRM has so many left for so long."""
        await self._orgs.write("pace", org, integration, what, "left", max(0, count), _ms(for_s))

    async def forget(self, org: Org, integration: str, what: str) -> None:
        """What the CRM said is to be asked anew; what was spent stays spent."""
        await self._orgs.write("pace", org, integration, what, "forget", 0, 1)


def _ms(for_s: float) -> int:
    return max(1, round(for_s * SECOND_MS))
