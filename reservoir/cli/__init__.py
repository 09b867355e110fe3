"""The command line: ``reservoir``."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from reservoir import __version__
from reservoir.cli.bench import bench
from reservoir.cli.demo import demo
from reservoir.cli.doctor import doctor
from reservoir.cli.failing import DONE, FAILED
from reservoir.cli.failing import report as report_failure
from reservoir.cli.integrations import integration
from reservoir.cli.lists import list_
from reservoir.cli.options import accepts_config, example
from reservoir.cli.orgs import key, org
from reservoir.cli.printing import print_json
from reservoir.cli.report import report
from reservoir.cli.reservations import reservations
from reservoir.cli.serve import serve
from reservoir.cli.status import status
from reservoir.cli.verify import verify
from reservoir.cli.why import why
from reservoir.cli.worker import worker
from reservoir.telemetry import debugging, log_nothing, log_to


@click.group(epilog=example("reservoir demo"), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="reservoir", message="%(prog)s %(version)s")
def cli() -> None:
    """The shared memory between sales dialers: nobody is called twice, nobody is lost, and it can say why."""


@cli.command("openapi", epilog=example("reservoir openapi > openapi.json"))
@click.option("--json", "_", is_flag=True, expose_value=False, help="It is JSON anyway.")
@accepts_config
def openapi() -> None:
    """Print the API as an OpenAPI document."""
    from reservoir.http.openapi import document

    print_json(document())


for command in (serve, worker, demo, status, doctor, report, verify, bench, org, key, list_, integration, reservations, why):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and ends the process: with 0 if it is done, 1 if it failed, 2 if it was used wrongly; why is one sentence on stderr."""
    sys.exit(_outcome(arguments))


def _outcome(arguments: Sequence[str] | None) -> int:
    if debugging():
        log_to()
    else:
        log_nothing()
    try:
        ended = cli.main(args=arguments, prog_name="reservoir", standalone_mode=False)
    except BrokenPipeError:  # `| head` has read enough: there is nobody to tell, and what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where whatever it is becomes a sentence
        return report_failure(error)
    return ended if isinstance(ended, int) else DONE
