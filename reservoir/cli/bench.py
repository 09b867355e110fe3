"""``reservoir bench``: how many claims a second this installation grants, against what its store does without it, on one machine in one run."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypedDict

import click

from reservoir.cli.failing import FailedError, required
from reservoir.cli.importing import csv_list
from reservoir.cli.load import Measured, claiming, writing
from reservoir.cli.opening import on_store
from reservoir.cli.options import example, json_option, with_config
from reservoir.cli.orgs import make_key
from reservoir.cli.printing import print_json, print_table
from reservoir.cli.service_record import ServiceRecord
from reservoir.config import Config
from reservoir.domain.prospects import Member, Phone
from reservoir.domain.settings import MultiRepDialing, OrgProfile
from reservoir.storage.lane import Replication
from reservoir.storage.names import random_name
from reservoir.storage.orgs import Org
from reservoir.storage.syncs import PAGE_MOST
from reservoir.wiring import Services

MEMBERS_A_SECOND, MEMBERS_MOST = 4_000, 50_000
"""How many people there are to be claimed, for each second that claims are measured: when all are taken, it is over sooner."""

ROUNDS = 3
LIST = "bench"
BY = "reservoir bench"
STOPPED_S = 40.0
READY = re.compile(r"reservoir is ready at (\S+) ")


class Figures(TypedDict):
    """What was measured. **Shape**: ``of_the_store``: claims a second, as a part of the store's bare writes, both with all connections."""

    service: str
    measured: list[dict[str, object]]
    of_the_store: float


@click.command("bench", epilog=example("reservoir bench", "reservoir bench --connections 64 --seconds 6 --json"))
@click.option("--connections", type=click.IntRange(2, 512), default=16, show_default=True, help="How many dialers ask at once.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, help="For how long each of the four kinds is measured.")
@json_option
@with_config
def bench(config: Config, connections: int, seconds: float, as_json: bool) -> None:
    """Measure claims per second and their latency over HTTP, in turns with bare writes to the store.

    It asks the service that runs here, or one that it starts for the while. All is done in an org of its own, which is deleted at the end. The machine is
    busy meanwhile: not beside people who dial.
    """
    with _service(config) as url:
        told = on_store(config, lambda opened: _bench(opened, url, connections, seconds))
    if as_json:
        print_json(told)
        return
    print_table(
        ("", "at once", "a second", "p50 ms", "p99 ms"),
        [(one["about"], one["at_once"], round(float(str(one["per_second"]))), f"{one['p50_ms']}", f"{one['p99_ms']}") for one in told["measured"]],
    )
    click.echo(f"\nThe service at {url} grants {told['of_the_store']:.2f} claims in the time of one bare write to its store.")


@contextmanager
def _service(config: Config) -> Iterator[str]:
    """The address of the service of this installation: the one that runs, else one for the while."""
    if running := ServiceRecord.running(config.data_dir):
        yield running.url
        return
    file = click.get_current_context().params.get("config_file")
    chosen = ["--config", str(file)] if isinstance(file, Path) else []
    command = (sys.executable, "-m", "reservoir", "serve", "--port", "0", "--no-worker")
    with subprocess.Popen([*command, *chosen], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - the service itself
        try:
            ready = READY.match(process.stdout.readline() if process.stdout else "")
            if ready is None:
                said = process.communicate()[1].strip().splitlines()
                raise FailedError(said[-1] if said else "The service did not start.")
            yield ready[1]
        finally:
            process.terminate()
            process.communicate(timeout=STOPPED_S)


async def _bench(opened: Services, url: str, connections: int, seconds: float) -> Figures:
    redis = opened.config.redis
    replication = Replication(redis.wait_replicas, redis.wait_timeout_ms) if redis.wait_replicas else None
    bare = [Measured("bare writes to the store", at_once) for at_once in (connections, 1)]
    claims = [Measured("claims over HTTP", at_once) for at_once in (connections, 1)]
    members = min(round(2 * seconds * MEMBERS_A_SECOND), MEMBERS_MOST)
    async with _org(opened, members) as key, AsyncExitStack() as at_the_end:
        writers = [await writing(at_the_end, opened.store.url, replication) for _ in range(connections)]
        dialers = [await claiming(at_the_end, url, key, LIST, number) for number in range(connections)]
        for _ in range(ROUNDS):
            for one, asks in ((bare[1], writers), (claims[1], dialers), (bare[0], writers), (claims[0], dialers)):
                await one.turn(asks, seconds / ROUNDS)
    part = claims[0].per_second / bare[0].per_second if bare[0].per_second else 0.0
    return Figures(service=url, measured=[one.told() for one in (*bare, *claims)], of_the_store=round(part, 3))


@asynccontextmanager
async def _org(opened: Services, members: int) -> AsyncIterator[str]:
    """The key of an org with a list to claim from; afterwards there is nothing of it."""
    org_id = f"bench{random_name(12)}"
    await opened.orgs.create(OrgProfile(org_id, "a bench of reservoir"))
    try:
        await opened.orgs.ask(org_id, lambda org: opened.settings.set_multi_rep_dialing(org, "csv", MultiRepDialing(enabled=True), BY))
        await opened.orgs.ask(org_id, lambda org: _fill(opened, org, members))
        _, key = await make_key(opened, org_id, BY, "dial")
        yield key
    finally:
        await opened.orgs.delete(org_id)


async def _fill(opened: Services, org: Org, members: int) -> None:
    required(await opened.lists.create(org, csv_list(LIST, "Bench"), exact=True, by=BY))
    sync = required(await opened.syncs.begin(org, LIST))
    for page, first in enumerate(range(0, members, PAGE_MOST), 1):
        rows = [(number, _member(number)) for number in range(first, min(first + PAGE_MOST, members))]
        await opened.syncs.page(org, LIST, sync, page, rows, [], 0)
    await opened.syncs.finish(org, LIST, sync)


def _member(number: int) -> Member:
    """Nobody: by the number of a range that is nobody's."""
    fields = {"email": f"nobody.{number}@bench.example"}
    return Member("csv", f"bench-{number}", name=f"Nobody {number}", phones=(Phone("mobile", "+14155550100"),), company="Bench", fields=fields)
