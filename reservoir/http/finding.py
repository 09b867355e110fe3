"""Whether what a path names is there: asked when the rest of a request is bad, because a path that names nothing is refused first."""

from reservoir.http.problems import ProblemError, required
from reservoir.http.visit import Visit


async def find_list(visit: Visit) -> None:
    """**Raises**: ProblemError (``list-not-found``)."""
    required(await visit.services.lists.get(visit.org, visit.list_id()))


async def find_claim(visit: Visit) -> None:
    """**Raises**: ProblemError (``claim-not-found``)."""
    required(await visit.services.claims.get(visit.org, visit.claim_id()))


async def find_integration(visit: Visit) -> None:
    """**Raises**: ProblemError (``integration-not-found``)."""
    visit.integration()


async def find_key(visit: Visit) -> None:
    """**Raises**: ProblemError (``key-not-found``)."""
    if visit.part("key") not in visit.org.keys:
        raise ProblemError("key-not-found", "There is no such API key.")
