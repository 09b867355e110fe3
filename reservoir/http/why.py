"""Why over HTTP: why somebody can not be dialed."""

from typing import cast

from reservoir.domain.claims import Mode
from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import InvalidError, Refused
from reservoir.domain.why import Reason, Why
from reservoir.http import answers
from reservoir.http.problems import ProblemError, required
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
        await _require_integration(visit, asked.list or "", query.get("integration"))
        told = await visit.services.why.of_list(visit.org, asked.list or "", asked)
    return told if isinstance(told, Refused) else Answer(why(told))


async def _require_integration(visit: Visit, list_id: str, integration: str | None) -> None:
    """A list is of one integration, which may be named with it. **Raises**: ProblemError for another."""
    if integration is None:
        return
    its = required(await visit.services.lists.get(visit.org, list_id)).definition.integration
    if integration != its:
        raise ProblemError.invalid([{"parameter": "integration", "detail": f"the list {list_id} is of {its}, found {integration}"}])


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
    if prospect is None and list_id is not None:
        return None
    if prospect is None:
        raise ProblemError.invalid([{"parameter": "prospect", "detail": "missing: name a prospect, or a list"}])
    if integration is None:
        raise ProblemError.invalid([{"parameter": "integration", "detail": "missing: a prospect is named by integration and record id"}])
    try:
        return ProspectId(integration, integrations()[integration].prospect_id(prospect))
    except InvalidError as error:
        raise ProblemError.invalid([{"parameter": "prospect", "detail": str(error)}]) from None


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
