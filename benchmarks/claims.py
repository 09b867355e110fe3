"""Claims over HTTP against the floor: a bare aiohttp handler, the ordinary SET NX handler, and reservoir, in turns.

``python -m benchmarks.claims [--connections 32] [--seconds 3] [--rounds 5] [--count 1] [--durable]``
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.filling import KEY_FILE, LIST
from reservoir.storage.embedded import binary

KINDS = ("bare", "ordinary", "reservoir")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Round:
    """One kind's turn. **Units**: requests per second; µs of the service's CPU per request; ms."""

    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


@contextmanager
def store(*, durable: bool) -> Iterator[int]:
    """A store of its own; yields its port."""
    with tempfile.TemporaryDirectory() as directory:
        port = 20_000 + os.getpid() % 20_000
        options = ["--appendonly", "yes", "--appendfsync", "always"] if durable else ["--appendonly", "no"]
        command = [str(binary()), "--port", str(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "", *options]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                _wait_for(port)
                yield port
            finally:
                process.kill()


@contextmanager
def service(kind: str, store_port: int, members: int) -> Iterator[tuple[int, int]]:
    """A service; yields its port and its pid."""
    command = [sys.executable, "-m", "benchmarks.serving", kind, f"redis://127.0.0.1:{store_port}/0", str(members)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            yield int(said), process.pid
        finally:
            process.kill()


async def load(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    """Sends the request over and over on so many connections; returns each one's latency in s."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (begun := time.perf_counter()) < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if head[9:10] != b"2":
                raise RuntimeError(head.decode())
            latencies.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return latencies


def measure(port: int, pid: int, request: bytes, connections: int, seconds: float) -> Round:
    """One turn of one service."""
    cpu, begun = _cpu_s(pid), time.perf_counter()
    latencies = sorted(uvloop.run(load(port, request, connections, seconds)))
    took, spent = time.perf_counter() - begun, _cpu_s(pid) - cpu
    return Round(len(latencies) / took, spent / len(latencies) * 1e6, latencies[len(latencies) // 2] * 1e3, latencies[len(latencies) * 99 // 100] * 1e3)


def main() -> None:
    """Prints each kind's medians and what they are of the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--members", type=int, default=200_000)
    parser.add_argument("--durable", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        port = stack.enter_context(store(durable=options.durable))
        running = {kind: stack.enter_context(service(kind, port, options.members)) for kind in KINDS}
        stack.callback(KEY_FILE.unlink)
        request = _request(KEY_FILE.read_text(), options.count)
        rounds: dict[str, list[Round]] = {kind: [] for kind in KINDS}
        for _ in range(options.rounds):
            for kind, (service_port, pid) in running.items():
                rounds[kind].append(measure(service_port, pid, request, options.connections, options.seconds))
    floor = _median(rounds["bare"], "per_second")
    for kind in KINDS:
        figures = {name: _median(rounds[kind], name) for name in ("per_second", "cpu_us", "p50_ms", "p99_ms")}
        print(
            f"{kind:10} {figures['per_second']:9,.0f}/s  {figures['per_second'] / floor:5.2f} of the floor  "
            f"{figures['cpu_us']:6.0f} µs CPU  p50 {figures['p50_ms']:6.2f} ms  p99 {figures['p99_ms']:6.2f} ms"
        )


def _request(key: str, count: int) -> bytes:
    body = json.dumps({"rep": "ana@acme.com", "session": "s-81", "mode": "parallel", "count": count}).encode()
    head = (
        f"POST /v1/lists/{LIST}/claims HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _median(rounds: list[Round], name: str) -> float:
    return float(statistics.median(getattr(one, name) for one in rounds))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the store did not start")


if __name__ == "__main__":
    main()
