"""The import of a file: its rows become a list's members, a page at a time, in memory that does not grow with the file."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeVar

from reservoir.domain.lists import REJECTED_SHOWN, Rejection, Sync
from reservoir.domain.prospects import Member
from reservoir.domain.refusals import Refused
from reservoir.integrations.csv import InvalidCsvError, Row, rows
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.syncs import PAGE_MOST, SyncStore

Content = Literal["text/csv", "application/x-ndjson"]
Answer = TypeVar("Answer")

BRING_WITHIN_S = 1.0
"""A page goes to the store when it is full, or when so long has passed: members of a slow upload can be claimed too."""


class BrokenOffError(Exception):
    """The file ended before its end: its sender is gone."""


@dataclass(slots=True)
class _Page:
    """Rows on their way to the store. ``rejected`` are the first of them, as many as a run shows; ``rejected_count`` all that count."""

    members: list[tuple[int, Member]]
    rejected: list[Rejection]
    rejected_count: int = 0

    def add(self, row: Row | Rejection) -> None:
        if isinstance(row, Row):
            self.members.append((row.line, row.member))
            for rejection in row.rejections:
                self._reject(rejection)
        else:
            self._reject(row)

    def _reject(self, row: Rejection) -> None:
        self.rejected_count += not row.kept
        if len(self.rejected) < REJECTED_SHOWN:
            self.rejected.append(row)


class Imports:
    """Imports of files into lists that have no source of their own."""

    def __init__(self, orgs: OrgStore, syncs: SyncStore) -> None:
        self._orgs = orgs
        self._syncs = syncs

    async def run(self, org_id: str, list_id: str, chunks: AsyncIterable[bytes], content: Content) -> Sync | Refused:
        """Makes the file's rows the whole content of the list, in their order.

        **Again**: the same file brings nobody new.

        Refused: ``sync-running``; ``invalid-csv`` and ``no-rows``, with the list as it was before; ``body-incomplete`` where the file broke off, and what
        came stands; ``list-not-found``; ``sync-lost``.

        **Raises**: StoreUnavailableError; the run is lost a minute later.
        """
        newest = await self._orgs.ask(org_id, lambda org: self._syncs.newest(org, list_id))
        if isinstance(newest, Sync) and newest.state == "running":
            return Refused("sync-running", "A sync of this list is running.", {"sync": newest.id})
        if isinstance(newest, Refused) and newest.slug == "list-not-found":
            return newest
        return await _Run(self._orgs, self._syncs, org_id, list_id).read(chunks, content)


class _Run:
    """One file on its way into one list. The run begins at the store with the first row that can be a member."""

    def __init__(self, orgs: OrgStore, syncs: SyncStore, org_id: str, list_id: str) -> None:
        self._orgs = orgs
        self._syncs = syncs
        self._org_id = org_id
        self._list_id = list_id
        self._sync_id: str | None = None
        self._number = 0

    async def read(self, chunks: AsyncIterable[bytes], content: Content) -> Sync | Refused:
        org = await self._orgs.get(self._org_id)
        page = _Page([], [])
        loop = asyncio.get_running_loop()
        bring_at_s = loop.time() + BRING_WITHIN_S
        try:
            async with aclosing(rows(chunks, content, org.profile.phone_region if org else "US")) as read:
                async for row in read:
                    page.add(row)
                    if len(page.members) == PAGE_MOST or (page.members and loop.time() >= bring_at_s):
                        if refused := await self._bring(page):
                            return refused
                        page, bring_at_s = _Page([], []), loop.time() + BRING_WITHIN_S
            return await self._end(page)
        except BrokenOffError:
            return await self._broke_off(page)
        except InvalidCsvError as error:
            return Refused("invalid-csv", str(error))

    async def _bring(self, page: _Page) -> Refused | None:
        if self._sync_id is None:
            begun = await self._ask(lambda org: self._syncs.begin(org, self._list_id))
            if isinstance(begun, Refused):
                return begun
            self._sync_id = begun
        self._number += 1
        sync_id, number = self._sync_id, self._number
        return await self._ask(lambda org: self._syncs.page(org, self._list_id, sync_id, number, page.members, page.rejected, page.rejected_count))

    async def _end(self, page: _Page) -> Sync | Refused:
        if self._sync_id is None and not page.members:
            shown = [{"line": row.line, "detail": row.detail} for row in page.rejected]
            return Refused("no-rows", "No row of the file can be a member.", {"rejected": shown, "rejected_count": page.rejected_count})
        if refused := await self._bring(page):
            return refused
        sync_id = self._sync_id or ""
        if refused := await self._ask(lambda org: self._syncs.finish(org, self._list_id, sync_id)):
            return refused
        return await self._ask(lambda org: self._syncs.newest(org, self._list_id))

    async def _broke_off(self, page: _Page) -> Refused:
        refused = Refused("body-incomplete", "The file broke off before its end. What came is in the list, and nobody has left it.")
        if self._sync_id is not None or page.members:
            if lost := await self._bring(page):
                return lost
            error = {"type": refused.slug, "detail": refused.detail}
            await self._ask(lambda org: self._syncs.fail(org, self._list_id, self._sync_id or "", error))
        return refused

    async def _ask(self, ask: Callable[[Org], Awaitable[Answer]]) -> Answer:
        return await self._orgs.ask(self._org_id, ask)


async def file_chunks(read: Callable[[int], bytes], size: int = 1 << 16) -> AsyncIterator[bytes]:
    """A file's bytes in pieces. It is read in turn with the import, which waits for the store between pages anyway."""
    while chunk := read(size):
        yield chunk
