"""Sessions over HTTP."""

from reservoir.http.bodies import Empty
from reservoir.http.visit import Answer, Route, Visit


async def end_session(visit: Visit, _: Empty) -> Answer:
    """All that the session still holds is given back; reserved ones stay."""
    return Answer({"released": await visit.services.claims.end_session(visit.org, visit.part("session"))})


ROUTES = (Route("POST", "/v1/sessions/{session}/end", end_session, "dial", "Release all that a session still holds", body=Empty, answer="SessionEnded"),)
