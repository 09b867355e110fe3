"""`reservoir verify`, run as a process of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.support.cli import Service, people, reservoir, service
from tests.support.commands import Commands
from tests.support.engine import EngineProcess

PATH = "/v1/lists/west/claims"
DIALER = {"rep": "ana", "session": "s-1", "mode": "parallel"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Service, EngineProcess, str]]:
    """A service on a server of its own, with an org that has a list, and its admin's key."""
    with EngineProcess() as engine:
        environ = {"RESERVOIR_REDIS__URL": engine.url, "RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}
        (tmp_path / "reservoir.toml").write_text(f'[redis]\nurl = "{engine.url}"\nallow_unsafe = true\n[orgs.acme]\nname = "Acme"\n')
        with service(tmp_path, environ=environ) as running:
            key = running.key()
            assert running.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", key, {"enabled": True})[0] == 200
            assert running.ask("POST", "/v1/lists", key, {"id": "west", "name": "West", "integration": "csv"})[0] == 201
            assert running.put("west", key, people(20))[0] == 200
            yield running, engine, key


def told_by(running: Service, key: str) -> list[dict[str, Any]]:
    """What a dialer is told as it claims, holds, attempts, extends and gives back."""
    told: list[dict[str, Any]] = running.ask("POST", PATH, key, {**DIALER, "count": 3})[1]["claims"]
    for verb, body in (("attempt", {}), ("extend", {"seconds": 900}), ("release", {})):
        (claim,) = running.ask("POST", PATH, key, {**DIALER, "hold_seconds": 60})[1]["claims"]
        status, answer = running.ask("POST", f"/v1/claims/{claim['id']}/{verb}", key, body)
        assert status == 200
        told += [claim, *([answer] if "id" in answer else [])]
    told += [running.ask("GET", f"/v1/claims/{told[-1]['id']}", key)[1]]
    return told


def test_what_dialers_were_told_is_borne_out(house: tuple[Service, EngineProcess, str], tmp_path: Path) -> None:
    """R1: with all that the service answered, in any order, there is no double dial; figures for people and for programs."""
    running, _, key = house
    told = told_by(running, key)
    (tmp_path / "told.ndjson").write_text("\n".join(json.dumps(line) for line in [*told, *reversed(told)]) + "\n")
    plain = reservoir(tmp_path, "verify --against told.ndjson")
    assert (plain.code, plain.err) == (0, "")
    assert plain.out.splitlines()[-1] == "double dials: 0"
    assert "proved from" in plain.out
    assert f"against: 6 claims in {2 * len(told)} lines" in plain.out
    report = reservoir(tmp_path, "verify --org acme --against told.ndjson --json").json
    assert (report["double_dials"], report["violations"]) == (0, 0)
    (org,) = report["orgs"]
    assert (org["org"], org["held"], org["reserved"], org["whole"], org["found"]) == ("acme", 1, 4, True, [])
    assert report["against"] == {"lines": 2 * len(told), "claims": 6, "before": 0, "double_dials": 0, "violations": 0, "found": []}


def test_what_the_store_lost_is_told(house: tuple[Service, EngineProcess, str], tmp_path: Path) -> None:
    """A store that went back in time has no trace of what it forgot, and grants it anew; the dialer's record has both."""
    running, engine, key = house
    running.ask("POST", PATH, key, {**DIALER, "count": 2})
    with Commands(engine.port) as client:
        kept = {name: client("DUMP", name) for name in client("KEYS", "*")}
        lost = running.ask("POST", PATH, key, DIALER)[1]["claims"]
        client("FLUSHALL")
        for name, content in kept.items():
            client("RESTORE", name, 0 if ":reservation:" not in name and ":claim:" not in name and ":idempotency:" not in name else DAY_MS, content)
    again = running.ask("POST", PATH, key, {**DIALER, "rep": "ben"})[1]["claims"]
    assert again[0]["prospect"]["id"] == lost[0]["prospect"]["id"]
    (tmp_path / "told.ndjson").write_text("\n".join(json.dumps(line) for line in [*lost, *again]))
    refuted = reservoir(tmp_path, "verify --against told.ndjson --json")
    assert refuted.code == 1
    report = json.loads(refuted.out)
    assert report["double_dials"] == 1
    found = {one["kind"]: one for one in report["against"]["found"]}
    assert found["unknown"]["claims"] == [lost[0]["id"]]
    assert found["double-dial"]["claims"] == [lost[0]["id"], again[0]["id"]]
    said = reservoir(tmp_path, "verify --against told.ndjson")
    assert (said.code, said.out.splitlines()[-1]) == (1, "double dials: 1")
    assert f"double-dial: csv:{lost[0]['prospect']['id']} ({lost[0]['id']} and {again[0]['id']})" in said.out


def test_a_double_dial_in_the_store_is_told(house: tuple[Service, EngineProcess, str], tmp_path: Path) -> None:
    """R1: exit code 1, with the pair."""
    running, engine, key = house
    (claim,) = running.ask("POST", PATH, key, DIALER)[1]["claims"]
    with Commands(engine.port) as client:
        now_ms = int(client("TIME")[0]) * 1_000 + 1_000
        facts = ("integration", "csv", "prospect", claim["prospect"]["id"], "claim", "thief", "expires_at", now_ms + DAY_MS)
        client("XADD", "reservoir:{acme}:history", "*", "type", "claim.reserved", "at", now_ms, *facts)
    report = reservoir(tmp_path, "verify --json")
    assert report.code == 1
    pairs = [one["claims"] for one in json.loads(report.out)["orgs"][0]["found"] if one["kind"] == "double-dial"]
    assert pairs == [[claim["id"], "thief"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": "a"}\n', "Line 1 of told.ndjson: prospect: expected an object"),
        (b"\n\nnot JSON\n", "Line 3 of told.ndjson: expected a claim as JSON, found 'not JSON' ("),
        (b"\xff\n", "Line 1 of told.ndjson: expected a claim as JSON"),
        (b"[]\n", "Line 1 of told.ndjson: expected a claim"),
    ],
)
def test_a_file_that_is_no_record_of_claims(house: tuple[Service, EngineProcess, str], tmp_path: Path, content: bytes, said: str) -> None:
    """Exit code 2 and one plain sentence, which names the line."""
    del house
    (tmp_path / "told.ndjson").write_bytes(content)
    reservoir(tmp_path, "verify --against told.ndjson").refused(2, said)
    reservoir(tmp_path, "verify --against nowhere.ndjson").refused(2, "nowhere.ndjson")
    reservoir(tmp_path, "verify --org nobodys").refused(1, "nobodys")
