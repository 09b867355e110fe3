"""How a command fails: with one plain sentence on stderr, and 1 as its exit code, or 2 where it was used wrongly. Never with a traceback."""

import re
import traceback
from collections.abc import Container
from typing import TypeVar

import click
from pydantic import BaseModel, ValidationError

from reservoir.config import ConfigError
from reservoir.domain.refusals import InvalidError, Refused
from reservoir.storage.embedded import EngineError
from reservoir.storage.orgs import UnknownOrgError
from reservoir.storage.redis import StoreFaultError, StoreUnavailableError
from reservoir.telemetry import DEBUG_VARIABLE, debugging
from reservoir.wiring import UnsafeStoreError

DONE, FAILED, WRONG_USAGE = 0, 1, 2

Wanted = TypeVar("Wanted")


class FailedError(Exception):
    """The command could not do what it is for: one plain sentence that says why."""


def required(value: Wanted | Refused) -> Wanted:
    """The value itself, unless it is a refusal.

    **Raises**: FailedError, with the refusal's own sentence.
    """
    if isinstance(value, Refused):
        raise FailedError(value.detail)
    return value


def misused(error: ValidationError, model: type[BaseModel], options: Container[str]) -> click.UsageError:
    """What a model refuses, as the wrong use of an option; ``options`` are those that bear the names of the model's fields, or of fields in these."""
    first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    description = model.model_fields[name].description if name in model.model_fields else None
    message = f"expected {description}, found {first['input']!r}" if description else first["msg"].removeprefix("Value error, ")
    option = next((str(part) for part in reversed(first["loc"]) if part in options), None)
    return click.UsageError(f"--{option.replace('_', '-')}: {message}" if option else message)


def report(error: BaseException) -> int:
    """Says on stderr why a command ends with this error, and returns the exit code that goes with it."""
    if debugging() and not isinstance(error, click.ClickException):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, click.NoSuchOption | click.BadParameter | click.UsageError):
        click.echo(_usage(error), err=True)
        return WRONG_USAGE
    click.echo(sentence(error), err=True)
    return WRONG_USAGE if isinstance(error, ConfigError) else FAILED


def sentence(error: BaseException) -> str:
    """What went wrong, in one plain sentence."""
    match error:
        case click.ClickException():
            told = error.format_message()
        case FailedError() | ConfigError() | EngineError() | UnsafeStoreError() | InvalidError():
            told = str(error)
        case UnknownOrgError():
            told = f"there is no org {error.args[0]!r}"
        case StoreUnavailableError():
            told = f"the store cannot be relied on: {error}"
        case StoreFaultError():
            told = f"the store replied what it should not: {error}"
        case KeyboardInterrupt() | click.Abort():
            told = "interrupted"
        case OSError():
            told = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        case _:
            told = f"this is a defect of reservoir ({type(error).__name__}); run it again with {DEBUG_VARIABLE}=1 to see where it is"
    return _as_sentence(told)


def _usage(error: click.UsageError) -> str:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    way = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return _as_sentence(error.format_message().rstrip(".") + way)


def _as_sentence(told: str) -> str:
    """On one line, with a capital letter, unless it begins with a name (`servr (x.toml): …`), and a full stop."""
    line = re.sub(r"\s+", " ", told).strip()
    if re.match(r"[a-z]+([,:]| (?!\())", line):
        line = line[0].upper() + line[1:]
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."
