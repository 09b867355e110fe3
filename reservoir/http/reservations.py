"""Reservations over HTTP: read, never removed."""

from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import Refused
from reservoir.http import answers
from reservoir.http.bodies import Lookup
from reservoir.http.finding import find_integration
from reservoir.http.visit import Answer, Route, Visit, page_answer
from reservoir.storage.reservations import After, Filter


async def list_reservations(visit: Visit, _: None) -> Answer:
    """Live holds and reservations, soonest to end first."""
    query, page = visit.query.values, visit.query.page
    wanted = Filter(query.get("rep"), query.get("session"), query.get("list"), query.get("integration"), query.get("state"))
    after = After(*page.after) if page.after else None
    found, last = await visit.services.reservations.page(visit.org, wanted, page.limit, after)
    return page_answer([answers.reservation(one) for one in found], (last.ends_ms, last.member) if last else None)


async def get_reservation(visit: Visit, _: None) -> Answer | Refused:
    """Who has a prospect."""
    (reservation,) = await visit.services.reservations.lookup(visit.org, [ProspectId(visit.integration(), visit.prospect())])
    if reservation is None:
        return Refused("not-reserved", "Nobody has this prospect.")
    return Answer(answers.reservation(reservation))


async def look_up(visit: Visit, body: Lookup) -> Answer:
    """Who has each of many prospects, for list views."""
    prospects = [ProspectId(one.integration, one.id) for one in body.prospects]
    found = await visit.services.reservations.lookup(visit.org, prospects)
    return Answer({"reservations": [answers.optional_reservation(one) for one in found]})


ROUTES = (
    Route(
        "GET",
        "/v1/reservations",
        list_reservations,
        "read",
        "Read live reservations, soonest to expire first",
        answer="Reservations",
        query=("rep", "session", "list", "integration", "state", "limit", "cursor"),
        cursor=(int, str),
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
