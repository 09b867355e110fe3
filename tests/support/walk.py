"""One good request for every route of the API, for tests that must go down all of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

from reservoir.http.routes import ROUTES
from reservoir.http.visit import Route
from tests.support.service import ANA, NO_JSON, Caller, Told, csv_of, path_part

MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Named:
    """What a walk names in its paths and bodies."""

    list: str = "west"
    claim: str = "aaaaaaaaaaaaaaaa00"
    prospect: str = "p1"
    key: str = "aaaaaaaaaaaa"
    integration: str = "csv"
    session: str = "s-1"
    rep: str = "ana@acme.com"


@dataclass(frozen=True)
class Request:
    """A request, without what its route says of it already."""

    body: Any = NO_JSON
    data: bytes | None = None
    content: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)


NOTHING = Request()

REQUESTS: Mapping[str, Callable[[Named], Request]] = {
    "claim_next": lambda _: Request({**ANA, "mode": "power"}),
    "claim_one": lambda named: Request({"prospect": {"integration": named.integration, "id": named.prospect}, **ANA, "mode": "power", "list": named.list}),
    "get_claim": lambda _: NOTHING,
    "attempt": lambda _: Request({}),
    "release": lambda _: Request({}),
    "extend": lambda _: Request({"seconds": 60}),
    "dispose": lambda _: Request({"outcome": "busy"}),
    "end_session": lambda _: Request({}),
    "list_reservations": lambda _: NOTHING,
    "look_up": lambda named: Request({"prospects": [{"integration": named.integration, "id": named.prospect}]}),
    "get_reservation": lambda _: NOTHING,
    "list_history": lambda _: NOTHING,
    "search_prospects": lambda named: Request(query={"q": named.prospect}),
    "get_prospect": lambda _: NOTHING,
    "erase_prospect": lambda _: NOTHING,
    "get_why": lambda named: Request(query={"integration": named.integration, "prospect": named.prospect, "rep": named.rep}),
    "create_list": lambda named: Request({"id": named.list, "name": "A list", "integration": "csv"}),
    "list_lists": lambda _: NOTHING,
    "get_list": lambda _: NOTHING,
    "patch_list": lambda _: Request({"name": "Renamed"}, content=MERGE_PATCH),
    "delete_list": lambda _: NOTHING,
    "ask_sync": lambda _: Request({}),
    "get_sync": lambda _: NOTHING,
    "list_members": lambda _: NOTHING,
    "put_members": lambda named: Request(data=csv_of([named.prospect]), content="text/csv"),
    "list_removals": lambda _: NOTHING,
    "restore": lambda _: NOTHING,
    "reset": lambda named: Request({"rep": named.rep}),
    "list_integrations": lambda _: NOTHING,
    "get_integration": lambda _: NOTHING,
    "check_integration": lambda _: Request({}),
    "get_multi_rep_dialing": lambda _: NOTHING,
    "patch_multi_rep_dialing": lambda _: Request({"enabled": True}, content=MERGE_PATCH),
    "get_write_back": lambda _: NOTHING,
    "list_failures": lambda _: NOTHING,
    "retry": lambda _: Request({}),
    "patch_write_back": lambda _: Request({"dispositions": {"wrong_number": {"remove": True}}}, content=MERGE_PATCH),
    "get_org": lambda _: NOTHING,
    "patch_org": lambda _: Request({"name": "Renamed"}, content=MERGE_PATCH),
    "list_keys": lambda _: NOTHING,
    "create_key": lambda _: Request({"name": "a key", "scopes": ["read"]}),
    "revoke_key": lambda _: NOTHING,
}
"""By the name of the route's handler. A route that is not here fails every walk: add it."""


def name_of(route: Route) -> str:
    """What a route is called in the document and in test ids."""
    return str(getattr(route.handle, "__name__", route.path))


def in_order(last: frozenset[str] = frozenset({"erase_prospect", "delete_list", "revoke_key"})) -> list[Route]:
    """All routes, those behind which nothing is left to walk on at the end."""
    return sorted(ROUTES, key=lambda route: name_of(route) in last)


async def ask(caller: Caller, route: Route, named: Named, query: Mapping[str, str] | None = None, **how: Any) -> Told:
    """The good request of a route, asked by somebody; ``query`` is asked, too."""
    request = REQUESTS[name_of(route)](named)
    path = route.path
    for name, value in asdict(named).items():
        path = path.replace(f"{{{name}}}", path_part(value))
    asked = {**request.query, **(query or {})}
    path += f"?{urlencode(asked)}" if asked else ""
    data = request.data if request.body is NO_JSON else json.dumps(request.body).encode()
    headers = {} if data is None else {"Content-Type": request.content or "application/json"}
    return await caller(route.method, path, data=data, headers=headers, **how)
