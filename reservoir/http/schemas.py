"""The shapes of the answers as models: the OpenAPI document shows them, and the tests hold every answer against them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reservoir.domain.claims import DialingMode
from reservoir.domain.lists import MemberStatus, SyncState
from reservoir.domain.settings import Scope

Time = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", description="RFC 3339, UTC, milliseconds")]


class Shape(BaseModel):
    """An answer's shape."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What is wrong, in the form of RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = Field(default=[], description="every bad field: its pointer or parameter, and what was expected")


class Phone(Shape):
    """A number that can be dialed, in E.164."""

    label: str
    number: str
    extension: str | None


class Prospect(Shape):
    """A person in a CRM; what is not known is null."""

    integration: str
    id: str
    name: str | None
    phones: list[Phone]
    company: str | None
    title: str | None
    owner: str | None
    time_zone: str | None
    url: str | None
    fields: dict[str, Any]


class RecordedDisposition(Shape):
    """The outcome that the rep recorded."""

    outcome: str
    remove: bool
    note: str | None
    at: Time


class Claim(Shape):
    """A dialer's taking of a prospect."""

    id: str
    state: Literal["held", "reserved", "unreserved", "released", "lapsed", "expired"]
    reserved: bool
    rep: str
    session: str
    mode: DialingMode
    list: str | None
    claimed_at: Time
    attempted_at: Time | None
    expires_at: Time | None
    prospect: Prospect
    disposition: RecordedDisposition | None = Field(default=None, description="when the claim is looked up")


class ListFigures(Shape):
    """How a list stands for the rep who claimed."""

    id: str
    multi_rep_dialing: bool
    available: int
    next_available_at: Time | None


class Granted(Shape):
    """What was claimed, and how the list stands."""

    claims: list[Claim]
    list: ListFigures


class PartyRef(Shape):
    """A prospect by integration and record id."""

    integration: str
    id: str


class Reservation(Shape):
    """Who has a prospect, and until when."""

    prospect: PartyRef
    state: Literal["held", "reserved"]
    rep: str | None
    session: str | None
    mode: DialingMode | None
    list: str | None
    claim: str | None
    claimed_at: Time | None
    attempted_at: Time | None
    expires_at: Time | None


class ClickToCall(Shape):
    """Who has a prospect whom a person picked by hand; it forbids nothing."""

    allowed: bool
    reserved: bool
    do_not_call: bool
    reservation: Reservation | None


class Released(Shape):
    """The prospect is available again."""

    released: bool


class SessionEnded(Shape):
    """How many holds were given back."""

    released: int


class Recorded(Shape):
    """The outcome is recorded."""

    recorded: bool


class Reservations(Shape):
    """A page of live reservations."""

    items: list[Reservation]
    next_cursor: str | None


class LookedUp(Shape):
    """Who has each prospect, in the order asked."""

    reservations: list[Reservation | None]


class Counts(Shape):
    """available + held + reserved + undialable = members."""

    members: int
    available: int
    held: int
    reserved: int
    undialable: int


class RejectedRow(Shape):
    """A row that did not become a member, or (kept) did without one of its numbers."""

    line: int | None = Field(default=None, description="where it begins in a file")
    record: str | None = Field(default=None, description="the id of a CRM's record; in place of line")
    detail: str
    kept: bool = False


class Sync(Shape):
    """A run that streams a list's members in."""

    id: str
    list: str
    state: SyncState
    fetched: int
    added: int
    updated: int
    left: int
    rejected_count: int
    rejected: tuple[RejectedRow, ...]
    total: int | None
    complete: bool
    truncated: bool
    started_at: Time
    finished_at: Time | None
    error: Problem | None
    resumes_at: Time | None = Field(default=None, description="while it waits")


class Backlog(Shape):
    """What is still to be written back into the CRM, since when the oldest of it, and how much the CRM refused."""

    pending: int
    oldest_at: Time | None
    failed: int


class List(Shape):
    """A list as it stands."""

    id: str
    name: str
    integration: str
    source: dict[str, Any] | None
    sync: dict[str, Any]
    created_at: Time
    multi_rep_dialing: bool
    counts: Counts
    fetched: int
    truncated: bool
    clogged: float
    next_available_at: Time | None
    advice: str | None
    write_back: Backlog | None
    last_sync: Sync | None


class Lists(Shape):
    """A page of lists."""

    items: list[List]
    next_cursor: str | None


class Member(Shape):
    """A member in list order."""

    prospect: Prospect
    status: MemberStatus
    reason: Literal["no-phone", "do-not-call"] | None
    reservation: Reservation | None


class Members(Shape):
    """A page of members."""

    items: list[Member]
    next_cursor: str | None


class Org(Shape):
    """The org."""

    id: str
    name: str
    time_zone: str
    phone_region: str
    sandbox: bool


class ApiKey(Shape):
    """An API key, without the key."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: Time
    last_used_at: Time | None


class CreatedApiKey(ApiKey):
    """A new API key, with its only appearance in clear."""

    key: str


class ApiKeys(Shape):
    """A page of API keys."""

    items: list[ApiKey]
    next_cursor: str | None


MODELS: tuple[type[BaseModel], ...] = (
    Problem,
    Granted,
    Claim,
    ClickToCall,
    Released,
    SessionEnded,
    Recorded,
    Reservation,
    Reservations,
    LookedUp,
    List,
    Lists,
    Member,
    Members,
    Sync,
    Org,
    ApiKey,
    ApiKeys,
    CreatedApiKey,
)
