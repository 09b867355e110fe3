"""Syncs at the store: a run begins, brings its pages, and ends. Each step is written only while the run is still the list's run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import orjson

from reservoir.domain.lists import Rejection, Sync
from reservoir.domain.prospects import Member
from reservoir.domain.refusals import Refused
from reservoir.domain.search import terms_of
from reservoir.domain.times import MINUTE_MS, SECOND_MS
from reservoir.storage import replies
from reservoir.storage.lists import NOT_FOUND, sync_of
from reservoir.storage.names import random_name
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.prospects import tidy
from reservoir.storage.redis import Argument

LEASE_MS = MINUTE_MS
"""For how long a run may be silent before it is lost."""

FILE_LEASE_MS = 10 * SECOND_MS
"""The same for a file's run: nobody can take it over, for the file is gone with the process that read it, so the next import need not wait for long."""

HOLD_MS = 8 * SECOND_MS
"""For how long a worker holds a run that it says nothing of. With the time that another takes to see it, less than the 10 s that are promised."""

PAGE_MOST = 100
"""How many members one step may bring: the store's other callers wait for it."""

LOST = Refused("sync-lost", "Another sync of this list has begun, or this one was given up.")


@dataclass(frozen=True, slots=True)
class TakenRun:
    """A run that a worker has taken, and what it needs to know of it.

    **Shape**: ``cursor`` is where its source goes on, None at its start; ``page`` the number of the last page that the store has of it; ``asked``: somebody
    asked for it while it waited. As text it names itself and its holder, which every step of it must.
    """

    list: str
    id: str
    token: str
    integration: str
    source: Mapping[str, object]
    plan: Mapping[str, object]
    cursor: Mapping[str, object] | None
    page: int
    asked: bool

    def __str__(self) -> str:
        return f"{self.id} {self.token}"


@dataclass(frozen=True, slots=True)
class NothingDue:
    """``next_ms``: when there is something to look at, if ever; ``refilling``: how many lists may run low."""

    next_ms: int | None
    refilling: int


@dataclass(frozen=True, slots=True)
class PackedMembers:
    """Members in the form in which the store takes them: for who has time to pack before the store has time to take."""

    count: int
    arguments: Sequence[Argument]


class SyncStore:
    """The steps of a run, for every org. ``sync_id`` is that of a file's run, or a run that a worker has taken as text."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def begin(self, org: Org, list_id: str) -> str | Refused:
        """Begins a run and returns its id; refused while another one runs."""
        sync_id = random_name(16)
        await self._orgs.mark_syncing(org)
        reply = await self._orgs.write("begin_sync", org, list_id, sync_id, FILE_LEASE_MS)
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
        members: Sequence[tuple[int | str, Member]] | PackedMembers,
        rejected: Sequence[Rejection],
        rejected_count: int,
        known: Mapping[str, str] = MappingProxyType({}),
    ) -> Refused | None:
        """Brings up to 100 members, each with its line or its record, and tells of the first rows rejected on the way and how many there were.

        One that is unread stays as this list has it, or becomes as another list of the org does; if none does, only its id is known, and it is undialable.

        ``known`` is what else is known of the run from here on: ``cursor``, ``total``, ``advice``.

        **Again** (same number): nothing more is written.
        """
        told = [_row(row) | {"detail": row.detail} | ({"kept": True} if row.kept else {}) for row in rejected]
        packed = members if isinstance(members, PackedMembers) else pack(members)
        reply = await self._orgs.write(
            "import_page",
            org,
            list_id,
            sync_id,
            _lease_ms(sync_id),
            number,
            orjson.dumps(told),
            rejected_count,
            orjson.dumps(dict(known)),
            HOLD_MS,
            packed.count,
            *packed.arguments,
        )
        if reply[0] != b"in":
            return _lost(reply[0])
        if reply[3]:
            await tidy(self._orgs, org)
        return None

    async def finish(self, org: Org, list_id: str, sync_id: str) -> Refused | None:
        """Ends a run whose source was read whole: members that it did not bring leave the list."""
        ended: Refused | bool = False
        while ended is False:
            ended = await self.finish_some(org, list_id, sync_id)
        return ended if isinstance(ended, Refused) else None

    async def finish_some(self, org: Org, list_id: str, sync_id: str, *, truncated: bool = False, complete: bool = True) -> Refused | bool:
        """One step to the end of a run whose source was read whole: up to 100 members that it did not bring leave the list, if it was ready (``complete``).

        True: it has ended. False: more are to leave; call again.
        """
        reply = await self._orgs.write("finish_sync", org, list_id, sync_id, _lease_ms(sync_id), int(truncated), int(complete), HOLD_MS)
        await tidy(self._orgs, org)
        return reply[0] == b"done" if reply[0] in {b"done", b"leaving"} else _lost(reply[0])

    async def fail(self, org: Org, list_id: str, sync_id: str, error: Mapping[str, object]) -> Refused | None:
        """Ends a run that broke off. Everybody stays in, and what came stands."""
        reply = await self._orgs.write("fail_sync", org, list_id, sync_id, orjson.dumps(error))
        return None if reply[0] == b"failed" else _lost(reply[0])

    async def ask(self, org: Org, list_id: str) -> Sync | Refused:
        """Asks for a sync: the run that is under way, or a new one, which the next worker takes. It moves nobody's place.

        Refused: ``list-not-found``; ``no-source``.
        """
        await self._orgs.mark_syncing(org)
        reply = await self._orgs.write("ask_sync", org, list_id, random_name(16))
        if reply[0] == b"no-source":
            return Refused("no-source", "The list has no source: its members are put in.")
        if reply[0] != b"asked":
            return NOT_FOUND
        run = sync_of(list_id, replies.flat_hash(reply[2]), replies.integer(reply[1]))
        return run or NOT_FOUND

    async def take(self, org: Org) -> TakenRun | NothingDue:
        """Takes one run of the org that is due, for this worker alone for the next 8 s. A lost answer costs no other list: the same one is given again."""
        token = random_name(16)
        reply = await self._orgs.write("take_sync", org, token, random_name(16), LEASE_MS, HOLD_MS)
        if reply[0] == b"none":
            return NothingDue(replies.optional_integer(reply[2]), replies.integer(reply[3]))
        _, _, list_id, id_, integration, source, plan, cursor, page, asked = reply
        return TakenRun(
            replies.text(list_id),
            replies.text(id_),
            token,
            replies.text(integration),
            orjson.loads(replies.text(source)),
            orjson.loads(replies.text(plan)),
            None if cursor is None else orjson.loads(replies.text(cursor)),
            replies.integer(page),
            asked == b"1",
        )

    async def hold(self, org: Org, run: TakenRun) -> Refused | None:
        """Says that the worker is still at it."""
        return _held(await self._orgs.write("hold_sync", org, run.list, str(run), LEASE_MS, HOLD_MS, "", ""))

    async def leave(self, org: Org, run: TakenRun) -> Refused | None:
        """Leaves a run to whoever takes it next, at once."""
        await self._orgs.mark_syncing(org)
        return _held(await self._orgs.write("hold_sync", org, run.list, str(run), LEASE_MS, 0, "", ""))

    async def wait(self, org: Org, run: TakenRun, after_ms: int, error: Mapping[str, object]) -> Refused | None:
        """Leaves a run to whoever takes it when the CRM answers again."""
        await self._orgs.mark_syncing(org)
        return _held(await self._orgs.write("hold_sync", org, run.list, str(run), LEASE_MS, 0, after_ms, orjson.dumps(error)))

    async def newest(self, org: Org, list_id: str) -> Sync | Refused:
        """The newest run of a list."""
        reply = await self._orgs.read("read_lists", org, list_id)
        (told,) = replies.items(reply[2])
        if told is None:
            return NOT_FOUND
        run = sync_of(list_id, replies.flat_hash(replies.items(told)[1]), replies.integer(reply[1]))
        return run or Refused("no-sync", "The list has had no sync yet.")


def pack(members: Sequence[tuple[int | str, Member]]) -> PackedMembers:
    """The members of a page, and behind them what a search finds them by, in the order of the text: so the search's index takes it in quicker."""
    arguments: list[Argument] = []
    found_by: dict[str, list[str]] = {}
    for line, member in members:
        arguments += (line, member.id, member_json(member), "unread" if member.unread else member.undialable or "")
        if member.id not in found_by:
            found_by[member.id] = [f"{term} {member.id}" for term in terms_of(member)]
    for entry in sorted(chain.from_iterable(found_by.values())):
        arguments += (0, entry)
    return PackedMembers(len(members), arguments)


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


def _lease_ms(sync_id: str) -> int:
    return LEASE_MS if " " in sync_id else FILE_LEASE_MS


def _row(row: Rejection) -> dict[str, object]:
    return {"line": row.line} if row.record is None else {"record": row.record}


def _held(reply: list[object]) -> Refused | None:
    return None if reply[0] in {b"held", b"waiting"} else _lost(reply[0])


def _lost(kind: object) -> Refused:
    return NOT_FOUND if kind == b"list-not-found" else LOST
