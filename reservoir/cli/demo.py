"""``reservoir demo``: the main job on sample data, for real."""

import json
import logging
import shlex
import socket
from dataclasses import replace
from http.client import HTTPConnection
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import click

from reservoir.cli.failing import FailedError, required
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
PATH = f"/v1/lists/{LIST_ID}/claims"
ANSWER_S = 10.0


@click.command("demo", epilog=example("reservoir demo", "reservoir demo --port 9000 --exit"))
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0: any that is free. 8080, or one that is free, unless it is given.")
@click.option("--exit", "and_exit", is_flag=True, help="Stop after the claim, in place of serving until Ctrl-C.")
@with_config
def demo(config: Config, port: int | None, and_exit: bool) -> int:
    """Run the service with a sample org and a sample list, and make a claim.

    It has an embedded engine and a data directory of its own, `demo` in the data_dir, so that nothing else is touched. To run it again goes on where it
    was; delete the directory to begin anew.
    """
    from reservoir.cli.listening import url_of

    log_to(level=logging.WARNING)
    config = _own(config)
    refuse_second(config.data_dir)
    with _listener(config, port) as listener:
        key = on_store(config, _prepare)
        url = url_of(listener)

        def show(place: Place) -> bool:
            _show(url, key, place)
            if not and_exit:
                click.echo("\nIt serves until Ctrl-C.")
            return not and_exit

        return serve_on(config, listener, show)


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
    await opened.orgs.create(OrgProfile(ORG_ID, "Demo", "America/New_York", "US"))
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


def _show(url: str, key: str, place: Place) -> None:
    """Makes a claim and prints its answer, and how to go on."""
    asked = {"rep": "ana", "session": "ana-1", "mode": "power"}
    click.echo(f"POST {url}{PATH} {json.dumps(asked)}\n")
    told = _claim(url, key, asked)
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    taken = "Nobody else can dial this person now" if told["claims"] else "Everybody in the list is reserved by now"
    body = json.dumps({"rep": "bob", "session": "bob-1", "mode": "power"})
    words = ["curl", "-s", f"{url}{PATH}", "-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json", "-d", body]
    click.echo(
        f"\n{taken}. To claim the next one, for another rep:\n\n  {shlex.join(words)}\n\nService  {url}/openapi.json\nKey      {key}\nStore    {place.words}"
    )


def _claim(url: str, key: str, asked: dict[str, str]) -> dict[str, Any]:
    """The service's answer, over HTTP as any dialer gets it. **Raises**: FailedError for a refusal."""
    connection = HTTPConnection(urlsplit(url).hostname or "", urlsplit(url).port, timeout=ANSWER_S)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", PATH, json.dumps(asked), headers)
        answer = connection.getresponse()
        told: dict[str, Any] = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status not in {200, 201}:
        raise FailedError(f"The claim was refused: {told.get('detail', answer.status)}")
    return told
