"""``reservoir demo``: the main job on sample data, for real."""

import json
import logging
import os
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from importlib import resources

import click

from reservoir.cli.demo_dialing import Shown
from reservoir.cli.failing import DONE, FAILED, required
from reservoir.cli.importing import csv_list
from reservoir.cli.opening import Place, on_store
from reservoir.cli.options import example, with_config
from reservoir.cli.orgs import make_key
from reservoir.cli.serve import refuse_second, serve_on
from reservoir.config import Config, Server
from reservoir.domain.settings import OrgProfile
from reservoir.storage.orgs import Org
from reservoir.sync.imports import file_chunks
from reservoir.telemetry import log_to
from reservoir.wiring import Services

DIRECTORY = "demo"
ORG_ID, LIST_ID, INTEGRATION = "demo", "sample", "csv"
BY = "reservoir demo"
CALLS = 400
"""For some ten seconds of dialing, and less than half of the list: somebody is left to be claimed by hand."""


@click.command("demo", epilog=example("reservoir demo", "reservoir demo --port 9000 --exit"))
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0: any that is free. 8080, or one that is free, unless it is given.")
@click.option("--calls", type=click.IntRange(1), default=CALLS, show_default=True, help="How many calls the reps attempt together.")
@click.option("--exit", "and_exit", is_flag=True, help="Stop after the summary, in place of serving until Ctrl-C.")
@with_config
def demo(config: Config, port: int | None, calls: int, and_exit: bool) -> int:
    """Run the service, and let eight simulated reps dial one sample list together, in parallel mode.

    It has an embedded engine and a data directory of its own, `demo` in the data_dir, so that nothing else is touched. Its org is a sandbox: reservations end
    1,000 times sooner, a day after 86 s. To run it again goes on with whoever is not reserved; delete the directory to begin anew.
    """
    from reservoir.cli.listening import url_of

    log_to(level=logging.WARNING)
    config = _own(config)
    refuse_second(config.data_dir)
    with _listener(config, port) as listener:
        key = on_store(config, _prepare)
        dialing: list[subprocess.Popen[str]] = []

        def show(place: Place) -> bool:
            shown = Shown(url_of(listener), key, ORG_ID, LIST_ID, place.words, str(config.data_dir.absolute()), calls, os.getpid(), and_exit)
            dialing.append(_dial(shown))
            return True

        try:
            code = serve_on(config, listener, show, worker=False)  # a CSV list is synced from nowhere
        finally:
            for process in dialing:  # which has ended, unless the service was stopped under it
                process.terminate()
                process.wait()
    return code or (FAILED if any(process.returncode > 0 for process in dialing) else DONE)


def _dial(shown: Shown) -> "subprocess.Popen[str]":
    """The reps at work beside the service, which goes on looking after its processes. What they are told is on no command line: it has the key."""
    process = subprocess.Popen([sys.executable, "-c", "from reservoir.cli.demo_dialing import main; main()"], stdin=subprocess.PIPE, text=True)
    if process.stdin is not None:
        process.stdin.write(json.dumps(asdict(shown)))
        process.stdin.close()
    return process


def _own(config: Config) -> Config:
    """The config of the demo: nothing of the production's but where its directory is and on which port it answers."""
    return Config(data_dir=config.data_dir / DIRECTORY, server=Server(port=config.server.port))


def _listener(config: Config, port: int | None) -> socket.socket:
    """A socket on the port that was asked for; if none was, on the usual one or else on one that is free."""
    from reservoir.cli.listening import PortTakenError, listen

    host = config.server.host
    if port is not None:
        return listen(host, port)
    try:
        return listen(host, config.server.port)
    except PortTakenError:
        click.echo(f"The port {config.server.port} is in use, so the demo takes one that is free.", err=True)
        return listen(host, 0)


async def _prepare(opened: Services) -> str:
    """The org, its setting and its list are there, as an earlier run left them or as new; returns a new admin key."""
    await opened.orgs.create(OrgProfile(ORG_ID, "Demo", "America/New_York", "US", sandbox=True))
    await opened.orgs.ask(ORG_ID, lambda org: _switch_on(opened, org))
    if await opened.orgs.ask(ORG_ID, lambda org: _list_is_new(opened, org)):
        with resources.files("reservoir.demo").joinpath("people.csv").open("rb") as people:
            required(await opened.imports.run(ORG_ID, LIST_ID, file_chunks(people.read), "text/csv"))
    _, clear = await make_key(opened, ORG_ID, "the demo", "admin")
    return clear


async def _switch_on(opened: Services, org: Org) -> None:
    setting = org.settings[INTEGRATION]
    if not setting.enabled:
        await opened.settings.set_multi_rep_dialing(org, INTEGRATION, replace(setting, enabled=True), BY)


async def _list_is_new(opened: Services, org: Org) -> bool:
    """Makes the list if it is not there. False if it was, and is filled."""
    await opened.lists.create(org, csv_list(LIST_ID, "Sample"), exact=True, by=BY)
    state = required(await opened.lists.get(org, LIST_ID))
    return state.last_sync is None or state.last_sync.state != "done"
