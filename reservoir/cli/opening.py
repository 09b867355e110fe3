"""How a command reaches the store: the config's own, or the embedded engine, which is found where it runs and started where it does not."""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from reservoir.cli.failing import FailedError
from reservoir.config import Config
from reservoir.config_layers import without_password
from reservoir.storage.embedded import EmbeddedEngine, Engine, EngineError, find_running
from reservoir.storage.redis import StoreUnavailableError
from reservoir.telemetry import log_loop_fault
from reservoir.wiring import Services, services

EMBEDDED = "embedded"
RIVAL_S = 2.0
"""How long a start waits for another that had the directory first, before it looks whether that one runs."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store is. ``engine``: the embedded one, if it is that."""

    url: str
    engine: Engine | None = None

    @property
    def words(self) -> str:
        """How an operator reaches it: without its password."""
        return without_password(self.url) if self.engine is None else f"redis-cli -p {self.engine.port}"


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """The result of the work, under uvloop where there is one."""
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):  # uvloop is not made for every platform
        make_loop = import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.get_loop().set_exception_handler(log_loop_fault)
        return runner.run(work)


def on_store(config: Config, work: Callable[[Services], Awaitable[Answer]]) -> Answer:
    """The result of the work on the config's store. To be called on the main thread, where an engine can be started.

    **Raises**: EngineError, UnsafeStoreError, FailedError if the store is away, and what the work raises.
    """
    with reached(config) as place:
        return run(_opened(config, place, work))


async def _opened(config: Config, place: Place, work: Callable[[Services], Awaitable[Answer]]) -> Answer:
    try:
        async with services(config, place.url) as opened:
            return await work(opened)
    except StoreUnavailableError as error:
        raise FailedError(f"The store ({place.words}) cannot be relied on: {str(error).rstrip('.')}.") from error


@contextmanager
def reached(config: Config) -> Iterator[Place]:
    """The store of the config, for a command's short life.

    **Raises**: EngineError.
    """
    if config.redis.url == EMBEDDED:
        with _embedded(config.data_dir) as engine:
            yield Place(engine.url, engine)
    else:
        yield Place(config.redis.url)


@contextmanager
def _embedded(directory: Path) -> Iterator[Engine]:
    """The engine that runs on the directory, else one of our own.

    Other commands may find ours and use it: each says so by its lock on USE, and ours stays until they are through.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        use = os.open(directory / "USE", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EngineError(f"The data directory {directory} cannot be used: {error.strerror}.") from error
    try:
        fcntl.flock(use, fcntl.LOCK_SH)
        engine = _found_or_started(directory)
        if isinstance(engine, Engine):
            yield engine
            return
        with engine:
            try:
                yield engine.engine
            finally:
                fcntl.flock(use, fcntl.LOCK_EX)
    finally:
        os.close(use)


def _found_or_started(directory: Path) -> Engine | EmbeddedEngine:
    if found := find_running(directory):
        return found
    try:
        return EmbeddedEngine.start(directory, wait_s=RIVAL_S)
    except EngineError:
        if found := find_running(directory):
            return found
        raise
