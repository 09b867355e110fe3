"""``reservoir status``: what runs, and what is in it."""

from typing import TypedDict
from urllib.parse import urlsplit

import click

from reservoir.cli.opening import EMBEDDED, on_store
from reservoir.cli.options import example, json_option, with_config
from reservoir.cli.printing import print_json, print_table
from reservoir.cli.reservations import read_reservations
from reservoir.cli.service_record import ServiceRecord
from reservoir.config import Config
from reservoir.config_layers import without_password
from reservoir.storage import replies
from reservoir.storage.orgs import Org
from reservoir.storage.reservations import Filter
from reservoir.wiring import Services


class EngineStatus(TypedDict):
    """The store. **Shape**: what a store has not, a port or a directory of ours, is None."""

    name: str
    version: str
    url: str
    port: int | None
    data_dir: str | None


class OrgStatus(TypedDict):
    """What is in an org: how many are reserved, how many held, how many lists it has."""

    id: str
    reservations: int
    held: int
    lists: int


class ServiceStatus(TypedDict):
    """A running service."""

    url: str
    pid: int


class Status(TypedDict):
    """All of it."""

    engine: EngineStatus
    service: ServiceStatus | None
    orgs: list[OrgStatus]


@click.command("status", epilog=example("reservoir status --json"))
@json_option
@with_config
def status(config: Config, as_json: bool) -> None:
    """Show the store, the service that runs on it, and what is in each org."""
    running = ServiceRecord.running(config.data_dir)
    # To look is safe, whatever the store can promise.
    looking = config.model_copy(update={"redis": config.redis.model_copy(update={"allow_unsafe": True})})
    engine, orgs = on_store(looking, lambda opened: _read(opened, config))
    service = None if running is None else ServiceStatus(url=running.url, pid=running.pid)
    told = Status(engine=engine, service=service, orgs=orgs)
    if as_json:
        print_json(told)
    else:
        _print(told)


async def _read(opened: Services, config: Config) -> tuple[EngineStatus, list[OrgStatus]]:
    url = opened.store.url
    told = replies.text(await opened.store.command("INFO", "server"))
    facts = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    valkey = "valkey_version" in facts
    engine = EngineStatus(
        name="valkey" if valkey else "redis",
        version=facts.get("valkey_version") or facts.get("redis_version", "unknown"),
        url=without_password(url),
        port=_port(url),
        data_dir=str(config.data_dir.absolute()) if config.redis.url == EMBEDDED else None,
    )
    return engine, [await _read_org(opened, org.id) for org in await opened.orgs.all()]


async def _read_org(opened: Services, org_id: str) -> OrgStatus:
    async def read(org: Org) -> OrgStatus:
        taken = await read_reservations(opened, org, Filter())
        held = sum(1 for one in taken if one.state == "held")
        lists = replies.integer(await opened.store.command("ZCARD", f"{org.prefix}lists"))
        return OrgStatus(id=org_id, reservations=len(taken) - held, held=held, lists=lists)

    return await opened.orgs.ask(org_id, read)


def _port(url: str) -> int | None:
    """The port of a store that has one address."""
    try:
        return urlsplit(url).port if "," not in url else None
    except ValueError:
        return None


def _print(told: Status) -> None:
    engine, service = told["engine"], told["service"]
    reach = f"redis-cli -p {engine['port']}" if engine["data_dir"] else engine["url"]
    click.echo(f"store    {engine['name']} {engine['version']}, {reach}{', data in ' + engine['data_dir'] if engine['data_dir'] else ''}")
    click.echo(f"service  {service['url']}, pid {service['pid']}" if service else "service  none runs here")
    if told["orgs"]:
        click.echo()
        print_table(("org", "reserved", "held", "lists"), [(one["id"], one["reservations"], one["held"], one["lists"]) for one in told["orgs"]])
    else:
        click.echo("There is no org yet: reservoir org create ID")
