"""Lists: an ordered set of prospects that an integration streams in, its counts, and the runs (syncs) that fill it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SyncState = Literal["queued", "waiting", "running", "done", "failed"]
MemberStatus = Literal["available", "held", "reserved", "removed", "undialable"]

LISTS_PER_PROSPECT_MAX = 64
REJECTED_SHOWN = 100
"""How many of a run's rejected rows are kept; the count goes on."""


@dataclass(frozen=True, slots=True)
class ListDefinition:
    """What an admin says of a list. ``source`` and ``sync`` are in the form of the HTTP contract."""

    id: str
    name: str
    integration: str
    source: Mapping[str, object] | None
    sync: Mapping[str, object]
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many members there are, and how they stand at one instant of the store: available + held + reserved + undialable = members."""

    members: int
    available: int
    held: int
    reserved: int
    undialable: int

    @property
    def clogged(self) -> float:
        """The share of the dialable members that is reserved; 0 when nothing is dialable."""
        dialable = self.members - self.undialable
        return self.reserved / dialable if dialable else 0.0


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that did not become a member, or (``kept``) did without one of its numbers. ``line`` is where the row begins in the file; a row of a CRM has the
    id of its ``record`` in its place."""

    line: int
    detail: str
    kept: bool = False
    record: str | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """One run that streams a list's members in, as it stands."""

    id: str
    list: str
    state: SyncState
    started_at_ms: int
    finished_at_ms: int | None = None
    fetched: int = 0
    added: int = 0
    updated: int = 0
    left: int = 0
    rejected_count: int = 0
    rejected: tuple[Rejection, ...] = ()
    total: int | None = None
    complete: bool = False
    truncated: bool = False
    error: Mapping[str, object] | None = None
    resumes_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be written back into the CRM: how much, since when the oldest of it, and how much the CRM refused."""

    pending: int
    oldest_at_ms: int | None
    failed: int


@dataclass(frozen=True, slots=True)
class ListState:
    """A list as it stands: definition, counts, and what its runs left behind."""

    definition: ListDefinition
    counts: Counts
    fetched: int
    truncated: bool
    multi_rep_dialing: bool
    next_available_at_ms: int | None
    last_sync: Sync | None = None
    write_back: Backlog | None = None
    lacking: str | None = None
    """What the last complete reading found that the source lacks, in words for the admin."""
