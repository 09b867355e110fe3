"""``reservoir list sync``: asks for a sync, and shows how it goes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reservoir.cli.failing import FAILED, required
from reservoir.cli.opening import on_store
from reservoir.cli.options import LIST, example, json_option, org_option, with_config
from reservoir.cli.printing import plural, print_json
from reservoir.config import Config
from reservoir.domain.lists import Sync
from reservoir.domain.times import rfc3339
from reservoir.wiring import Services

LOOK_EVERY_S = 0.5


class Shows(Protocol):
    """Shows a run each time that it was looked at."""

    def __call__(self, sync: Sync) -> None: ...


@click.command("sync", epilog=example("reservoir list sync --org acme --list q4-west --watch"))
@org_option
@click.option("--list", "list_id", metavar="SLUG", type=LIST, required=True, help="The list.")
@click.option("--watch", is_flag=True, help="Show its progress until it has ended; the exit code is 1 if it failed.")
@json_option
@with_config
def sync_list(config: Config, org_id: str, list_id: str, watch: bool, as_json: bool) -> int | None:
    """Ask for a sync of a list from its source. A worker runs it; one that is under way is the one."""

    async def ask(opened: Services) -> Sync:
        sync = required(await opened.orgs.ask(org_id, lambda org: opened.syncs.ask(org, list_id)))
        if not watch:
            return sync
        with _shown(quiet=as_json) as show:
            show(sync)
            while sync.state not in {"done", "failed"}:
                await asyncio.sleep(LOOK_EVERY_S)
                sync = required(await opened.orgs.ask(org_id, lambda org: opened.syncs.newest(org, list_id)))
                show(sync)
        return sync

    sync = on_store(config, ask)
    if as_json:
        from reservoir.http import answers

        print_json(answers.sync(sync))
    elif watch:
        _print_end(sync)
    else:
        click.echo(f"The sync {sync.id} of the list {list_id} is {sync.state}.")
    return FAILED if sync.state == "failed" else None


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Shows]:
    """Shows a bar on a terminal; elsewhere a line whenever something has changed."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _nothing if quiet else _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("queued", total=None)
        yield lambda sync: bar.update(task, description=_words(sync), completed=sync.fetched, total=sync.total)


def _nothing(sync: Sync) -> None:
    del sync


class _Lines:
    """One line for each change, for logs."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, sync: Sync) -> None:
        of = "" if sync.total is None else f" of {sync.total:,}"
        line = f"{_words(sync)}: {sync.fetched:,}{of} read"
        if line != self._last:
            click.echo(line)
            self._last = line


def _words(sync: Sync) -> str:
    return f"waiting until {rfc3339(sync.resumes_at_ms)}" if sync.resumes_at_ms is not None else sync.state


def _print_end(sync: Sync) -> None:
    figures = f"{sync.added:,} new, {sync.updated:,} changed, {sync.left:,} left; {plural(sync.rejected_count, 'row')} rejected"
    click.echo(f"{plural(sync.fetched, 'member')} read for the list {sync.list}: {figures}.")
    if sync.error is not None:
        click.echo(f"It failed ({sync.error['type']}): {sync.error['detail']}", err=True)
