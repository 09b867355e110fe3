"""What Salesforce's refusals mean: who must do what, or when to ask again.

Source: REST API Developer Guide, "Status Codes and Error Responses"; Reports and Dashboards REST API Developer Guide, "Error Codes" (v59-67).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from reservoir.integrations.salesforce.refusals import refused
from reservoir.integrations.source import CrmError, PassingError, WaitError

Problem = CrmError | PassingError | WaitError

RETRY_AFTER_MOST_S = 3_600
HOUR_OF_RUNS_S = 600
"""How long to wait when the hour's report runs are used up: they come back one by one."""
DAY_OF_CALLS_S = 900
"""How long to wait when the day's API calls are used up: they come back one by one, too."""
CONCURRENT_S = 15
RATE_S = 30

_RUNS_USED_UP = re.compile(r"more than [\d,.]+ reports|every \d+ minutes", re.IGNORECASE)
_TOO_MANY_AT_ONCE = re.compile(r"as many as \S+ requests|at a time|concurrent", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r"permission|privilege|insufficient access|not enabled|not authorized|disabled", re.IGNORECASE)
_OBSOLETE = re.compile(r"obsolete", re.IGNORECASE)
_BAD_CREDENTIALS = re.compile(
    r"invalid_(grant|client|client_id|client_credentials|request|assertion)|inactive_(user|org)|unsupported_grant_type|unauthorized_client|access_denied"
    r"|INVALID[_ ](LOGIN|AUTH|SESSION_ID|CLIENT).*|LOGIN_MUST_USE_SECURITY_TOKEN|PASSWORD_LOCKOUT|(LOGIN_DURING_)?RESTRICTED.*|ORG_LOCKED|INACTIVE_.*|OAUTH_.*",
)
_NO_API = re.compile(r"API_(CURRENTLY_)?DISABLED.*|API_DISABLED_FOR_ORG|INSUFFICIENT_ACCESS.*", re.IGNORECASE)
_MESSAGE_MOST = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is none. ``message`` is Salesforce's own, without our secrets; both it and ``code`` are "" where the body is not Salesforce's form."""

    status: int
    code: str = ""
    message: str = ""
    retry_after_s: float | None = None

    @property
    def said(self) -> str:
        """Salesforce's own words, to put behind ours."""
        told = self.message or self.code
        return f" Salesforce says: {told[:_MESSAGE_MOST]}" if told else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, in words, and what it is."""

    words: str
    kind: Literal["login", "report", "query", "list_view", "write", "other"] = "other"


def refusal(status: int, content: object, headers: Mapping[str, str]) -> Refusal:
    """A refusal out of the body of an answer, whatever form it has."""
    first: object = content[0] if isinstance(content, list) and content else content
    code, message = "", ""
    if isinstance(first, Mapping):
        code, message = (str(first.get(key) or "") for key in ("errorCode", "message"))
    return Refusal(status, code, message, retry_after(headers.get("Retry-After")))


def retry_after(value: str | None) -> float | None:
    """Seconds from now, of a header that has a number of them or a date; None if it is absent or neither."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def problem(told: Refusal, asked: Asked) -> Problem:
    """What a refusal means."""
    if budget := _budget(told, asked):
        return budget
    if told.retry_after_s is not None and told.retry_after_s <= RETRY_AFTER_MOST_S:
        detail = f"Salesforce asks to come back in {told.retry_after_s:.0f} s for {asked.words}."
        return WaitError("crm-unavailable", detail, after_s=told.retry_after_s, status=told.status)
    if asked.kind == "write" and told.status in (300, 400, 403, 404, 405) and not told.code.startswith("API_"):
        return refused(told.status, told.code, told.message, asked.words)
    if told.status in _JUDGED:
        return _JUDGED[told.status](told, asked)
    if told.status == 420 or told.status >= 500:
        return PassingError("crm-unavailable", f"Salesforce could not answer for {asked.words} (HTTP {told.status}).{told.said}", status=told.status)
    if told.status >= 400:
        return CrmError("crm-unsupported", f"Salesforce does not take the request for {asked.words} (HTTP {told.status}).{told.said}", status=told.status)
    return PassingError("crm-bad-answer", f"Salesforce answered for {asked.words} with HTTP {told.status}, which is no answer.")


def _budget(told: Refusal, asked: Asked) -> WaitError | None:
    """The wait for what is used up, if that is what the refusal says: 403 says it in its message alone."""
    after_s, what = 0.0, ""
    if told.status == 429:
        after_s, what = RATE_S, "too many requests in a short time"
    elif told.status in (403, 503) and told.code == "REQUEST_LIMIT_EXCEEDED":
        concurrent = _TOO_MANY_AT_ONCE.search(told.message)
        after_s, what = (CONCURRENT_S, "too many requests at once") if concurrent else (DAY_OF_CALLS_S, "the org's API calls of these 24 hours are used up")
    elif told.status in (400, 403) and asked.kind == "report" and _TOO_MANY_AT_ONCE.search(told.message):
        after_s, what = CONCURRENT_S, "too many reports are being run at once"
    elif told.status in (400, 403) and asked.kind == "report" and _RUNS_USED_UP.search(told.message):
        after_s, what = HOUR_OF_RUNS_S, "the org's report runs of this hour are used up"
    if not what:
        return None
    if told.retry_after_s is not None:
        after_s = min(told.retry_after_s, RETRY_AFTER_MOST_S)
    return WaitError("crm-budget", f"Salesforce's limit: {what}. It goes on by itself.{told.said}", after_s=after_s, status=told.status)


def _bad_request(told: Refusal, asked: Asked) -> Problem:
    if told.code in ("MALFORMED_ID", "INVALID_ID_FIELD", "INVALID_CROSS_REFERENCE_KEY"):
        return CrmError("crm-not-found", f"{_upper(asked.words)} is not there: its id is none of Salesforce's.{told.said}", status=400)
    return CrmError("crm-unsupported", f"Salesforce cannot do what {asked.words} asks for; an admin must change it.{told.said}", status=400)


def _unauthorized(told: Refusal, asked: Asked) -> Problem:
    del asked
    return CrmError("crm-credentials", f"Salesforce does not let us in; an admin must renew the credentials in the config.{told.said}", status=told.status)


def _forbidden(told: Refusal, asked: Asked) -> Problem:
    if _OBSOLETE.search(told.message):
        detail = f"The definition of {asked.words} is obsolete; its owner must open it in Salesforce and save it anew.{told.said}"
        return CrmError("crm-permission", detail, status=told.status)
    if _NO_API.fullmatch(told.code) and not told.code.startswith("INSUFFICIENT"):
        return CrmError("crm-permission", f"The API is not open to this user; an admin must grant the permission API Enabled.{told.said}", status=told.status)
    if asked.kind != "report" or _NOT_ALLOWED.search(told.message) or _NO_API.fullmatch(told.code):
        wanted = "Run Reports, and access to its folder and objects" if asked.kind == "report" else "to read these records and fields"
        detail = f"This user may not read {asked.words}; an admin must grant the permission ({wanted}).{told.said}"
        return CrmError("crm-permission", detail, status=told.status)
    return _gone(told, asked)


def _gone(told: Refusal, asked: Asked) -> Problem:
    detail = f"{_upper(asked.words)} is deleted, or not shared with this user; an admin must share it, or the list needs another source.{told.said}"
    return CrmError("crm-not-found", detail, status=told.status)


def _retired(told: Refusal, asked: Asked) -> Problem:
    del asked
    return CrmError("crm-unsupported", f"Salesforce has retired this version of its API; reservoir must be updated.{told.said}", status=told.status)


def _not_run(told: Refusal, asked: Asked) -> Problem:
    return CrmError("crm-unsupported", f"Salesforce's API cannot run {asked.words}: its format (joined, for one) is not for it.{told.said}", status=told.status)


_JUDGED = {400: _bad_request, 401: _unauthorized, 403: _forbidden, 404: _gone, 410: _retired, 501: _not_run}


def login_problem(code: str | int | None, message: str, told: Refusal) -> Problem:
    """What a refused login means. ``code`` is an OAuth error, a SOAP exception code, or the HTTP status of an answer that was neither."""
    asked = Asked("the login", "login")
    status = told.status if told.status >= 400 else 502
    named = Refusal(status, str(code or ""), message, told.retry_after_s)
    if isinstance(code, str) and _NO_API.fullmatch(code):
        return CrmError("crm-permission", f"The API is not open to this user; an admin must grant the permission API Enabled.{named.said}", status=status)
    if isinstance(code, str) and code.partition(":")[2].strip() and _BAD_CREDENTIALS.fullmatch(code.partition(":")[2].strip()):
        code = code.partition(":")[2].strip()
    if isinstance(code, str) and _BAD_CREDENTIALS.fullmatch(code):
        detail = f"Salesforce refuses the login ({code}); an admin must mend the credentials in the config.{Refusal(status, '', message).said}"
        return CrmError("crm-credentials", detail, status=status)
    if status == 429 or (told.retry_after_s is not None and told.retry_after_s <= RETRY_AFTER_MOST_S):
        return problem(Refusal(status, "", message, told.retry_after_s), asked)
    if told.status < 400:
        return bad_answer(asked)
    return PassingError("crm-unavailable", f"Salesforce could not log us in (HTTP {status}).{named.said if isinstance(code, str) else ''}", status=status)


def bad_answer(asked: Asked) -> PassingError:
    """For an answer that is not what the API promises."""
    return PassingError("crm-bad-answer", f"Salesforce's answer for {asked.words} is not one: empty, cut short, or no JSON of the form that its API has.")


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]
