"""service.json in the data directory: where the service of this directory answers. Believed only of one that does."""

import json
import os
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from reservoir.storage.engine_directory import alive

ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A running service: its address, and the process to tell to stop."""

    url: str
    pid: int

    @classmethod
    def running(cls, data_dir: Path) -> Self | None:
        """The service that runs on the directory now, or None."""
        try:
            told = json.loads(_file(data_dir).read_text(encoding="utf-8"))
            record = cls(str(told["url"]), int(told["pid"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return record if record.pid > 0 and alive(record.pid) and record.answers() else None

    def answers(self) -> bool:
        """Whether a service lives at the address."""
        try:
            parts = urlsplit(self.url)
            connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
            try:
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
            finally:
                connection.close()
        except (OSError, ValueError, HTTPException):
            return False

    def write(self, data_dir: Path) -> None:
        """It can be found; a reader sees the whole record or the one before. **Raises**: OSError."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = _file(data_dir).with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        scratch.replace(_file(data_dir))

    def remove(self, data_dir: Path) -> None:
        """It is found no more, unless another service has put its own record there by now."""
        try:
            if json.loads(_file(data_dir).read_text(encoding="utf-8")) == asdict(self):
                _file(data_dir).unlink()
        except (OSError, ValueError):
            pass


def _file(data_dir: Path) -> Path:
    return data_dir / "service.json"
