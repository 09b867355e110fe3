"""`reservoir reservations ls --watch`: who has whom, as it changes, on a terminal and where none is."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Service, people, running, service
from tests.support.service import flaws
from tests.support.terminal import terminal
from tests.support.waiting import wait_until

REP = "ana@acme.com"


class Dialer:
    """Who claims, attempts and gives back while somebody watches."""

    def __init__(self, house: Service) -> None:
        self.house = house
        self._key = house.key()
        self("PATCH", "/v1/integrations/csv/multi-rep-dialing", {"enabled": True})
        self("POST", "/v1/lists", {"name": "West", "integration": "csv"})
        assert house.put("west", self._key, people(50))[0] == 200

    def __call__(self, method: str, path: str, body: object) -> Any:
        status, told = self.house.ask(method, path, self._key, body)
        assert status < 300, told
        return told

    def claim(self, rep: str, **how: object) -> list[Any]:
        body = {"rep": rep, "session": f"of {rep}", "mode": "parallel", **how}
        return list(self("POST", "/v1/lists/west/claims", body)["claims"])


@pytest.fixture
def dialer(tmp_path: Path) -> Iterator[Dialer]:
    with service(tmp_path, environ={"RESERVOIR_ORGS__ACME__NAME": "Acme"}) as house:
        yield Dialer(house)


def test_each_change_is_a_line_where_no_terminal_is(tmp_path: Path, dialer: Dialer) -> None:
    """Who comes, whose state changes and who ends, of the rep that is asked for alone; Ctrl-C ends it with 0."""
    (held,) = dialer.claim(REP, hold_seconds=3600)
    who = f"csv:{held['prospect']['id']}"
    with running(tmp_path, f"reservations ls --org acme --rep {REP} --list west --watch") as watching:
        wait_until(lambda: re.search(rf"^{who}  held  {REP}  .*{held['expires_at']}$", watching.out, re.MULTILINE) is not None, "the hold", 60)
        dialer.claim("bo@acme.com")
        attempted = dialer("POST", f"/v1/claims/{held['id']}/attempt", {})
        wait_until(lambda: f"{who}  reserved  " in watching.out, "the attempt", 60)
        (other,) = dialer.claim(REP, hold_seconds=3600)
        wait_until(lambda: f"csv:{other['prospect']['id']}  held" in watching.out, "another hold", 60)
        dialer("POST", f"/v1/claims/{other['id']}/release", {})
        wait_until(lambda: f"csv:{other['prospect']['id']}  ended\n" in watching.out, "its end", 60)
        assert watching.stop(signal.SIGINT) == 0, watching.err
        assert watching.err == ""
        assert attempted["expires_at"] in watching.out
        assert "bo@acme.com" not in watching.out
        assert len(watching.out.splitlines()) == 4


def test_programs_get_a_line_of_json_for_each_change(tmp_path: Path, dialer: Dialer) -> None:
    """All that are there, as the API tells them."""
    with running(tmp_path, "reservations ls --org acme --watch --json") as watching:
        wait_until(lambda: watching.out == '{"items":[]}\n', "nobody", 60)
        (claim,) = dialer.claim(REP)
        wait_until(lambda: watching.out.count("\n") == 2, "somebody", 60)
        assert watching.stop(signal.SIGINT) == 0, watching.err
    (one,) = json.loads(watching.out.splitlines()[1])["items"]
    assert not flaws(one, {"$ref": "#/components/schemas/Reservation"})
    assert one["claim"] == claim["id"]


def test_a_terminal_has_a_table_that_fits_it(tmp_path: Path, dialer: Dialer) -> None:
    """It is drawn anew as it changes, with as many as there is room for and a count of all; Ctrl-C ends it with 0."""
    dialer.claim(REP, count=30)
    with terminal(tmp_path, "reservations ls --org acme --watch", 14) as screen:
        wait_until(lambda: "30 reserved, 0 held; 20 more end later" in screen.drawn, "the table", 60)
        dialer.claim("bo@acme.com", hold_seconds=3600)
        wait_until(lambda: "30 reserved, 1 held; 21 more end later" in screen.drawn, "the table anew", 60)
        assert "bo@acme.com" in screen.drawn
        screen.process.send_signal(signal.SIGINT)
        assert screen.process.wait(60) == 0
        assert "Traceback" not in screen.drawn


def test_an_org_that_is_not_there_is_not_watched(dialer: Dialer) -> None:
    """One sentence, and 1."""
    with running(dialer.house.run.directory, "reservations ls --org nobody --watch") as watching:
        assert watching.code() == 1
        assert (watching.out, watching.err) == ("", "There is no org 'nobody'.\n")
