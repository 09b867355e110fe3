"""The last errors of an installation: bounded, whole lines, with their requests' ids, and with nobody's data."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reservoir import telemetry
from reservoir.last_errors import KEPT_BYTES, LAST, KeepingErrors, keep_errors, last_errors

log = logging.getLogger("reservoir.a_test")


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    monkeypatch.undo()


def test_what_went_wrong_is_kept_with_its_request(tmp_path: Path) -> None:
    """Warnings and errors, the oldest first; nothing less; the directory is made when there is something to keep."""
    directory = tmp_path / "not" / "there"
    assert last_errors(directory) == []
    keep_errors(directory)
    logging.getLogger().setLevel(logging.INFO)
    log.info("all is well")
    assert not directory.exists()
    token = telemetry.request_id.set("r-1")
    log.warning("the store is unavailable: %s", "away")
    telemetry.request_id.reset(token)
    log.error("broken", exc_info=OSError(28, "No space left"))
    first, second = last_errors(directory)
    assert (first["level"], first["message"], first["request_id"]) == ("warning", "the store is unavailable: away", "r-1")
    assert "No space left" in second["exception"]
    assert "request_id" not in second
    assert (directory / "errors.ndjson").stat().st_mode & 0o077 == 0


def test_nobodys_data_is_kept_even_while_debugging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception's text and what other libraries log with values may quote a person: the file is handed on, so they are left out."""
    monkeypatch.setenv(telemetry.DEBUG_VARIABLE, "1")
    keep_errors(tmp_path)
    log.error("failed", exc_info=ValueError("dana@acme.com"))
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "dana's address", exc_info=KeyError("dana"))
    ours, theirs = last_errors(tmp_path)
    assert "ValueError" in ours["exception"]
    assert theirs["message"] == "Error handling request from %s"
    assert "dana" not in json.dumps([ours, theirs])


def test_it_stays_small_however_many_processes_write(tmp_path: Path) -> None:
    """No line is torn or lost among the last ones, and there are two files of a bounded size."""
    keep_errors(tmp_path)
    pids = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            for turn in range(600):
                log.error("%d of %d: %s", turn, number, "x" * 500)
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["errors.1.ndjson", "errors.ndjson"]
    assert all(file.stat().st_size < KEPT_BYTES + 1_000 for file in files)
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert all(json.loads(line)["message"].endswith("x" * 500) for line in lines)
    assert len(last_errors(tmp_path)) == LAST
    turns = {number: [int(line["message"].split()[0]) for line in map(json.loads, lines) if f" of {number}:" in line["message"]] for number in range(4)}
    for seen in turns.values():
        assert seen == list(range(600 - len(seen), 600))


def test_a_directory_that_cannot_be_written_to_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a line that a full disk cut off is left out."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    (tmp_path / "file").touch()
    logging.getLogger().addHandler(KeepingErrors(tmp_path / "file"))
    log.error("somewhere")
    (tmp_path / "errors.ndjson").write_text('{"message": "whole"}\n7\n{"message": "cut o')
    assert last_errors(tmp_path) == [{"message": "whole"}]
