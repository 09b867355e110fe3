"""The watch over the store's clock, on which every expiry rests (R19).

The host's clocks decide nothing. They only notice when the store's clock does something that clocks do not do: a store that leaps forward would free people
early, and would delete their keys by itself.
"""

import json
import time
from typing import NamedTuple

TOLERANCE_MS = 2_000
"""How far the store's clock may be from where it should be. Far above what NTP slews, far below any reservation."""

PROMPT_MS = 250
"""A reply that took longer than this says too little about when the store read its clock to correct the prediction by it."""

WORD_GOOD_MS = 10_000
"""For how long by the store's clock an operator's word on it is heeded: every process looks twice a second, and a leap that comes later is another matter."""


class HostTime(NamedTuple):
    """The host's two clocks at one instant, in ms: one that only goes on, and the one on the wall."""

    monotonic_ms: float
    wall_ms: float

    @classmethod
    def read(cls) -> "HostTime":
        """Both clocks now."""
        return cls(time.monotonic() * 1_000, time.time() * 1_000)


class ClockWord(NamedTuple):
    """An operator's word that the store's clock is right as it is: what it said then, and how far it was ahead of the operator's machine."""

    at_ms: int
    ahead_ms: int

    @classmethod
    def of(cls, kept: object) -> "ClockWord | None":
        """The word as the store keeps it; None for what is none."""
        try:
            told = json.loads(kept) if isinstance(kept, bytes) else {}
            return cls(int(told["at_ms"]), int(told["ahead_ms"]))
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def text(self) -> str:
        """How the store keeps it."""
        return json.dumps({"at_ms": self.at_ms, "ahead_ms": self.ahead_ms})


class StoreClock:
    """What the store's clock should say, predicted from the host's monotonic clock and corrected by every prompt reply.

    It is distrusted as soon as it is off by more than the tolerance, and trusted again when it is back, or when the host's wall clock has moved with it
    (a laptop that slept), or when an operator accepts it.
    """

    def __init__(self) -> None:
        self._ahead_ms: float | None = None
        self._wall_ahead_ms = 0.0
        self.jump_ms: int | None = None
        self._heeded: ClockWord | None = None

    @property
    def trusted(self) -> bool:
        """Whether claims may be granted by it."""
        return self._ahead_ms is not None and self.jump_ms is None

    def predict(self, host: HostTime) -> int:
        """What the store's clock should say now."""
        if self._ahead_ms is None:
            raise RuntimeError("the store's clock was never read")
        return round(host.monotonic_ms + self._ahead_ms)

    def observe(self, store_ms: int, sent: HostTime, received: HostTime) -> bool:
        """Holds a time that the store told against the prediction. True if it is trusted.

        **Units**: ``store_ms`` is the store's ``TIME`` between ``sent`` and ``received``.
        """
        if self._ahead_ms is None:
            self._believe(store_ms, sent, received)
            return True
        early = sent.monotonic_ms + self._ahead_ms - TOLERANCE_MS
        late = received.monotonic_ms + self._ahead_ms + TOLERANCE_MS
        if early <= store_ms <= late:
            self.jump_ms = None
            if received.monotonic_ms - sent.monotonic_ms <= PROMPT_MS:
                self._believe(store_ms, sent, received)
            return True
        if abs(store_ms - received.wall_ms - self._wall_ahead_ms) <= TOLERANCE_MS:
            self._believe(store_ms, sent, received)
            return True
        self.jump_ms = round(store_ms - received.monotonic_ms - self._ahead_ms)
        return False

    def accept(self) -> None:
        """Takes the store's clock as it is from the next reply on: an operator's word."""
        self._ahead_ms = None
        self.jump_ms = None

    def heed(self, word: ClockWord | None, now_ms: int) -> bool:
        """Accepts the clock if the operator's word is about it as it is now, and was not heeded before; True if so. **Units**: ``now_ms`` by the store."""
        if word is None or word == self._heeded or not 0 <= now_ms - word.at_ms <= WORD_GOOD_MS:
            return False
        self._heeded = word
        self.accept()
        return True

    def _believe(self, store_ms: int, sent: HostTime, received: HostTime) -> None:
        self._ahead_ms = store_ms - (sent.monotonic_ms + received.monotonic_ms) / 2
        self._wall_ahead_ms = store_ms - (sent.wall_ms + received.wall_ms) / 2
        self.jump_ms = None
