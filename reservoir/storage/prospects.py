"""Prospects at the store, over all lists of an org: one by its id, those that a search finds, and the search's own upkeep."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from reservoir.domain.claims import Reservation
from reservoir.domain.prospects import ProspectId
from reservoir.domain.search import WORD_LETTERS_MOST, Question, terms_of_data
from reservoir.storage import replies
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import Argument, StoreFaultError

CHUNK = 100
FOUND_MOST = 50
EXAMINED_MOST = 5_000
"""How many who have the rarest of several beginnings a search looks at. Beyond, it may miss somebody."""

GLANCE = 500
GLANCED_LISTS_MOST = 8
"""How many who have the rarest of several beginnings are glanced at together, and in how many lists at most; in more, each is read whole."""

UNDONE_MOST = 10
"""How often the tidying looks anew at data that changes under its hands, before it leaves it to the next that comes by."""

Finds = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class FoundProspect:
    """A prospect with its lists and who has it.

    **Shape**: ``data`` is what each of ``lists`` knows of it, as JSON, in the same order; both are empty where no list has it.
    """

    id: ProspectId
    lists: tuple[str, ...]
    data: tuple[bytes, ...]
    reservation: Reservation | None

    def shown_by(self, finds: Finds) -> "FoundProspect | None":
        """Itself, with the data first by which it is found; None if it is not found by any."""
        for one in self.data:
            if finds(orjson.loads(one)):
                return FoundProspect(self.id, self.lists, (one, *self.data), self.reservation)
        return None


class ProspectStore:
    """Reads of prospects, for every org."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs

    async def get(self, org: Org, prospect: ProspectId) -> FoundProspect | None:
        """One prospect; None if no list has it and nobody has taken it."""
        (found,) = await _read(self._orgs, org, prospect.integration, [prospect.id])
        return found if found.lists or found.reservation else None

    async def search(self, org: Org, question: Question) -> list[FoundProspect]:
        """Up to 50 members of the org's lists: by id, then by number, then by name in the order of the words."""
        hits: dict[ProspectId, FoundProspect] = {}
        for id_ in question.ids:
            (found,) = await _read(self._orgs, org, id_.integration, [id_.id])
            if found.lists:
                hits[id_] = found
        if question.number is not None:
            await self._walk(org, [(name, question.number.number, " ") for name in self._orgs.integrations], question.has_number, hits)
        if question.beginnings:
            ranges = [(name, *await self._rarest(org, name, question.beginnings)) for name in self._orgs.integrations]
            await self._walk(org, ranges, question.has_name, hits, glance=len(question.beginnings) > 1)
        return list(hits.values())

    async def erase(self, org: Org, prospect: ProspectId, by: str) -> int | None:
        """Erases a person, and returns out of how many lists; None if nothing is known of one. A live reservation stays until it expires.

        **Again**: None, or what a sync brought back since, or nothing more than there is to a live reservation.
        """
        while True:
            reply = await self._orgs.write("erase_prospect", org, prospect.integration, prospect.id, by)
            if reply[0] == b"not-found":
                return None
            if reply[0] == b"erased":
                await self._orgs.ask(org.id, lambda current: tidy(self._orgs, current))
                return replies.integer(reply[2])

    async def _rarest(self, org: Org, integration: str, beginnings: Sequence[str]) -> tuple[str, str]:
        """The one of several beginnings that the fewest begin with."""
        if len(beginnings) == 1:
            return beginnings[0][:WORD_LETTERS_MOST], ""
        counts = {}
        for beginning in beginnings:
            cut = beginning[:WORD_LETTERS_MOST]
            low, high = _range(cut)
            counts[cut] = replies.integer(await self._orgs.store.command("ZLEXCOUNT", _index(org, integration), low, high))
        return min(counts, key=lambda cut: counts[cut]), ""

    async def _walk(
        self, org: Org, ranges: Sequence[tuple[str, str, str]], finds: Finds, hits: dict[ProspectId, FoundProspect], *, glance: bool = False
    ) -> None:
        """Looks at those whom the index has under a beginning (or, with a space behind it, a whole term), and keeps whom the data itself shows to be meant."""
        examined, chunk = 0, GLANCE if glance else CHUNK
        for integration, beginning, ending in ranges:
            low, high = _range(beginning + ending)
            while examined < EXAMINED_MOST and len(hits) < FOUND_MOST:
                told = replies.items(await self._orgs.store.command("ZRANGE", _index(org, integration), low, high, "BYLEX", "LIMIT", 0, chunk))
                entries = [cast("bytes", entry) for entry in told]
                examined += len(entries)
                prospects = list(dict.fromkeys(entry.split(b" ", 1)[1].decode() for entry in entries))
                if glance and prospects:
                    prospects = await self._at_a_glance(org, integration, prospects, finds)
                await self._keep(org, integration, prospects, finds, hits)
                if len(entries) < chunk:
                    break
                low = b"(" + entries[-1]

    async def _keep(self, org: Org, integration: str, prospects: Sequence[str], finds: Finds, hits: dict[ProspectId, FoundProspect]) -> None:
        for start in range(0, len(prospects), CHUNK):
            for found in await _read(self._orgs, org, integration, prospects[start : start + CHUNK]):
                if len(hits) < FOUND_MOST and found.id not in hits and (shown := found.shown_by(finds)):
                    hits[found.id] = shown
            if len(hits) == FOUND_MOST:
                return

    async def _at_a_glance(self, org: Org, integration: str, prospects: Sequence[str], finds: Finds) -> list[str]:
        """Those who seem to be meant, by their data alone; all of them, where that cannot be told at a glance. The few are then read whole."""
        command = self._orgs.store.command
        marks = replies.items(await command("HMGET", f"{org.prefix}lists-of:{integration}", *prospects))
        by_list: dict[str, list[str]] = {}
        for prospect, told in zip(prospects, marks, strict=True):
            for mark in replies.text(told).split() if told else ():
                by_list.setdefault(mark.removeprefix("!"), []).append(prospect)
        if len(by_list) > GLANCED_LISTS_MOST:
            return list(prospects)
        try:
            data = await asyncio.gather(*(command("HMGET", f"{org.prefix}list:{list_}:members", *of) for list_, of in by_list.items()))
        except StoreFaultError:  # a list whose data is of the wrong type has nobody, which the script knows
            return list(prospects)
        seem = set()
        for of, rows in zip(by_list.values(), data, strict=True):
            seem |= {who for who, row in zip(of, replies.items(rows), strict=True) if row and finds(orjson.loads(cast("bytes", row)))}
        return [prospect for prospect in prospects if prospect in seem]


async def tidy(orgs: OrgStore, org: Org) -> None:
    """Takes out of the search what nobody is to be found by any more.

    **Again**: goes on with what is left. What changes meanwhile is left to the next that comes by, a settling process at the latest.
    """
    undone = 0
    while undone < UNDONE_MOST:
        due = [cast("bytes", one) for one in replies.items(await orgs.store.command("SRANDMEMBER", f"{org.prefix}search-due", CHUNK))]
        if not due:
            return
        by_integration: dict[str, dict[str, tuple[bytes, Mapping[str, Any]]]] = {}
        for one in due:
            of, _, data = one.partition(b" ")
            told = orjson.loads(data)
            by_integration.setdefault(of.decode(), {})[told["id"]] = one, told  # of two of one prospect's, the other comes the next time
        done = 0
        for integration, gone in by_integration.items():
            done += await _tidy_some(orgs, org, integration, gone)
        undone += done == 0


async def _tidy_some(orgs: OrgStore, org: Org, integration: str, gone: Mapping[str, tuple[bytes, Mapping[str, Any]]]) -> int:
    arguments: list[Argument] = []
    for found in await _read_some(orgs, org, integration, list(gone)):
        aside, data = gone[found.id.id]
        kept = {term for one in found.data for term in terms_of_data(orjson.loads(one))}
        out = [term for term in terms_of_data(data) if term not in kept]
        arguments += (aside, found.id.id, hashlib.sha1(b" ".join(found.data), usedforsecurity=False).hexdigest(), " ".join(out))
    return replies.integer((await orgs.write("tidy_search", org, integration, *arguments))[2])


async def _read(orgs: OrgStore, org: Org, integration: str, prospects: Sequence[str]) -> list[FoundProspect]:
    found: list[FoundProspect] = []
    while True:
        found += await _read_some(orgs, org, integration, prospects[len(found) :])
        if len(found) >= len(prospects):
            return found


async def _read_some(orgs: OrgStore, org: Org, integration: str, prospects: Sequence[str]) -> list[FoundProspect]:
    """The first of these prospects, as many as one call tells of: at least one, if any is asked for."""
    reply = await orgs.read("read_prospects", org, integration, *prospects[:CHUNK])
    return [_found(integration, row) for row in replies.items(reply[2])]


def _found(integration: str, row: object) -> FoundProspect:
    prospect, lists, data, taken = replies.items(row)
    return FoundProspect(
        ProspectId(integration, replies.text(prospect)),
        tuple(replies.text(list_) for list_ in replies.items(lists)),
        tuple(cast("list[bytes]", replies.items(data))),
        None if taken is None else replies.reservation(taken),
    )


def _index(org: Org, integration: str) -> str:
    return f"{org.prefix}search:{integration}"


def _range(beginning: str) -> tuple[bytes, bytes]:
    """All entries that begin so. No entry has the byte 255."""
    start = b"[" + beginning.encode()
    return start, start + b"\xff"
