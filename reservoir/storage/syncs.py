"""Syncs at the store: a run begins, brings its pages, and ends. Each step is written only while the run is still the list's run."""

from collections.abc import Mapping, Sequence

import orjson

from reservoir.domain.lists import Rejection, Sync
from reservoir.domain.prospects import Member
from reservoir.domain.refusals import Refused
from reservoir.domain.search import terms_of
from reservoir.domain.times import MINUTE_MS
from reservoir.storage import replies
from reservoir.storage.lists import NOT_FOUND, sync_of
from reservoir.storage.names import random_name
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.prospects import tidy

LEASE_MS = MINUTE_MS
"""For how long a run may be silent before it is lost."""

PAGE_MOST = 125
"""How many members one step may bring: the store's other callers wait for it."""

LOST = Refused("sync-lost", "Another sync of this list has begun, or this one was given up.")


class SyncStore:
    """The steps of a run, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def begin(self, org: Org, list_id: str) -> str | Refused:
        """Begins a run and returns its id; refused while another one runs."""
        sync_id = random_name(16)
        reply = await self._orgs.write("begin_sync", org, list_id, sync_id, LEASE_MS)
        if reply[0] == b"begun":
            return sync_id
        if reply[0] == b"sync-running":
            return Refused("sync-running", "A sync of this list is running.", {"sync": replies.text(reply[2])})
        return NOT_FOUND

    async def page(
        self,
        org: Org,
        list_id: str,
        sync_id: str,
        number: int,
        members: Sequence[tuple[int, Member]],
        rejected: Sequence[Rejection],
        rejected_count: int,
    ) -> Refused | None:
        """Brings up to 125 members, each with its line, and tells of the first rows rejected on the way and how many there were.

        One that is unread stays as this list has it, or becomes as another list of the org does; if none does, only its id is known, and it is undialable.

        **Again** (same number): nothing more is written.
        """
        told = [{"line": row.line, "detail": row.detail, "kept": True} if row.kept else {"line": row.line, "detail": row.detail} for row in rejected]
        arguments: list[str | bytes | int] = []
        for line, member in members:
            arguments += (line, member.id, member_json(member), "unread" if member.unread else member.undialable or "", " ".join(terms_of(member)))
        reply = await self._orgs.write(
            "import_page",
            org,
            list_id,
            sync_id,
            LEASE_MS,
            number,
            orjson.dumps(told),
            rejected_count,
            *arguments,
        )
        if reply[0] != b"in":
            return _lost(reply[0])
        if reply[3]:
            await tidy(self._orgs, org)
        return None

    async def finish(self, org: Org, list_id: str, sync_id: str, *, truncated: bool = False) -> Refused | None:
        """Ends a run whose source was read whole: members that it did not bring leave the list."""
        while True:
            reply = await self._orgs.write("finish_sync", org, list_id, sync_id, LEASE_MS, int(truncated))
            await tidy(self._orgs, org)
            if reply[0] != b"leaving":
                return None if reply[0] == b"done" else _lost(reply[0])

    async def fail(self, org: Org, list_id: str, sync_id: str, error: Mapping[str, object]) -> Refused | None:
        """Ends a run that broke off. Everybody stays in, and what came stands."""
        reply = await self._orgs.write("fail_sync", org, list_id, sync_id, orjson.dumps(error))
        return None if reply[0] == b"failed" else _lost(reply[0])

    async def newest(self, org: Org, list_id: str) -> Sync | Refused:
        """The newest run of a list."""
        reply = await self._orgs.read("read_lists", org, list_id)
        (told,) = replies.items(reply[2])
        if told is None:
            return NOT_FOUND
        run = sync_of(list_id, replies.flat_hash(replies.items(told)[1]), replies.integer(reply[1]))
        return run or Refused("no-sync", "The list has had no sync yet.")


def member_json(member: Member) -> bytes:
    """A member's data in the form in which every answer tells of a prospect."""
    return orjson.dumps(
        {
            "integration": member.integration,
            "id": member.id,
            "name": member.name,
            "phones": [{"label": phone.label, "number": phone.number, "extension": phone.extension} for phone in member.phones],
            "company": member.company,
            "title": member.title,
            "owner": member.owner,
            "time_zone": member.time_zone,
            "url": member.url,
            "fields": member.fields,
        }
    )


def unknown_prospect_json(integration: str, prospect: str) -> bytes:
    """A prospect whom no list knows, in the same form."""
    return member_json(Member(integration, prospect))


def _lost(kind: object) -> Refused:
    return NOT_FOUND if kind == b"list-not-found" else LOST
