"""The last warnings and errors of an installation, with the ids of their requests: for `reservoir report`, long after the log has gone elsewhere."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reservoir.telemetry import JsonForKeeping, with_request_id

KEPT_BYTES = 256 * 1024
"""When a file has this it is put aside, in the place of the one that was put aside before it: so much is kept at least, and twice as much at most."""

LAST = 200


class KeepingErrors(logging.Handler):
    """Keeps what is logged as a warning or worse in a file of the data directory, which all processes of the installation share."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(logging.WARNING)
        self._path = _file(data_dir)
        self.addFilter(with_request_id)
        self.setFormatter(JsonForKeeping())

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line. A directory that cannot be written to keeps nothing, and stops nobody: `logging` itself decides what is said of it."""
        try:
            line = self.format(record).encode("utf-8", "replace") + b"\n"
            with _opened(self._path) as file:
                os.write(file, line)
        except (OSError, ValueError):
            self.handleError(record)


def keep_errors(data_dir: Path) -> None:
    """What goes wrong in this process from now on, and in those that are forked from it, is kept in the data directory, too."""
    logging.getLogger().addHandler(KeepingErrors(data_dir))


def last_errors(data_dir: Path) -> list[dict[str, Any]]:
    """The last ones, the oldest first; what cannot be read is left out."""
    lines: list[bytes] = []
    for path in (_aside(_file(data_dir)), _file(data_dir)):
        if path.exists():
            lines += path.read_bytes().splitlines()
    return list(_read(lines))[-LAST:]


def _read(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:  # the end of a line that a full disk cut off
            continue
        if isinstance(told, dict):
            yield told


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file to write to, which nobody else writes to meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            status = os.fstat(file)
            if not path.exists() or path.stat().st_ino != status.st_ino:
                continue  # it was put aside while this process waited for it
            if status.st_size >= KEPT_BYTES:
                path.replace(_aside(path))
                continue
            yield file
            return
        finally:
            os.close(file)


def _file(data_dir: Path) -> Path:
    return data_dir / "errors.ndjson"


def _aside(path: Path) -> Path:
    return path.with_suffix(".1.ndjson")
