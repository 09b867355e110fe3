"""``reservoir list``: lists, and the files that fill them."""

import click
from pydantic import ValidationError

from reservoir.cli.failing import misused, required
from reservoir.cli.importing import import_file
from reservoir.cli.opening import on_store
from reservoir.cli.options import LIST, example, json_option, org_option, with_config
from reservoir.cli.orgs import BY
from reservoir.cli.printing import print_json, print_table
from reservoir.cli.syncing import sync_list
from reservoir.config import Config
from reservoir.domain.ids import slug
from reservoir.domain.lists import ListDefinition, ListState
from reservoir.domain.refusals import Refused
from reservoir.domain.times import rfc3339
from reservoir.storage.orgs import Org
from reservoir.wiring import Services

PAGE = 100

list_option = click.option("--list", "list_id", metavar="SLUG", type=LIST, required=True, help="The list.")


@click.group("list")
def list_() -> None:
    """Lists: ordered sets of prospects that an integration streams in."""


list_.add_command(import_file)
list_.add_command(sync_list)


@list_.command(
    "create",
    epilog=example(
        "reservoir list create --org acme --name 'Walk-ins' --integration csv",
        "reservoir list create --org acme --name 'Q4 West' --integration salesforce --source report:00O5e000001AbCdEAK",
    ),
)
@org_option
@click.option("--name", required=True, help="What people call it.")
@click.option("--id", "list_id", metavar="SLUG", type=LIST, help="Its id; made from the name unless it is given.")
@click.option("--integration", required=True, help="Where its members come from: salesforce, hubspot or csv.")
@click.option("--source", metavar="KIND:ID", help="The record that it is filled from. Salesforce: report, list_view, campaign. HubSpot: list.")
@click.option("--query", metavar="SOQL", help="The query that it is filled from, in place of a source. Salesforce alone.")
@json_option
@with_config
def create_list(config: Config, org_id: str, name: str, list_id: str | None, integration: str, source: str | None, query: str | None, as_json: bool) -> None:
    """Create a list. A csv list has no source: fill it with `reservoir list import`."""
    wanted = _definition(name, list_id, integration, _source(source, query))

    async def create(opened: Services) -> ListState:
        made = required(await opened.orgs.ask(org_id, lambda org: opened.lists.create(org, wanted, exact=list_id is not None, by=BY)))
        return required(await opened.orgs.ask(org_id, lambda org: opened.lists.get(org, made)))

    state = on_store(config, create)
    if as_json:
        _print_lists_json(state)
    else:
        click.echo(f"The list {state.definition.id} is there.")


@list_.command("show", epilog=example("reservoir list show --org acme --list q4-west"))
@org_option
@list_option
@json_option
@with_config
def show_list(config: Config, org_id: str, list_id: str, as_json: bool) -> None:
    """Show how a list stands."""

    async def read(opened: Services) -> ListState | Refused:
        return await opened.orgs.ask(org_id, lambda org: opened.lists.get(org, list_id))

    state = required(on_store(config, read))
    if as_json:
        _print_lists_json(state)
    else:
        _print_lists([state])


@list_.command("ls", epilog=example("reservoir list ls --org acme"))
@org_option
@json_option
@with_config
def list_lists(config: Config, org_id: str, as_json: bool) -> None:
    """Show how all lists of an org stand."""

    states = on_store(config, lambda opened: opened.orgs.ask(org_id, lambda org: _read_all(opened, org)))
    if as_json:
        _print_lists_json(states)
    else:
        _print_lists(states)


async def _read_all(opened: Services, org: Org) -> list[ListState]:
    found: list[ListState] = []
    after: str | None = None
    while True:
        page, after = await opened.lists.page(org, PAGE, after)
        found += page
        if after is None:
            return found


def _source(source: str | None, query: str | None) -> dict[str, str] | None:
    if query is not None:
        if source is not None:
            raise click.UsageError("A list has a --source or a --query, not both.")
        return {"kind": "soql", "query": query}
    if source is None:
        return None
    kind, colon, id_ = source.partition(":")
    if not colon:
        raise click.UsageError(f"--source: expected KIND:ID, as report:00O5e000001AbCdEAK, found {source!r}")
    return {"kind": kind, "id": id_}


def _definition(name: str, list_id: str | None, integration: str, source: dict[str, str] | None) -> ListDefinition:
    """What the same values over HTTP would make, held against the same model."""
    from reservoir.http.bodies import CreateList

    try:
        body = CreateList.model_validate({"name": name, "integration": integration, "source": source})
    except ValidationError as error:
        raise misused(error, CreateList, ("name", "integration", "source", "query")) from None
    told = None if body.source is None else body.source.model_dump(exclude_none=True)
    return ListDefinition(list_id or slug(name), body.name, body.integration, told, body.plan, 0)


def _print_lists_json(told: ListState | list[ListState]) -> None:
    from reservoir.http import answers

    print_json(answers.list_state(told) if isinstance(told, ListState) else {"items": [answers.list_state(state) for state in told]})


def _print_lists(states: list[ListState]) -> None:
    heads = ("list", "name", "integration", "members", "available", "held", "reserved", "undialable", "next available", "last sync")
    print_table(heads, [_row(state) for state in states])


def _row(state: ListState) -> tuple[object, ...]:
    definition, counts, sync = state.definition, state.counts, state.last_sync
    next_at = state.next_available_at_ms
    return (
        definition.id,
        definition.name,
        definition.integration,
        counts.members,
        counts.available,
        counts.held,
        counts.reserved,
        counts.undialable,
        None if next_at is None else rfc3339(next_at),
        None if sync is None else f"{sync.state} {rfc3339(sync.finished_at_ms or sync.started_at_ms)}",
    )
