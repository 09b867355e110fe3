"""Reservations over HTTP: read, never removed."""

from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import Refused
from reservoir.http import answers
from reservoir.http.bodies import Lookup
from reservoir.http.finding import find_integration
from reservoir.http.problems import ProblemError
from reservoir.http.visit import Answer, Route, Visit, page_answer, page_of
from reservoir.integrations.base import integrations
from reservoir.storage.reservations import After, Filter

STATES = ("held", "reserved")


async def list_reservations(visit: Visit, _: None) -> Answer:
    """Live holds and reservations, soonest to end first."""
    query = visit.query("rep", "session", "list", "integration", "state", "limit", "cursor")
    page = page_of(query, (int, str))
    _require_known(query)
    wanted = Filter(query.get("rep"), query.get("session"), query.get("list"), query.get("integration"), query.get("state"))
    after = After(*page.after) if page.after else None
    found, last = await visit.services.reservations.page(visit.org, wanted, page.limit, after)
    return page_answer([answers.reservation(one) for one in found], (last.ends_ms, last.member) if last else None)


async def get_reservation(visit: Visit, _: None) -> Answer | Refused:
    """Who has a prospect."""
    visit.query()
    (reservation,) = await visit.services.reservations.lookup(visit.org, [ProspectId(visit.integration(), visit.prospect())])
    if reservation is None:
        return Refused("not-reserved", "Nobody has this prospect.")
    return Answer(answers.reservation(reservation))


async def look_up(visit: Visit, body: Lookup) -> Answer:
    """Who has each of many prospects, for list views."""
    visit.query()
    prospects = [ProspectId(one.integration, one.id) for one in body.prospects]
    found = await visit.services.reservations.lookup(visit.org, prospects)
    return Answer({"reservations": [answers.optional_reservation(one) for one in found]})


def _require_known(query: dict[str, str]) -> None:
    if "state" in query and query["state"] not in STATES:
        raise ProblemError.invalid([{"parameter": "state", "detail": f"expected one of {', '.join(STATES)}, found {query['state'][:80]!r}"}])
    if "integration" in query and query["integration"] not in integrations():
        known = ", ".join(integrations())
        raise ProblemError.invalid([{"parameter": "integration", "detail": f"expected one of {known}, found {query['integration'][:80]!r}"}])


ROUTES = (
    Route(
        "GET",
        "/v1/reservations",
        list_reservations,
        "read",
        "Read live reservations, soonest to expire first",
        answer="Reservations",
        query=("rep", "session", "list", "integration", "state", "limit", "cursor"),
    ),
    Route("POST", "/v1/reservations/lookup", look_up, "read", "Look up to 1,000 prospects up at once", body=Lookup, answer="LookedUp"),
    Route(
        "GET",
        "/v1/reservations/{integration}/{prospect}",
        get_reservation,
        "read",
        "See who has a prospect",
        find=find_integration,
        answer="Reservation",
        problems=("integration-not-found", "not-reserved"),
    ),
)
