"""What an integration is, and which there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from reservoir.domain.ids import INTEGRATION
from reservoir.integrations.source import Pace, Source
from reservoir.integrations.writer import Writer

ENTRY_POINTS = "reservoir.integrations"
"""The entry point group in which another package offers an Integration."""


@dataclass(frozen=True)
class Integration:
    """A type of source.

    **Shape**: ``prospect_id`` gives a record's canonical id, or raises ``InvalidError`` with a sentence; a canonical id stays as it is. ``kinds`` are the kinds
    of source that a list can be synced from; without any, its members are put in. ``connect`` opens a connection with the org's table of the config
    (``[orgs.ID.NAME]``), in the thread that will use it, ``writer`` the same to write back; ``table`` is that table's model. ``unclog`` tells an admin what to
    add to the source in that CRM, so that who was called leaves it by themselves.
    """

    name: str
    prospect_id: Callable[[str], str]
    kinds: tuple[str, ...] = ()
    connect: Callable[[Any, Pace], Source] | None = field(default=None)
    writer: Callable[[Any, Pace], Writer] | None = field(default=None)
    table: type[BaseModel] | None = None
    unclog: str | None = None

    @property
    def has_source(self) -> bool:
        """Whether a list can be synced from it."""
        return bool(self.kinds)


@cache
def integrations() -> Mapping[str, Integration]:
    """Every integration by name: reservoir's own, then those that installed packages offer.

    **Raises**: TypeError or ValueError where a package offers something else, a name that is none, or one that is taken; uninstall it.
    """
    from reservoir.integrations import csv, hubspot, salesforce  # here, so that they may import this module's words

    found = {
        "salesforce": Integration(
            "salesforce",
            salesforce.prospect_id,
            ("report", "list_view", "soql", "campaign"),
            salesforce.connect,
            salesforce.connect_writer,
            unclog=salesforce.UNCLOG,
        ),
        "hubspot": Integration("hubspot", hubspot.prospect_id, ("list",), hubspot.connect, hubspot.connect_writer, unclog=hubspot.UNCLOG),
        "csv": Integration("csv", csv.prospect_id),
    }
    for origin, offered in _offered():
        if offered.name in found:
            raise ValueError(f"the integration {offered.name!r} exists already, and {origin!r} offers another")
        found[offered.name] = offered
    return MappingProxyType(found)


def offered_tables() -> Mapping[str, type[BaseModel]]:
    """The tables of the config that connect an org to what other packages offer. **Raises**: as `integrations`."""
    return {offered.name: offered.table for _, offered in _offered() if offered.table is not None}


def _offered() -> list[tuple[str, Integration]]:
    """What other packages offer, each with where it is. **Raises**: as `integrations`."""
    found = []
    for point in entry_points(group=ENTRY_POINTS):
        offered = point.load()
        if not isinstance(offered, Integration):
            raise TypeError(f"the entry point {point.value!r} in {ENTRY_POINTS} is no Integration")
        if not INTEGRATION.fullmatch(offered.name):
            raise ValueError(f"{offered.name!r}, offered by {point.value!r}, is no name for an integration")
        found.append((point.value, offered))
    return found
