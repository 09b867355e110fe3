"""Sessions over HTTP."""

from reservoir.domain import ids
from reservoir.domain.refusals import InvalidError
from reservoir.http.bodies import Empty
from reservoir.http.problems import ProblemError
from reservoir.http.visit import Answer, Route, Visit


async def end_session(visit: Visit, _: Empty) -> Answer:
    """All that the session still holds is given back; reserved ones stay."""
    try:
        session = ids.opaque(visit.part("session"))
    except InvalidError as error:
        raise ProblemError.invalid([{"parameter": "session", "detail": str(error)}]) from None
    return Answer({"released": await visit.services.claims.end_session(visit.org, session)})


ROUTES = (Route("POST", "/v1/sessions/{session}/end", end_session, "dial", "Release all that a session still holds", body=Empty, answer="SessionEnded"),)
