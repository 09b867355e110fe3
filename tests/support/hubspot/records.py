"""What a portal has, and what is to go wrong in it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TOKEN = "pat-na1-of-the-tests"
SCOPES = frozenset(
    {"crm.lists.read", "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read", "crm.schemas.contacts.read", "oauth"}
)
CONTACT_PROPERTIES = (
    "firstname", "lastname", "email", "phone", "mobilephone", "fax", "company", "jobtitle", "hs_timezone", "hubspot_owner_id", "lifecyclestage",
    "hs_lead_status", "hs_calculated_phone_number", "hs_calculated_mobile_number", "hs_merged_object_ids", "hs_object_id", "createdate", "lastmodifieddate",
)  # fmt: skip
CALL_PROPERTIES = (
    "hs_timestamp", "hs_call_title", "hs_call_body", "hs_call_direction", "hs_call_status", "hs_call_duration", "hs_call_disposition", "hs_call_from_number",
    "hs_call_to_number", "hubspot_owner_id", "hs_object_id", "createdate",
)  # fmt: skip

Properties = dict[str, str | None]


@dataclass
class FakeList:
    """A list. ``members`` are record ids in whatever order; memberships come by id."""

    members: set[int] = field(default_factory=set)
    object_type: str = "0-1"
    status: str | None = "COMPLETE"
    filters: str = "2026-01-01T00:00:00.000Z"
    tells_size: bool = True
    tells_total: bool = True


@dataclass
class Fault:
    """What becomes of the next ``times`` requests whose method and path have ``where`` in them.

    **Shape**: ``answer`` gives ``status``, ``headers`` and ``body``; ``reset`` cuts the connection unanswered, ``truncate`` half-way in the right answer,
    ``lose`` after doing what was asked; ``silent`` answers never, ``drip`` a byte now and then. So many as ``after`` are served rightly before.
    """

    where: str
    kind: Literal["answer", "reset", "truncate", "silent", "drip", "lose"] = "answer"
    times: int = 1
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes = ""
    after: int = 0


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int = 0
    parts: dict[str, str] = field(default_factory=dict)


class Portal:
    """Everything that a private app could see, its limits, and what it asked."""

    def __init__(self) -> None:
        self.scopes: dict[str, frozenset[str]] = {TOKEN: SCOPES}
        self.lists: dict[str, FakeList] = {}
        self.contacts: dict[int, Properties] = {}
        self.archived: set[int] = set()
        self.merged: dict[int, int] = {}
        self.tells_merged = True
        self.calls: dict[int, Properties] = {}
        self.associated: set[tuple[int, int]] = set()
        self.call_properties: set[str] = set(CALL_PROPERTIES)
        self.contact_properties: set[str] = set(CONTACT_PROPERTIES)
        self.unique: set[str] = set()
        self.search_knows: Callable[[int], bool] = lambda _: True
        self.owners: dict[str, dict[str, Any]] = {}
        self.clock: Callable[[], float] = time.monotonic
        self.most, self.daily = 190, 650_000
        self.retry_after: str | None = None
        self.resets_at: str | None = None
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.on_page: Callable[[int], None] = lambda _: None
        self.pages = 0
        self.on_write: Callable[[], object] = lambda: None

    def contact(self, record: int, /, **properties: str | None) -> None:
        """There is a contact with these properties."""
        self.contacts[record] = {"firstname": "Person", "lastname": str(record), "phone": f"+1415555{record % 10_000:04d}", **properties}

    def make_list(self, id_: str, members: range | set[int] | list[int], **how: Any) -> FakeList:
        """There is a list with these members, who are contacts; those that are not there yet are made."""
        for record in members:
            if record not in self.contacts:
                self.contact(record)
        self.lists[id_] = FakeList(set(members), **how)
        return self.lists[id_]

    def fail(self, where: str, /, **how: Any) -> None:
        """Something goes wrong with the next request that has this in its method and path."""
        self.faults.append(Fault(where, **how))

    def requests(self, where: str = "") -> list[Asked]:
        """Those that had this in their method and path."""
        return [asked for asked in self.asked if where in f"{asked.method} {asked.path}"]
