"""`reservoir demo`: what a newcomer sees in the first minute, what they can do then, and that nothing of it stays behind."""

import json
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import Running, ask, reservoir, running
from tests.support.processes import gone
from tests.support.waiting import wait_until


def told(demo: Running, until: str) -> str:
    """What it has printed, once this is there."""
    wait_until(lambda: until in demo.out or demo.process.poll() is not None, f"the demo to say {until!r}", 90)
    assert until in demo.out, demo.out + demo.err
    return demo.out


def test_reps_dial_and_then_so_does_the_newcomer(tmp_path: Path) -> None:
    """Calls are counted, by rep, with no double dial; the line for curl, pasted, claims somebody who was not called; a port that is taken is no obstacle;
    Ctrl-C ends it with 0, and a second run goes on with whoever is not reserved."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, "demo --calls 40", {"RESERVOIR_SERVER__PORT": str(port)}) as demo:
            said = told(demo, "Ctrl-C")
            assert f"The port {port} is in use" in demo.err
            assert re.search(r"^40 calls attempted in \d+ s by 8 reps", said, re.MULTILINE)
            (by_rep,) = re.findall(r"^people per rep: (.*)$", said, re.MULTILINE)
            counted = [int(one.split()[1]) for one in by_rep.split(", ")]
            assert (len(counted), sum(counted)) == (8, 40)
            assert "\ndouble dials: 0\n" in said
            (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith("curl ")]
            pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True)
            answer = json.loads(pasted.stdout)
            (claim,) = answer["claims"]
            assert (claim["rep"], claim["reserved"], answer["list"]["available"]) == ("you@acme.example", True, 985 - 41)
            (key,) = re.findall(r"^Key +(\S+)$", said, re.MULTILINE)
            (url,) = re.findall(r"^Service +(\S+)", said, re.MULTILINE)
            _reserve_the_rest(url, key)
            assert demo.stop(signal.SIGINT) == 0, demo.err
    assert [path.name for path in (tmp_path / ".reservoir").iterdir()] == ["demo"]
    again = reservoir(tmp_path, "demo --port 0 --exit")
    assert again.code == 0, again.err
    assert re.search(r"Nobody is left to call: everybody in the list is reserved by now; the first is free again at \S+Z\.", again.out)
    assert "double dials: 0" in again.out
    assert "Ctrl-C" not in again.out


def _reserve_the_rest(url: str, key: str) -> None:
    """As other dialers would."""
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    body = {"rep": "bo@acme.example", "session": "bo-1", "mode": "parallel", "count": 50}
    while ask(connection, "POST", "/v1/lists/sample/claims", key, body)[1]["claims"]:
        pass
    connection.close()


def test_with_exit_it_ends_by_itself(tmp_path: Path) -> None:
    """After the summary, with 0 and nobody left behind: not a service, not an engine."""
    with running(tmp_path, "demo --port 0 --calls 12 --exit") as demo:
        wait_until(demo.children, "the service is up", 60)
        children = demo.children()
        assert demo.code() == 0, demo.err
        assert re.search(r"^12 calls attempted", demo.out, re.MULTILINE)
        assert demo.err == ""
        wait_until(lambda: all(gone(pid) for pid in children), "nobody is left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: str(number.name))
def test_it_can_be_stopped_while_they_dial(tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of it: 0, no traceback, and nobody left behind."""
    with running(tmp_path, "demo --port 0 --calls 900") as demo:
        told(demo, "calls attempted after")
        children = demo.children()
        assert len(children) == 3  # who serves, the engine, and the reps
        assert demo.stop(number) == 0, demo.err
        assert "Traceback" not in demo.err
        wait_until(lambda: all(gone(pid) for pid in children), "nobody is left")
