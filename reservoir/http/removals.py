"""Removals over HTTP: seen, and undone. A disposition makes them (R10)."""

import orjson

from reservoir.domain.refusals import Refused
from reservoir.domain.times import rfc3339
from reservoir.http.finding import find_integration, find_list
from reservoir.http.visit import Answer, Route, Visit, page_answer
from reservoir.integrations.base import integrations
from reservoir.storage.removals import Removal


async def list_removals(visit: Visit, _: None) -> Answer | Refused:
    """Whom reps removed from a list, by rep and prospect."""
    page = visit.query.page
    told = await visit.services.removals.page(visit.org, visit.list_id(), visit.query.values.get("rep"), page.limit, str(page.after[0]) if page.after else None)
    if isinstance(told, Refused):
        return told
    removals, after = told
    return page_answer([_told(one) for one in removals], None if after is None else (after,))


async def restore(visit: Visit, _: None) -> Answer | Refused:
    """The undoing of a remove: the rep may be handed the prospect from that list again."""
    list_id = visit.list_id()
    if visit.part("integration") not in integrations():
        await _find(visit)
    told = await visit.services.removals.restore(visit.org, list_id, visit.part("rep"), visit.integration(), visit.prospect(), visit.by)
    return told or Answer(None, 204)


async def _find(visit: Visit) -> None:
    """The list that the path names is looked for first. **Raises**: ProblemError (``list-not-found``, ``integration-not-found``)."""
    await find_list(visit)
    await find_integration(visit)


def _told(removal: Removal) -> dict[str, object]:
    name = orjson.loads(removal.member)["name"] if removal.member else None
    return {
        "rep": removal.rep,
        "prospect": {"integration": removal.integration, "id": removal.prospect, "name": name},
        "removed_at": rfc3339(removal.removed_at_ms),
        "claim": removal.claim,
    }


ROUTES = (
    Route(
        "GET",
        "/v1/lists/{list}/removals",
        list_removals,
        "read",
        "See whom reps removed from a list",
        find=find_list,
        answer="Removals",
        query=("rep", "limit", "cursor"),
        cursor=(str,),
        problems=("list-not-found",),
    ),
    Route(
        "DELETE",
        "/v1/lists/{list}/removals/{rep}/{integration}/{prospect}",
        restore,
        "admin",
        "Undo a remove",
        find=_find,
        status=204,
        problems=("list-not-found", "integration-not-found", "removal-not-found"),
    ),
)
