"""The shapes of write-back."""

from typing import Literal

from reservoir.http.schemas import Backlog, Problem, Shape, Time


class MappedOutcome(Shape):
    """What an outcome does beside being recorded."""

    fields: dict[str, str | bool | int | float]
    remove: bool
    call_outcome: str | None


class WriteBackSetting(Shape):
    """What goes back into the CRM of one integration, with who set it."""

    log_calls: bool
    dispositions: dict[str, MappedOutcome]
    write_back: Backlog | None
    updated_at: Time | None
    updated_by: str | None


class WriteBackFailure(Shape):
    """A call, or the field changes of a disposition, that the CRM refused."""

    id: str
    claim: str
    prospect: str
    what: Literal["call", "fields"]
    at: Time
    error: Problem


class WriteBackFailures(Shape):
    """A page of what the CRM refused, in the order of its refusal."""

    items: list[WriteBackFailure]
    next_cursor: str | None


class Retrying(Shape):
    """How many are tried again."""

    retrying: int


MODELS = (WriteBackSetting, WriteBackFailures, Retrying)
