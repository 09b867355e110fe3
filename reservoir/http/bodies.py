"""What the service is asked with: one model for each body. They validate the requests, and the OpenAPI document is made from them."""

from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from reservoir.domain import ids
from reservoir.domain.claims import COUNT_MAX, HOLD_SECONDS_MAX, HOLD_SECONDS_MIN, NOTE_MAX, WAIT_SECONDS_MAX, DialingMode, Mode
from reservoir.domain.refusals import InvalidError
from reservoir.domain.reservation_timeout import MAX_DURATION, Unit
from reservoir.domain.settings import Scope
from reservoir.integrations.base import integrations
from reservoir.integrations.salesforce import refuses_query


class WithinError(InvalidError):
    """A part of the value is what is wrong. **Shape**: ``at`` is the pointer to it, from the value on."""

    def __init__(self, at: str, message: str) -> None:
        super().__init__(message)
        self.at = at


Opaque = Annotated[str, AfterValidator(ids.opaque)]
"""A rep, a session or a prospect id."""

ListId = Annotated[str, AfterValidator(ids.list_id)]


def _named(text: str) -> str:
    if not text.strip():
        raise InvalidError("expected a name, found nothing")
    return ids.opaque(text)


Name = Annotated[str, AfterValidator(_named)]


def _known_integration(name: str) -> str:
    if name not in integrations():
        raise InvalidError(f"there is no integration {name[:80]!r}; there are {', '.join(integrations())}")
    return name


KnownIntegration = Annotated[str, AfterValidator(_known_integration)]


class Body(BaseModel):
    """A request's body: unknown fields are refused, an integer is an integer."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Empty(Body):
    """A body with nothing in it; it may be left out."""


class ProspectRef(Body):
    """A prospect by integration and record id, which is read in any of its forms and made canonical."""

    integration: KnownIntegration
    id: str

    @field_validator("id")
    @classmethod
    def _canonical(cls, value: str, info: ValidationInfo) -> str:
        integration = info.data.get("integration")
        return integrations()[integration].prospect_id(value) if integration else value


class ClaimNext(Body):
    """Asks for the next prospects of a list."""

    rep: Opaque
    session: Opaque
    mode: DialingMode
    count: Annotated[int, Field(ge=1, le=COUNT_MAX)] = 1
    hold_seconds: Annotated[int, Field(ge=HOLD_SECONDS_MIN, le=HOLD_SECONDS_MAX)] | None = None
    wait_seconds: Annotated[int, Field(ge=0, le=WAIT_SECONDS_MAX)] = 0

    @field_validator("count")
    @classmethod
    def _one_line(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("mode") == "power" and value != 1:
            raise InvalidError(f"power dials one line: expected 1, found {value}")
        return value


class ClaimOne(Body):
    """Asks for one particular prospect, or, with click to call, who has it."""

    prospect: ProspectRef
    rep: Opaque
    session: Opaque
    mode: Mode
    list: ListId | None = None
    hold_seconds: Annotated[int, Field(ge=HOLD_SECONDS_MIN, le=HOLD_SECONDS_MAX)] | None = None

    @field_validator("hold_seconds")
    @classmethod
    def _nothing_to_hold(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("mode") == "click_to_call":
            raise InvalidError("click to call holds nobody, so hold_seconds has no place with it")
        return value


class Extend(Body):
    """For how long from now the prospect is to stay taken at least."""

    seconds: Annotated[int, Field(ge=HOLD_SECONDS_MIN, le=HOLD_SECONDS_MAX)]


class Disposition(Body):
    """The outcome of a call: one of the service's own words or of the admin's."""

    outcome: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    remove: bool = False
    note: Annotated[str, Field(max_length=NOTE_MAX)] | None = None


class Reset(Body):
    """Whose own place is to be put to the start."""

    rep: Opaque


class Lookup(Body):
    """Prospects whose reservations are wanted."""

    prospects: Annotated[list[ProspectRef], Field(max_length=1_000)]


class ReservationTimeout(Body):
    """How long an attempt reserves: whole days in the org's time zone, or hours."""

    unit: Unit
    duration: Annotated[int, Field(ge=1)]

    @field_validator("duration")
    @classmethod
    def _not_absurd(cls, value: int, info: ValidationInfo) -> int:
        unit: Unit | None = info.data.get("unit")
        if unit and value > MAX_DURATION[unit]:
            raise InvalidError(f"expected at most {MAX_DURATION[unit]:,} {unit}s, found {value if value < 10**15 else 'far more'}")
        return value


class MultiRepDialing(Body):
    """The setting as a whole: what a patch is merged into and held against."""

    enabled: bool
    reservation_timeout: ReservationTimeout


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise InvalidError(f"expected a time zone of the IANA database, such as America/New_York, found {name[:80]!r}")
    return name


def _known_region(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidError(f"expected a region of two capital letters, such as US, found {code[:80]!r}")
    return code


def _as_created(value: str | bool, info: ValidationInfo) -> str | bool:
    if info.context and value != info.context[info.field_name]:
        raise InvalidError("is what the org was created as, and can not be changed")
    return value


class OrgAsPatched(Body):
    """The org as a whole: what a patch is merged into and held against. It is held, too, against what the org was created as."""

    id: Annotated[str, AfterValidator(_as_created)]
    name: Name
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    phone_region: Annotated[str, AfterValidator(_known_region)]
    sandbox: Annotated[bool, AfterValidator(_as_created)]


class CreateKey(Body):
    """A new API key."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]


class Columns(Body):
    """Which of the source's columns or properties are meant, where the automatic choice fails."""

    id: Name | None = None
    name: Name | None = None
    phones: list[Name] | None = None
    owner: Name | None = None
    company: Name | None = None
    title: Name | None = None
    time_zone: Name | None = None


def _brief(value: str | None) -> str:
    return "nothing" if value is None else repr(value[:80])


def _source_kind(name: str) -> str:
    kinds = [kind for integration in integrations().values() for kind in integration.kinds]
    if name not in kinds:
        raise InvalidError(f"expected one of {', '.join(kinds)}, found {name[:80]}")
    return name


class Source(Body):
    """Where a list's members come from: a record of the CRM by its id, or, for ``soql``, a query."""

    kind: Annotated[str, AfterValidator(_source_kind)]
    id: Name | None = Field(default=None, validate_default=True)
    query: Annotated[str, Field(min_length=1, max_length=20_000)] | None = Field(default=None, validate_default=True)
    columns: Columns | None = None

    @field_validator("id", "query")
    @classmethod
    def _id_or_query(cls, value: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        wanted = "query" if kind == "soql" else "id"
        if kind is None or (value is not None) == (info.field_name == wanted):
            return value
        raise InvalidError(f"a {kind} source has {'a query and no id' if wanted == 'query' else 'an id and no query'}, found {_brief(value)}")

    @field_validator("query")
    @classmethod
    def _makes_a_list(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("kind") == "soql" and (why := refuses_query(value)):
            raise InvalidError(why)
        return value


class SyncPlan(Body):
    """When a list is synced, and how much of its source is read."""

    every_minutes: Annotated[int, Field(ge=1, le=525_600)] | None = None
    refill_below: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    fetch: Literal["all", "first_page"] | None = "all"

    @field_validator("fetch")
    @classmethod
    def _null_is_the_default(cls, value: str | None) -> str:
        return value or "all"


class ListFields(Body):
    """What can be said of a list, before and after a patch."""

    integration: KnownIntegration
    name: Name
    source: Source | None = Field(default=None, validate_default=True)
    sync: SyncPlan | None = SyncPlan()

    @field_validator("source")
    @classmethod
    def _fits(cls, value: Source | None, info: ValidationInfo) -> Source | None:
        integration = info.data.get("integration")
        if integration is None:
            return value
        if not integrations()[integration].has_source:
            if value is not None:
                raise InvalidError(f"a {integration} list has no source: its members are put in")
        elif value is None:
            raise InvalidError(f"a {integration} list needs a source")
        elif value.kind not in (kinds := integrations()[integration].kinds):
            raise WithinError("/kind", f"expected one of {', '.join(kinds)}, found {value.kind}")
        return value

    @field_validator("sync")
    @classmethod
    def _one_page(cls, value: SyncPlan | None, info: ValidationInfo) -> SyncPlan:
        value = value or SyncPlan()
        source = info.data.get("source")
        if value.fetch == "first_page" and (source is None or source.kind != "report"):
            raise WithinError("/fetch", "first_page is for reports alone")
        return value

    @property
    def plan(self) -> dict[str, Any]:
        """The plan as it is kept: null is none, as if it had been left out."""
        return (self.sync or SyncPlan()).model_dump()


class CreateList(ListFields):
    """A new list. Without an id it gets one made from its name."""

    id: ListId | None = None
