"""`reservoir report`: one file for a support ticket, without a secret or a person in it."""

import json
from pathlib import Path

from tests.support.cli import reservoir, service
from tests.support.engine import say

CONFIG = """
[orgs.acme]
name = "Acme"

[orgs.acme.salesforce]
auth = "password"
username = "dana.ito@acme.example"
password = "hunter2-password"
security_token = "hunter2-token"

[orgs.acme.hubspot]
access_token = "pat-na1-hunter2"
"""


def test_a_report_has_what_support_needs_and_nothing_else(tmp_path: Path) -> None:
    """Versions, doctor's findings, the config, and the last error with the id that its caller was told; no secret, no user, no prospect."""
    (tmp_path / "reservoir.toml").write_text(CONFIG)
    with service(tmp_path) as house:
        key = house.key()
        engine = reservoir(tmp_path, "status --json").json["engine"]
        assert say(engine["port"], "SET", "reservoir:{acme}:lists", "not a list's place") == "OK"
        connection = house.open()
        connection.request("GET", "/v1/lists", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        problem = json.loads(answer.read())
        connection.close()
        assert (answer.status, answer.headers["X-Request-Id"]) == (500, problem["request_id"])
        said = reservoir(tmp_path, "report")
        assert said.code == 0, said.err
        (path,) = tmp_path.glob("reservoir-report-*.json")
        assert path.name in said.out
        text = path.read_text()
        told = json.loads(text)
        assert told["service"] == {"url": house.url, "pid": house.run.pid}
        assert told["versions"]["libraries"]["aiohttp"]
        assert any("persistence" in finding["about"] for finding in told["doctor"])
        assert told["config"]["orgs"]["acme"]["salesforce"]["password"] == "***"
        (error,) = [error for error in told["last_errors"] if error.get("request_id") == problem["request_id"]]
        assert error["level"] == "error"
        assert "WRONGTYPE" in error["exception"]
        for secret in ("hunter2", "dana.ito", key, key.rpartition("_")[2]):
            assert secret not in text
    again = reservoir(tmp_path, "report --json --output ticket.json")
    assert json.loads((tmp_path / "ticket.json").read_text()) == again.json
    assert again.json["last_errors"][-1]["request_id"] == problem["request_id"]


def test_there_is_a_report_where_nothing_works(tmp_path: Path) -> None:
    """A store that is away, and an engine that cannot start, are in it as what is wrong; the report is made all the same."""
    told = reservoir(tmp_path, "report --json", {"RESERVOIR_REDIS__URL": "redis://:hunter2@127.0.0.1:1"}).json
    assert "away" in told["doctor"][0]["is"]
    assert "hunter2" not in json.dumps(told)
    told = reservoir(tmp_path, "report --json", {"RESERVOIR_VALKEY_BIN": str(tmp_path / "nothing")}).json
    assert "nothing" in told["doctor"]
