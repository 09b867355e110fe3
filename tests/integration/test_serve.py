"""The service as a process: how it starts, what it survives, how it stops."""

import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import pytest

from reservoir.cli.serving_process import LINGER_S
from tests.support.cli import Service, eventually, people, reservoir, running, service
from tests.support.engine import EngineProcess, wheel_binary
from tests.support.processes import gone
from tests.support.waiting import wait_until

ACME = {"RESERVOIR_ORGS__ACME__NAME": "Acme", "RESERVOIR_ORGS__ACME__TIME_ZONE": "Europe/Berlin"}
GRACE_S = 30
"""Longer than a stop may take."""
DIALERS = 8
PROMPT_S = LINGER_S / 2
"""A dialer that asks again within this is not to find its connection closed."""


def closed(running_at: Service) -> bool:
    """Whether nobody listens there any more."""
    parts = urlsplit(running_at.url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def a_list(at: Service, key: str, count: int) -> None:
    """A list of so many people, with multi-rep dialing on."""
    assert at.ask("PATCH", "/v1/integrations/csv/multi-rep-dialing", key, {"enabled": True})[0] == 200
    assert at.ask("POST", "/v1/lists", key, {"name": "West", "integration": "csv"})[0] == 201
    assert at.put("west", key, people(count))[0] == 200


def begin_put(at: Service, key: str, content: bytes, size: int) -> HTTPConnection:
    """An upload whose rest has yet to come."""
    connection = at.open()
    connection.putrequest("PUT", "/v1/lists/west/members")
    for name, value in (("Authorization", f"Bearer {key}"), ("Content-Type", "text/csv"), ("Content-Length", str(size))):
        connection.putheader(name, value)
    connection.endheaders(content)
    return connection


def test_it_says_where_it_answers_and_has_the_orgs_of_its_config(tmp_path: Path) -> None:
    """The one line on stdout comes when it is ready; the config's orgs are there; a stop leaves neither an engine nor a record, and ends with 0."""
    with service(tmp_path, environ=ACME) as at:
        assert at.ask("GET", "/readyz") == (200, {"status": "ready", "unsafe": []})
        assert at.ask("GET", "/v1/org", at.key())[1]["time_zone"] == "Europe/Berlin"
        assert at.run.out.count("\n") == 1
        engine = at.engine_pid
        assert at.run.stop() == 0, at.run.err
        assert gone(engine)
        assert at.run.err == ""
        assert not (tmp_path / ".reservoir" / "service.json").exists()


def test_the_port_and_the_directory_have_one_service(tmp_path: Path) -> None:
    """A second service on the port, and one on the directory, say so and end with 1; the first serves on."""
    with service(tmp_path) as at:
        port = urlsplit(at.url).port
        reservoir(tmp_path, f"serve --port {port}", {"RESERVOIR_DATA_DIR": "other"}).refused(1, str(port), "in use")
        assert not (tmp_path / "other").exists()
        reservoir(tmp_path, "serve --port 0").refused(1, ".reservoir", at.url, str(at.run.pid))
        assert at.ask("GET", "/readyz")[0] == 200


def test_a_store_that_cannot_be_relied_on_is_refused_once(tmp_path: Path) -> None:
    """However many processes are to serve, one sentence says what is wrong with the store."""
    with EngineProcess() as forgetful:
        reservoir(tmp_path, "serve --port 0 --processes 2", {"RESERVOIR_REDIS__URL": forgetful.url}).refused(1, "appendonly", "allow_unsafe")


def test_each_of_two_processes_answers(tmp_path: Path) -> None:
    """While one process is frozen the other one answers, whichever it is."""
    with EngineProcess(durable=True) as store, service(tmp_path, "serve --port 0 --processes 2 --no-worker", {"RESERVOIR_REDIS__URL": store.url}) as at:
        processes = at.run.children()
        assert len(processes) == 2
        for frozen in processes:
            os.kill(frozen, signal.SIGSTOP)
            assert at.ask("GET", "/readyz")[0] == 200
            os.kill(frozen, signal.SIGCONT)
        assert at.run.stop() == 0, at.run.err
        assert store.say("PING") == "PONG"


def test_claims_under_way_at_a_stop_are_answered(tmp_path: Path) -> None:
    """Dialers claim without a pause on connections that stay open while the service stops: each gets all its answers, to the one that says close."""
    with service(tmp_path, "serve --port 0 --processes 2", ACME) as at:
        key = at.key()
        a_list(at, key, 5_000)
        begun = Barrier(DIALERS + 1)
        with ThreadPoolExecutor(DIALERS) as pool:
            dialers = [pool.submit(dial, at, key, number, begun) for number in range(DIALERS)]
            begun.wait(60)
            at.run.send(signal.SIGTERM)
            claimed = [id_ for dialer in dialers for id_ in dialer.result(60)]
        assert at.run.code() == 0, at.run.err
        assert len(claimed) == len(set(claimed)) > DIALERS
    with service(tmp_path) as again:
        assert again.ask("GET", "/v1/lists/west", key)[1]["counts"]["reserved"] == len(claimed)


def dial(at: Service, key: str, number: int, begun: Barrier) -> list[str]:
    """Claims until an answer says that the connection ends; whom it got. It meets the others after its first claim."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = json.dumps({"rep": f"rep {number}", "session": f"s {number}", "mode": "power"})
    connection = at.open()
    claimed: list[str] = []
    try:
        while True:
            answered_s, asked_s = time.monotonic(), None
            try:
                connection.request("POST", "/v1/lists/west/claims", body, headers)
                asked_s = time.monotonic()
                answer = connection.getresponse()
            except ConnectionError:
                if (asked_s or time.monotonic()) - answered_s > PROMPT_S:  # this machine kept us from asking for as long as the service lingers
                    return claimed
                raise
            told = json.loads(answer.read())
            assert answer.status == 201, told
            claimed.append(told["claims"][0]["prospect"]["id"])
            if len(claimed) == 1:
                begun.wait(60)
            if answer.getheader("Connection") == "close":
                return claimed
    finally:
        connection.close()


def test_an_import_under_way_at_a_stop_is_finished(tmp_path: Path) -> None:
    """An upload that was accepted comes in whole, though nobody listens any more when its rest is sent."""
    with service(tmp_path, environ=ACME) as at:
        key = at.key()
        a_list(at, key, 1)
        content = people(2_000)
        upload = begin_put(at, key, content[: len(content) // 2], len(content))
        eventually(lambda: at.ask("GET", "/v1/lists/west/sync", key)[1]["state"], "running", "the import has begun")
        at.run.send(signal.SIGTERM)
        wait_until(lambda: closed(at), "nothing more is accepted", GRACE_S)
        upload.send(content[len(content) // 2 :])
        answer = upload.getresponse()
        told = json.loads(answer.read())
        assert (answer.status, told["state"], told["fetched"]) == (200, "done", 2_000)
        upload.close()
        assert at.run.code() == 0, at.run.err


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """Told twice to stop, it ends with 1 while an upload is under way, and its engine with it."""
    with service(tmp_path, environ=ACME) as at:
        key = at.key()
        a_list(at, key, 1)
        upload = begin_put(at, key, people(300), 1_000_000)
        eventually(lambda: at.ask("GET", "/v1/lists/west/sync", key)[1]["state"], "running", "the import has begun")
        engine = at.engine_pid
        at.run.send(signal.SIGTERM)
        wait_until(lambda: closed(at), "nothing more is accepted", GRACE_S)
        assert at.run.stop() == 1
        assert gone(engine)
        with pytest.raises((ConnectionError, RemoteDisconnected)):
            upload.getresponse()
        upload.close()


def test_killed_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """After kill -9 its processes and its engine are gone, status knows of no service, and the next start on the same port has what was there."""
    with service(tmp_path, environ=ACME) as at:
        key, port = at.key(), urlsplit(at.url).port
        children = at.run.children()
        assert len(children) == 3
        at.run.process.kill()
        wait_until(lambda: all(gone(pid) for pid in children), "the engine, the process that serves and the worker end", GRACE_S)
    assert reservoir(tmp_path, "status --json").json["service"] is None
    with service(tmp_path, f"serve --port {port}") as again:
        assert again.ask("GET", "/v1/org", key)[1]["id"] == "acme"


def test_a_process_that_dies_is_followed_by_another(tmp_path: Path) -> None:
    """The process that serves is killed: another one answers at the same address, and the log tells."""
    with service(tmp_path, "serve --port 0 --no-worker") as at:
        (serving,) = set(at.run.children()) - {at.engine_pid}
        os.kill(serving, signal.SIGKILL)
        wait_until(lambda: set(at.run.children()) - {at.engine_pid, serving}, "another is started", GRACE_S)
        eventually(lambda: at.ask("GET", "/readyz")[0], 200, "it answers")
        (line,) = lines(at)
        assert line["level"] == "error"
        assert f"{serving}" in line["message"]
        assert at.run.stop() == 0


def test_an_engine_that_dies_is_started_again(tmp_path: Path) -> None:
    """The engine is killed: nothing is granted until it is there again, on its port, with all that was acknowledged."""
    with service(tmp_path, environ=ACME) as at:
        key = at.key()
        a_list(at, key, 10)
        body = {"rep": "ana", "session": "s", "mode": "power"}
        first = at.ask("POST", "/v1/lists/west/claims", key, body)[1]["claims"][0]
        engine = at.engine_pid
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: any("is there again" in line["message"] for line in lines(at)), "it is started again", GRACE_S)
        assert at.engine_pid != engine
        eventually(lambda: at.ask("GET", "/readyz")[0], 200, "it is ready again")
        assert at.store in [line["message"].partition("(")[2].rstrip(")") for line in lines(at)]
        assert at.ask("GET", f"/v1/claims/{first['id']}", key)[1]["state"] == "reserved"
        assert at.ask("POST", "/v1/lists/west/claims", key, body)[1]["claims"][0]["prospect"] != first["prospect"]


def test_the_log_is_json_and_carries_the_request_id_and_nobodys_data(tmp_path: Path) -> None:
    """A claim that a frozen store cannot grant is refused, and logged in one line of JSON with the request's id and without the rep."""
    with service(tmp_path, environ=ACME) as at:
        key = at.key()
        a_list(at, key, 1)
        os.kill(at.engine_pid, signal.SIGSTOP)
        try:
            body = {"rep": "ana@acme.com", "session": "s-81", "mode": "power"}
            status, told = at.ask("POST", "/v1/lists/west/claims", key, body, X_Request_Id="r-4711")
        finally:
            os.kill(at.engine_pid, signal.SIGCONT)
        assert (status, told["type"]) == (503, "/problems/store-unavailable")
        wait_until(lambda: any(line.get("request_id") == "r-4711" for line in lines(at)), "the refusal is logged")
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"]) for line in lines(at))
        assert "ana@acme.com" not in at.run.err
        assert key not in at.run.err


def test_it_stops_while_it_starts(tmp_path: Path) -> None:
    """Told to stop while its engine is still loading, it does not wait for that: it ends with 0, and the engine is gone."""
    slow = tmp_path / "slow-server"
    slow.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec {wheel_binary()} --version\nexec sleep 1000\n')
    slow.chmod(0o700)
    with running(tmp_path, "serve --port 0", {"RESERVOIR_VALKEY_BIN": str(slow)}) as run:
        record = tmp_path / ".reservoir" / "engine.json"
        wait_until(record.exists, "its engine is started", GRACE_S)
        assert run.stop() == 0, run.err
        assert gone(json.loads(record.read_text())["pid"])


def lines(at: Service) -> list[dict[str, Any]]:
    """What it has logged."""
    return [json.loads(line) for line in at.run.err.splitlines()]


def test_whichever_process_is_scraped_tells_for_all_of_them(tmp_path: Path) -> None:
    """Claims over two processes are all counted at once, on every connection, and go on being counted when one was killed."""
    with service(tmp_path, "serve --port 0 --processes 2", {"RESERVOIR_ORGS__ACME__NAME": "Acme"}) as house:
        key = house.key()
        house.ask("POST", "/v1/lists", key, {"name": "west", "integration": "csv"})
        house.put("west", key, people(60))

        def counted() -> set[float]:
            return {sum(float(line.split()[-1]) for line in scrape(house).splitlines() if line.startswith("reservoir_claims_total")) for _ in range(6)}

        def claim(times: int) -> int:
            body = {"rep": "ana", "session": "s", "mode": "power"}
            return sum(house.ask("POST", "/v1/lists/west/claims", key, body)[0] == 201 for _ in range(times))

        assert claim(20) == 20
        assert counted() == {20}
        victim = next(pid for pid in house.run.children() if pid != house.engine_pid)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in house.run.children() and len(house.run.children()) == 3, "another process in its place", 60)
        eventually(lambda: house.ask("GET", "/readyz")[0], 200, "the service is ready")
        assert claim(10) == 10
        assert counted() == {30}


def scrape(house: Service) -> str:
    connection = house.open()
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()
