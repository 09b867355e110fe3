"""The shapes of answers about one person over all lists, as models."""

from pydantic import BaseModel

from reservoir.http.schemas import Prospect, Reservation, Shape


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


MODELS: tuple[type[BaseModel], ...] = (FoundProspect, FoundProspects, Erased)
