"""The history at the store: read in the order of recording, a bounded chunk at a time; let go when it is old and nobody needs it any more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from reservoir.domain.history import Entry
from reservoir.domain.times import SECOND_MS
from reservoir.storage import keys, replies
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import Store

CHUNK = 500
EXAMINED_MOST = 5_000
"""How many entries a page with a filter looks at before it answers short."""

TRIM_MOST = 10_000
"""How many entries one trimming lets go of before the store's other callers get their turn."""

_SLACK_MS = SECOND_MS
"""A script reads the clock a moment after the store has stamped its entries, so an entry's own instant may lie a little behind the time in its id."""

NEWEST = "+"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; None: any.

    **Shape**: ``prospects`` is the record's canonical id by integration, for one id may be written in several ways (R18). **Units**: ``from_ms`` (inclusive)
    and ``to_ms`` (exclusive) are held against the true instant.
    """

    type: str | None = None
    integration: str | None = None
    prospects: Mapping[str, str] | None = None
    list: str | None = None
    rep: str | None = None
    claim: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def admits(self, entry: Entry) -> bool:
        """Whether the entry is one of those that are asked for."""
        asked = ((self.type, entry.type), (self.integration, entry.integration), (self.list, entry.list), (self.rep, entry.rep), (self.claim, entry.claim))
        return (
            all(wanted is None or wanted == told for wanted, told in asked)
            and (self.prospects is None or (entry.prospect is not None and self.prospects.get(entry.integration or "") == entry.prospect))
            and (self.from_ms is None or entry.at_ms >= self.from_ms)
            and (self.to_ms is None or entry.at_ms < self.to_ms)
        )

    @property
    def start(self) -> str:
        """Behind which id to begin. Nothing is recorded before it is so, so what was recorded before ``from_ms`` is not asked for; no such thing is true of
        ``to_ms``, for a lapse may be recorded long after its instant."""
        return "" if self.from_ms is None else f"{max(0, self.from_ms - _SLACK_MS)}-0"


ANY = Wanted()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some entries in the order of recording. ``last``: the id of the newest that there was when they were read."""

    entries: list[Entry]
    more: bool
    last: str


class HistoryStore:
    """Reads of the history, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def read(self, org: Org, after: str, most: int = CHUNK, until: str = NEWEST) -> Chunk:
        """The entries behind ``after``, at most 500, none behind ``until``. **Raises**: StaleError, StoreUnavailableError."""
        reply = await self._orgs.read("read_history", org, after, until, min(most, CHUNK))
        return Chunk([entry_of(told) for told in replies.items(reply[2])], reply[3] is not None, replies.text(reply[4]))

    async def page(self, org: Org, wanted: Wanted, limit: int, after: str | None) -> tuple[list[Entry], str | None]:
        """Entries in the order of recording, and behind which to go on. It examines at most 5,000, so a page may be short of ``limit``, even empty."""
        found: list[Entry] = []
        place = after if after is not None else wanted.start
        for _ in range(EXAMINED_MOST // CHUNK):
            chunk = await self.read(org, place, limit - len(found) if wanted == ANY else CHUNK)
            for number, entry in enumerate(chunk.entries, 1):
                place = entry.id
                if wanted.admits(entry):
                    found.append(entry)
                if len(found) == limit:
                    return found, place if chunk.more or number < len(chunk.entries) else None
            if not chunk.more:
                return found, None
        return found, place


def entry_of(told: object) -> Entry:
    """An entry as XRANGE tells it."""
    id_, facts = replies.items(told)
    fields = replies.flat_hash(facts)
    at_ms = int(fields["at"])

    def text(name: str) -> str | None:
        return fields[name].decode() if name in fields else None

    return Entry(
        id=replies.text(id_),
        type=fields["type"].decode(),
        at_ms=at_ms,
        recorded_at_ms=max(at_ms, int(cast("bytes", id_).partition(b"-")[0])),
        integration=text("integration"),
        prospect=text("prospect"),
        list=text("list"),
        rep=text("rep"),
        session=text("session"),
        mode=text("mode"),
        claim=text("claim"),
        expires_at_ms=int(fields["expires_at"]) if "expires_at" in fields else None,
        detail=orjson.loads(fields.get("detail", b"{}")),
    )


async def trim(store: Store, org_id: str, before_ms: int) -> None:
    """Lets go of what was recorded before ``before_ms``, but of nothing that a reader who must miss nothing has yet to come to.

    Such a reader keeps the id of the last entry that it is done with in *history-readers*, and moves it forward only. Whole nodes of the stream go first, so
    many entries a call; what is left in the last node is less than one node.
    """
    stream = f"{keys.prefix(org_id)}history"
    done_with = replies.flat_hash(await store.command("HGETALL", f"{keys.prefix(org_id)}history-readers")).values()
    floor = min([f"{before_ms}-0", *(id_.decode() for id_ in done_with)], key=_in_order)
    while replies.integer(await store.command("XTRIM", stream, "MINID", "~", floor, "LIMIT", TRIM_MOST)):
        pass
    await store.command("XTRIM", stream, "MINID", "=", floor)


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """What the history has of a change: which parts were changed, and those before and after, but for a name and what somebody wrote as a query."""
    parts = [name for name, value in after.items() if before.get(name) != value]
    told = [name for name in parts if name != "name"]
    return {"changed": parts, **{when: {name: _without_query(of.get(name)) for name in told} for when, of in (("before", before), ("after", after))}}


def _without_query(value: object) -> object:
    return {name: inner for name, inner in value.items() if name != "query"} if isinstance(value, dict) else value


def _in_order(id_: str) -> tuple[int, int]:
    ms, _, number = id_.partition("-")
    return int(ms), int(number or 0)
