"""The process that supervises: it owns the socket and the embedded engine, keeps the processes that serve, and never serves itself.

It has neither an event loop nor threads, so that it can fork and start an engine at any time, and nothing that a request does can stop it from doing so.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click

from reservoir import metrics
from reservoir.cli.failing import FAILED, report, sentence
from reservoir.cli.opening import Place, run
from reservoir.cli.serving_process import GRACE_S, LINGER_S, READY, WRITTEN_S, serve_requests, tie_to
from reservoir.cli.signals import Signals
from reservoir.cli.worker import work
from reservoir.config import Config
from reservoir.storage.embedded import EmbeddedEngine, EngineError

STOPPED_S = LINGER_S + 2 * GRACE_S + WRITTEN_S + 1
"""After which a process that was told to stop is killed: longer than it may take by its own rules."""
AGAIN_S, AGAIN_MOST_S = 0.1, 5.0
"""How long what ended is left before it is started again: twice as long each time that it ended within `LASTED_S`."""
LASTED_S = 60.0

log = logging.getLogger(__name__)


class Backoff:
    """When to start again what ended, and ended again."""

    def __init__(self) -> None:
        self._pause_s = AGAIN_S
        self._started_s = time.monotonic()
        self.due_s = self._started_s

    def ended(self) -> float:
        """Notes the end, and returns how long to wait."""
        now_s = time.monotonic()
        pause_s = AGAIN_S if now_s - self._started_s >= LASTED_S else self._pause_s
        self._pause_s = min(2 * pause_s, AGAIN_MOST_S)
        self.due_s = now_s + pause_s
        return pause_s

    def started(self) -> None:
        """Notes a start."""
        self._started_s = time.monotonic()


@dataclass(slots=True)
class _Seat:
    """Where a process serves, or works on syncs, and another one after it."""

    backoff: Backoff
    works: bool = False
    pid: int | None = None
    channel: socket.socket | None = None
    ready: bool = False


class Supervisor:
    """Keeps so many processes serving as the config says, and, once they serve, one beside them that works on syncs."""

    def __init__(self, config: Config, signals: Signals, listener: socket.socket, place: Place, engine: EmbeddedEngine | None, *, worker: bool) -> None:
        self._config = config
        self._worker = worker
        self._signals = signals
        self._listener = listener
        self.place = place
        self._engine = engine
        self._engine_backoff = Backoff()
        self._engine_gone = False
        self._seats = [_Seat(Backoff())]
        self._announced = False
        metrics.share(config.server.processes)

    def run(self, announce: Callable[[], bool]) -> int:
        """Serves until it is told to stop, or until ``announce``, which is called when all processes are ready, returns False; returns the exit code.

        **Raises**: what ``announce`` raises.
        """
        try:
            while not self._signals.stops:
                self._start_due()
                self._signals.wait(self._next_s())
                self._hear()
                failed = self._reap()
                if failed is not None:
                    return failed
                self._mend_engine()
                if not self._announced and self._all_ready():
                    self._announced = True
                    if not announce():
                        break
                    self._seats += [_Seat(Backoff(), works=True)] if self._worker else []
        finally:
            drained = self._drain()
        return 0 if drained else FAILED

    def stop_engine(self) -> None:
        """The embedded engine, if there is one, is gone, in order. **Again**: nothing."""
        if self._engine is not None:
            self._engine.stop()

    # ---- the processes -------------------------------------------------------------------------------------------------------------------

    def _all_ready(self) -> bool:
        """Whether all serve. The first finds out what can be wrong, so that it is said once; the others follow it."""
        if not self._seats[0].ready:
            return False
        self._seats += [_Seat(Backoff()) for _ in range(self._config.server.processes - len(self._seats))]
        return all(seat.ready for seat in self._seats)

    def _duty(self, seat: _Seat, channel: socket.socket) -> Coroutine[Any, Any, None]:
        """What the process of a seat does until its end."""
        if seat.works:
            return work(self._config, self.place.url, told=lambda: channel.send(READY), channel=channel)
        return serve_requests(self._config, self.place.url, self._listener, channel)

    def _start_due(self) -> None:
        for seat in self._seats:
            if seat.pid is None and seat.backoff.due_s <= time.monotonic():
                self._start(seat)

    def _start(self, seat: _Seat) -> None:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        with self._signals.held_back():
            pid = os.fork()
            if pid == 0:
                self._become_child(self._seats.index(seat), parent, ours, theirs)
        theirs.close()
        seat.pid, seat.channel, seat.ready = pid, ours, False
        seat.backoff.started()
        self._signals.watch(ours)

    def _become_child(self, number: int, parent: int, ours: socket.socket, theirs: socket.socket) -> None:
        """Serves, and ends with the process: nothing of what the parent had begun is gone on with here."""
        code = FAILED
        try:
            self._signals.forget()
            ours.close()
            for seat in self._seats:  # whose processes would not notice the parent's end while we hold theirs open
                if seat.channel is not None:
                    seat.channel.close()
            tie_to(parent)
            metrics.sit(number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))
            run(self._duty(self._seats[number], theirs))
            code = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said, and the process ends here
            if self._announced:
                log.error("a process cannot serve: %s", sentence(error))  # noqa: TRY400 - the sentence says it
            else:
                code = report(error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _hear(self) -> None:
        for seat in self._seats:
            if seat.channel is not None and not seat.ready:
                seat.channel.setblocking(False)
                with suppress(BlockingIOError):
                    seat.ready = bool(seat.channel.recv(1))
                if seat.ready:
                    self._signals.unwatch(seat.channel)

    def _reap(self) -> int | None:
        """Notes which processes ended; one is started again unless it was still being started the first time: then how it failed is the exit code."""
        for seat in self._seats:
            if seat.pid is None:
                continue
            pid, status = os.waitpid(seat.pid, os.WNOHANG)
            if pid == 0:
                continue
            code = os.waitstatus_to_exitcode(status)
            self._left(seat)
            if not self._announced:
                if code <= 0:
                    click.echo(f"A process ended before it was ready to serve ({_how(code)}).", err=True)
                return code if code > 0 else FAILED
            pause_s = seat.backoff.ended()
            log.error(
                "the process %d, which %s, ended (%s); another is started in %g s", pid, "worked on syncs" if seat.works else "served", _how(code), pause_s
            )
        return None

    def _left(self, seat: _Seat) -> None:
        if seat.channel is not None:
            if not seat.ready:
                self._signals.unwatch(seat.channel)
            seat.channel.close()
        seat.pid, seat.channel, seat.ready = None, None, False

    def _tell(self, number: signal.Signals) -> None:
        for seat in self._seats:
            if seat.pid is not None:
                os.kill(seat.pid, number)

    def _next_s(self) -> float | None:
        """How long until something is due by itself."""
        due = [seat.backoff.due_s for seat in self._seats if seat.pid is None]
        if self._engine_gone:
            due.append(self._engine_backoff.due_s)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _drain(self) -> bool:
        """No process serves any more; True if all finished by themselves what was under way. A second signal does not wait for that."""
        self._listener.close()
        self._tell(signal.SIGTERM)
        patience, until_s = max(1, self._signals.stops), time.monotonic() + STOPPED_S
        killed = False
        while any(seat.pid is not None for seat in self._seats):
            if not killed and (self._signals.stops > patience or time.monotonic() >= until_s):
                killed = True
                self._tell(signal.SIGKILL)
            self._signals.wait(None if killed else max(0.0, until_s - time.monotonic()))
            for seat in self._seats:
                if seat.pid is not None and os.waitpid(seat.pid, os.WNOHANG)[0]:
                    self._left(seat)
        return not killed

    # ---- the engine ----------------------------------------------------------------------------------------------------------------------

    def _mend_engine(self) -> None:
        """Starts an engine again that ended. Until it answers, nothing is granted: the processes find the store away, and say that they are not ready."""
        if self._engine is None or (self._engine.alive() and not self._engine_gone):
            return
        if not self._engine_gone:
            self._engine_gone = True
            pause_s = self._engine_backoff.ended()
            log.error("the embedded engine ended (%s); it is started again in %g s", _how(self._engine.exit_code() or 0), pause_s)
        if self._engine_backoff.due_s > time.monotonic():
            return
        try:
            with self._signals.raising():
                self._engine = EmbeddedEngine.start(self._config.data_dir)
        except EngineError as error:
            log.error("%s It is tried again in %g s.", error, self._engine_backoff.ended())  # noqa: TRY400 - the sentence says it
        except SystemExit:
            return
        else:
            self._engine_gone = False
            self._engine_backoff.started()
            self._moved(Place(self._engine.engine.url, self._engine.engine))

    def _moved(self, place: Place) -> None:
        """The processes reach the engine where it is now: those that knew another port end in order, and are started again."""
        before, self.place = self.place, place
        log.warning("the embedded engine is there again (%s)", place.words)
        if place.url != before.url:
            self._tell(signal.SIGTERM)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
