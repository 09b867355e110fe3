"""Why over HTTP: why somebody can not be dialed."""

from typing import cast

from reservoir.domain.claims import Mode
from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import InvalidError, Refused
from reservoir.domain.why import Reason, Why
from reservoir.http import answers
from reservoir.http.problems import FieldError, ProblemError
from reservoir.http.visit import Answer, Route, Visit
from reservoir.integrations.base import integrations
from reservoir.storage.why import Asked


async def get_why(visit: Visit, _: None) -> Answer | Refused:
    """Every reason why a prospect, or how much of a list, can not be dialed now."""
    query = visit.query.values
    asked = Asked(query.get("list"), query.get("rep"), cast("Mode | None", query.get("mode")))
    prospect = _prospect(query.get("integration"), query.get("prospect"), asked.list)
    if prospect is not None:
        told = await visit.services.why.one(visit.org, prospect, asked)
    else:
        told = await visit.services.why.of_list(visit.org, asked.list or "", asked)
    return told if isinstance(told, Refused) else Answer(why(told))


def why(told: Why) -> dict[str, object]:
    """What is answered."""
    return {"dialable": told.dialable, "reasons": [_reason(one) for one in told.reasons], "notes": list(told.notes)}


def _reason(told: Reason) -> dict[str, object]:
    found: dict[str, object] = {
        "rule": told.rule,
        "detail": told.detail,
        "rep": told.rep,
        "since": answers.time(told.since_ms),
        "until": answers.time(told.until_ms),
    }
    return found if told.count is None else found | {"count": told.count}


def _prospect(integration: str | None, prospect: str | None, list_id: str | None) -> ProspectId | None:
    """Whom it is about; None for a list. **Raises**: ProblemError."""
    errors: list[FieldError] = []
    if prospect is None and list_id is None:
        errors.append({"parameter": "prospect", "detail": "missing: name a prospect, or a list"})
    if (prospect is None) != (integration is None):
        missing = "prospect" if prospect is None else "integration"
        if not errors:
            errors.append({"parameter": missing, "detail": "missing: a prospect is named by integration and record id"})
    if prospect is not None and integration is not None:
        try:
            return ProspectId(integration, integrations()[integration].prospect_id(prospect))
        except InvalidError as error:
            errors.append({"parameter": "prospect", "detail": str(error)})
    if errors:
        raise ProblemError.invalid(errors)
    return None


ROUTES = (
    Route(
        "GET",
        "/v1/why",
        get_why,
        "read",
        "See why a prospect, or how much of a list, can not be dialed",
        answer="Why",
        query=("integration", "prospect", "list", "rep", "mode"),
        problems=("list-not-found",),
    ),
)
