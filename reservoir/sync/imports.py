"""The import of a file: its rows become a list's members, a page at a time, in memory that does not grow with the file."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from reservoir.domain.lists import REJECTED_SHOWN, Rejection, Sync
from reservoir.domain.prospects import Member
from reservoir.domain.refusals import Refused
from reservoir.integrations.csv import InvalidCsvError, Row, rows
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.syncs import PAGE_MOST, PackedMembers, SyncStore, pack

Content = Literal["text/csv", "application/x-ndjson"]
Answer = TypeVar("Answer")

BRING_WITHIN_S = 1.0
"""A page goes to the store when it is full, or when so long has passed: members of a slow upload can be claimed too, and its run is not lost."""

TURN_ROWS = 25
"""After so many rows others have their turn: claims, and the page that is on its way."""

TURNS_TO_SEND = 2
"""In one a page is handed to the lane, and at its end it is written. To read on before that would leave the store without work."""


class BrokenOffError(Exception):
    """The file ended before its end: its sender is gone."""


@dataclass(slots=True)
class _Page:
    """Rows on their way to the store. ``rejected`` are the first of them, as many as a run shows; ``rejected_count`` all that count."""

    members: list[tuple[int, Member]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
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
    """One file on its way into one list: while a page is on its way to the store the next one is read. The run begins there with the first member."""

    def __init__(self, orgs: OrgStore, syncs: SyncStore, org_id: str, list_id: str) -> None:
        self._orgs = orgs
        self._syncs = syncs
        self._org_id = org_id
        self._list_id = list_id
        self._sync_id: str | None = None
        self._number = 0
        self._page = _Page()
        self._due_s = 0.0
        self._flight: asyncio.Task[Refused | None] | None = None

    async def read(self, chunks: AsyncIterable[bytes], content: Content) -> Sync | Refused:
        org = await self._orgs.get(self._org_id)
        self._due_s = asyncio.get_running_loop().time() + BRING_WITHIN_S
        try:
            async with aclosing(self._heard(chunks)) as heard, aclosing(rows(heard, content, org.profile.phone_region if org else "US")) as read:
                async for some in read:
                    if refused := await self._take(some):
                        return refused
            return await self._end()
        except BrokenOffError:
            return await self._broke_off()
        except InvalidCsvError as error:
            return Refused("invalid-csv", str(error))
        finally:
            if self._flight is not None:
                self._flight.cancel()
                await asyncio.gather(self._flight, return_exceptions=True)

    async def _heard(self, chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        """The chunks, and an empty one where none has come when a page is due."""
        loop, each = asyncio.get_running_loop(), aiter(chunks)
        coming = asyncio.ensure_future(anext(each, None))
        try:
            while True:
                await asyncio.wait({coming}, timeout=max(0.0, self._due_s - loop.time()))
                if not coming.done():
                    yield b""
                    continue
                if (chunk := coming.result()) is None:
                    return
                coming = asyncio.ensure_future(anext(each, None))
                yield chunk
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    async def _take(self, some: Iterator[Row | Rejection]) -> Refused | None:
        loop = asyncio.get_running_loop()
        for number, row in enumerate(some, 1):
            self._page.add(row)
            if len(self._page.members) == PAGE_MOST:
                if refused := await self._send():
                    return refused
            elif number % TURN_ROWS == 0:
                await asyncio.sleep(0)
        if loop.time() < self._due_s:
            return None
        self._due_s = loop.time() + BRING_WITHIN_S
        return await self._send() if self._page.members or self._sync_id else None

    async def _send(self) -> Refused | None:
        """Sends the page on its way, when the one before it has come: packed by then, and written at once, so that the store need not wait."""
        page, packed = self._page, pack(self._page.members)
        if refused := await self._landed():
            return refused
        self._page = _Page()
        self._due_s = asyncio.get_running_loop().time() + BRING_WITHIN_S
        self._flight = asyncio.create_task(self._bring(page, packed))
        for _ in range(TURNS_TO_SEND):
            await asyncio.sleep(0)
        return None

    async def _landed(self) -> Refused | None:
        """What the store said to the page that was on its way. **Again**: nothing, until another one is."""
        flight, self._flight = self._flight, None
        return None if flight is None else await flight

    async def _bring(self, page: _Page, packed: PackedMembers) -> Refused | None:
        if self._sync_id is None:
            begun = await self._ask(lambda org: self._syncs.begin(org, self._list_id))
            if isinstance(begun, Refused):
                return begun
            self._sync_id = begun
        self._number += 1
        sync_id, number = self._sync_id, self._number
        return await self._ask(lambda org: self._syncs.page(org, self._list_id, sync_id, number, packed, page.rejected, page.rejected_count))

    async def _all_brought(self) -> Refused | None:
        return await self._landed() or await self._bring(self._page, pack(self._page.members))

    async def _end(self) -> Sync | Refused:
        page = self._page
        if self._number == 0 and self._flight is None and not page.members:
            shown = [{"line": row.line, "detail": row.detail} for row in page.rejected]
            return Refused("no-rows", "No row of the file can be a member.", {"rejected": shown, "rejected_count": page.rejected_count})
        if refused := await self._all_brought():
            return refused
        sync_id = self._sync_id or ""
        if refused := await self._ask(lambda org: self._syncs.finish(org, self._list_id, sync_id)):
            return refused
        return await self._ask(lambda org: self._syncs.newest(org, self._list_id))

    async def _broke_off(self) -> Refused:
        refused = Refused("body-incomplete", "The file broke off before its end. What came is in the list, and nobody has left it.")
        if self._sync_id is not None or self._flight is not None or self._page.members:
            if lost := await self._all_brought():
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
