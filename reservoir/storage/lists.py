"""Lists at the store: definitions, how they stand, their members in order."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import orjson

from reservoir.domain.claims import Reservation
from reservoir.domain.lists import Backlog, Counts, ListDefinition, ListState, MemberStatus, Rejection, Sync, SyncState
from reservoir.domain.refusals import Refused
from reservoir.storage import replies
from reservoir.storage.history import changed
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.prospects import tidy
from reservoir.storage.replies import flat_hash, integer, items, optional_integer

log = logging.getLogger(__name__)

STATES_CHUNK = 100
MEMBERS_CHUNK = 250

NOT_FOUND = Refused("list-not-found", "There is no such list.")


@dataclass(frozen=True, slots=True)
class ListedMember:
    """A member in list order with how it stands for a rep (or for nobody in particular).

    **Shape**: ``data`` is the prospect as JSON; ``reason`` says why an undialable one is; ``reservation`` who has it, whatever its status.
    """

    prospect: str
    data: bytes
    status: MemberStatus
    reason: str | None
    reservation: Reservation | None


class Members(NamedTuple):
    """Members in list order, each with its place, from which a later page goes on; ``more``: there are others behind them."""

    members: list[tuple[ListedMember, str]]
    more: bool


class ListStore:
    """The verbs on lists, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def create(self, org: Org, wanted: ListDefinition, *, exact: bool, by: str) -> str | Refused:
        """Creates a list and returns its id: the wanted one, or, unless ``exact``, the next free one after it (``-2``, ``-3``, …)."""
        if wanted.source is not None:
            await self._orgs.mark_syncing(org)
        while True:
            reply = await self._orgs.write(
                "create_list",
                org,
                wanted.id,
                int(not exact),
                wanted.name,
                wanted.integration,
                orjson.dumps(wanted.source),
                orjson.dumps(wanted.sync),
                orjson.dumps({"by": by}),
            )
            if reply[0] == b"created":
                return replies.text(reply[2])
            if reply[0] != b"sweeping":
                return Refused("list-exists", f"There is a list {wanted.id!r} already.")
            await self._sweep(org, replies.text(reply[2]))

    async def change(self, org: Org, before: ListDefinition, after: ListDefinition, by: str) -> bool | Refused:
        """Changes a definition. False: it was changed by somebody else since it was read; read it anew."""
        if after.source is not None:
            await self._orgs.mark_syncing(org)
        reply = await self._orgs.write(
            "change_list",
            org,
            before.id,
            before.name,
            orjson.dumps(before.source),
            orjson.dumps(before.sync),
            after.name,
            orjson.dumps(after.source),
            orjson.dumps(after.sync),
            orjson.dumps({"by": by, **changed(_told(before), _told(after))}),
        )
        return NOT_FOUND if reply[0] == b"list-not-found" else reply[0] == b"changed"

    async def delete(self, org: Org, list_id: str, by: str) -> Refused | None:
        """Deletes a list. None: done. Reservations stay. **Again**: ``list-not-found``."""
        reply = await self._orgs.write("delete_list", org, list_id, orjson.dumps({"by": by}))
        if reply[0] != b"deleted":
            return NOT_FOUND
        aside = replies.text(reply[2])
        await self._orgs.ask(org.id, lambda current: self._sweep(current, aside))
        return None

    async def sweep(self, org: Org) -> None:
        """Unties the members of lists whose deletion was cut short, and takes out of the search what was put aside and left."""
        asides = flat_hash(await self._orgs.store.command("HGETALL", f"{org.prefix}sweep"))
        for aside in asides:
            await self._sweep(org, aside)
        await tidy(self._orgs, org)

    async def mend(self, org: Org) -> None:
        """Builds anew the indexes of lists in which a script found one of the wrong type."""
        for told in items(await self._orgs.store.command("SMEMBERS", f"{org.prefix}broken")):
            list_id, place = replies.text(told), b""
            while True:
                reply = await self._orgs.write("mend_list", org, list_id, place)
                if reply[0] != b"mending":
                    break
                place = cast("bytes", reply[2])
            log.warning("the indexes of %s in %s were %s", list_id, org.id, reply[0].decode() if isinstance(reply[0], bytes) else reply[0])

    async def page(self, org: Org, limit: int, after: str | None) -> tuple[list[ListState], str | None]:
        """How the org's lists stand, by id, and the id to go on from."""
        start = f"({after}" if after else "-"
        ids = [replies.text(id_) for id_ in items(await self._orgs.store.command("ZRANGE", f"{org.prefix}lists", start, "+", "BYLEX", "LIMIT", 0, limit + 1))]
        return [state for state in await self.states(org, ids[:limit]) if state], ids[limit - 1] if len(ids) > limit else None

    async def get(self, org: Org, list_id: str) -> ListState | Refused:
        """How a list stands."""
        (state,) = await self.states(org, [list_id])
        return state or NOT_FOUND

    async def states(self, org: Org, ids: Sequence[str]) -> list[ListState | None]:
        """How these lists stand, each group of 100 at one instant. The store is asked even if it is about none: for whether ``org`` is still so."""
        states: list[ListState | None] = []
        for start in range(0, max(1, len(ids)), STATES_CHUNK):
            chunk = ids[start : start + STATES_CHUNK]
            reply = await self._orgs.read("read_lists", org, *chunk)
            states.extend(_state(org, id_, told, integer(reply[1])) for id_, told in zip(chunk, items(reply[2]), strict=True))
        return states

    async def members(self, org: Org, list_id: str, limit: int, after: str | None, rep: str | None) -> "Members | Refused":
        """Up to ``limit`` members (250 at most) in list order."""
        reply = await self._orgs.read("read_members", org, list_id, after or "", min(limit, MEMBERS_CHUNK), rep or "")
        if reply[0] != b"page":
            return NOT_FOUND
        return Members([_member(told) for told in items(reply[2])], more=reply[3] is not None)

    async def _sweep(self, org: Org, aside: str) -> None:
        left = 1
        while left:
            left = integer((await self._orgs.write("sweep_list", org, aside))[2])
            await tidy(self._orgs, org)


def _told(definition: ListDefinition) -> dict[str, object]:
    return {"name": definition.name, "source": definition.source, "sync": definition.sync}


def _state(org: Org, id_: str, told: object, now_ms: int) -> ListState | None:
    if told is None:
        return None
    kept, run, members, available, held, reserved, undialable, next_at, backlog = items(told)
    pending, oldest, failed = items(backlog)
    fields = flat_hash(kept)
    integration = fields["integration"].decode()
    setting = org.settings.get(integration)
    return ListState(
        definition=ListDefinition(
            id=id_,
            name=fields["name"].decode(),
            integration=integration,
            source=orjson.loads(fields["source"]),
            sync=orjson.loads(fields["sync"]),
            created_at_ms=int(fields["created_at"]),
        ),
        counts=Counts(integer(members), integer(available), integer(held), integer(reserved), integer(undialable)),
        fetched=int(fields.get("fetched", b"0")),
        truncated=fields.get("truncated") == b"1",
        multi_rep_dialing=setting is not None and setting.enabled,
        next_available_at_ms=optional_integer(next_at),
        last_sync=sync_of(id_, flat_hash(run), now_ms),
        write_back=None if org.profile.sandbox else Backlog(integer(pending), optional_integer(oldest), integer(failed)),
        lacking=fields.get("advice", b"").decode() or None,
    )


def sync_of(list_id: str, run: Mapping[str, bytes], now_ms: int) -> Sync | None:
    """A run as it stands at ``now_ms``: one that has been silent for too long is lost. None where the list had none yet."""
    if not run:
        return None
    lost = run["state"] == b"running" and int(run["lease"]) < now_ms
    return Sync(
        id=run["id"].decode(),
        list=list_id,
        state="failed" if lost else cast("SyncState", run["state"].decode()),
        started_at_ms=int(run["started_at"]),
        finished_at_ms=int(run["lease"]) if lost else optional_integer(run.get("finished_at")),
        fetched=int(run["fetched"]),
        added=int(run["added"]),
        updated=int(run["updated"]),
        left=int(run["left"]),
        rejected_count=int(run["rejected_count"]),
        rejected=tuple(_rejection(row) for row in orjson.loads(run.get("rejected", b"[]"))),
        total=optional_integer(run.get("total")),
        complete=run.get("complete") == b"1",
        truncated=run.get("truncated") == b"1",
        error=_LOST if lost else orjson.loads(run.get("error", b"null")),
        resumes_at_ms=optional_integer(run.get("resumes_at")),
    )


def _rejection(row: Mapping[str, Any]) -> Rejection:
    return Rejection(row.get("line", 0), row["detail"], row.get("kept", False), row.get("record"))


_LOST = {"type": "lost", "detail": "Nobody works on this sync any more. Start it again; everybody is still in the list."}


def _member(told: object) -> tuple[ListedMember, str]:
    prospect, place, data, undialable, do_not_call, removed, row = items(told)
    reservation = None if row is None else replies.reservation(row)
    status: MemberStatus = "available"
    if undialable == 1:
        status = "undialable"
    elif reservation is not None:
        status = reservation.state
    elif removed == 1:
        status = "removed"
    reason = None
    if undialable == 1:
        reason = "do-not-call" if do_not_call == 1 else "no-phone"
    return ListedMember(replies.text(prospect), cast("bytes", data), status, reason, reservation), replies.text(place)
