"""The signals of the process that supervises: it waits for them together with its children's words, and nothing is lost between two waits."""

import selectors
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class Signals:
    """SIGTERM and SIGINT are counted as ``stops``; SIGCHLD ends a wait. Nothing else is done about them."""

    def __init__(self) -> None:
        self.stops = 0
        self._raising = False
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()

    def __enter__(self) -> Self:
        for end in (self._woken, self._wake):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in HEEDED:
            signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.forget()

    def forget(self) -> None:
        """The process is again as any other, SIGINT apart, which is ignored: Ctrl-C reaches a whole terminal, and who supervises decides."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.close()
        self._woken.close()
        self._wake.close()

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Within, a stop does not wait: it raises SystemExit(0)."""
        self._raising = True
        try:
            if self.stops:
                raise SystemExit(0)
            yield
        finally:
            self._raising = False

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Within, none comes: a child that is forked here must not take the parent's signals for its own."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)

    def watch(self, channel: socket.socket) -> None:
        """A word on the channel, or its end, ends a wait too."""
        self._selector.register(channel, selectors.EVENT_READ)

    def unwatch(self, channel: socket.socket) -> None:
        """It does no more."""
        self._selector.unregister(channel)

    def wait(self, timeout_s: float | None) -> None:
        """Returns when something came, or after so long."""
        for ready, _ in self._selector.select(timeout_s):
            if ready.fileobj is self._woken:
                self._woken.recv(4_096)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.stops += 1
            if self._raising:
                raise SystemExit(0)
