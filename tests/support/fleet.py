"""Processes of the service, each on a port of its own, on one store, behind a proxy that loses replies; and dialers who ask them all at once."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from reservoir.domain.settings import OrgProfile
from reservoir.storage.orgs import OrgStore
from reservoir.storage.redis import open_store
from reservoir.storage.settings import SettingsStore
from tests.conftest import INTEGRATIONS
from tests.support.cli import Service, running
from tests.support.engine import EngineProcess
from tests.support.proxy import Fate, Proxy, proxy_to

ANSWERED_WITHIN_S = 10
"""How long a dialer waits for one answer. A process that sends a call again for as long as it may is within that."""

ASKED_FOR_S = 90
"""For how long a dialer asks again."""

AGAIN_S = 0.02


class ProxyThread:
    """A proxy that goes on whatever the test's own thread does."""

    def __init__(self, server_port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._proxy: Proxy | None = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(server_port),), name="proxy")
        self._thread.start()
        assert self._started.wait(30), "the proxy does not start"

    @property
    def proxy(self) -> Proxy:
        assert self._proxy is not None
        return self._proxy

    def do(self, act: Callable[[Proxy], object]) -> None:
        """Does something with the proxy, on its own loop, and returns when it is done."""
        done = threading.Event()

        def do() -> None:
            act(self.proxy)
            done.set()

        self._loop.call_soon_threadsafe(do)
        assert done.wait(30), "the proxy does not answer"

    def lose(self, share: float, fate: Fate) -> None:
        """Loses that share of the replies, at random, until it is forgiven."""
        chance = random.Random(share)
        self.do(lambda proxy: proxy.lose(lambda _: chance.random() < share, fate=fate, times=1 << 60))

    def forgive(self) -> None:
        """Loses nothing more."""
        self.do(Proxy.forgive)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self, server_port: int) -> None:
        async with proxy_to(server_port) as self._proxy:
            self._started.set()
            await self._stop.wait()


@dataclass(frozen=True)
class Fleet:
    """The processes' addresses, and the store behind them."""

    roots: tuple[str, ...]
    engine: EngineProcess
    proxy: ProxyThread

    async def org(self, id_: str) -> str:
        """Creates an org, and returns an admin's key."""
        store = await open_store(self.engine.url)
        orgs = OrgStore(store, INTEGRATIONS)
        assert await orgs.create(OrgProfile(id_, id_))
        _, key = await orgs.ask(id_, lambda org: SettingsStore(orgs).create_key(org, "admin", ("admin",), "a test"))
        await store.close()
        return key


@contextmanager
def fleet(directory: Path, engine: EngineProcess, processes: int = 2) -> Iterator[Fleet]:
    """So many processes on the engine, by way of a proxy."""
    with ExitStack() as opened:
        proxy = ProxyThread(engine.port)
        opened.callback(proxy.close)
        environ = {"RESERVOIR_REDIS__URL": proxy.proxy.url, "RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}
        homes = [directory / f"process-{number}" for number in range(processes)]
        for home in homes:
            home.mkdir()
        runs = [opened.enter_context(running(home, "serve --port 0", environ)) for home in homes]
        yield Fleet(tuple(Service(run).url for run in runs), engine, proxy)


@dataclass
class Caller:
    """Somebody with a key who asks one process after the other, and asks again until there is an answer. ``gives_up`` is the share of the requests whose
    answer is not waited for; they are asked again, as those are to which the service does not know the answer."""

    http: aiohttp.ClientSession
    roots: tuple[str, ...]
    key: str
    chance: random.Random
    gives_up: float = 0.0
    repeats: int = 0
    _turns: "itertools.count[int]" = field(default_factory=itertools.count)

    async def ask(self, method: str, path: str, body: Any = None, *, root: str | None = None, token: str | None = None) -> tuple[int, Any]:
        """The status and the JSON of an answer that is one."""
        until_s = time.monotonic() + ASKED_FOR_S
        while True:
            at = root or self.roots[next(self._turns) % len(self.roots)]
            try:
                status, told = await self._once(method, at + path, body, {"Idempotency-Key": token} if token else {})
                if status != 503:
                    return status, told
            except (aiohttp.ClientError, TimeoutError):
                told = "nothing"
            assert time.monotonic() < until_s, f"{method} {path} at {at} was answered {told} for {ASKED_FOR_S} s"
            self.repeats += 1
            await asyncio.sleep(AGAIN_S)

    async def _once(self, method: str, url: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        within_s: float = ANSWERED_WITHIN_S
        if headers and self.chance.random() < self.gives_up:
            within_s = self.chance.random() * AGAIN_S
        if isinstance(body, bytes):
            headers["Content-Type"] = "text/csv"
        sent = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with (
            asyncio.timeout(within_s),
            self.http.request(method, url, headers={"Authorization": f"Bearer {self.key}", **headers}, **sent) as response,
        ):
            return response.status, await response.json(content_type=None)

    async def pages(self, path: str) -> list[Any]:
        """All items."""
        found, cursor = [], ""
        while True:
            status, page = await self.ask("GET", f"{path}?limit=1000{cursor}")
            assert status == 200, page
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"
