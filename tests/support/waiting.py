"""Waiting for what must come to pass, instead of sleeping for as long as it may take."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.005


def wait_until(predicate: Callable[[], object], description: str, timeout_s: float = 10) -> None:
    """Return as soon as the predicate holds; fail, naming what was waited for, if it never does."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for: {description}")
        time.sleep(POLL_S)


async def await_until(predicate: Callable[[], object | Awaitable[object]], description: str, timeout_s: float = 10) -> None:
    """As ``wait_until``, while the event loop goes on; the predicate may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        held = predicate()
        if inspect.isawaitable(held):
            held = await held
        if held:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for: {description}")
        await asyncio.sleep(POLL_S)
