"""A thread of its own for a CRM's client, which blocks: it is born, used and closed there, and the event loop goes on."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class OneThread:
    """Does one thing after another in one thread, which keeps no process from ending: a call that hangs is left behind."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def do(self, what: Callable[[], Answer]) -> "asyncio.Future[Answer]":
        """What it returns or raises, as soon as it is done. Who stops waiting for it does not stop it."""
        done: asyncio.Future[Answer] = self._loop.create_future()

        def work() -> None:
            try:
                answer = what()
            except BaseException as error:  # noqa: BLE001 - it crosses to who waits for it, whatever it is
                self._tell(_set_error, done, error)
            else:
                self._tell(_set_answer, done, answer)

        self._work.put(work)
        return done

    def end(self, last: Callable[[], object] = int) -> None:
        """Does one thing more, if there is one, of whose outcome nobody hears, and ends."""

        def quietly() -> None:
            with suppress(Exception):
                last()

        self._work.put(quietly)
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _tell(self, tell: Callable[..., None], *what: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(tell, *what)


def _set_answer(done: "asyncio.Future[Any]", answer: object) -> None:
    if not done.done():
        done.set_result(answer)


def _set_error(done: "asyncio.Future[Any]", error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
