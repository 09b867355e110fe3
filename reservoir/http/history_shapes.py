"""The shapes of the history's answers."""

from typing import Any

from reservoir.domain.history import EventType
from reservoir.http.schemas import Shape, Time


class HistoryEntry(Shape):
    """One thing that happened: ids only, what does not apply is null."""

    id: str
    type: EventType
    at: Time
    recorded_at: Time
    integration: str | None
    prospect: str | None
    list: str | None
    rep: str | None
    session: str | None
    mode: str | None
    claim: str | None
    expires_at: Time | None
    detail: dict[str, Any]


class History(Shape):
    """A page of the history."""

    items: list[HistoryEntry]
    next_cursor: str | None
