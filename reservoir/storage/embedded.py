"""The embedded engine: a real Valkey server as a child process, durable, on loopback, that dies with the process that started it.

What is acknowledged is on disk (``appendfsync always``). Two engines never share a data directory: its LOCK is held, by the server
itself, as long as the server lives. On Linux the engine stops when the process that started it is gone, by kill -9 too; elsewhere a
parent that is killed leaves it running, and the next start says so. It has no password, so that ``redis-cli -p PORT`` works: whoever
may log in to the machine may reach it.
"""

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from reservoir.storage.engine_binary import EngineError, binary
from reservoir.storage.engine_directory import FREE_PORTS_TRIED, LEAVING_S, POLL_S, Record, alive, facts_of, locked, ports

__all__ = ["EmbeddedEngine", "Engine", "EngineError", "binary", "find_running"]

SILENCE_S = 10.0
"""How long a server that lives but says nothing is believed to be on its way."""
SHUTDOWN_TIMEOUT_S = 10
"""How long a server that is told to stop waits for replicas that lag. The server's own default."""
STOP_S = LEAVING_S
"""After SIGTERM, when SIGKILL follows. Nothing that was acknowledged is lost by that."""

TETHER = Path(__file__).with_name("tether.py")

OPTIONS = {
    "bind": "127.0.0.1",
    "protected-mode": "yes",
    "dir": ".",  # the server is started in the data directory: no path has to be quoted, none is too long for the server's buffers
    "logfile": "engine.log",
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "aof-load-truncated": "yes",  # a torn last write was never acknowledged
    "save": "",
    "maxmemory-policy": "noeviction",
    "enable-debug-command": "no",
    "shutdown-timeout": str(SHUTDOWN_TIMEOUT_S),
    "daemonize": "no",
}


@dataclass(frozen=True)
class Engine:
    """A running engine, as a client needs it."""

    pid: int
    port: int
    url: str
    data_dir: Path
    binary: Path


def find_running(data_dir: Path) -> Engine | None:
    """The engine that runs on the directory now, whoever started it; None if none does. One that is loading its data is waited for."""
    directory = _absolute(data_dir)
    silent_since = time.monotonic()
    while (record := Record.read(directory)) is not None:
        facts = facts_of(record.port)
        if facts and record.run_id:
            if not record.describes(facts, directory):
                return None
            if facts.get("loading") == "0":
                return _engine(record, directory)
            silent_since = time.monotonic()
        closed = facts is None and record.run_id  # before it first answered, an engine has yet to open its port
        if closed or not alive(record.pid) or time.monotonic() - silent_since > SILENCE_S:
            return None
        time.sleep(POLL_S)
    return None


class EmbeddedEngine:
    """An engine of this process's own. Use it as a context manager, or call ``stop``."""

    def __init__(self, engine: Engine, process: subprocess.Popen[bytes]) -> None:
        self.engine = engine
        self._process = process

    @classmethod
    def start(cls, data_dir: Path, *, wait_s: float = 0.0) -> Self:
        """An engine on the directory, which is made if it is not there; it answers, with all its data loaded, however long that took.

        If another engine has the directory it waits ``wait_s`` for that one to go; longer, if it lost its owner and so is on its way out.

        **Raises**: EngineError, one sentence. RuntimeError, off the main thread: for the engine ends with the thread that started it.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the embedded engine must be started from the main thread: it ends when the thread that started it ends")
        program = binary()
        directory = _absolute(data_dir)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(directory, wait_s) as lock:
                for port in ports(directory):
                    engine = cls._attempt(program, directory, port, lock)
                    if engine is not None:
                        return engine
        except OSError as error:
            raise EngineError(f"The data directory {directory} cannot be used: {error.strerror} ({error.filename or 'LOCK'}).") from error
        raise EngineError(f"The embedded engine in {directory} did not start: each of {FREE_PORTS_TRIED} ports that were free was taken by another.")

    @classmethod
    def _attempt(cls, program: Path, directory: Path, port: int, lock: int) -> Self | None:
        """The engine on that port; None if the port is taken."""
        log_begins = _log_size(directory)
        process = _spawn(program, directory, port, lock)
        try:
            record = Record(process.pid, port, os.getpid(), str(program), directory.stat().st_ino)
            record.write(directory)
            while process.poll() is None:
                facts = facts_of(port) or {}
                if facts.get("process_id") == str(process.pid):
                    if not record.run_id:
                        record = replace(record, run_id=facts["run_id"])
                        record.write(directory)
                    if facts.get("loading") == "0":
                        return cls(_engine(record, directory), process)
                time.sleep(POLL_S)
        except BaseException:  # Ctrl-C while it loads, a full disk: whatever it was, no engine stays behind
            process.kill()
            process.wait()
            raise
        said = _log_since(directory, log_begins)
        if "Failed listening on port" in said:
            return None
        raise EngineError(f"The embedded engine in {directory} did not start: {_last_words(said) or f'exit code {process.returncode}'}")

    def alive(self) -> bool:
        """Whether the server runs. For the process that started it to ask."""
        return self.exit_code() is None

    def exit_code(self) -> int | None:
        """How the server ended, as subprocess tells it; None while it runs. For the process that started it to ask."""
        return self._process.poll()

    def stop(self) -> None:
        """The server is gone, in order if it can be.

        **Again**: nothing. In a forked child of the process that started it: nothing either, for the server is not the child's to stop.
        """
        self._process.terminate()  # which signals nobody if the server is gone, or is another process's child
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _engine(record: Record, directory: Path) -> Engine:
    return Engine(record.pid, record.port, f"redis://127.0.0.1:{record.port}/0", directory, Path(record.binary))


def _absolute(data_dir: Path) -> Path:
    return Path(os.path.abspath(data_dir))  # noqa: PTH100 - Path.absolute keeps "..", Path.resolve follows links that an operator gave a name


def _spawn(program: Path, directory: Path, port: int, lock: int) -> subprocess.Popen[bytes]:
    options = [word for name, value in {"port": str(port), **OPTIONS}.items() for word in (f"--{name}", value)]
    # What the server says before it opens its log by itself: a loader's error, a wrong option.
    with open(directory / "engine.log", "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
        return subprocess.Popen(  # noqa: S603 - the operator's own choice of program, no shell
            [sys.executable, "-I", "-S", TETHER, str(os.getpid()), str(program), *options],
            cwd=directory,
            env={name: value for name, value in os.environ.items() if not name.startswith("RESERVOIR_")},  # those are secrets, some of them
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),  # the lock's life is the server's, not ours
            start_new_session=True,  # Ctrl-C in a terminal must not reach the store before the service has drained
            umask=0o077,
        )


def _log_size(directory: Path) -> int:
    try:
        return (directory / "engine.log").stat().st_size
    except FileNotFoundError:
        return 0


def _log_since(directory: Path, begins: int) -> str:
    with (directory / "engine.log").open("rb") as log:
        log.seek(begins)
        return log.read().decode(errors="replace")


def _last_words(said: str) -> str:
    """The last line of a log that says something, without its pid and time."""
    line = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    return re.sub(r"^\d+:[A-Z] .{15,40}? [-*#.] ", "", line)
