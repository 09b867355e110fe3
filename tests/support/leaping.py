"""A real server whose wall clock a test can move, while everybody else's goes on: by a small library that is loaded before the C library."""

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.waiting import wait_until

SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_ms;

__attribute__((constructor)) static void find_offset(void) {
    int file = open(getenv("CLOCK_OFFSET_FILE"), O_RDONLY);
    void *place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0 && place != MAP_FAILED) offset_ms = place;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = syscall(SYS_clock_gettime, clock, at);
    if (offset_ms && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = at->tv_nsec + (*offset_ms % 1000) * 1000000;
        at->tv_sec += *offset_ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
        at->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    at->tv_sec = exact.tv_sec;
    at->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (at) *at = exact.tv_sec;
    return exact.tv_sec;
}
"""


def compiler() -> str | None:
    """A C compiler, if there is one."""
    return shutil.which("gcc") or shutil.which("cc")


class LeapingServer(EngineProcess):
    """A server whose clock is where the last ``leap`` put it. It needs a compiler, and Linux's loader."""

    def __init__(self, workshop: Path) -> None:
        self._offset = workshop / "offset"
        self._offset.write_bytes(struct.pack("=q", 0))
        library = workshop / "shim.so"
        if not library.exists():
            found = compiler()
            assert found is not None
            (workshop / "shim.c").write_text(SHIM)
            subprocess.run([found, "-shared", "-fPIC", "-O1", "-o", library, workshop / "shim.c"], check=True)
        with _environment(LD_PRELOAD=str(library), CLOCK_OFFSET_FILE=str(self._offset)):
            super().__init__()

    def leap(self, ms: int) -> None:
        """The server's wall clock is from now on so far ahead of the host's, and the server has noticed: it may look at the clock only now and then."""
        with self._offset.open("r+b") as file:
            file.write(struct.pack("=q", ms))
        with Commands(self.port) as client:
            wait_until(lambda: abs(int(client("TIME")[0]) - time.time() - ms / 1_000) < 1.2, f"a clock that is {ms} ms ahead")


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
