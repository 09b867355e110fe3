"""The shapes of write-back."""

from reservoir.http.schemas import Shape, Time


class MappedOutcome(Shape):
    """What an outcome does beside being recorded."""

    fields: dict[str, str | bool | int | float]
    remove: bool
    call_outcome: str | None


class WriteBackSetting(Shape):
    """What goes back into the CRM of one integration, with who set it."""

    log_calls: bool
    dispositions: dict[str, MappedOutcome]
    updated_at: Time | None
    updated_by: str | None
