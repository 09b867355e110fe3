"""What the commands print on stdout: JSON for programs, short tables for people."""

import unicodedata
from collections.abc import Sequence

import click
import orjson
from rich.cells import cell_len


def print_json(value: object) -> None:
    """Prints a value as the HTTP API would answer it, but indented."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under their heads, in columns as wide as they need to be. None is told as ``-``."""
    cells = [list(heads), *([shown(value) for value in row] for row in rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        click.echo("  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip())


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 row, 2 rows."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shown(value: object) -> str:
    """A value for a terminal: nothing in it moves the cursor, None is ``-``."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    # A name may hold what a terminal would obey.
    return "".join("?" if unicodedata.category(character)[0] == "C" else character for character in str(value))
