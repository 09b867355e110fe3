"""The shapes of answers about one person over all lists, as models."""

from pydantic import BaseModel, Field

from reservoir.domain.why import Note, Rule
from reservoir.http.schemas import Prospect, Reservation, Shape, Time


class FoundProspect(Shape):
    """A prospect, the lists that have it, and who has taken it."""

    prospect: Prospect
    lists: list[str]
    reservation: Reservation | None


class FoundProspects(Shape):
    """Those that a search found: at most 50."""

    items: list[FoundProspect]


class Erased(Shape):
    """The person is out of so many lists, the search and the claims' notes."""

    erased: bool
    lists: int
    detail: str


class Reason(Shape):
    """One reason; of a list, with how many of its members it keeps."""

    rule: Rule
    detail: str
    rep: str | None
    since: Time | None
    until: Time | None
    count: int = Field(default=1, description="of a list: how many members")


class Why(Shape):
    """Whether somebody can be dialed now, every reason against it, and what does not forbid it but matters."""

    dialable: bool
    reasons: list[Reason]
    notes: list[Note]


MODELS: tuple[type[BaseModel], ...] = (FoundProspect, FoundProspects, Erased, Why)
