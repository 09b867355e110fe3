"""What the commands share: options, the kinds of their values, examples."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from reservoir import config
from reservoir.config import Config
from reservoir.domain import ids
from reservoir.domain.refusals import InvalidError
from reservoir.integrations.base import offered_tables

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


class IdType(click.ParamType[str]):
    """An id that keeps its rule; anything else is wrong usage."""

    def __init__(self, name: str, rule: Callable[[str], str]) -> None:
        self.name = name
        self._rule = rule

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id."""
        try:
            return self._rule(str(value))
        except InvalidError as error:
            self.fail(str(error), param, ctx)


ORG = IdType("id", ids.org_id)
LIST = IdType("slug", ids.list_id)
OPAQUE = IdType("text", ids.opaque)

_CONFIG_HELP = "The config; else the file that RESERVOIR_CONFIG names, else ./reservoir.toml if it stands there, else the defaults."
_config_file = click.option("--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help=_CONFIG_HELP)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
org_option = click.option("--org", "org_id", type=ORG, required=True, help="The org.")


def with_config(command: Callable[Concatenate[Config, Given], Returned]) -> Callable[Given, Returned]:
    """Gives the command the option ``--config``, and the config itself as its first argument."""

    @functools.wraps(command)
    def configured(*arguments: Given.args, **options: Given.kwargs) -> Returned:
        path = options.pop("config_file")
        return command(config.load(path if isinstance(path, Path) else None, tables=offered_tables()), *arguments, **options)

    return _config_file(configured)


def accepts_config(command: Callable[Given, Returned]) -> Callable[Given, Returned]:
    """Gives a command that needs no config the option all the same, for every command has it."""

    @functools.wraps(command)
    def unconfigured(*arguments: Given.args, **options: Given.kwargs) -> Returned:
        options.pop("config_file")
        return command(*arguments, **options)

    return _config_file(unconfigured)


def example(*lines: str) -> str:
    """What ``--help`` ends with."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
