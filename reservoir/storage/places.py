"""A rep's own place in a list, at the store: what a rep goes by while multi-rep dialing is off (R9). Claims move it."""

from reservoir.domain.refusals import Refused
from reservoir.storage.lists import NOT_FOUND
from reservoir.storage.orgs import Org, OrgStore


class PlaceStore:
    """The verbs on places, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def reset(self, org: Org, list_id: str, rep: str) -> Refused | None:
        """Puts the rep's own place to the start; removals and reservations stay. None: done. **Again**: None."""
        reply = await self._orgs.write("reset", org, list_id, rep)
        return None if reply[0] == b"reset" else NOT_FOUND
