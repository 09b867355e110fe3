"""An import as large as memory would notice: over HTTP, into a real process."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.support.cli import service

ROWS = 8_000
CHUNK = 100
NOTE = "x" * 5_000
"""In every row, so that what has come of the file, and its rows, would be seen in the memory of a process that kept either."""

GROWTH_MB = 12


def resident_mb(pid: int) -> float:
    """What a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1_024


def test_a_long_upload_takes_no_memory(tmp_path: Path) -> None:
    """Of 40 MB, the last three quarters leave no trace in the process that takes them in."""
    with service(tmp_path, "serve --port 0 --no-worker", {"RESERVOIR_ORGS__ACME__NAME": "Acme"}) as house:
        key = house.key()
        assert house.ask("POST", "/v1/lists", key, {"name": "West", "integration": "csv"})[0] == 201
        (serving,) = set(house.run.children()) - {house.engine_pid}
        seen: list[float] = []

        def file() -> Iterator[bytes]:
            yield b"id,phone,note\n"
            for start in range(0, ROWS, CHUNK):
                if start >= ROWS // 4:
                    seen.append(resident_mb(serving))
                yield "".join(f"p{number},+1415555{number % 10_000:04},{NOTE}\n" for number in range(start, start + CHUNK)).encode()

        connection = house.open()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv", "Transfer-Encoding": "chunked"}
        connection.request("PUT", "/v1/lists/west/members", file(), headers, encode_chunked=True)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        seen.append(resident_mb(serving))
        connection.close()
        assert (answer.status, told["fetched"]) == (200, ROWS)
        assert max(seen) - seen[0] < GROWTH_MB, seen
