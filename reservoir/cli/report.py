"""``reservoir report``: one file for a support ticket, with nothing in it that is secret or personal."""

import json
import platform
import re
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from reservoir import __version__
from reservoir.cli.doctor import diagnose, told
from reservoir.cli.options import example, json_option, with_config
from reservoir.cli.service_record import ServiceRecord
from reservoir.config import Config
from reservoir.domain.times import milliseconds, rfc3339
from reservoir.last_errors import last_errors
from reservoir.storage.embedded import EngineError

PERSONAL = frozenset({"username"})
"""Keys of the config that are no secrets, and name a person."""


@click.command("report", epilog=example("reservoir report", "reservoir report --output ticket.json"))
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="The file; named after the time unless it is given.")
@json_option
@with_config
def report(config: Config, output: Path | None, as_json: bool) -> None:
    """Write one file for a support ticket: versions, what doctor finds, the config, the last errors with their request ids.

    No secret, no user's name and no prospect's data is in it; look through it before you send it all the same. With --json it is printed in place of being
    written.
    """
    made_at = datetime.now(UTC)
    text = _without_home(json.dumps(_gathered(config, made_at), indent=2, ensure_ascii=False))
    if as_json and output is None:
        click.echo(text)
        return
    path = output or Path(f"reservoir-report-{made_at:%Y%m%dT%H%M%SZ}.json")
    path.write_text(text + "\n", encoding="utf-8")
    click.echo(text if as_json else f"The report is in {path}.")


def _gathered(config: Config, made_at: datetime) -> dict[str, Any]:
    running = ServiceRecord.running(config.data_dir)
    return {
        "made_at": rfc3339(milliseconds(made_at)),
        "versions": _versions(),
        "service": None if running is None else {"url": running.url, "pid": running.pid},
        "doctor": _doctor(config),
        "config": _impersonal(config.redacted()),
        "last_errors": last_errors(config.data_dir),
    }


def _versions() -> dict[str, Any]:
    """Of reservoir, of what it runs on, and of every library that it says it needs."""
    names = sorted({re.split(r"[^\w.-]", needed, maxsplit=1)[0] for needed in metadata.requires("reservoir") or [] if "extra ==" not in needed})
    return {"reservoir": __version__, "python": sys.version.split()[0], "platform": platform.platform(), "libraries": {name: _version(name) for name in names}}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # not made for this platform
        return None


def _doctor(config: Config) -> list[dict[str, str]] | str:
    """What doctor finds, or why it cannot look."""
    try:
        return [told(finding) for finding in diagnose(config)]
    except EngineError as error:
        return str(error)


def _impersonal(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "***" if name in PERSONAL and inner else _impersonal(inner) for name, inner in value.items()}
    return value


def _without_home(text: str) -> str:
    """The text without the name of whose home it is in."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text
