"""``reservoir reservations ls --watch``: who has whom, as it changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import click
import orjson
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reservoir.cli.printing import shown
from reservoir.domain.claims import Reservation
from reservoir.domain.times import rfc3339

LOOK_EVERY_S = 1.0
HEADS = ("prospect", "state", "rep", "session", "list", "mode", "until")
AROUND = 4
"""Lines of a terminal that are for no row: the head, what is said below, and where the cursor goes at the end."""


class Shows(Protocol):
    """Shows who was found at one look."""

    def __call__(self, found: Sequence[Reservation]) -> None: ...


async def watch(read: Callable[[], Awaitable[Sequence[Reservation]]], *, as_json: bool) -> None:
    """Looks each second, until it is cancelled."""
    with _view(as_json=as_json) as show:
        while True:
            show(await read())
            await asyncio.sleep(LOOK_EVERY_S)


def row(one: Reservation) -> tuple[object, ...]:
    """A reservation under its `HEADS`."""
    until = None if one.expires_at_ms is None else rfc3339(one.expires_at_ms)
    return f"{one.integration}:{one.prospect}", one.state, one.rep, one.session, one.list, one.mode, until


@contextmanager
def _view(*, as_json: bool) -> Iterator[Shows]:
    """A table on a terminal; elsewhere a line for each change, of words or of JSON."""
    console = Console()
    if as_json:
        yield _JsonLines()
    elif not console.is_terminal:
        yield _Lines()
    else:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda found: live.update(_picture(found, console.height - AROUND), refresh=True)


def _picture(found: Sequence[Reservation], rows: int) -> Table:
    """As many as there is room for, the soonest to end first, and how many there are."""
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    for head in HEADS:
        table.add_column(head, no_wrap=True)
    drawn = found[: max(rows, 1)]
    for one in drawn:
        table.add_row(*(Text(shown(value)) for value in row(one)))
    held = sum(1 for one in found if one.state == "held")
    more = f"; {len(found) - len(drawn):,} more end later" if len(drawn) < len(found) else ""
    table.caption = f"{len(found) - held:,} reserved, {held:,} held{more}"
    return table


class _Lines:
    """A line for each that came, changed or ended, for logs."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, ...]] = {}

    def __call__(self, found: Sequence[Reservation]) -> None:
        now = {str(told[0]): told for told in map(row, found)}
        for name in self._known.keys() - now.keys():
            click.echo(f"{shown(name)}  ended")
        for name, told in now.items():
            if self._known.get(name) != told:
                click.echo("  ".join(shown(value) for value in told))
        self._known = now


class _JsonLines:
    """All that are there in one line of JSON, whenever something has changed."""

    def __init__(self) -> None:
        self._last = b""

    def __call__(self, found: Sequence[Reservation]) -> None:
        from reservoir.http import answers

        line = orjson.dumps({"items": [answers.reservation(one) for one in found]})
        if line != self._last:
            click.echo(line.decode())
            self._last = line
