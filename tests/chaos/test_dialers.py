"""Many dialers at once, on a network and a store that fail: no prospect is granted twice, and none is lost."""

import asyncio
import random
import threading
import time
from pathlib import Path

import pytest

from tests.chaos.dialers import dial_everybody, judge, live, losing, two_services
from tests.support.engine import EngineProcess
from tests.support.history import Record
from tests.support.proxy import Fate

LOST_SHARE = 0.02
KILLS = 3


def test_r1_r2_sixty_four_dialers_over_two_processes(server: EngineProcess, tmp_path: Path) -> None:
    """However many claim at once, over however many processes, each prospect of lists that share them is granted to one."""
    told = tmp_path / "told"
    with two_services(tmp_path, server.url) as (services, key):
        with Record(told) as record:
            asyncio.run(dial_everybody(services, key, record))
        judge(told, live(services[1], key))


@pytest.mark.parametrize("fate", ["drop", "swallow"])
def test_r15_replies_that_are_lost_between_service_and_store(server: EngineProcess, tmp_path: Path, fate: Fate) -> None:
    """One reply in fifty never arrives: asked again with their keys, claims take nobody twice and leave nobody held whom no dialer knows of."""
    told, chance = tmp_path / "told", random.Random(15)
    with losing(server.port) as between, two_services(tmp_path, between.url) as (services, key):
        between.lose(lambda raw: b"claimed" in raw and chance.random() < LOST_SHARE, fate=fate, times=1_000)
        with Record(told) as record:
            asyncio.run(dial_everybody(services, key, record))
        between.forgive()
        assert between.lost > 0
        judge(told, live(services[0], key))


def test_r7_a_setting_and_a_key_changed_through_one_process_are_obeyed_by_the_other(server: EngineProcess, tmp_path: Path) -> None:
    """The next claim of every process is after the change, without a cache that has to expire."""
    claim = {"rep": "ana", "session": "s", "mode": "power"}
    with two_services(tmp_path, server.url) as ((one, other), key):
        path = "/v1/integrations/csv/multi-rep-dialing"
        for enabled in (False, True, False, True):
            assert one.ask("PATCH", path, key, {"enabled": enabled})[0] == 200
            _, answer = other.ask("POST", "/v1/lists/west/claims", key, claim)
            assert [taken["reserved"] for taken in answer["claims"]] == [enabled]
        _, made = one.ask("POST", "/v1/api-keys", key, {"name": "dialer", "scopes": ["dial"]})
        assert other.ask("POST", "/v1/lists/west/claims", made["key"], claim)[0] == 201
        assert one.ask("DELETE", f"/v1/api-keys/{made['id']}", key)[0] == 204
        assert other.ask("POST", "/v1/lists/west/claims", made["key"], claim)[0] == 401


def test_r14_a_durable_store_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """Whatever was acknowledged before a kill -9 is there after it, with its owner, and nobody is granted to a second."""
    told = tmp_path / "told"
    with EngineProcess(durable=True) as engine, two_services(tmp_path, engine.url) as (services, key):
        with Record(told) as record:
            ended = threading.Event()

            def dial() -> None:
                try:
                    asyncio.run(dial_everybody(services, key, record))
                finally:
                    ended.set()

            dialing = threading.Thread(target=dial)
            dialing.start()
            for _ in range(KILLS):
                lines = _lines(told)
                while _lines(told) < lines + 20 and not ended.is_set():
                    time.sleep(0.01)
                engine.kill9()
                engine.restart()
            dialing.join()
        judge(told, live(services[0], key))


def _lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0
