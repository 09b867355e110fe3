"""Why somebody can not be dialed now: every reason, by which rule, and what does not forbid it but matters."""

from dataclasses import dataclass
from typing import Literal

Rule = Literal["reserved", "held", "removed", "undialable", "not-a-member", "behind-your-place", "do-not-call"]
Note = Literal["multi-rep-dialing-off"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, with a sentence for a person.

    **Shape**: ``rep`` is who has or removed the prospect. Of a list, ``count`` is how many of its members it keeps, and ``until_ms`` when the first of them
    frees; of one prospect it is None. **Units**: instants of the store, in ms.
    """

    rule: Rule
    detail: str
    rep: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Whether a prospect, or anybody of a list, can be dialed now, and all that is against it."""

    dialable: bool
    reasons: tuple[Reason, ...]
    notes: tuple[Note, ...]
