"""`reservoir doctor`, as an operator runs it: beside a service, on stores that will not do, after a leap of the store's clock."""

from pathlib import Path

from reservoir.domain.times import HOUR_MS
from tests.contract.test_store_clock import needs_compiler
from tests.support.cli import eventually, people, reservoir, service
from tests.support.engine import EngineProcess
from tests.support.leaping import LeapingServer

ACME = "[orgs.acme]\nname = 'Acme'\ntime_zone = 'America/New_York'\n"


def test_beside_a_service_all_is_well_until_the_config_says_otherwise(tmp_path: Path) -> None:
    """Exit 0 on the embedded engine, with every finding in its place; an org that was changed since is told, and breaks no promise."""
    (tmp_path / "reservoir.toml").write_text(ACME)
    with service(tmp_path) as house:
        told = reservoir(tmp_path, "doctor --json").json
        assert told["promises_kept"] is True
        findings = {finding["about"]: finding for finding in told["findings"]}
        assert all(finding["is"] and finding["should_be"] for finding in told["findings"])
        for part in ("engine", "persistence", "maxmemory-policy", "replicas", "clock", "user may do", "write takes", "config of the org acme", house.url):
            assert any(part in about for about in findings), part
        status, _ = house.ask("PATCH", "/v1/org", house.key(), {"time_zone": "Europe/Berlin"})
        assert status == 200
        said = reservoir(tmp_path, "doctor")
        assert said.code == 0, said.err
        (line,) = [line for line in said.out.splitlines() if "org acme" in line]
        assert line.startswith("note")
        assert "Europe/Berlin" in line
        assert "America/New_York" in line
        assert "Every promise can be kept." in said.out


def test_a_store_that_forgets_breaks_a_promise(tmp_path: Path) -> None:
    """Exit 1, in words on stderr; allow_unsafe makes the service start, and the promise no better."""
    with EngineProcess("--maxmemory-policy", "allkeys-lru") as forgetful:
        for allowed in ("false", "true"):
            environ = {"RESERVOIR_REDIS__URL": forgetful.url, "RESERVOIR_REDIS__ALLOW_UNSAFE": allowed}
            said = reservoir(tmp_path, "doctor", environ).refused(1, "BAD")
            bad = [line for line in said.out.splitlines() if line.startswith("BAD")]
            assert ["maxmemory-policy" in line or "persistence" in line for line in bad] == [True, True]


def test_a_store_that_is_away(tmp_path: Path) -> None:
    """Exit 1, one finding, and not the password."""
    said = reservoir(tmp_path, "doctor --json", {"RESERVOIR_REDIS__URL": "redis://ana:hunter2@127.0.0.1:1"})
    assert said.code == 1
    assert '"promises_kept": false' in said.out
    assert "hunter2" not in said.out + said.err


@needs_compiler
def test_an_operator_accepts_the_clock_of_a_running_service(tmp_path: Path) -> None:
    """R14: after a leap claims are 503 and doctor fails, naming the leap; with --accept-clock it ends well, and claims are granted again by all processes."""
    with LeapingServer(tmp_path) as store:
        environ = {"RESERVOIR_REDIS__URL": store.url, "RESERVOIR_REDIS__ALLOW_UNSAFE": "true", "RESERVOIR_ORGS__ACME__NAME": "Acme"}
        with service(tmp_path, "serve --port 0 --processes 2", environ) as house:
            key = reservoir(tmp_path, "key create --org acme --scope admin --json", environ).json["key"]
            house.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", key, {"enabled": True})
            house.ask("POST", "/v1/lists", key, {"name": "west", "integration": "csv"})
            assert house.put("west", key, people(20))[0] == 200
            body = {"rep": "ana", "session": "s", "mode": "power"}
            store.leap(HOUR_MS)
            eventually(lambda: house.ask("POST", "/v1/lists/west/claims", key, body)[0], 503, "claims to be refused")
            said = reservoir(tmp_path, "doctor", environ)
            assert said.code == 1
            assert "--accept-clock" in said.out
            told = reservoir(tmp_path, "doctor --accept-clock", environ)
            clock = [line for line in told.out.splitlines() if "clock" in line]
            assert clock
            assert all(line.startswith("ok") for line in clock), told.out
            assert next(line for line in told.out.splitlines() if house.url in line).startswith("ok")
            for _ in range(8):  # by whichever process
                eventually(lambda: house.ask("POST", "/v1/lists/west/claims", key, body)[0], 201, "claims to be granted")
