"""What the service asks of a CRM when it writes back: each call once, and the fields that dispositions change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from reservoir.domain.write_back import FieldValue
from reservoir.integrations.source import CrmError


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to write.

    **Shape**: ``what`` is ``call``, a call of ``rep``'s with the prospect that began at ``at_ms``, completed, with its ``outcome`` if there is one by now, and
    the CRM's own word for that (``call_outcome``) if an admin named it; or ``fields`` of the prospect's own record. ``logged`` is the CRM's id of the call
    where it was logged before, so that it is to be updated; ``repeated``: it may have been written before, and nobody knows.
    """

    claim: str
    what: Literal["call", "fields"]
    prospect: str
    rep: str
    at_ms: int
    outcome: str | None = None
    call_outcome: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    logged: str | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one change: ``logged``, the CRM's id of the call; or ``error``, if the CRM refuses it for good."""

    change: Change
    logged: str | None = None
    error: CrmError | None = None


class Writer(Protocol):
    """One org's connection to its CRM, to write. It lives in one thread, and each of its calls ends within its own time-out."""

    def write(self, changes: Sequence[Change]) -> Iterator[Written]:
        """Writes at most 100 changes, each once however often it is told to, and says of each what became of it as soon as that is known.

        **Raises**: CrmError for what holds for all that is left; PassingError, WaitError: what is left may be written later.
        """

    def close(self) -> None:
        """Closes what is open."""
