"""A rep's own place over HTTP: put to the start."""

from reservoir.domain.refusals import Refused
from reservoir.http.bodies import Reset
from reservoir.http.finding import find_list
from reservoir.http.visit import Answer, Route, Visit


async def reset(visit: Visit, body: Reset) -> Answer | Refused:
    """The rep begins the list afresh (R9)."""
    return await visit.services.places.reset(visit.org, visit.list_id(), body.rep) or Answer({"reset": True, "sync": None})


ROUTES = (
    Route(
        "POST",
        "/v1/lists/{list}/reset",
        reset,
        "dial",
        "Put a rep's own place to the start",
        body=Reset,
        find=find_list,
        answer="WasReset",
        problems=("list-not-found",),
    ),
)
