"""Syncs over HTTP: asked for, and seen."""

from reservoir.domain.refusals import Refused
from reservoir.http import answers
from reservoir.http.bodies import Empty
from reservoir.http.finding import find_list
from reservoir.http.visit import Answer, Route, Visit


async def ask_sync(visit: Visit, _: Empty) -> Answer | Refused:
    """A sync as soon as a worker is free; the one that is under way, if there is one."""
    asked = await visit.services.syncs.ask(visit.org, visit.list_id())
    return asked if isinstance(asked, Refused) else Answer(answers.sync(asked), 202)


async def get_sync(visit: Visit, _: None) -> Answer | Refused:
    """The newest run."""
    sync = await visit.services.syncs.newest(visit.org, visit.list_id())
    return sync if isinstance(sync, Refused) else Answer(answers.sync(sync))


_PATH = "/v1/lists/{list}/sync"

ROUTES = (
    Route(
        "POST",
        _PATH,
        ask_sync,
        "dial",
        "Ask for a sync",
        body=Empty,
        find=find_list,
        answer="Sync",
        status=202,
        problems=("list-not-found", "no-source"),
    ),
    Route("GET", _PATH, get_sync, "read", "See the newest sync", find=find_list, answer="Sync", problems=("list-not-found", "no-sync")),
)
