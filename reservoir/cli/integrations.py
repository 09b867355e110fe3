"""``reservoir integration``: the connections to CRMs."""

import click

from reservoir.cli.failing import FAILED, FailedError
from reservoir.cli.opening import on_store
from reservoir.cli.options import ORG, example, json_option, with_config
from reservoir.cli.printing import print_json
from reservoir.config import Config
from reservoir.integrations.base import integrations
from reservoir.integrations.source import Checked, CrmError, PassingError, WaitError
from reservoir.wiring import Services


@click.group("integration")
def integration() -> None:
    """Integrations: the CRMs that lists stream in from."""


@integration.command("check", epilog=example("reservoir integration check --org acme salesforce"))
@click.option("--org", "org_id", type=ORG, required=True, help="The org.")
@click.argument("name")
@json_option
@with_config
def check(config: Config, org_id: str, name: str, as_json: bool) -> int | None:
    """Log in to the CRM, and say what the connection may and may not do, and what is left of its budget.

    The exit code is 1 if it cannot log in, or something that syncs need is missing.
    """
    if name not in integrations():
        raise click.UsageError(f"NAME: expected one of {', '.join(integrations())}, found {name!r}")

    async def look(opened: Services) -> Checked:
        await opened.orgs.ask(org_id, lambda org: opened.orgs.read("read_taken", org))
        return await opened.connections.check(org_id, name)

    try:
        checked = on_store(config, look)
    except (CrmError, PassingError, WaitError) as error:
        raise FailedError(str(error)) from error
    if as_json:
        from reservoir.http import answers

        print_json(answers.checked(checked))
    else:
        _print(name, checked)
    return FAILED if checked.lacking else None


def _print(name: str, checked: Checked) -> None:
    click.echo(f"{name} is connected" + (f" as {checked.user}." if checked.user else "."))
    for words, told in (("may", checked.may), ("may not", checked.may_not)):
        for what in told:
            click.echo(f"  {words} {what}")
    for what, count in checked.budget.items():
        click.echo(f"  {what.replace('_', ' ')}: {count:,}")
