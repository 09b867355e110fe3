"""The README does what it says: its commands run as they stand there, and its answers are the service's."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FIRST_SCREEN = README[: README.index("## ")]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")


def blocks(language: str, after: str) -> list[str]:
    """The code blocks of a language in the section under a heading."""
    section = README[README.index(f"\n## {after}\n") :]
    section = section[: section.index("\n## ", 5)] if "\n## " in section[5:] else section
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Terminal:
    """A shell in a directory of its own, in which `reservoir` is the program under test and the README's port is a free one."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        programs = directory / "bin"
        programs.mkdir()
        program = programs / "reservoir"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reservoir "$@"\n')
        program.chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        self.environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "RESERVOIR_SERVER__PORT": str(port)}

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(self._words(command), cwd=self.directory, env=self.environ, stdout=subprocess.PIPE, text=True)

    def run(self, command: str) -> str:
        done = subprocess.run(self._words(command), cwd=self.directory, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _words(self, command: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", f"exec {command}" if "\n" not in command else command.replace(":8080", f":{self.port}")]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path, free_port())


@pytest.fixture
def demo(terminal: Terminal) -> Iterator[Terminal]:
    process = terminal.start("reservoir demo")
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline() if process.stdout else ""
            assert line, f"the demo ended: {said}"
            said += line
        found = re.search(r"^Key\s+(\S+)$", said, re.MULTILINE)
        assert found, said
        terminal.environ["KEY"] = found[1]
        yield terminal
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def shape(value: Any) -> Any:
    """What an answer is made of: names and kinds, without what differs from one claim to the next."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def test_the_first_screen_has_the_two_commands() -> None:
    """A newcomer sees one command that runs the main job and one that runs the tests, before anything else."""
    commands = re.findall(r"```sh\n(.*?)\n```", FIRST_SCREEN, re.DOTALL)
    assert len(commands) == 2
    assert commands[0].endswith(".venv/bin/reservoir demo")
    assert commands[1].endswith(".venv/bin/pytest")
    assert len(FIRST_SCREEN.splitlines()) <= 24


@needs_curl
def test_the_claim_and_its_answer(demo: Terminal) -> None:
    """The claim that the README shows takes the person whom it shows."""
    (command,) = blocks("sh", "One claim")
    (shown,) = (json.loads(block) for block in blocks("json", "One claim"))
    answered = json.loads(demo.run(command))
    assert shape(answered) == shape(shown)
    assert answered["claims"][0]["prospect"] == shown["claims"][0]["prospect"]
    assert answered["list"] == shown["list"]


@needs_curl
@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not here")
def test_the_commands_for_running_it(terminal: Terminal) -> None:
    """What an admin and an operator type does what the README says beside it."""
    people = ROOT / "reservoir" / "demo" / "people.csv"
    (terminal.directory / "q4-west.csv").write_bytes(people.read_bytes())
    admin, switch_on = blocks("sh", "Run it")
    serve, *verbs = admin.strip().splitlines()
    process = terminal.start(serve.split("#")[0].strip())
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("reservoir is ready at http://")
        said = {verb.split()[1] + " " + verb.split()[2]: terminal.run(verb.split("#")[0].strip()) for verb in verbs if len(verb.split()) > 2}
        found = re.search(r"rsv_acme_\w+", said["key create"])
        assert found, said
        terminal.environ["KEY"] = found[0]
        assert "985" in said["list show"]
        assert json.loads(terminal.run(switch_on))["enabled"] is True
        (claim,) = blocks("sh", "One claim")
        taken = json.loads(terminal.run(claim.replace("lists/sample/", "lists/q4-west/")))["claims"][0]
        assert taken["state"] == "reserved"
        _look_inside(terminal, taken)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def _look_inside(terminal: Terminal, taken: dict[str, Any]) -> None:
    status = json.loads(terminal.run("reservoir status --json"))
    terminal.environ["PORT"] = str(status["engine"]["port"])
    (recipes,) = blocks("sh", "Look inside with redis-cli")
    scan, get, ttl, soonest, available, history = (line.split("  #")[0].strip() for line in recipes.strip().splitlines())
    key = f"reservoir:{{acme}}:reservation:csv:{taken['prospect']['id']}"
    assert terminal.run(scan).split() == [key]
    kept = json.loads(terminal.run(get))
    assert {name: kept[name] for name in ("state", "rep", "session", "claim", "expires_at")} == {
        name: taken[name] for name in ("state", "rep", "session", "expires_at")
    } | {"claim": taken["id"]}
    assert 80_000 < int(terminal.run(ttl)) <= 2 * 90_000
    assert terminal.run(soonest).split()[0] == f"csv:{taken['prospect']['id']}"
    assert int(terminal.run(available)) == 984
    assert taken["id"] in terminal.run(history)


def test_the_map_names_every_room() -> None:
    """Whoever looks for a room finds it on the map, and nothing on the map is not there."""
    rooms = re.findall(r"^\| `((?:reservoir|tests|benchmarks)/[^`]*)` \|", README, re.MULTILINE)
    assert [room for room in rooms if not (ROOT / room).exists()] == []
    packages = {f"reservoir/{path.name}/" for path in (ROOT / "reservoir").iterdir() if (path / "__init__.py").exists()}
    assert packages - {"reservoir/demo/"} <= set(rooms)
