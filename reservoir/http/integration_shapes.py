"""The shapes of what is told of integrations: their settings, and what their connections may do."""

from pydantic import BaseModel

from reservoir.domain.reservation_timeout import Unit
from reservoir.http.schemas import Shape, Time


class TimeoutSetting(Shape):
    """The reservation timeout."""

    unit: Unit
    duration: int


class MultiRepDialingSetting(Shape):
    """The setting of one integration, with who set it."""

    enabled: bool
    reservation_timeout: TimeoutSetting
    updated_at: Time | None
    updated_by: str | None


class Integration(Shape):
    """An integration: whether it is connected, and its setting."""

    integration: str
    connected: bool
    multi_rep_dialing: MultiRepDialingSetting


class Integrations(Shape):
    """All integrations."""

    items: list[Integration]
    next_cursor: str | None


class Checked(Shape):
    """What the connection to a CRM may and may not do, in words, and what is left of its budget."""

    connected: bool
    user: str | None
    may: list[str]
    may_not: list[str]
    budget: dict[str, int]


MODELS: tuple[type[BaseModel], ...] = (MultiRepDialingSetting, Integration, Integrations, Checked)
