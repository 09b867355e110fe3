"""A source read page by page from the event loop: each page is asked for when the last one is in the store."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from reservoir.integrations.source import Cursor, Page, Source, Wanted
from reservoir.sync.threads import OneThread

CALL_MORE_S = 10.0
"""How long a call that is under way when the worker stops may still take."""


class Reading:
    """One reading of a source, in a thread of its own, from a cursor on."""

    def __init__(self, opener: Callable[[], Source], wanted: Wanted, cursor: Cursor | None, name: str) -> None:
        self._thread = OneThread(name)
        self._opener = opener
        self._wanted = wanted
        self._cursor = cursor
        self._source: Source | None = None
        self._pages: Iterator[Page] | None = None

    async def page(self, stop: asyncio.Event) -> Page | None:
        """The next page; None behind the last.

        **Raises**: StoppedError if the worker is told to stop and the call that is under way takes too long; what the source raises.
        """
        if stop.is_set():
            raise StoppedError
        asked = self._thread.do(self._next)
        stopping = asyncio.ensure_future(stop.wait())
        both: set[asyncio.Future[Any]] = {asked, stopping}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await asyncio.wait({asked}, timeout=CALL_MORE_S)
            if not asked.done():
                raise StoppedError
            return asked.result()
        finally:
            stopping.cancel()
            if not asked.done():
                asked.add_done_callback(_unheard)

    def close(self) -> None:
        """Closes the source, when the call that is under way has ended."""
        self._thread.end(self._close)

    def _next(self) -> Page | None:
        if self._pages is None:
            self._source = self._opener()
            self._pages = iter(self._source.pages(self._wanted, self._cursor))
        return next(self._pages, None)

    def _close(self) -> None:
        with suppress(Exception):
            close = getattr(self._pages, "close", None)
            if close is not None:
                close()
        if self._source is not None:
            self._source.close()


class StoppedError(Exception):
    """The worker is told to stop: what it was reading is another's to read again."""


def _unheard(asked: "asyncio.Future[Page | None]") -> None:
    """An outcome that comes too late is not one that nobody looked at."""
    if not asked.cancelled():
        asked.exception()
