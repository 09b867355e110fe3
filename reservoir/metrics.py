"""What a service counts of itself: all names in one table, and never a prospect's or an org's data.

The processes of one service count side by side in memory that they share, each on a sheet of its own, so that whichever is asked tells for all of them: a
scrape meets any one. A process that takes the place of one that ended goes on with its sheet, so that no counter ever falls while the service runs.
"""

import json
import mmap
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

SHEET_BYTES = 1 << 20
"""Room for some ten thousand series. The labels of the table's names are bounded; a series that finds no room is not counted."""

SPARE_SHEETS = 4
"""For processes of a service that serve nobody, such as its workers."""

_NUMBER, _LENGTH = struct.Struct("=d"), struct.Struct("=Q")
_WORD = 8

Series = tuple[str, ...]
"""A name and its labels' values; of a histogram, which of its numbers it is besides."""


class Sheet:
    """The numbers of one process, in its part of the memory: how much is written, then each series with its number behind it."""

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        self._memory = memory
        self._start = start
        self._places: dict[Series, int] = {series: place for series, place, _ in self.read()}

    def add(self, series: Series, amount: float) -> None:
        """Adds to a number."""
        place = self._places.get(series) or self._place(series)
        if place:
            _NUMBER.pack_into(self._memory, place, _NUMBER.unpack_from(self._memory, place)[0] + amount)

    def set(self, series: Series, number: float) -> None:
        """Makes it another number."""
        if place := self._places.get(series) or self._place(series):
            _NUMBER.pack_into(self._memory, place, number)

    def read(self) -> Iterator[tuple[Series, int, float]]:
        """All series, each with its place and its number; also of a process that counts meanwhile."""
        at, end = self._start + _WORD, self._start + _WORD + self._written()
        while at < end:
            length = _LENGTH.unpack_from(self._memory, at)[0]
            place = at + _WORD + -(-length // _WORD) * _WORD
            yield tuple(json.loads(self._memory[at + _WORD : at + _WORD + length])), place, _NUMBER.unpack_from(self._memory, place)[0]
            at = place + _WORD

    def _place(self, series: Series) -> int:
        """Where a new series has its number; 0 if there is no room for it. It is read by others only once it is whole."""
        name = json.dumps(series).encode()
        at = self._start + _WORD + self._written()
        place = at + _WORD + -(-len(name) // _WORD) * _WORD
        if place + _WORD > self._start + SHEET_BYTES:
            return 0
        _LENGTH.pack_into(self._memory, at, len(name))
        self._memory[at + _WORD : at + _WORD + len(name)] = name
        _NUMBER.pack_into(self._memory, place, 0.0)
        _LENGTH.pack_into(self._memory, self._start, place - self._start)
        self._places[series] = place
        return place

    def _written(self) -> int:
        return int(_LENGTH.unpack_from(self._memory, self._start)[0])


class Board:
    """The sheets of all processes of a service, in memory that those have who are forked from the one that made it."""

    def __init__(self, sheets: int) -> None:
        self._memory = mmap.mmap(-1, sheets * SHEET_BYTES)
        self._sheets = sheets
        self.own = self.sheet(0)

    def sheet(self, number: int) -> Sheet:
        """One process's."""
        return Sheet(self._memory, number % self._sheets * SHEET_BYTES)

    def numbers(self) -> Iterator[tuple[Series, float]]:
        """What is on all sheets: a series as often as there are processes that have it."""
        for number in range(self._sheets):
            yield from ((series, value) for series, _, value in self.sheet(number).read())


_board = Board(1)


def share(processes: int) -> None:
    """Makes room for so many processes, to be forked from this one. What was counted before is forgotten."""
    global _board
    _board = Board(processes + SPARE_SHEETS)


def sit(number: int) -> None:
    """Counts on this sheet from now on, going on where one who sat there before stopped. Two processes never share one."""
    _board.own = _board.sheet(number)


@dataclass(frozen=True, slots=True)
class Metric:
    """A name with what it says, as Prometheus has it. ``bounds``: a histogram's, in its unit.

    Over all processes a counter and a histogram are the sum; a gauge is the largest, which its name has to make sense of.
    """

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    about: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    def add(self, amount: float, *labels: str) -> None:
        """Counts."""
        _board.own.add((self.name, *labels), amount)

    def set(self, number: float, *labels: str) -> None:
        """Says what is now."""
        _board.own.set((self.name, *labels), number)

    def observe(self, value: float, *labels: str) -> None:
        """Counts a value where it belongs."""
        own = _board.own
        own.add((self.name, *labels, _BUCKETS[bisect_left(self.bounds, value)]), 1.0)
        own.add((self.name, *labels, "sum"), value)

    def totals(self) -> Mapping[Series, float]:
        """The numbers of all processes as one, by label values."""
        found: defaultdict[Series, float] = defaultdict(float)
        for (name, *labels), number in _board.numbers():
            if name == self.name:
                series = tuple(labels)
                found[series] = max(found[series], number) if self.kind == "gauge" else found[series] + number
        return found

    def bucket(self, series: Series) -> int | None:
        """Which bucket a histogram's series counts; None for the sum."""
        return None if series[-1] == "sum" else int(series[-1])


_BUCKETS = tuple(str(number) for number in range(32))
_PROMPT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

REQUESTS = Metric(
    "histogram",
    "reservoir_http_request_seconds",
    "How long requests took, by route and status; - is what no route knows.",
    ("method", "route", "status"),
    (*_PROMPT, 5.0, 10.0, 30.0),
)
REFUSALS = Metric("counter", "reservoir_refusals", "Requests that were answered with a problem, by its type.", ("type",))
CLAIMS = Metric("counter", "reservoir_claims", "Claims that were granted, by dialing mode and state; a repeat grants nothing more.", ("mode", "state"))
STORE_CALLS = Metric("histogram", "reservoir_store_call_seconds", "How long the store took to answer a call of a script.", ("verb",), _PROMPT)
RECONNECTS = Metric("counter", "reservoir_store_reconnects", "Connections to the store that took the place of one that broke.")
SETTLE_LAG = Metric(
    "histogram", "reservoir_settle_lag_seconds", "How long after a hold or reservation of an org was due it was settled.", (), (0.1, 0.25, 0.5, 1, 2, 5, 15, 60)
)
SETTLED_AT = Metric("gauge", "reservoir_settled_timestamp_seconds", "When a process last looked at what falls due.")
CLOCK_OFF = Metric("gauge", "reservoir_store_clock_off_seconds", "How far the store's clock is from where it should be; more than 0: claims are refused.")

METRICS = (REQUESTS, REFUSALS, CLAIMS, STORE_CALLS, RECONNECTS, SETTLE_LAG, SETTLED_AT, CLOCK_OFF)
