"""What the service asks of a CRM: to be read, a page at a time, and to say plainly what is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from reservoir.domain.prospects import Member

Cursor = Mapping[str, object]
"""Where a reading goes on: whatever JSON a source needs to read its next page, in another process too. The service keeps it and never looks inside."""

Missing = Literal["crm-credentials", "crm-permission", "crm-not-found", "crm-unsupported", "crm-ambiguous", "crm-no-progress", "crm-not-connected"]
Passing = Literal["crm-unavailable", "crm-bad-answer"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read. ``source`` is the list's own, in the form of the HTTP contract; ``phone_region`` how a number without a country code is read."""

    source: Mapping[str, object]
    fetch: Literal["all", "first_page"]
    phone_region: str


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A row that cannot be a member. ``record``: its id, as the CRM has it; "" where it has none."""

    record: str
    detail: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some members, in list order, as one answer of the CRM brought them.

    **Shape**: ``cursor`` reads on behind this page; None: this was the last. The last page says how the reading ended: ``truncated`` if the CRM cut it off and
    it was not read on, ``complete`` False if the source was not ready, so that absence means nothing. ``total`` is what the CRM said beforehand, if it did.
    ``advice`` is for the admin: what the source lacks. A person whom an earlier page of the run had may come again: the store keeps the first place. One whom
    the source names and does not show is a member that is ``unread``, in its place among the others.
    """

    members: tuple[Member, ...]
    rejected: tuple[RejectedRecord, ...] = ()
    cursor: Cursor | None = None
    total: int | None = None
    truncated: bool = False
    complete: bool = True
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a connection may and may not do, in words. ``budget``: what is left, by name. ``lacking``: whether ``may_not`` has something that syncs need."""

    user: str | None
    may: tuple[str, ...]
    may_not: tuple[str, ...]
    budget: Mapping[str, int]
    lacking: bool = False


class Pace(Protocol):
    """The org's budget of calls, which all workers share. Called from the source's own thread; raises `WaitError` instead of waiting."""

    def spend(self, what: str, most: int, per_s: int) -> None:
        """Takes one of ``most`` in a sliding window of ``per_s`` seconds. **Raises**: WaitError (``crm-budget``) with the time at which one is free."""

    def free(self, what: str, most: int, per_s: int) -> int:
        """How many of ``most`` in a sliding window of ``per_s`` seconds are not spent yet."""

    def hold(self, what: str, for_s: float) -> None:
        """Says that no worker may spend ``what`` for so long: the CRM said so."""

    def left(self, what: str, count: int, for_s: float) -> None:
        """Says that the CRM has so many left for the next ``for_s`` seconds, whoever spends them. At 0, `spend` waits."""


class Source(Protocol):
    """One org's connection to its CRM. It lives in one thread, and each of its calls ends within its own time-out.

    **Raises**, from every method: CrmError for what a person must mend, PassingError for what another try may cure, WaitError for what time cures.
    """

    def pages(self, wanted: Wanted, cursor: Cursor | None) -> Iterator[Page]:
        """The source's members from the cursor on, or from the start. Each page is asked for only when the last one is in the store."""

    def check(self) -> Checked:
        """Logs in and looks at what this connection may do."""

    def close(self) -> None:
        """Closes what is open."""


class CrmError(Exception):
    """A person must act; another try by itself would end the same. The text says who must do what, and has no secret in it.

    **Shape**: ``slug`` is the problem's type; ``status`` the CRM's own, if it was 400 or more; ``candidates`` what there is to choose from.
    """

    def __init__(self, slug: Missing, detail: str, *, status: int = 502, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.slug = slug
        self.status = status
        self.candidates = candidates


class PassingError(Exception):
    """The CRM is down, or answered nonsense: worth a few more tries."""

    def __init__(self, slug: Passing, detail: str, *, status: int = 502) -> None:
        super().__init__(detail)
        self.slug = slug
        self.status = status


class WaitError(Exception):
    """The CRM will answer later, and says or implies when: ``after_s`` seconds from now. ``slug``: ``crm-budget`` for a limit, else ``crm-unavailable``."""

    def __init__(self, slug: Literal["crm-budget", "crm-unavailable"], detail: str, *, after_s: float, status: int = 502) -> None:
        super().__init__(detail)
        self.slug = slug
        self.after_s = after_s
        self.status = status
