"""What dialers were told, held against the history: a store that lost something shows no trace of it, but whoever was told knows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from reservoir.domain.claims import ClaimState
from reservoir.domain.history import Entry
from reservoir.domain.proof import Findings
from reservoir.domain.refusals import InvalidError
from reservoir.domain.times import instant, rfc3339

STATES: tuple[str, ...] = get_args(ClaimState)

_FOLLOWS = {"held": 0, "unreserved": 0, "lapsed": 1, "released": 1, "reserved": 2, "expired": 3}
"""What is told of a claim in a later state counts, in whatever order it was written down."""


@dataclass(slots=True)
class Told:
    """A claim as a dialer was told of it, and what the history has of it by now. ``until_ms``: the end as it was told in ``state``, the latest."""

    line: int
    prospect: str
    claimed_ms: int
    state: str
    until_ms: int | None
    known: bool = False
    attempted: bool = False
    released: bool = False
    granted_ms: int | None = None
    history_until_ms: int | None = None

    @property
    def sure_until_ms(self) -> int:
        """Until when the prospect was this claim's for certain: a hold may have been given back any time."""
        if self.state in {"reserved", "expired", "lapsed"} and self.until_ms is not None:
            return self.until_ms
        return self.claimed_ms


class DialerRecord:
    """Claims as the service answered them, each any number of times. **Shape**: memory is kept for each claim of the file."""

    def __init__(self) -> None:
        self.lines = 0
        self.before = 0
        """Claims that the history does not know, from before it begins."""
        self.findings = Findings()
        self._claims: dict[str, Told] = {}

    @property
    def claims(self) -> int:
        """How many claims it tells of."""
        return len(self._claims)

    def tell(self, line: int, value: object) -> None:
        """One line of it. **Raises**: InvalidError for what is no claim."""
        self.lines += 1
        id_, told = _read(line, value)
        known = self._claims.setdefault(id_, told)
        if (known.prospect, known.claimed_ms) != (told.prospect, told.claimed_ms):
            self.findings.add("impossible", told.prospect, (id_,), f"is told of {known.prospect} in line {known.line}, of {told.prospect} in line {line}")
        elif _FOLLOWS[told.state] > _FOLLOWS[known.state]:
            known.state, known.until_ms = told.state, told.until_ms
        elif told.state == known.state and told.until_ms is not None:
            known.until_ms = max(known.until_ms or 0, told.until_ms)

    def meet(self, entry: Entry) -> None:
        """What the history has of one of the claims."""
        told = self._claims.get(entry.claim or "")
        if told is None:
            return
        told.known = True
        if told.prospect != entry.member:
            self.findings.add("impossible", told.prospect, (entry.claim or "",), f"is a claim of {entry.member} in the history")
        if entry.type in {"claim.held", "claim.unreserved"} or (entry.type == "claim.reserved" and told.granted_ms is None):
            told.granted_ms = entry.at_ms
        told.attempted = told.attempted or entry.type == "claim.reserved"
        told.released = told.released or entry.type == "claim.released"
        if entry.expires_at_ms is not None:
            told.history_until_ms = entry.expires_at_ms

    def conclude(self, since_ms: int) -> None:
        """Judges what was told, once all histories have been read. **Units**: ``since_ms`` is from when on they are whole."""
        for id_, told in self._claims.items():
            if told.known:
                for detail in _lost(told):
                    self.findings.add("lost", told.prospect, (id_,), detail)
            elif told.claimed_ms < since_ms:
                self.before += 1
            else:
                self.findings.add("unknown", told.prospect, (id_,), f"was told to a dialer (line {told.line}), and the history does not know it")
        self._find_overlaps()

    def _find_overlaps(self) -> None:
        """Claims of one prospect of which one began before another had surely ended."""
        blocking = sorted(
            ((told.prospect, told.claimed_ms, told.sure_until_ms, id_) for id_, told in self._claims.items() if told.state != "unreserved"),
        )
        last = ("", 0, -1, "")
        for one in blocking:
            if one[0] != last[0]:
                last = one
                continue
            if one[1] <= last[2] and last[1] < last[2]:
                detail = f"{one[3]} was told to a dialer from {rfc3339(one[1])}, {last[3]} until {rfc3339(last[2])}"
                self.findings.add("double-dial", one[0], (last[3], one[3]), detail)
            last = max(last, one, key=lambda told: told[2])


def _lost(told: Told) -> Iterator[str]:
    """What was told of a claim that the history knows, and does not bear out."""
    if told.granted_ms is not None and told.granted_ms != told.claimed_ms:
        yield f"was told as claimed at {rfc3339(told.claimed_ms)} (line {told.line}), the history says at {rfc3339(told.granted_ms)}"
    if told.granted_ms is None:
        return  # it began before the history does
    if told.state in {"reserved", "expired"} and not told.attempted:
        yield f"was told as reserved (line {told.line}), and the history has no attempt"
    elif told.state == "released" and not told.released:
        yield f"was told as released (line {told.line}), and the history has no release"
    elif told.until_ms is not None and _ends_earlier(told):
        yield f"was told to stand until {rfc3339(told.until_ms)} (line {told.line}), the history says until {rfc3339(told.history_until_ms or 0)}"


def _ends_earlier(told: Told) -> bool:
    if told.state == "unreserved" or told.state == "released" or (told.attempted and told.state in {"held", "lapsed"}):
        return False
    return (told.history_until_ms or 0) < (told.until_ms or 0)


def _read(line: int, value: object) -> tuple[str, Told]:
    """A claim as the service answers it; what is not needed here is not looked at. **Raises**: InvalidError."""
    if not isinstance(value, Mapping):
        raise InvalidError("expected a claim as the service answers it, a JSON object")
    prospect = value.get("prospect")
    if not isinstance(prospect, Mapping):
        raise InvalidError("prospect: expected an object with integration and id")
    state = value.get("state")
    if state not in STATES:
        raise InvalidError(f"state: expected one of {', '.join(STATES)}, found {str(state)[:40]!r}")
    until = value.get("expires_at")
    if until is None and state in {"held", "reserved", "expired"}:
        raise InvalidError(f"expires_at: a {state} claim has one")
    if until is None and state == "lapsed":
        state = "unreserved"  # a hold of multi-rep dialing off, which never kept anybody away (R9)
    told = Told(
        line=line,
        prospect=f"{_text(prospect, 'integration', 'prospect.')}:{_text(prospect, 'id', 'prospect.')}",
        claimed_ms=_instant(value, "claimed_at"),
        state=str(state),
        until_ms=None if until is None else _instant(value, "expires_at"),
    )
    return _text(value, "id"), told


def _text(value: Mapping[object, object], name: str, where: str = "") -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise InvalidError(f"{where}{name}: expected text, found {'nothing' if found is None else repr(found)[:40]}")
    return found


def _instant(value: Mapping[object, object], name: str) -> int:
    try:
        return instant(_text(value, name))
    except InvalidError as error:
        message = str(error)
        raise InvalidError(message if message.startswith(name) else f"{name}: {message}") from None
