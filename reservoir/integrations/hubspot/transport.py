"""How HubSpot is reached: within a time-out, at the pace that it allows, and with every failure said in the words of a source."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson
import urllib3

from reservoir.integrations.source import Pace, PassingError, WaitError

CONNECT_S = 5.0
SILENT_S = 20.0
WHOLE_S = 30.0
"""How long an answer may take from its first byte to its last, though it is never silent."""

ANSWER_MAX_BYTES = 64 * 1024 * 1024
REQUESTS = "requests"
MOST, PER_S = 100, 10
"""Of the smallest plan, until HubSpot says what its own is. **Source**: developers.hubspot.com, usage guidelines (read 2026-11-22)."""

RETRY_AFTER_MAX_S = 3_600.0
"""What asks for a longer pause is not taken at its word."""

_READ_BYTES = 1 << 18
_PASSING = frozenset({408, 420, 423, 425, 477})
_DAILY_USE = "/account-info/v3/api-usage/daily/private-apps"
_DAILY_TURNS_WITHIN_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What HubSpot answered, in the form in which its client takes it from urllib3."""

    status: int
    reason: str | None
    headers: Mapping[str, str]
    data: bytes


class RefusedError(Exception):
    """HubSpot understood, and refuses: another try would end the same. ``scopes`` are those that it says are lacking."""

    def __init__(self, status: int, category: str, scopes: tuple[str, ...]) -> None:
        super().__init__(f"{status} {category}")
        self.status = status
        self.category = category
        self.scopes = scopes


class Transport:
    """Takes the place of urllib3's pools in the client's API objects, so that all of them share one connection and one pace.

    **Raises**, from `request`: RefusedError, PassingError, WaitError. It returns only what is a success.
    """

    def __init__(self, root: str, pace: Pace) -> None:
        self._root = root
        self._pace = pace
        self._pools = urllib3.PoolManager(retries=False, cert_reqs="CERT_REQUIRED")
        self._most, self._per_s = MOST, PER_S
        self.left: dict[str, int] = {}

    def request(self, method: str, url: str, *, headers: Mapping[str, str], **what: object) -> Answer:
        """One request, tried once. Of what the client asks for, its own time-outs and its wish to read by itself are not heard."""
        self._pace.spend(REQUESTS, self._most, self._per_s)
        asked: dict[str, object] = {name: what[name] for name in ("fields", "body") if name in what}
        answer = self._send(method, url, headers, asked)
        self._read_pace(answer.headers)
        if 200 <= answer.status < 300:
            return answer
        raise self._failure(answer, headers)

    def close(self) -> None:
        """Closes what is open."""
        self._pools.clear()

    def _send(self, method: str, url: str, headers: Mapping[str, str], asked: dict[str, object]) -> Answer:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=SILENT_S)
        try:
            response = self._pools.request(method, url, headers=headers, timeout=timeout, preload_content=False, redirect=False, **asked)  # type: ignore[arg-type]
            try:
                return Answer(response.status, response.reason, response.headers, _body(response))
            except BaseException:
                response.close()  # a body that is left half-way ends its connection
                raise
            finally:
                response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            # The text of such an error has the address and what the other side sent; its kind is enough.
            raise PassingError("crm-unavailable", f"HubSpot cannot be reached, or its answer broke off ({type(error).__name__}).") from None

    def _read_pace(self, headers: Mapping[str, str]) -> None:
        """Takes over what HubSpot says of its limits, and tells the other workers."""
        most, interval_ms = _count(headers, "X-HubSpot-RateLimit-Max"), _count(headers, "X-HubSpot-RateLimit-Interval-Milliseconds")
        self._most = most or self._most
        self._per_s = max(1, round(interval_ms / 1_000)) if interval_ms else self._per_s
        remaining, daily = _count(headers, "X-HubSpot-RateLimit-Remaining"), _count(headers, "X-HubSpot-RateLimit-Daily-Remaining")
        if remaining is not None:
            self.left["api_calls_left_10_s"] = remaining
            self._pace.left(REQUESTS, remaining, self._per_s)
        if daily is not None:
            self.left["api_calls_left"] = daily

    def _failure(self, answer: Answer, headers: Mapping[str, str]) -> Exception:
        told = _object(answer.data)
        after_s = _retry_after(answer.headers)
        if answer.status == 429:
            return self._limited(told, after_s, headers)
        if after_s is not None:
            self._pace.hold(REQUESTS, after_s)
            return WaitError(
                "crm-unavailable", f"HubSpot answered {answer.status} and asks to be left alone for a while.", after_s=after_s, status=answer.status
            )
        if answer.status < 400:
            return PassingError("crm-bad-answer", f"HubSpot answered {answer.status}, where it should have answered with records.")
        if answer.status >= 500 or answer.status in _PASSING:
            return PassingError("crm-unavailable", f"HubSpot answered {answer.status}.", status=answer.status)
        return RefusedError(answer.status, _word(told.get("category")) or "no reason given", _scopes(told))

    def _limited(self, told: Mapping[str, object], after_s: float | None, headers: Mapping[str, str]) -> WaitError:
        if _word(told.get("policyName")).upper().startswith("DAILY"):
            detail = "HubSpot's daily limit of requests is used up; it is shared by all private apps of the account."
            pause_s = after_s if after_s is not None else self._daily_turns_after_s(headers)
        else:
            detail = "HubSpot's limit of requests in ten seconds is reached."
            pause_s = after_s if after_s is not None else float(PER_S)
        self._pace.hold(REQUESTS, pause_s)
        return WaitError("crm-budget", detail, after_s=pause_s, status=429)

    def _daily_turns_after_s(self, headers: Mapping[str, str]) -> float:
        """When the day's quota is new: as HubSpot says, or, where it does not, in an hour, when it is asked again."""
        try:
            answer = self._send("GET", self._root + _DAILY_USE, headers, {})
        except PassingError:
            return RETRY_AFTER_MAX_S
        told = _parsed(answer.data) if answer.status == 200 else None
        uses = told.get("results", [told]) if isinstance(told, dict) else told
        ends = [_after_s(use.get("resetsAt")) for use in uses if isinstance(use, dict)] if isinstance(uses, list) else []
        known = [end for end in ends if end is not None and 0 < end <= _DAILY_TURNS_WITHIN_S]
        return max(known, default=RETRY_AFTER_MAX_S)


def parsed(answer: Answer) -> dict[str, object]:
    """The object that an answer is. **Raises**: PassingError for what is none."""
    told = _parsed(answer.data)
    if not isinstance(told, dict):
        raise PassingError("crm-bad-answer", "HubSpot answered with something that is no JSON object.")
    return told


def _body(response: urllib3.BaseHTTPResponse) -> bytes:
    """All of an answer, in bounded time and memory."""
    deadline, pieces, size = time.monotonic() + WHOLE_S, [], 0
    while piece := response.read1(_READ_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_MAX_BYTES:
            raise PassingError("crm-bad-answer", f"An answer of HubSpot's is longer than {ANSWER_MAX_BYTES:,} bytes.")
        if time.monotonic() > deadline:
            raise PassingError("crm-unavailable", f"An answer of HubSpot's took longer than {WHOLE_S:.0f} s.")
    return b"".join(pieces)


def _parsed(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _object(data: bytes) -> Mapping[str, object]:
    told = _parsed(data)
    return told if isinstance(told, dict) else {}


def _word(value: object) -> str:
    """A code of HubSpot's, for a person; nothing that is longer than a code, for it might quote what was sent."""
    return value if isinstance(value, str) and len(value) <= 60 and value.replace("_", "").isalnum() else ""


def _scopes(told: Mapping[str, object]) -> tuple[str, ...]:
    """The scopes that an answer names, wherever it names them."""
    found: dict[str, None] = {}
    errors = told.get("errors")
    for part in (told, *(errors if isinstance(errors, list) else ())):
        context = part.get("context") if isinstance(part, dict) else None
        for name, values in context.items() if isinstance(context, dict) else ():
            if "scope" in name.lower() and isinstance(values, list):
                found |= {value: None for value in values if isinstance(value, str) and len(value) <= 100}
    return tuple(found)


def _count(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isdecimal() and len(text) < 12 else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now, if there is such a header and it asks for an hour at most. **Source**: RFC 9110, 10.2.3."""
    text = headers.get("Retry-After", "").strip()
    if text.replace(".", "", 1).isdecimal():
        after_s = float(text)
    else:
        try:
            after_s = (parsedate_to_datetime(text).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        except ValueError:
            return None
    return max(after_s, 0.0) if after_s <= RETRY_AFTER_MAX_S else None


def _after_s(moment: object) -> float | None:
    """Seconds from now until an instant, in either of the forms that HubSpot gives it."""
    if isinstance(moment, int | float):
        return moment / 1_000 - time.time()
    try:
        return (datetime.fromisoformat(str(moment)).astimezone(UTC) - datetime.now(UTC)).total_seconds()
    except ValueError:
        return None
