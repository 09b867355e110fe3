"""Keeping a claim for as long as its call takes (R16)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from reservoir.client.answers import Claim
from reservoir.client.errors import RefusedError, UnavailableError

AGAIN_AFTER = 1 / 3
"""The part of the extension after which it is extended again, so that two may fail before it runs out."""


@dataclass(slots=True)
class Kept:
    """A claim that is being kept. ``claim`` is how it stood at the last extension; ``ended`` is why it can be kept no longer, or None while it is."""

    claim: Claim
    ended: RefusedError | None = None


@asynccontextmanager
async def keep(extend: Callable[[Claim, int], Awaitable[Claim]], claim: Claim, seconds: int) -> AsyncIterator[Kept]:
    """As `Reservoir.keep`. No clock is read: whether the claim still stands, the service says."""
    kept = Kept(claim)
    if claim.state == "unreserved":  # it keeps nobody away, so there is nothing to keep
        yield kept
        return
    extending = asyncio.create_task(_extend(extend, kept, seconds), name=f"keep {claim.id}")
    try:
        yield kept
    finally:
        extending.cancel()
        await asyncio.wait([extending])
        if not extending.cancelled():
            extending.result()


async def _extend(extend: Callable[[Claim, int], Awaitable[Claim]], kept: Kept, seconds: int) -> None:
    while kept.ended is None:
        try:
            kept.claim = await extend(kept.claim, seconds)
        except UnavailableError:
            await asyncio.sleep(min(1.0, seconds * AGAIN_AFTER))
        except RefusedError as refused:
            kept.ended = refused
        else:
            await asyncio.sleep(seconds * AGAIN_AFTER)
