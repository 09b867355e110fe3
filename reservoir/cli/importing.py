"""``reservoir list import``: a file's rows become a list's members."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from reservoir.cli.failing import FailedError
from reservoir.cli.opening import on_store
from reservoir.cli.options import LIST, example, json_option, org_option, with_config
from reservoir.cli.orgs import BY
from reservoir.cli.printing import plural, print_json
from reservoir.config import Config
from reservoir.domain.lists import ListDefinition, Sync
from reservoir.domain.refusals import Refused
from reservoir.integrations.base import integrations
from reservoir.integrations.csv import ContentType
from reservoir.storage.orgs import Org
from reservoir.sync.imports import BrokenOffError, file_chunks
from reservoir.wiring import Services

STDIN = "-"
PIECE_BYTES = 1 << 16
REJECTED_LINES = 10
"""How many of the rejected rows are printed; JSON has the first 100."""


@click.command(
    "import",
    epilog=example(
        "reservoir list import --org acme --list walk-ins people.csv",
        "psql -c 'COPY people TO STDOUT CSV HEADER' | reservoir list import --org acme --list walk-ins -",
    ),
)
@org_option
@click.option("--list", "list_id", metavar="SLUG", type=LIST, required=True, help="The list; it is created if need be.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True, path_type=Path))
@json_option
@with_config
def import_file(config: Config, org_id: str, list_id: str, file: Path, as_json: bool) -> None:
    """Make the rows of FILE the whole content of a csv list.

    FILE is CSV with a header row, or NDJSON if its name ends in .ndjson or .jsonl; - is standard input, as CSV. Who is in the list and not in the file
    leaves the list; reservations stay. A bad row is reported with its line and skipped.
    """
    name = file.stem if file.is_file() else list_id
    with _opened(file) as (source, total), _progress(total) as moved:

        async def bring(opened: Services) -> Sync | Refused:
            await opened.orgs.ask(org_id, lambda org: _ready(opened, org, list_id, name))
            return await opened.imports.run(org_id, list_id, _chunks(source, moved), _content(file))

        told = on_store(config, bring)
    if isinstance(told, Refused):
        raise FailedError(_refusal(told))
    _print(told, as_json=as_json)


def csv_list(list_id: str, name: str) -> ListDefinition:
    """A list that is filled from files."""
    return ListDefinition(list_id, name, "csv", None, {"every_minutes": None, "refill_below": None, "fetch": "all"}, 0)


async def _ready(opened: Services, org: Org, list_id: str, name: str) -> None:
    """The list is there, and one that files may fill. **Raises**: FailedError."""
    state = await opened.lists.get(org, list_id)
    if isinstance(state, Refused):
        made = await opened.lists.create(org, csv_list(list_id, name), exact=True, by=BY)
        if isinstance(made, Refused) and made.slug != "list-exists":  # somebody was faster
            raise FailedError(made.detail)
    elif integrations()[state.definition.integration].has_source:
        raise FailedError(f"The list {list_id} is filled from {state.definition.integration}, not from a file.")


@contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file and its size in bytes; None for what is no regular file, and may make its reader wait."""
    with nullcontext(sys.stdin.buffer) if str(file) == STDIN else file.open("rb") as source:
        status = os.fstat(source.fileno())
        yield source, status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """Shows a bar on a terminal, and nothing anywhere else; it is told how many bytes more were read."""
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("import", total=total)
        yield lambda count: bar.advance(task, count)


async def _chunks(source: BinaryIO, moved: Callable[[int], None]) -> AsyncIterator[bytes]:
    """The file's bytes. Ctrl-C or SIGTERM breaks it off as a sender's going would, so that the list is not left with a sync that runs on without anybody."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    regular = stat.S_ISREG(os.fstat(source.fileno()).st_mode)
    async for chunk in file_chunks(source.read) if regular else _piped(source, stopped):
        await asyncio.sleep(0)  # the loop hears of a signal between two steps only
        if stopped.is_set():
            break
        moved(len(chunk))
        yield chunk
    if stopped.is_set():
        raise BrokenOffError


async def _piped(source: BinaryIO, stopped: asyncio.Event) -> AsyncIterator[bytes]:
    """What comes through a pipe, until its end or until it is stopped."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    stop = asyncio.create_task(stopped.wait())
    stop.add_done_callback(lambda _: reader.feed_eof())
    try:
        while chunk := await reader.read(PIECE_BYTES):
            yield chunk
    finally:
        stop.cancel()
        transport.close()


def _content(file: Path) -> ContentType:
    return "application/x-ndjson" if file.suffix.lower() in {".ndjson", ".jsonl"} else "text/csv"


def _refusal(refused: Refused) -> str:
    """The refusal's sentence; where every row was rejected, with the first."""
    rejected = refused.facts.get("rejected")
    if isinstance(rejected, list) and rejected:
        return f"{refused.detail.rstrip('.')}: line {rejected[0]['line']}, {rejected[0]['detail']}."
    return refused.detail


def _print(sync: Sync, *, as_json: bool) -> None:
    if as_json:
        from reservoir.http import answers

        print_json(answers.sync(sync))
        return
    figures = f"{sync.added:,} new, {sync.updated:,} changed, {sync.left:,} left; {plural(sync.rejected_count, 'row')} rejected"
    click.echo(f"{plural(sync.fetched, 'member')} in the list {sync.list}: {figures}.")
    for row in sync.rejected[:REJECTED_LINES]:
        click.echo(f"  line {row.line}: {row.detail}{' (the row is in without it)' if row.kept else ''}")
    if len(sync.rejected) > REJECTED_LINES:
        click.echo("  … --json tells the first 100.")
