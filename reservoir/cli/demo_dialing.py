"""The second half of ``reservoir demo``, in a process of its own beside the service: reps who dial, what came of it, and how to go on.

python -m reservoir.cli.demo_dialing < SHOWN as JSON
"""

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reservoir.cli.failing import DONE, FAILED, report
from reservoir.cli.opening import on_store, run
from reservoir.cli.printing import plural
from reservoir.cli.serving_process import tie_to
from reservoir.config import Config
from reservoir.demo.dialers import Office
from reservoir.domain.proof import Verdict
from reservoir.domain.times import milliseconds, rfc3339
from reservoir.storage.proof import verify
from reservoir.telemetry import log_nothing

LINE_EVERY_CALLS = 100
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be shown. ``stop``: the service is told to stop when it was, by its ``pid``."""

    url: str
    key: str
    org: str
    list: str
    store: str
    data_dir: str
    calls: int
    pid: int
    stop: bool


async def dial(shown: Shown, office: Office) -> None:
    """The reps at work, shown as they are: in a live table on a terminal, anywhere else by a line for each hundred calls."""
    console = Console()
    with _table(office, console) if console.is_terminal else nullcontext(_lines(office)) as look:
        working = asyncio.create_task(office.dial(shown.url, shown.key, shown.list))
        while not working.done():
            await asyncio.wait([working], timeout=POLL_S)
            look()
        await working


def _lines(office: Office) -> Callable[[], None]:
    told = 0

    def look() -> None:
        nonlocal told
        if office.calls >= told + LINE_EVERY_CALLS:
            told = office.calls // LINE_EVERY_CALLS * LINE_EVERY_CALLS
            click.echo(f"  {told} calls attempted after {office.took_s:.1f} s")

    return look


@contextmanager
def _table(office: Office, console: Console) -> Iterator[Callable[[], None]]:
    with Live(console=console, refresh_per_second=10) as live:
        yield lambda: live.update(_picture(office))


def _picture(office: Office) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    for head, right in (("rep", False), ("lines", True), ("calls", True), ("talks", True), ("now", False)):
        table.add_column(head, justify="right" if right else "left", no_wrap=True)
    for rep in office.reps:
        table.add_row(rep.name, str(rep.lines), str(rep.calls), str(rep.conversations), Text(rep.doing))
    table.caption = f"{office.calls} calls after {office.took_s:.1f} s"
    return table


def summarize(shown: Shown, office: Office, verdict: Verdict) -> None:
    """What came of it."""
    click.echo()
    if not office.calls:
        click.echo(f"Nobody is left to call: everybody in the list is reserved by now{_until(office)}.")
    else:
        click.echo(f"{plural(office.calls, 'call')} attempted in {office.took_s:.0f} s by {len(office.reps)} reps on one list.")
        click.echo(f"people per rep: {', '.join(f'{rep.name} {rep.calls}' for rep in office.reps)}")
        if any(rep.dry for rep in office.reps):
            click.echo(f"Then everybody in the list was reserved{_until(office)}.")
    proved = f"from {rfc3339(verdict.since_ms)} to {rfc3339(verdict.until_ms)}"
    click.echo(f"double dials: {verdict.double_dials}")
    click.echo(f"  (reservoir verify has replayed the history {proved}, and held it against what stands)")
    body = json.dumps({"rep": "you@acme.example", "session": "you-1", "mode": "power"})
    claims = f"{shown.url}/v1/lists/{shown.list}/claims"
    words = ["curl", "-s", claims, "-H", f"Authorization: Bearer {shown.key}", "-H", "Content-Type: application/json", "-d", body]
    click.echo(
        "\nWhoever was called stays reserved, for all reps. The demo's org is a sandbox, whose reservations end 1,000 times sooner: a day is over in 86 s."
        f"\nTo claim the next person, as a dialer does:\n\n  {shlex.join(words)}\n"
        f"\nService  {shown.url}   (the API as a page: {shown.url}/docs)\nKey      {shown.key}\nStore    {shown.store}"
    )
    if not shown.stop:
        click.echo("\nIt serves until Ctrl-C.")


def _until(office: Office) -> str:
    if office.next_available_at is None:
        return ""
    return f"; the first is free again at {rfc3339(milliseconds(office.next_available_at))}"


def main() -> NoReturn:
    """Shows it, or says in one sentence why it could not, and ends the process."""
    log_nothing()
    shown = Shown(**json.loads(sys.stdin.read()))
    tie_to(shown.pid)
    code = DONE
    try:
        code = _show(shown)
    except KeyboardInterrupt:
        pass  # who pressed it has told the service, too
    except BaseException as error:  # noqa: BLE001 - whatever it is, it becomes a sentence
        code = report(_first(error))
    finally:
        sys.stdout.flush()
        if shown.stop:
            os.kill(shown.pid, signal.SIGTERM)
    sys.exit(code)


def _show(shown: Shown) -> int:
    office = Office(shown.calls)
    click.echo(f"Eight reps dial the list {shown.list!r} together, several lines each, over HTTP:\n")
    run(dial(shown, office))
    verdict = on_store(Config(data_dir=Path(shown.data_dir)), lambda opened: verify(opened.orgs, shown.org))
    summarize(shown, office, verdict)
    return FAILED if verdict.violations else DONE


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
