"""``reservoir doctor``: whether this installation can keep its promises, thing by thing."""

import json
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import click

from reservoir.cli.opening import Place, reached, run
from reservoir.cli.options import example, json_option, with_config
from reservoir.cli.printing import print_json, print_table
from reservoir.cli.service_record import ServiceRecord
from reservoir.config import Config, OrgConfig
from reservoir.domain.settings import OrgProfile
from reservoir.integrations.base import integrations
from reservoir.storage.examination import examine
from reservoir.storage.lane import Replication
from reservoir.storage.orgs import OrgStore
from reservoir.storage.redis import Store, StoreUnavailableError, open_store
from reservoir.storage.safety import Durability, Finding

MARKS = {"safe": "ok", "notice": "note", "unsafe": "BAD", "unusable": "BAD"}
ANSWER_S = 5.0
HEARD_WITHIN_S = 5.0
"""How long a running service may take to hear that its store's clock is accepted. It looks twice a second."""
POLL_S = 0.1


@click.command("doctor", epilog=example("reservoir doctor", "reservoir doctor --accept-clock"))
@click.option("--accept-clock", is_flag=True, help="Take the store's clock as it is: claims that are refused since it moved are granted again.")
@json_option
@with_config
def doctor(config: Config, accept_clock: bool, as_json: bool) -> int:
    """Say of each thing that the promises rest on what is and what should be.

    The exit code is 1 if a promise cannot be kept. After a leap of the store's clock, every process refuses claims until the clock is back or an operator
    accepts it with --accept-clock; what has run out by the clock as it is then is free.
    """
    findings = diagnose(config, accept_clock=accept_clock)
    kept = not any(is_broken(finding) for finding in findings)
    if as_json:
        print_json({"promises_kept": kept, "findings": [told(finding) for finding in findings]})
    else:
        print_table(("", "what", "is", "should be"), [_row(finding) for finding in findings])
        click.echo()
        click.echo("Every promise can be kept." if kept else "Not every promise can be kept: see what is BAD.", err=not kept)
    return 0 if kept else 1


def diagnose(config: Config, *, accept_clock: bool = False) -> list[Finding]:
    """What is and what should be, of the store, the config's orgs and the service that runs here. **Raises**: EngineError."""
    running = ServiceRecord.running(config.data_dir)
    with reached(config) as place:
        findings = run(_examined(config, place, accept_clock=accept_clock))
    if running is not None:
        findings.append(_service(running, heard_within_s=HEARD_WITHIN_S if accept_clock else 0))
    return findings


def is_broken(finding: Finding) -> bool:
    """Whether a promise cannot be kept by it."""
    return finding.standing in {"unsafe", "unusable"}


def told(finding: Finding) -> dict[str, str]:
    """A finding for programs."""
    return {"about": finding.about, "is": finding.found, "should_be": finding.wanted, "standing": finding.standing}


async def _examined(config: Config, place: Place, *, accept_clock: bool) -> list[Finding]:
    redis = config.redis
    replication = Replication(redis.wait_replicas, redis.wait_timeout_ms) if redis.wait_replicas else None
    try:
        store = await open_store(place.url, replication)
    except StoreUnavailableError as error:
        return [Finding("the store", f"away ({place.words}: {error})", "there", "unusable")]
    try:
        if accept_clock:
            await store.accept_clock()
        findings = await examine(store, Durability(redis.wait_replicas, redis.durability_confirmed))
        return [*findings, *await _orgs(store, config)]
    except StoreUnavailableError as error:
        return [Finding("the store", f"refusing ({error})", "to do as it is asked", "unusable")]
    finally:
        await store.close()


async def _orgs(store: Store, config: Config) -> list[Finding]:
    orgs = OrgStore(store, tuple(integrations()))
    findings = []
    for org_id, configured in config.orgs.items():
        org = await orgs.get(org_id)
        findings.append(_org(org_id, configured, None if org is None else org.profile))
    return findings


def _org(org_id: str, configured: OrgConfig, profile: OrgProfile | None) -> Finding:
    about = f"the config of the org {org_id}"
    if profile is None:
        return Finding(about, "of an org that is not there yet", "of one that the service makes at its start", "notice")
    differing = [
        f"{name} {getattr(profile, name)!r} and not {getattr(configured, name)!r}"
        for name in ("name", "time_zone", "phone_region", "sandbox")
        if getattr(profile, name) != getattr(configured, name)
    ]
    if not differing:
        return Finding(about, "as the org is", "as the org is", "safe")
    return Finding(about, f"not what holds: the org has {', '.join(differing)}", "as the org is: PATCH /v1/org decides, once it is made", "notice")


def _service(record: ServiceRecord, *, heard_within_s: float) -> Finding:
    until_s = time.monotonic() + heard_within_s
    while True:
        reasons = _reasons(record.url)
        if not any("clock" in reason for reason in reasons) or time.monotonic() >= until_s:
            break
        time.sleep(POLL_S)
    found = f"not ready: {'; '.join(reasons)}" if reasons else "ready"
    return Finding(f"the service at {record.url}", found, "ready", "unusable" if reasons else "safe")


def _reasons(url: str) -> list[str]:
    """Why a service is not ready; nothing if it is."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, ValueError, HTTPException) as error:
        return [f"it does not answer: {error}"]
    finally:
        connection.close()
    return [] if answer.status == 200 else [str(reason) for reason in said.get("reasons", [said.get("detail")])]


def _row(finding: Finding) -> tuple[object, ...]:
    return MARKS[finding.standing], finding.about, finding.found, finding.wanted
