"""A request until it is answered: sent again, the same, for as long as that is safe and there is time; and never a guess at the end."""

import asyncio
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reservoir.client.answers import Granted
from reservoir.client.errors import ClaimLapsedError, OutcomeUnknownError, ReservoirError
from reservoir.client.sending import Answered, Asked, Failed, Line, Told

PAUSE_S, PAUSE_MOST_S = 0.05, 2.0
"""How long after a sending that failed the next one comes: twice as long each time, less up to a half by chance, so that clients that failed together
do not come back together. A ``Retry-After`` that says longer is obeyed."""

UNANSWERED_MOST = 1_000
"""How many keys are remembered of claims that nobody answered."""

_CHANCE = secrets.SystemRandom()


class Unanswered:
    """The keys of claims that were asked for and never answered, whose caller gave up or was cancelled. Who asks the same again is given the same key."""

    def __init__(self) -> None:
        self._requests: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._requests)

    def keys(self) -> tuple[str, ...]:
        """The idempotency keys, the oldest first."""
        return tuple(self._requests)

    def add(self, key: str, asked: Asked[Any]) -> None:
        """Remembers a key; beyond `UNANSWERED_MOST` the oldest is forgotten."""
        self._requests[key] = _identity(asked)
        if len(self._requests) > UNANSWERED_MOST:
            self._requests.popitem(last=False)

    def take(self, asked: Asked[Any]) -> str | None:
        """The oldest key with which the same was asked, and forgets it; None if there is none."""
        identity = _identity(asked)
        key = next((key for key, request in self._requests.items() if request == identity), None)
        if key is not None:
            del self._requests[key]
        return key


@dataclass(slots=True)
class _Course:
    """How an asking goes. ``in_doubt``: it may have been carried out, and no answer that the client has got tells."""

    over_s: float
    in_doubt: bool = False


class Asking:
    """Asks over a line until there is an answer. **Units**: no sending begins later than ``retry_for_s`` after the first one, waiting aside."""

    def __init__(self, line: Line, retry_for_s: float) -> None:
        if retry_for_s < 0:
            raise ValueError(f"expected for how many seconds to try again, found {retry_for_s!r}")
        self._line = line
        self._retry_for_s = retry_for_s
        self.unanswered = Unanswered()

    async def ask(self, asked: Asked[Told]) -> Told:
        """What the service answers. **Raises**: RefusedError, UnavailableError, OutcomeUnknownError."""
        return await self._ask(asked, None, _Course(self._over_s(asked)))

    async def claim(self, asked: Asked[Told], idempotency_key: str | None) -> Told:
        """As `ask`, with the caller's key; without one, with a key that was made before the first sending.

        A key that was made here and stands for nothing any more, since what it took has lapsed unseen, gives way to a new one. One that may yet stand for
        something that nobody was told of is kept for who asks the same again, however the asking ended: by a cancellation, too.

        **Raises**: as `ask`; ClaimLapsedError for the caller's own key alone.
        """
        over_s = self._over_s(asked)
        if idempotency_key is not None:
            return await self._ask(asked, idempotency_key, _Course(over_s))
        known = self.unanswered.take(asked)
        while True:
            key = known or secrets.token_hex(16)
            course = _Course(over_s, in_doubt=known is not None)
            try:
                told = await self._ask(asked, key, course)
            except ClaimLapsedError:
                course.in_doubt = False
                if known is None and time.monotonic() > over_s:
                    raise
                known = None
            else:
                # An answer that took nothing is not remembered by the service: an earlier sending that comes late may still take.
                course.in_doubt = course.in_doubt and isinstance(told, Granted) and not told.claims
                return told
            finally:
                if course.in_doubt:
                    self.unanswered.add(key, asked)

    async def _ask(self, asked: Asked[Told], key: str | None, course: _Course) -> Told:
        if not self._line.is_open:
            raise RuntimeError("the client is not open: enter it with `async with`")
        for pause_s in _pauses():
            before, course.in_doubt = course.in_doubt, asked.kind != "read"
            outcome = await self._line.send(asked, key)
            course.in_doubt = before
            if isinstance(outcome, Answered):
                return outcome.told
            course.in_doubt = before or (outcome.done == "maybe" and asked.kind != "read")
            wait_s = max(pause_s, outcome.pause_s)
            if not outcome.again or time.monotonic() + wait_s > course.over_s or (course.in_doubt and asked.kind == "once"):
                raise _failure(outcome, key, in_doubt=course.in_doubt)
            await asyncio.sleep(wait_s)
        raise AssertionError("pauses never end")

    def _over_s(self, asked: Asked[Any]) -> float:
        return time.monotonic() + self._retry_for_s + asked.wait_s


def _failure(last: Failed, key: str | None, *, in_doubt: bool) -> ReservoirError:
    if not in_doubt or last.done == "told":
        return last.error
    error = OutcomeUnknownError(f"it may have been done; ask the same again to know: {last.error}", last.error.request_id, idempotency_key=key)
    error.__cause__ = last.error
    return error


def _identity(asked: Asked[Any]) -> str:
    return f"{asked.path}\n{json.dumps(asked.body, sort_keys=True)}"


def _pauses() -> Iterator[float]:
    longest_s = PAUSE_S
    while True:
        yield longest_s * _CHANCE.uniform(0.5, 1.0)
        longest_s = min(2 * longest_s, PAUSE_MOST_S)
