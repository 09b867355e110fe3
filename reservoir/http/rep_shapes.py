"""The shapes of what a rep has of their own in a list: removals, and a place."""

from reservoir.http.schemas import Shape, Sync, Time


class RemovedProspect(Shape):
    """Whom a rep removed; the name is null where no list knows it."""

    integration: str
    id: str
    name: str | None


class Removal(Shape):
    """A rep's remove of a prospect from a list, and the claim with whose outcome it was made."""

    rep: str
    prospect: RemovedProspect
    removed_at: Time
    claim: str


class Removals(Shape):
    """A page of removals, by rep and prospect."""

    items: list[Removal]
    next_cursor: str | None


class WasReset(Shape):
    """The rep begins the list afresh; the sync that was asked for, null where the list has no source."""

    reset: bool
    sync: Sync | None
