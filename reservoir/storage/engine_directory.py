"""The embedded engine's data directory: who runs there, on which port, and its lock."""

import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from reservoir.storage.engine_binary import EngineError

POLL_S = 0.005
ANSWER_S = 1.0
"""How long one question to the server may take. While it loads it answers every 2 MB or so."""
LEAVING_S = 15.0
"""How long a start waits for an engine that is on its way out: as long as one may take to stop."""
FREE_PORTS_TRIED = 10

_LOCK_NOTE = b"Held by flock while an engine runs in this directory. To delete this file frees nothing: stop the engine.\n"


@dataclass(frozen=True)
class Record:
    """What engine.json in the data directory says of the last engine there. Believed of no engine that does not prove it.

    ``directory`` is the directory's inode: a copied directory brings the record of an engine that runs on the original.
    ``run_id`` is random, the server's own, and empty until the server told it.
    """

    pid: int
    port: int
    owner_pid: int
    binary: str
    directory: int
    run_id: str = ""

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """The record, if there is one that can be read; anything else is as none."""
        try:
            record = cls(**json.loads((directory / "engine.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        typed = all(type(getattr(record, field.name)) is field.type for field in fields(cls))
        return record if typed and 0 < record.port < 65_536 and 1 < record.pid < 2**31 and 0 < record.owner_pid < 2**31 else None

    def write(self, directory: Path) -> None:
        """The record is there, whole: a reader sees it or the one before."""
        scratch = directory / "engine.json.new"
        scratch.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        scratch.replace(directory / "engine.json")

    def describes(self, facts: dict[str, str], directory: Path) -> bool:
        """Whether the server that answered is the one of this record, and runs in this directory."""
        return facts.get("run_id") == self.run_id and self.directory == directory.stat().st_ino


@contextmanager
def locked(directory: Path, wait_s: float) -> Iterator[int]:
    """The directory's lock, as a descriptor to hand on. To leave closes only our own copy: what inherited it holds the lock on."""
    lock = os.open(directory / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        began = time.monotonic()
        while not _flock(lock):
            record = Record.read(directory)
            settled = record is not None and alive(record.pid) and alive(record.owner_pid)
            if time.monotonic() - began >= (wait_s if settled else max(wait_s, LEAVING_S)):
                raise in_use(directory, record)
            time.sleep(POLL_S)
        record = Record.read(directory)
        if record is not None and record.run_id and record.describes(facts_of(record.port) or {}, directory):
            raise in_use(directory, record)  # somebody deleted the LOCK of a running engine
        os.pwrite(lock, _LOCK_NOTE, 0)
        yield lock
    finally:
        os.close(lock)


def _flock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def in_use(directory: Path, record: Record | None) -> EngineError:
    """The refusal of a second engine on the directory."""
    holder = "another engine" if record is None else f"the engine with pid {record.pid}, which pid {record.owner_pid} started"
    return EngineError(f"The data directory {directory} is in use by {holder}: stop that one, or choose another data_dir.")


def ports(directory: Path) -> Iterator[int]:
    """The port of the last engine here, which operators remember, then free ones."""
    record = Record.read(directory)
    if record is not None:
        yield record.port
    for _ in range(FREE_PORTS_TRIED):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        yield port


def alive(pid: int) -> bool:
    """Whether there is a process of that pid, whose ever. One that ended but was not waited for, as orphans in a container without an init, is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return not Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].startswith((b"Z", b"X"))
    except OSError:
        return True


def facts_of(port: int) -> dict[str, str] | None:
    """What the server on a port says of itself in INFO; empty if it says nothing in time; None if nobody listens there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as connection, connection.makefile("rb") as reply:
            connection.sendall(b"INFO server persistence\r\n")
            size = re.fullmatch(rb"\$([0-9]{1,6})\r\n", reply.readline(64))
            text = reply.read(int(size[1])).decode() if size else ""
    except ConnectionRefusedError:
        return None
    except (OSError, UnicodeDecodeError):
        return {}
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
