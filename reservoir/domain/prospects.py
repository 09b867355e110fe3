"""Prospects: one person in a CRM, known by integration and record id, and what a list knows of them as its member."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

UndialableReason = Literal["no-phone", "do-not-call"]


@dataclass(slots=True, unsafe_hash=True)  # never changed; made by the million, and freezing them took a third of the time in which a row is read
class Phone:
    """A number that can be dialed: E.164, its extension apart, and the label under which the source had it."""

    label: str
    number: str
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class ProspectId:
    """Who: the integration and the record's canonical id in it."""

    integration: str
    id: str

    def __str__(self) -> str:
        """``integration:id``, the form that the store's indexes and the command line use."""
        return f"{self.integration}:{self.id}"


@dataclass(slots=True)  # made by the million: freezing them took a third of the time in which a row is read
class Member:
    """A prospect as one list has it.

    **Shape**: what is not known is None, ``phones`` empty, ``fields`` empty; ``do_not_call`` is the source's own flag.
    ``unread``: the source names the member and does not show it, so that nothing of it but its id is known here; what the org's lists have of it stands.
    """

    integration: str
    id: str
    name: str | None = None
    phones: tuple[Phone, ...] = ()
    company: str | None = None
    title: str | None = None
    owner: str | None = None
    time_zone: str | None = None
    url: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    do_not_call: bool = False
    unread: bool = False

    @property
    def undialable(self) -> UndialableReason | None:
        """Why nobody may be handed this member, or None: the flag first, for it is somebody's wish and not a gap."""
        if self.do_not_call:
            return "do-not-call"
        return None if self.phones else "no-phone"
