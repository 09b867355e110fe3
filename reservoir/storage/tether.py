"""A script, never imported by the service: it becomes the engine, tied to the life of the process that started it.

    python -I -S tether.py PARENT_PID PROGRAM ARGUMENT...

A program, and not code between fork and exec, which may not be ours: in a process with threads, a lock that another thread held at the
fork stays locked for ever. Once it has become the engine nothing of it is left, and its pid is the engine's.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""**Source**: prctl(2), PR_SET_PDEATHSIG: kept across execve unless the program is set-user-ID or has capabilities."""


def main(parent_pid: int, command: list[str]) -> None:
    """Become the command, which gets SIGTERM when the parent is gone, be it by kill -9. On Linux; elsewhere it is not tied.

    **Raises**: SystemExit, if it cannot be tied, if the parent is gone already, or if the program does not run.
    """
    if sys.platform == "linux":
        import ctypes  # not on every Python that could do without it

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), 0, 0, 0) != 0:
            sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:  # it died before it could be asked for
        sys.exit(f"the process {parent_pid} that started this one is gone")
    try:
        os.execv(command[0], command)  # noqa: S606 - that is what it is for: no shell
    except OSError as error:
        sys.exit(f"{command[0]} does not run: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
