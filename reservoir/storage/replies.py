"""The store's replies as values: bytes to text, rows to claims, times to numbers."""

from typing import cast

import orjson

from reservoir.domain.claims import Claim, ClaimState, DialingMode, Disposition, Reservation
from reservoir.storage.redis import StoreFaultError

Row = list[bytes | None]


def text(value: object) -> str:
    """A bulk reply as text. **Raises**: StoreFaultError if it is none."""
    if isinstance(value, bytes):
        return value.decode()
    raise StoreFaultError(f"expected text, found {value!r}")


def integer(value: object) -> int:
    """A number, whether the store told it as one or as text. **Raises**: StoreFaultError."""
    if isinstance(value, int | bytes):
        return int(value)
    raise StoreFaultError(f"expected a number, found {value!r}")


def optional_integer(value: object) -> int | None:
    """A number or None."""
    return None if value is None else integer(value)


def optional_text(value: object) -> str | None:
    """Text or None."""
    return None if value is None else text(value)


def items(value: object) -> list[object]:
    """A reply of several. **Raises**: StoreFaultError."""
    if isinstance(value, list):
        return value
    raise StoreFaultError(f"expected a list, found {value!r}")


def flat_hash(value: object) -> dict[str, bytes]:
    """A hash, told as names and values by turns."""
    flat = cast("list[bytes]", items(value))
    return {name.decode(): content for name, content in zip(flat[::2], flat[1::2], strict=True)}


def claim(row: object, now_ms: int) -> Claim:
    """A claim's row as it stands at ``now_ms``: a hold that is past has lapsed, a reservation that is past has expired."""
    (id_, integration, prospect, rep, session, mode, list_, state, claimed, attempted, expires, disposition, member) = items(row)
    attempted_at_ms, expires_at_ms = optional_integer(attempted), optional_integer(expires)
    return Claim(
        id=text(id_),
        state=_stands(text(state), attempted_at_ms, expires_at_ms, now_ms),
        integration=text(integration),
        prospect=text(prospect),
        rep=text(rep),
        session=text(session),
        mode=cast("DialingMode", text(mode)),
        list=optional_text(list_),
        claimed_at_ms=integer(claimed),
        attempted_at_ms=attempted_at_ms,
        expires_at_ms=None if state == b"unreserved" else expires_at_ms,
        member=member if isinstance(member, bytes) else None,
        disposition=None if disposition is None else _disposition(text(disposition)),
    )


def reservation(row: object) -> Reservation:
    """The row of who has a prospect. A key that an operator set by hand has no rep, session or claim."""
    (id_, integration, prospect, rep, session, mode, list_, state, claimed, attempted, expires, _, _) = items(row)
    return Reservation(
        integration=text(integration),
        prospect=text(prospect),
        state="held" if state == b"held" else "reserved",
        rep=optional_text(rep),
        session=optional_text(session),
        mode=cast("DialingMode | None", optional_text(mode)),
        list=optional_text(list_),
        claim=text(id_) or None,
        claimed_at_ms=optional_integer(claimed),
        attempted_at_ms=optional_integer(attempted),
        expires_at_ms=optional_integer(expires),
    )


def _stands(state: str, attempted_at_ms: int | None, expires_at_ms: int | None, now_ms: int) -> ClaimState:
    past = expires_at_ms is not None and expires_at_ms < now_ms
    if past and (state == "held" or (state == "unreserved" and attempted_at_ms is None)):
        return "lapsed"
    if past and state == "reserved":
        return "expired"
    return cast("ClaimState", state)


def _disposition(kept: str) -> Disposition:
    told = orjson.loads(kept)
    return Disposition(told["outcome"], told["remove"], told["note"], int(told["at"]))
