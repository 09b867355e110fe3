"""Other processes: a Python that runs a piece of code, and whether a process is gone."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0) if sys.platform == "linux" else None
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])
"""
"""Run before a program, by ``tied``: SIGKILL for it when its parent is gone (prctl(2), PR_SET_PDEATHSIG is 1), and Ctrl-C as in a shell's foreground, though
the tests themselves may run in the background, where it is ignored."""


def tied(program: Path | str, *arguments: str) -> list[str]:
    """The command line of a program that does not outlive this process, however this process ends. To be started from the main thread."""
    return [sys.executable, "-I", "-S", "-c", TIED, str(os.getpid()), str(program), *arguments]


class Piped(subprocess.Popen[str]):
    """A process all of whose streams are pipes of text."""

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]


@contextmanager
def python(code: str, *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Iterator[Piped]:
    """A Python process that runs the code, with pipes for its three streams; at the end it is killed if it still runs."""
    command = tied(sys.executable, "-c", code, *arguments)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(environ or {})}
    pipe = subprocess.PIPE
    with Piped(command, env=environment, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def gone(pid: int) -> bool:
    """Whether the process has ended, reaped or not: an orphan may stay a zombie where nobody reaps."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return Path("/proc/self").exists()
