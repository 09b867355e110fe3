"""``reservoir reservations``: who has whom."""

from contextlib import suppress

import click

from reservoir.cli.opening import on_store
from reservoir.cli.options import LIST, OPAQUE, example, json_option, org_option, with_config
from reservoir.cli.printing import print_json, print_table
from reservoir.cli.watching import HEADS, row, watch
from reservoir.config import Config
from reservoir.domain.claims import Reservation
from reservoir.storage.orgs import Org
from reservoir.storage.reservations import EXAMINED_MOST, After, Filter
from reservoir.wiring import Services


@click.group("reservations")
def reservations() -> None:
    """Reservations and holds: who has whom, until when. Nothing can remove one before it expires."""


@reservations.command(
    "ls", epilog=example("reservoir reservations ls --org acme --rep ana@acme.com", "reservoir reservations ls --org acme --list q4-west --watch")
)
@org_option
@click.option("--rep", type=OPAQUE, help="Only this rep's.")
@click.option("--list", "list_id", metavar="SLUG", type=LIST, help="Only those that were claimed from this list.")
@click.option("--watch", "watching", is_flag=True, help="Look again each second, until Ctrl-C; where no terminal is, a line for each change.")
@json_option
@with_config
def list_reservations(config: Config, org_id: str, rep: str | None, list_id: str | None, watching: bool, as_json: bool) -> None:
    """Show the live ones, the soonest to end first."""
    wanted = Filter(rep=rep, list=list_id)

    async def read(opened: Services) -> list[Reservation]:
        return await opened.orgs.ask(org_id, lambda org: read_reservations(opened, org, wanted))

    if watching:
        with suppress(KeyboardInterrupt):  # which is how it is meant to end
            on_store(config, lambda opened: watch(lambda: read(opened), as_json=as_json))
        return
    found = on_store(config, read)
    if as_json:
        from reservoir.http import answers

        print_json({"items": [answers.reservation(one) for one in found]})
        return
    print_table(HEADS, [row(one) for one in found])


async def read_reservations(opened: Services, org: Org, wanted: Filter) -> list[Reservation]:
    """All live ones that are wanted. **Raises**: StaleError, StoreUnavailableError."""
    found: list[Reservation] = []
    after: After | None = None
    while True:
        page, after = await opened.reservations.page(org, wanted, EXAMINED_MOST, after)
        found += page
        if after is None:
            return found
