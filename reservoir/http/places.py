"""A rep's own place over HTTP: put to the start."""

from reservoir.domain.refusals import Refused
from reservoir.http import answers
from reservoir.http.bodies import Reset
from reservoir.http.finding import find_list
from reservoir.http.visit import Answer, Route, Visit


async def reset(visit: Visit, body: Reset) -> Answer | Refused:
    """The rep begins the list afresh (R9); where the list has a source, with what that has by now."""
    list_id = visit.list_id()
    if refused := await visit.services.places.reset(visit.org, list_id, body.rep):
        return refused
    asked = await visit.services.syncs.ask(visit.org, list_id)
    if isinstance(asked, Refused) and asked.slug != "no-source":
        return asked
    return Answer({"reset": True, "sync": None if isinstance(asked, Refused) else answers.sync(asked)})


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
