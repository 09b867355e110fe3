"""``reservoir org`` and ``reservoir key``."""

import click
from pydantic import ValidationError

from reservoir.cli.failing import FailedError, misused
from reservoir.cli.opening import on_store
from reservoir.cli.options import ORG, example, json_option, org_option, with_config
from reservoir.cli.printing import print_json, print_table
from reservoir.config import Config, OrgConfig
from reservoir.domain.settings import SCOPES, ApiKey, OrgProfile, Scope
from reservoir.storage.orgs import UnknownOrgError
from reservoir.wiring import Services

BY = "the command line"


@click.group("org")
def org() -> None:
    """Orgs: the tenants, to exactly one of which everything belongs."""


@org.command("create", epilog=example("reservoir org create acme --name Acme --time-zone America/New_York"))
@click.argument("org_id", metavar="ID", type=ORG)
@click.option("--name", default="", help="What people call it; the ID unless it is given.")
@click.option("--time-zone", default="UTC", show_default=True, help="The zone in which its days are counted.")
@click.option("--phone-region", default="US", show_default=True, help="How a number without a country code is read.")
@click.option("--sandbox", is_flag=True, help="An org to develop a dialer against: its reservations end 1,000 times sooner.")
@json_option
@with_config
def create_org(config: Config, org_id: str, name: str, time_zone: str, phone_region: str, sandbox: bool, as_json: bool) -> None:
    """Create an org. Its id is for ever: a lower-case letter, then up to 31 lower-case letters and digits."""
    try:
        wanted = OrgConfig(name=name or org_id, time_zone=time_zone, phone_region=phone_region, sandbox=sandbox)
    except ValidationError as error:
        raise misused(error, OrgConfig, ("name", "time_zone", "phone_region")) from None
    profile = OrgProfile(org_id, wanted.name, wanted.time_zone, wanted.phone_region, wanted.sandbox)

    async def create(opened: Services) -> None:
        if not await opened.orgs.create(profile):
            raise FailedError(f"There is an org {org_id!r} already.")

    on_store(config, create)
    if as_json:
        print_json(_told(profile))
    else:
        click.echo(f"The org {org_id} is there. Make a key for it: reservoir key create --org {org_id} --scope admin")


@org.command("delete", epilog=example("reservoir org delete acme --yes"))
@click.argument("org_id", metavar="ID", type=ORG)
@click.option("--yes", is_flag=True, help="Yes, with all that is in it: there is no way back.")
@json_option
@with_config
def delete_org(config: Config, org_id: str, yes: bool, as_json: bool) -> None:
    """Delete an org with all that is in it: lists, API keys, history, and live reservations too. Its keys are refused at once."""
    if not yes:
        raise click.UsageError(f"This deletes all that is in {org_id}, live reservations too, and there is no way back: say so with --yes")

    async def delete(opened: Services) -> None:
        if not await opened.orgs.delete(org_id):
            raise UnknownOrgError(org_id)

    on_store(config, delete)
    if as_json:
        print_json({"deleted": True, "id": org_id})
    else:
        configured = " The config names it, so the next start creates it anew, empty." if org_id in config.orgs else ""
        click.echo(f"The org {org_id} is gone.{configured}")


@org.command("list", epilog=example("reservoir org list --json"))
@json_option
@with_config
def list_orgs(config: Config, as_json: bool) -> None:
    """Show all orgs."""
    profiles = on_store(config, read_profiles)
    if as_json:
        print_json({"items": [_told(profile) for profile in profiles]})
    else:
        rows = [(one.id, one.name, one.time_zone, one.phone_region, one.sandbox) for one in profiles]
        print_table(("org", "name", "time zone", "phone region", "sandbox"), rows)


async def read_profiles(opened: Services) -> list[OrgProfile]:
    """What every org is called, by id."""
    return [org.profile for org in await opened.orgs.all()]


@click.group("key")
def key() -> None:
    """API keys: each decides whose org a caller is in, and what it may do there."""


@key.command("create", epilog=example("reservoir key create --org acme --scope dial --name 'the dialer'"))
@org_option
@click.option(
    "--scope",
    type=click.Choice(SCOPES),
    required=True,
    help="read: all GETs but the keys. dial: claims and sessions too. admin: settings, lists and keys too.",
)
@click.option("--name", default="", help="What it is for, as an admin will read it.")
@json_option
@with_config
def create_key(config: Config, org_id: str, scope: Scope, name: str, as_json: bool) -> None:
    """Create an API key and print it, this once: only its hash is kept."""
    made, clear = on_store(config, lambda opened: make_key(opened, org_id, name or f"{scope} key", scope))
    if as_json:
        print_json({"key": clear, "id": made.id})
    else:
        click.echo(clear)
        click.echo(f"This is the only time that the key is shown. Its id is {made.id}, its scope {scope}.", err=True)


async def make_key(opened: Services, org_id: str, name: str, scope: Scope) -> tuple[ApiKey, str]:
    """A new API key, and its only appearance in clear. **Raises**: UnknownOrgError."""
    return await opened.orgs.ask(org_id, lambda org: opened.settings.create_key(org, name, (scope,), BY))


def _told(profile: OrgProfile) -> dict[str, object]:
    return {
        "id": profile.id,
        "name": profile.name,
        "time_zone": profile.time_zone,
        "phone_region": profile.phone_region,
        "sandbox": profile.sandbox,
    }
