"""A source read from its start to its end."""

import json
from typing import Any, Literal

from reservoir.domain.prospects import Member
from reservoir.integrations.source import CrmError, Page, PassingError, RejectedRecord, Source, WaitError, Wanted


class Reading:
    """What a run brought, as the store keeps it: a person's first place counts. **Shape**: ``cursors`` as JSON, since another process may go on."""

    def __init__(self, pages: list[Page]) -> None:
        self.pages = pages
        members: dict[str, Member] = {}
        for page in pages:
            for member in page.members:
                members.setdefault(member.id, member)
        self.members = [*members.values()]
        self.rejected: list[RejectedRecord] = [row for page in pages for row in page.rejected]

    @property
    def ids(self) -> list[str]:
        return [member.id for member in self.members]

    @property
    def last(self) -> Page:
        return self.pages[-1]


def wanted(
    kind: str, source_id: str | None = None, *, fetch: Literal["all", "first_page"] = "all", region: str = "US", query: str | None = None, **columns: Any
) -> Wanted:
    """What a list's source says."""
    return Wanted({"kind": kind, "id": source_id, "query": query, "columns": columns or None}, fetch, region)


def read(source: Source, what: Wanted) -> Reading:
    """All of it, in one go."""
    return Reading([*source.pages(what, None)])


def read_by_many(sources: list[Source], what: Wanted) -> Reading:
    """All of it, each page by the next of these sources, with nothing but the cursor, as JSON, between them."""
    pages: list[Page] = []
    cursor = None
    while not pages or cursor is not None:
        pages.append(next(iter(sources[len(pages) % len(sources)].pages(what, cursor))))
        cursor = json.loads(json.dumps(pages[-1].cursor))
    return Reading(pages)


def read_until_error(source: Source, what: Wanted) -> tuple[Reading, Exception]:
    """What came before the reading failed, and why it did."""
    pages: list[Page] = []
    try:
        for page in source.pages(what, None):
            pages.append(page)  # noqa: PERF402  what came before the error counts
    except (CrmError, PassingError, WaitError) as error:
        return Reading(pages), error
    raise AssertionError("the reading did not fail")
