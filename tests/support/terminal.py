"""The command line on a terminal."""

import os
import pty
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from tests.support.cli import command, environment


class Terminal:
    """A command on a terminal of so many lines, and what it has drawn."""

    def __init__(self, directory: Path, line: str, lines: int) -> None:
        ours, theirs = pty.openpty()
        environ = {**environment(), "TERM": "xterm", "COLUMNS": "120", "LINES": str(lines)}
        self.process = subprocess.Popen(command(*shlex.split(line)), cwd=directory, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self._ours = ours
        self.drawn = ""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(60)
        os.close(self._ours)

    def _read(self) -> None:
        try:
            while piece := os.read(self._ours, 65_536):
                self.drawn += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", piece.decode())
        except OSError:  # nobody has its other end any more
            return


@contextmanager
def terminal(directory: Path, line: str, lines: int) -> Iterator[Terminal]:
    started = Terminal(directory, line, lines)
    try:
        yield started
    finally:
        started.close()
