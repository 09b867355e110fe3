"""`reservoir bench`: figures of this installation, measured for real, and nothing left of it."""

from pathlib import Path

import pytest

from tests.support.cli import reservoir, service
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.keyspace import names


@pytest.mark.parametrize("beside", [True, False], ids=["beside a service", "alone"])
def test_it_measures_claims_against_bare_writes_and_leaves_nothing(tmp_path: Path, beside: bool) -> None:
    """With many and with one at once, both done in the same run; the service that runs is asked, or one for the while; its org is gone afterwards."""
    with EngineProcess(durable=True) as store:
        environ = {"RESERVOIR_REDIS__URL": store.url, "RESERVOIR_ORGS__ACME__NAME": "Acme"}
        if beside:
            with service(tmp_path, environ=environ) as house:
                told = reservoir(tmp_path, "bench --seconds 0.3 --connections 3 --json", environ).json
                assert told["service"] == house.url
        else:
            told = reservoir(tmp_path, "bench --seconds 0.3 --connections 3 --json", environ).json
        kinds = [(one["about"], one["at_once"]) for one in told["measured"]]
        assert kinds == [("bare writes to the store", 3), ("bare writes to the store", 1), ("claims over HTTP", 3), ("claims over HTTP", 1)]
        for one in told["measured"]:
            assert one["done"] > 0
            assert one["per_second"] > 0
            assert 0 < one["p50_ms"] <= one["p99_ms"]
        assert told["of_the_store"] > 0
        with Commands(store.port) as behind:
            assert [name for name in names(behind) if "bench" in name] == []
            assert behind("SMEMBERS", "reservoir:orgs") == ["acme"]
        said = reservoir(tmp_path, "bench --seconds 0.2 --connections 2", environ)
        assert "claims over HTTP" in said.out
        assert said.code == 0


def test_a_service_that_does_not_start_is_told(tmp_path: Path) -> None:
    """Its own sentence, and exit 1."""
    reservoir(tmp_path, "bench", {"RESERVOIR_REDIS__URL": "redis://127.0.0.1:1"}).refused(1, "cannot be relied on")
