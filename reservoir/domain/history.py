"""The history: what happened in an org, in the order of recording, told by ids only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

EventType = Literal[
    "claim.held",
    "claim.reserved",
    "claim.unreserved",
    "claim.attempted",
    "claim.extended",
    "claim.released",
    "claim.lapsed",
    "reservation.expired",
    "click_to_call",
    "prospect.removed",
    "prospect.restored",
    "prospect.erased",
    "disposition.recorded",
    "settings.changed",
    "key.created",
    "key.revoked",
    "list.created",
    "list.changed",
    "list.deleted",
    "sync.started",
    "sync.finished",
]

EVENT_TYPES: tuple[str, ...] = get_args(EventType)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. What does not apply is None.

    **Units**: instants of the store, in ms. ``at_ms`` is when it was so, which for a lapse or an expiry is when it ended, however late it was noticed;
    ``recorded_at_ms`` is when it was written down.
    """

    id: str
    type: str
    at_ms: int
    recorded_at_ms: int
    integration: str | None = None
    prospect: str | None = None
    list: str | None = None
    rep: str | None = None
    session: str | None = None
    mode: str | None = None
    claim: str | None = None
    expires_at_ms: int | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def member(self) -> str:
        """Whom it is about, as ``integration:prospect``."""
        return f"{self.integration}:{self.prospect}"

    @property
    def written_ms(self) -> int:
        """When the store stamped the entry, which may be a moment before its script read the clock."""
        return int(self.id.partition("-")[0])
