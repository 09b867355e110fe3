"""``reservoir verify``: proves or refutes that nobody was reserved twice."""

from collections.abc import Iterable
from pathlib import Path

import click
import orjson

from reservoir.cli.failing import DONE, FAILED
from reservoir.cli.opening import on_store
from reservoir.cli.options import ORG, example, json_option, with_config
from reservoir.cli.printing import plural, print_json
from reservoir.config import Config
from reservoir.domain.proof import Finding, Verdict
from reservoir.domain.refusals import InvalidError
from reservoir.domain.times import rfc3339
from reservoir.domain.told import DialerRecord
from reservoir.storage.proof import verify as verify_org
from reservoir.wiring import Services

SHOWN_MOST = 20
"""How many violations of an org are printed for a person; --json has the first thousand."""

_TOLD = (
    ("claim.held", "held"),
    ("claim.reserved", "reserved"),
    ("claim.unreserved", "unreserved"),
    ("claim.extended", "extended"),
    ("claim.released", "released"),
    ("claim.lapsed", "lapsed"),
    ("reservation.expired", "expired"),
)


@click.command("verify", epilog=example("reservoir verify --org acme --against told.ndjson"))
@click.option("--org", "org_ids", type=ORG, multiple=True, help="Only this org; may be given several times. All orgs unless it is given.")
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    metavar="FILE",
    help="A dialer's own record of what it was told: on each line a claim as the service answered it, any number of times.",
)
@json_option
@with_config
def verify(config: Config, org_ids: tuple[str, ...], against: Path | None, as_json: bool) -> int:
    """Prove or refute that nobody was reserved twice, from the history and what stands. Exit code 1, with the pairs, if somebody was.

    It may run while the service works.
    """
    told = None if against is None else _read(against)
    # To look is safe, whatever the store can promise.
    looking = config.model_copy(update={"redis": config.redis.model_copy(update={"allow_unsafe": True})})
    verdicts = on_store(looking, lambda opened: _verdicts(opened, org_ids, told))
    if as_json:
        print_json(_told(verdicts, told))
    else:
        _print(verdicts, told)
    wrong = sum(one.violations for one in verdicts) + (told.findings.counts.total() if told else 0)
    return FAILED if wrong else DONE


async def _verdicts(opened: Services, org_ids: tuple[str, ...], told: DialerRecord | None) -> list[Verdict]:
    found = [await verify_org(opened.orgs, org_id, told) for org_id in org_ids or [org.id for org in await opened.orgs.all()]]
    if told is not None:
        told.conclude(max((one.since_ms for one in found), default=0))
    return found


def _read(path: Path) -> DialerRecord:
    """The record, read line by line. **Raises**: click.UsageError that names the first line that is no claim."""
    told = DialerRecord()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                told.tell(number, orjson.loads(line))
            except orjson.JSONDecodeError:
                raise click.UsageError(f"line {number} of {path}: expected a claim as JSON, found {line.strip()[:40].decode(errors='replace')!r}") from None
            except InvalidError as error:
                raise click.UsageError(f"line {number} of {path}: {error}") from None
    return told


def _told(verdicts: list[Verdict], told: DialerRecord | None) -> dict[str, object]:
    dialers = None
    if told is not None:
        dialers = {
            "lines": told.lines,
            "claims": told.claims,
            "before": told.before,
            "double_dials": told.findings.counts["double-dial"],
            "violations": told.findings.counts.total(),
            "found": _found(told.findings.shown),
        }
    return {
        "double_dials": sum(one.double_dials for one in verdicts) + (told.findings.counts["double-dial"] if told else 0),
        "violations": sum(one.violations for one in verdicts) + (told.findings.counts.total() if told else 0),
        "orgs": [
            {
                "org": one.org,
                "since": rfc3339(one.since_ms),
                "until": rfc3339(one.until_ms),
                "whole": one.whole,
                "double_dials": one.double_dials,
                "violations": one.violations,
                "counts": dict(sorted(one.counts.items())),
                "held": one.held,
                "reserved": one.reserved,
                "missing_keys": one.missing_keys,
                "foreign_keys": one.foreign_keys,
                "keys_sought": one.keys_sought,
                "found": _found(one.findings.shown),
            }
            for one in verdicts
        ],
        "against": dialers,
    }


def _found(shown: Iterable[Finding]) -> list[dict[str, object]]:
    return [{"kind": one.kind, "prospect": one.prospect, "claims": list(one.claims), "detail": one.detail} for one in shown]


def _print(verdicts: list[Verdict], told: DialerRecord | None) -> None:
    for one in verdicts:
        click.echo(f"{one.org}: proved from {rfc3339(one.since_ms)}{'' if one.whole else ', where its history begins by now,'} to {rfc3339(one.until_ms)}")
        counted = [f"{one.counts[type_]:,} {word}" for type_, word in _TOLD if one.counts.get(type_)]
        click.echo(f"  {', '.join(counted) or 'nothing claimed'}; now {one.held:,} held and {one.reserved:,} reserved")
        if one.missing_keys or one.foreign_keys:
            click.echo(f"  by hand: {plural(one.missing_keys, 'key')} deleted, {plural(one.foreign_keys, 'key')} set")
        if not one.keys_sought:
            click.echo("  on a cluster, keys that no index knows are not looked for")
        _print_found(one.findings.shown, one.violations)
    if told is not None:
        before = f", {told.before:,} of them from before" if told.before else ""
        click.echo(f"against: {plural(told.claims, 'claim')} in {plural(told.lines, 'line')}{before}")
        _print_found(told.findings.shown, told.findings.counts.total())
    if not verdicts:
        click.echo("There is no org.")
    click.echo(f"double dials: {_told(verdicts, told)['double_dials']}")


def _print_found(shown: list[Finding], count: int) -> None:
    for one in shown[:SHOWN_MOST]:
        claims = " and ".join(claim for claim in one.claims if claim)
        click.echo(f"  {one.kind}: {one.prospect or 'the history'}{f' ({claims})' if claims else ''}: {one.detail}")
    if count > SHOWN_MOST:
        click.echo(f"  and {count - SHOWN_MOST:,} more (--json has them)")
