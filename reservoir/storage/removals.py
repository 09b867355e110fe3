"""Removals at the store: whom a rep took out of their own dialing of a list (R10), and the undoing of it. A disposition makes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from reservoir.domain.refusals import Refused
from reservoir.storage import replies
from reservoir.storage.keys import decoded
from reservoir.storage.lists import NOT_FOUND
from reservoir.storage.orgs import Org, OrgStore

REMOVALS_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Removal:
    """Whom a rep removed. ``member`` is the prospect's data as JSON, as a list has it; None where no list knows them any more."""

    rep: str
    integration: str
    prospect: str
    member: bytes | None
    removed_at_ms: int
    claim: str


class RemovalStore:
    """The verbs on removals, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def page(self, org: Org, list_id: str, rep: str | None, limit: int, after: str | None) -> tuple[list[Removal], str | None] | Refused:
        """Up to ``limit`` removals of a list, by rep and prospect, and where to go on from."""
        found: list[Removal] = []
        while True:
            reply = await self._orgs.read("read_removals", org, list_id, rep or "", after or "", min(limit - len(found), REMOVALS_CHUNK))
            if reply[0] != b"page":
                return NOT_FOUND
            found += [_removal(replies.text(reply[4]), replies.items(told)) for told in replies.items(reply[2])]
            after = replies.optional_text(reply[3])
            if after is None or len(found) == limit:
                return found, after

    async def restore(self, org: Org, list_id: str, rep: str, integration: str, prospect: str, by: str) -> Refused | None:
        """Undoes a remove. None: done. **Again**: ``removal-not-found``."""
        reply = await self._orgs.write("restore", org, list_id, rep, integration, prospect, orjson.dumps({"by": by}))
        if reply[0] == b"restored":
            return None
        return NOT_FOUND if reply[0] == b"list-not-found" else _NOT_REMOVED


_NOT_REMOVED = Refused("removal-not-found", "That rep has not removed this prospect from the list.")


def _removal(integration: str, told: Sequence[object]) -> Removal:
    rep, prospect, at, claim, member = told
    data = member if isinstance(member, bytes) else None
    return Removal(decoded(replies.text(rep)), integration, replies.text(prospect), data, replies.integer(at), replies.text(claim))
