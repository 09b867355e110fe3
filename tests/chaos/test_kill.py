"""Many dialers at once on a store that is killed: no prospect is granted twice, and none is lost."""

import asyncio
import threading
import time
from pathlib import Path

from tests.chaos.dialers import dial_everybody, judge, live, two_services
from tests.support.engine import EngineProcess
from tests.support.history import Record

KILLS = 3


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
