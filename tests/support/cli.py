"""The command line as its users meet it: real processes, a directory of their own, an environment that says nothing."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from tests.support.processes import gone, tied
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
COMMAND_S = 60
READY = re.compile(r"reservoir is ready at (http://\S+) \(store: (.+)\)\n")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's, without what it says to reservoir; the program of the embedded engine apart."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESERVOIR_") or name == "RESERVOIR_VALKEY_BIN"}
    return {**kept, "PYTHONPATH": str(ROOT), **(more or {})}


def command(*arguments: str) -> list[str]:
    return tied(sys.executable, "-m", "reservoir", *arguments)


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed. **Raises**: AssertionError, with what it said, where it failed."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    def refused(self, code: int, *said: str) -> "Done":
        """Itself, if it ended with this code and one plain sentence on stderr in which all of this is said."""
        assert self.code == code, f"exit code {self.code}\n{self.out}\n{self.err}"
        assert re.fullmatch(r"[^\n]+\.\n", self.err), self.err
        assert "Traceback" not in self.err
        for part in said:
            assert part in self.err, self.err
        return self


def reservoir(directory: Path, line: str, environ: Mapping[str, str] | None = None, *, stdin: bytes | Path = b"") -> Done:
    """The end of a command, run in the directory, on what comes through a pipe or is in a file."""
    with stdin.open("rb") if isinstance(stdin, Path) else nullcontext() as file:
        ended = subprocess.run(
            command(*shlex.split(line)),
            cwd=directory,
            env=environment(environ),
            stdin=file,
            input=None if isinstance(stdin, Path) else stdin,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
    return Done(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


class Running:
    """A command that runs on, with what it prints as it comes."""

    def __init__(self, directory: Path, line: str, environ: Mapping[str, str] | None) -> None:
        self.directory = directory
        self.out = self.err = ""
        self.process = subprocess.Popen(
            command(*shlex.split(line)),
            cwd=directory,
            env=environment(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [Thread(target=self._read, args=(name,), daemon=True) for name in ("out", "err")]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def feed(self, content: bytes, *, end: bool = False) -> None:
        """Gives it this on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()
        if end:
            self.process.stdin.close()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        """The exit code, when it has ended, and all that it printed is there."""
        code = self.process.wait(COMMAND_S)
        for reader in self._readers:
            reader.join(COMMAND_S)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tells it to stop, and returns its exit code."""
        self.send(number)
        return self.code()

    def children(self, name: str = "") -> list[int]:
        """The pids of its children, of those that run a program of this name."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                program = (process / "cmdline").read_text().partition("\0")[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == self.pid and fields[0] not in "ZX" and name in program:
                found.append(int(process.name))
        return sorted(found)

    def close(self) -> None:
        """It is gone, and so are its children."""
        children = self.children()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # and not the process alone: orphans would hold its streams
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        wait_until(lambda: all(gone(pid) for pid in children), "the children end with their parent")

    def _read(self, name: str) -> None:
        stream = self.process.stdout if name == "out" else self.process.stderr
        assert stream is not None
        try:
            for line in stream:
                setattr(self, name, getattr(self, name) + line.decode())
        except ValueError:  # it was closed
            return


@contextmanager
def running(directory: Path, line: str, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A command that is killed at the end, if it still runs."""
    started = Running(directory, line, environ)
    try:
        yield started
    finally:
        started.close()


class Service:
    """A service that is ready."""

    def __init__(self, run: Running) -> None:
        self.run = run
        wait_until(lambda: READY.search(run.out) or run.process.poll() is not None, "the service is ready", COMMAND_S)
        ready = READY.search(run.out)
        assert ready is not None, f"it ended with {run.process.poll()}\n{run.err}"
        self.url, self.store = ready[1], ready[2]

    @property
    def engine_pid(self) -> int:
        (pid,) = self.run.children("server")
        return pid

    def key(self, org: str = "acme", scope: str = "admin") -> str:
        """A new key, made by the command line beside the service."""
        return str(reservoir(self.run.directory, f"key create --org {org} --scope {scope} --json").json["key"])

    def open(self) -> HTTPConnection:
        """A connection that stays open between requests."""
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=COMMAND_S)
        connection.connect()
        return connection

    def ask(self, method: str, path: str, key: str = "", body: object = None, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        connection = self.open()
        try:
            return ask(connection, method, path, key, body, **headers)
        finally:
            connection.close()

    def put(self, list_: str, key: str, content: bytes) -> tuple[int, Any]:
        """Makes a CSV file the content of a list."""
        connection = self.open()
        try:
            connection.request("PUT", f"/v1/lists/{list_}/members", content, {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def ask(connection: HTTPConnection, method: str, path: str, key: str = "", body: object = None, **headers: str) -> tuple[int, Any]:
    """The same on a connection that is open; ``headers`` are named with _ for -."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Authorization": f"Bearer {key}"} if key else {})
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


@contextmanager
def service(directory: Path, line: str = "serve --port 0", environ: Mapping[str, str] | None = None) -> Iterator[Service]:
    """A service on the directory's own store unless the environment says otherwise."""
    with running(directory, line, environ) as run:
        yield Service(run)


def people(count: int, first: int = 0) -> bytes:
    """A file of so many people who can be dialed."""
    rows = (f"p{number},Ida {number},+1415555{number % 10_000:04}" for number in range(first, first + count))
    return "\n".join(("id,name,phone", *rows, "")).encode()


def eventually(answer: Any, wanted: object, description: str) -> None:
    """Waits until the answer is what is wanted, whatever errors come before."""

    def holds() -> bool:
        try:
            return bool(answer() == wanted)
        except OSError:
            time.sleep(0.01)
            return False

    wait_until(holds, description, COMMAND_S)
