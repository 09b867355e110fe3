"""The commands, each run as a process of its own, on the engine of a running service or on one of their own short life."""

import json
import logging
import os
import re
import shlex
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reservoir.cli import cli, main
from reservoir.http.openapi import document
from reservoir.storage.embedded import find_running
from tests.support.cli import Done, Service, eventually, people, reservoir, running, service
from tests.support.engine import EngineProcess, say
from tests.support.processes import gone
from tests.support.service import flaws
from tests.support.terminal import terminal
from tests.support.waiting import wait_until

QUIET = {"serve", "worker", "demo"}
"""Commands that print no data."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that the commands of most tests find; it has the org acme."""
    directory = tmp_path_factory.mktemp("house")
    with service(directory, environ={"RESERVOIR_ORGS__ACME__NAME": "Acme"}) as started:
        yield started


@pytest.fixture(scope="module")
def key(house: Service) -> str:
    """An admin's key of acme."""
    return house.key()


class Runner:
    """Runs commands in one directory, in this process: many of them in the time of one. What starts or stops something is run as a process of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, line: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line))
        said = self._capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    def file(self, name: str, content: bytes) -> None:
        (self.directory / name).write_bytes(content)


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command would change of this process is put back at the end; and its environment says nothing."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(logging, "raiseExceptions", True)
    for name in [name for name in os.environ if name.startswith("RESERVOIR_") and name != "RESERVOIR_VALKEY_BIN"]:
        monkeypatch.delenv(name)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(house: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Runs commands beside the service."""
    monkeypatch.chdir(house.run.directory)
    return Runner(house.run.directory, capsys)


@pytest.fixture
def alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Runs commands where nothing is."""
    monkeypatch.chdir(tmp_path)
    return Runner(tmp_path, capsys)


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, each in group.commands.items():
        if isinstance(each, click.Group):
            yield from leaves(each, (*path, name))
        else:
            yield (*path, name)


# ---- help, usage, config -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", list(leaves(cli)), ids=" ".join)
def test_the_help_of_every_command_has_an_example_that_is_its_own(path: tuple[str, ...]) -> None:
    """Every command's help ends with an example of it, and names --config, and --json where it prints data."""
    said = CliRunner().invoke(cli, [*path, "--help"])
    assert said.exit_code == 0
    example = said.output.partition("Example:\n")[2]
    assert f"reservoir {' '.join(path)}" in example
    assert "--config FILE" in said.output
    assert ("--json" in said.output) == (path[0] not in QUIET)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nope", "nope"),
        ("org create", "'ID'"),
        ("org create Acme", "'Acme'"),
        ("org create acme2 --time-zone Mars/Phobos", "--time-zone"),
        ("key create --org acme --scope root", "--scope"),
        ("list import --org acme --list x no-such-file.csv", "no-such-file.csv"),
        ("list create --org acme --name X --integration csv --source report:1", "no source"),
        ("list create --org acme --name X --integration salesforce --source 00O5e000001AbCd", "KIND:ID"),
        ("list create --org acme --name X --integration salesforce --source report:1 --query SELECT", "not both"),
        ("serve --processes 0", "--processes"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(tmp_path: Path, alone: Runner, line: str, said: str) -> None:
    """What is used wrongly says how, touches nothing, and exits with 2."""
    alone(line).refused(2, said, "--help")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[server]\nprot = 1\n", ("server.prot", "unknown")),
        ('[server]\nport = "x"\n', ("server.port", "whole number")),
        ("servr = 1\n", ("servr (bad.toml)", "unknown")),
        ("[server\n", ("TOML",)),
        (None, ("bad.toml", "No such file")),
    ],
)
def test_a_config_that_is_wrong_stops_the_command(tmp_path: Path, alone: Runner, toml: str | None, said: tuple[str, ...]) -> None:
    """A bad config is one sentence that names the key or the file, and exit code 2."""
    if toml is not None:
        (tmp_path / "bad.toml").write_text(toml)
    alone("serve --config bad.toml").refused(2, *said)


def test_a_process_ends_with_the_sentence_and_the_code(tmp_path: Path) -> None:
    """What fails before anything is started ends a real process as it ends here."""
    reservoir(tmp_path, "status --config no.toml").refused(2, "no.toml")


def test_a_store_that_is_away_is_a_sentence_unless_its_traceback_is_asked_for(alone: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away is one sentence without its password, and with RESERVOIR_DEBUG=1 a traceback comes before it."""
    monkeypatch.setenv("RESERVOIR_REDIS__URL", "redis://:secret@127.0.0.1:1")
    said = alone("org list").refused(1, "cannot be relied on")
    assert "secret" not in said.err
    monkeypatch.setenv("RESERVOIR_DEBUG", "1")
    assert "Traceback" in alone("org list").err


def test_a_defect_is_a_sentence(alone: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw says how to find out where it is."""

    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("reservoir.cli.orgs.on_store", fail)
    alone("org list").refused(1, "RuntimeError", "RESERVOIR_DEBUG=1")


# ---- orgs and keys -----------------------------------------------------------------------------------------------------------------------


def test_an_org_is_created_once(run: Runner) -> None:
    """A new org has what was said of it; to create it again fails and changes nothing."""
    wanted = {"id": "beta", "name": "Beta & Co", "time_zone": "Europe/Berlin", "phone_region": "DE", "sandbox": True}
    assert run("org create beta --name 'Beta & Co' --time-zone Europe/Berlin --phone-region DE --sandbox --json").json == wanted
    run("org create beta --name Other").refused(1, "'beta' already")
    assert wanted in run("org list --json").json["items"]


def test_a_key_is_printed_once_and_opens_the_api(run: Runner, house: Service) -> None:
    """Stdout has the key and nothing else, and the service knows it at once, with its scope."""
    made = run("key create --org acme --scope read --name board")
    assert made.code == 0
    (key,) = made.out.splitlines()
    assert house.ask("GET", "/v1/lists", key)[0] == 200
    assert house.ask("POST", "/v1/lists", key, {"name": "X", "integration": "csv"})[0] == 403
    told = run("key create --org acme --scope admin --json").json
    (kept,) = [each for each in house.ask("GET", "/v1/api-keys", told["key"])[1]["items"] if each["id"] == told["id"]]
    assert kept["scopes"] == ["admin"]


def test_an_org_that_is_not_there_fails(run: Runner) -> None:
    """What is asked of an unknown org says so."""
    run("key create --org nobody --scope read").refused(1, "no org 'nobody'")


# ---- lists -------------------------------------------------------------------------------------------------------------------------------


def test_an_import_creates_the_list_and_tells_its_sync(run: Runner, house: Service, key: str) -> None:
    """The file's people are in a list named after it; the JSON is a SYNC; a bad row is told with its line."""
    run.file("walk ins.csv", people(3) + b"p9,Nobody,not a number\n")
    told = run("list import --org acme --list walk-ins 'walk ins.csv' --json").json
    assert not flaws(told, {"$ref": "#/components/schemas/Sync"})
    assert (told["state"], told["added"], told["rejected_count"]) == ("done", 3, 1)
    assert [row["line"] for row in told["rejected"]] == [5]
    status, state = house.ask("GET", "/v1/lists/walk-ins", key)
    assert (status, state["name"], state["counts"]["available"]) == (200, "walk ins", 3)
    again = run("list import --org acme --list walk-ins 'walk ins.csv'")
    assert again.out.startswith("3 members in the list walk-ins: 0 new, 0 changed, 0 left; 1 row rejected.\n  line 5: "), again.out
    assert again.err == ""


def test_an_import_reads_ndjson_and_standard_input(run: Runner) -> None:
    """A file's name says that it is NDJSON; - is standard input, from a file or through a pipe."""
    run.file("two.csv", people(2))
    run.file("two.ndjson", b'{"id": "a", "phone": "+14155550100"}\n{"id": "b", "phone": "+14155550101"}\n')
    assert run("list import --org acme --list nd two.ndjson --json").json["added"] == 2
    assert reservoir(run.directory, "list import --org acme --list piped - --json", stdin=people(700)).json["added"] == 700
    told = reservoir(run.directory, "list import --org acme --list piped -", stdin=run.directory / "two.csv")
    assert told.out.startswith("2 members in the list piped: 0 new, 0 changed, 698 left"), told.err


def test_an_import_on_a_terminal_shows_a_bar_with_rate_and_time_left(run: Runner) -> None:
    """How much of the file is read, how fast, and how long it still takes; at the end the bar makes room for the sentence."""
    content = people(4_000)
    run.file("many.csv", content)
    with terminal(run.directory, "list import --org acme --list barred many.csv", 24) as screen:
        assert screen.process.wait(60) == 0
        wait_until(lambda: "4,000 members in the list barred: 4,000 new" in screen.drawn, "the sentence")
    size = f"{len(content) / 1_000:.1f}"
    bar = re.compile(rf"━+ {size}/{size} kB [\d.]+ [kM]B/s \d:\d\d:\d\d")
    assert bar.search(screen.drawn), screen.drawn


def test_a_file_without_anybody_is_refused(run: Runner) -> None:
    """A file with no row that can be a member fails with the first reason, and one without a header with its own."""
    run.file("none.csv", b"id,phone\nx,none\n")
    run("list import --org acme --list none none.csv").refused(1, "line 2")
    run.file("empty.csv", b"")
    run("list import --org acme --list none empty.csv").refused(1, "empty")


def test_a_list_with_a_source_is_created_shown_and_not_filled_by_hand(run: Runner) -> None:
    """A list is created as over HTTP, shown as LIST, and takes no file if it has a source."""
    made = run("list create --org acme --name 'Q4 West' --integration salesforce --source report:00O5e000001AbCdEAK --json").json
    assert not flaws(made, {"$ref": "#/components/schemas/List"})
    assert (made["id"], made["source"]) == ("q4-west", {"kind": "report", "id": "00O5e000001AbCdEAK"})
    run("list create --org acme --name X --id q4-west --integration csv").refused(1, "q4-west")
    run("list create --org acme --name X --integration salesforce --query 'SELECT Id FROM Account'").refused(2, "--query: ", "FROM Account")
    run("list create --org acme --name X --integration hubspot --source report:1").refused(2, "--source: ", "report")
    assert run("list create --org acme --name Soql --integration salesforce --query 'SELECT Id FROM Lead' --json").json["source"]["kind"] == "soql"
    assert run("list show --org acme --list q4-west --json").json == made
    assert {"q4-west", "soql"} <= {state["id"] for state in run("list ls --org acme --json").json["items"]}
    table = run("list ls --org acme").out.splitlines()
    assert table[0].startswith("list ")
    assert [line.split()[0] for line in table[1:]] == sorted(line.split()[0] for line in table[1:])
    run.file("people.csv", people(1))
    run("list import --org acme --list q4-west people.csv").refused(1, "salesforce")
    run("list show --org acme --list no-such").refused(1, "no such list")


def test_an_import_that_is_broken_off_ends_its_sync(run: Runner, house: Service, key: str) -> None:
    """Ctrl-C ends an import that waits for its pipe: what came stands, the sync is failed at once, the exit code is 1."""
    with running(run.directory, "list import --org acme --list broken -") as importing:
        importing.feed(people(600))
        eventually(lambda: house.ask("GET", "/v1/lists/broken/sync", key)[1].get("fetched"), 600, "what came is in")
        assert importing.stop(signal.SIGINT) == 1
        assert "broke off" in importing.err
    sync = house.ask("GET", "/v1/lists/broken/sync", key)[1]
    assert (sync["state"], sync["fetched"]) == ("failed", 600)


# ---- what is taken -----------------------------------------------------------------------------------------------------------------------


def test_reservations_are_listed_with_their_rep_and_list(run: Runner, house: Service, key: str) -> None:
    """What was claimed over HTTP is listed, by rep and by list, as RESERVATION; status counts it."""
    house.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", key, {"enabled": True})
    for list_, first in (("east", 100), ("west", 200)):
        house.ask("POST", "/v1/lists", key, {"name": list_, "integration": "csv"})
        house.put(list_, key, people(5, first))
        house.ask("POST", f"/v1/lists/{list_}/claims", key, {"rep": f"rep of {list_}", "session": list_, "mode": "parallel", "count": 2})
    house.ask("POST", "/v1/lists/east/claims", key, {"rep": "held", "session": "h", "mode": "power", "hold_seconds": 3600})
    every = run("reservations ls --org acme --json").json["items"]
    for one in every:
        assert not flaws(one, {"$ref": "#/components/schemas/Reservation"})
    assert len(every) == 5
    assert len(run("reservations ls --org acme --list east --json").json["items"]) == 3
    (one, two) = run("reservations ls --org acme --rep 'rep of west' --json").json["items"]
    assert one["list"] == two["list"] == "west"
    assert "csv:p200" in run("reservations ls --org acme --list west").out
    (acme,) = [org for org in run("status --json").json["orgs"] if org["id"] == "acme"]
    assert (acme["reservations"], acme["held"]) == (4, 1)
    assert acme["lists"] == len(house.ask("GET", "/v1/lists", key)[1]["items"])


def test_why_tells_who_has_a_person(run: Runner, house: Service, key: str) -> None:
    """By which rule, who, until when; as the API says it with --json, and in a table without."""
    house.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", key, {"enabled": True})
    house.ask("POST", "/v1/lists", key, {"name": "why", "integration": "csv"})
    house.put("why", key, people(2, 900))
    claim = house.ask("POST", "/v1/lists/why/claims", key, {"rep": "ana", "session": "why", "mode": "power"})[1]["claims"][0]
    who = f"csv:{claim['prospect']['id']}"
    told = run(f"why --org acme {who} --json").json
    assert not flaws(told, {"$ref": "#/components/schemas/Why"})
    assert (told["dialable"], told["reasons"][0]["rule"], told["reasons"][0]["until"]) == (False, "reserved", claim["expires_at"])
    shown = run(f"why --org acme {who} --list why --rep ana")
    assert shown.code == 0
    assert "can not be dialed" in shown.out
    assert claim["expires_at"] in shown.out
    assert run(f"why --org acme {who} --mode click_to_call --json").json == {"dialable": True, "reasons": [], "notes": []}
    assert "can be dialed" in run("why --org acme csv:nobody").out
    run("why --org acme nobody").refused(2, "INTEGRATION:PROSPECT")
    run("why --org acme hubspot:x").refused(2, "HubSpot id")
    run(f"why --org acme {who} --list nowhere").refused(1, "no such list")
    run(f"why --org nowhere {who}").refused(1, "nowhere")


def test_an_org_is_deleted_with_all_that_is_in_it(run: Runner, house: Service) -> None:
    """Only with --yes; the running service refuses its keys at once; anew, it is empty; there is none to delete twice."""
    assert run("org create gone --name Gone").code == 0
    key = run("key create --org gone --scope admin --json").json["key"]
    assert house.ask("GET", "/v1/org", key)[0] == 200
    run("org delete gone").refused(2, "--yes")
    assert run("org delete gone --yes --json").json == {"deleted": True, "id": "gone"}
    assert house.ask("GET", "/v1/org", key)[0] == 401
    run("org delete gone --yes").refused(1, "gone")
    assert "gone" not in [one["id"] for one in run("org list --json").json["items"]]


def test_status_tells_the_engine_and_the_service(run: Runner, house: Service) -> None:
    """Status finds the engine, its port and directory, and the service with its address and pid."""
    told = run("status --json").json
    assert told["service"] == {"url": house.url, "pid": house.run.pid}
    engine = told["engine"]
    assert house.store == f"redis-cli -p {engine['port']}"
    assert engine["url"] == f"redis://127.0.0.1:{engine['port']}/0"
    assert (engine["name"] in {"valkey", "redis"}, engine["data_dir"]) == (True, str(run.directory / ".reservoir"))
    assert house.url in run("status").out


# ---- without a service -------------------------------------------------------------------------------------------------------------------


def test_commands_bring_their_own_engine_and_share_it(tmp_path: Path) -> None:
    """Where none runs, commands at the same time start one engine between them, all are done, and none stays behind; what they did is kept."""
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda number: reservoir(tmp_path, f"org create org{number}"), range(4)))
    assert [one.code for one in ended] == [0] * 4, [one.err for one in ended]
    told = reservoir(tmp_path, "status --json").json
    assert [org["id"] for org in told["orgs"]] == ["org0", "org1", "org2", "org3"]
    assert told["service"] is None
    record = json.loads((tmp_path / ".reservoir" / "engine.json").read_text())
    wait_until(lambda: gone(record["pid"]), "the engine ends with the command")


def test_an_engine_stays_as_long_as_another_command_uses_it(tmp_path: Path) -> None:
    """The command that started the engine is through first, and waits with its engine for the one that found it."""
    assert reservoir(tmp_path, "org create acme").code == 0
    with running(tmp_path, "list import --org acme --list a -") as owner:
        owner.feed(people(300))
        wait_until(lambda: sync_state(tmp_path, "a") == "running", "the first import has begun", 60)
        with running(tmp_path, "list import --org acme --list b -") as guest:
            guest.feed(people(300))
            wait_until(lambda: sync_state(tmp_path, "b") == "running", "the second import has begun", 60)
            owner.feed(b"", end=True)
            wait_until(lambda: sync_state(tmp_path, "a") == "done", "the first import is done", 60)
            guest.feed(people(300, 300), end=True)
            assert guest.code() == 0, guest.err
            assert guest.out.startswith("600 members in the list b")
        assert owner.code() == 0, owner.err


def sync_state(directory: Path, list_: str) -> str:
    """The state of a list's newest sync, as the engine on the directory has it; '' if there is none."""
    engine = find_running(directory / ".reservoir")
    return say(engine.port, "HGET", f"reservoir:{{acme}}:list:{list_}:sync", "state") if engine else ""


def test_a_store_elsewhere_is_used_as_it_is_configured(alone: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """By URL, a store that keeps what it is told serves the commands; one that forgets is refused, but can be looked at."""
    with EngineProcess(durable=True) as durable:
        monkeypatch.setenv("RESERVOIR_REDIS__URL", durable.url)
        assert alone("org create acme").code == 0
        told = alone("status --json").json
        assert (told["engine"]["port"], told["engine"]["data_dir"], len(told["orgs"])) == (durable.port, None, 1)
    with EngineProcess() as forgetful:
        monkeypatch.setenv("RESERVOIR_REDIS__URL", forgetful.url)
        alone("org create acme").refused(1, "appendonly")
        assert alone("status --json").json["orgs"] == []
        monkeypatch.setenv("RESERVOIR_REDIS__ALLOW_UNSAFE", "true")
        assert alone("org create acme").code == 0


def test_the_openapi_document_is_printed(alone: Runner) -> None:
    """It is the one that the service publishes."""
    assert alone("openapi").json == document()
