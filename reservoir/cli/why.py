"""``reservoir why``: why a person can not be dialed."""

from typing import get_args

import click

from reservoir.cli.failing import required
from reservoir.cli.opening import on_store
from reservoir.cli.options import LIST, OPAQUE, ORG, example, json_option, with_config
from reservoir.cli.printing import print_json, print_table
from reservoir.config import Config
from reservoir.domain.claims import Mode
from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import InvalidError, Refused
from reservoir.domain.times import rfc3339
from reservoir.domain.why import Why
from reservoir.integrations.base import integrations
from reservoir.storage.why import Asked
from reservoir.wiring import Services

MODES = get_args(Mode)


@click.command("why", epilog=example("reservoir why --org acme csv:P-0001", "reservoir why --org acme csv:P-0001 --list q4-west --rep ana@acme.com"))
@click.option("--org", "org_id", type=ORG, required=True, help="The org.")
@click.argument("prospect", metavar="INTEGRATION:PROSPECT")
@click.option("--list", "list_id", metavar="SLUG", type=LIST, help="The list from which the person is to be dialed; a claim by id unless it is given.")
@click.option("--rep", type=OPAQUE, help="The rep who is to dial.")
@click.option("--mode", type=click.Choice(MODES), help="The dialing mode.")
@json_option
@with_config
def why(config: Config, org_id: str, prospect: str, list_id: str | None, rep: str | None, mode: Mode | None, as_json: bool) -> None:
    """Show why a person can not be dialed now: by which rule, who has them, until when."""
    named = _named(prospect)

    async def read(opened: Services) -> Why | Refused:
        return await opened.orgs.ask(org_id, lambda org: opened.why.one(org, named, Asked(list_id, rep, mode)))

    told = required(on_store(config, read))
    if as_json:
        from reservoir.http.why import why as answer

        print_json(answer(told))
        return
    click.echo(f"{named} can be dialed." if told.dialable else f"{named} can not be dialed:")
    if told.reasons:
        print_table(
            ("rule", "rep", "since", "until", "why"), [(one.rule, one.rep, _time(one.since_ms), _time(one.until_ms), one.detail) for one in told.reasons]
        )
    if told.notes:
        click.echo("Multi-rep dialing is off for this integration: nobody is reserved, and nobody is blocked by a reservation.")


def _named(text: str) -> ProspectId:
    integration, colon, id_ = text.partition(":")
    if not colon or integration not in integrations():
        raise click.UsageError(f"expected INTEGRATION:PROSPECT, as csv:P-0001, found {text!r}; the integrations are {', '.join(integrations())}")
    try:
        return ProspectId(integration, integrations()[integration].prospect_id(id_))
    except InvalidError as error:
        raise click.UsageError(str(error)) from None


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
