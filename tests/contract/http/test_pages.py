"""Pages: one way to ask for them on every route that has them, whatever somebody makes of a limit, a filter or a cursor."""

import itertools
from typing import Any

import pytest

from reservoir.http.routes import ROUTES
from reservoir.http.visit import Route
from tests.support.commands import Commands
from tests.support.service import Caller, cursor_of, ids_of, kept
from tests.support.walk import Named, ask, name_of

PAGED = [route for route in ROUTES if "limit" in route.query]
FILTERED = [route for route in ROUTES if route.query]

FORGED: dict[type, tuple[Any, ...]] = {
    int: (0, -1, 1 << 53, (1 << 63) - 1, -(1 << 63), 1 << 63, 10**300),
    str: ("", "x", "\0", "}:{*", "\N{PARTY POPPER}" * 100),
}


@pytest.fixture
async def west(admin: Caller) -> Named:
    """A list of 101, whom Ana has reserved and removed one of."""
    await admin.make_list("West", [f"p{number}" for number in range(101)])
    for _ in range(2):
        await admin.claim("west", 50)
    claim = await admin.take("west")
    await admin.after(claim, "disposition", {"outcome": "busy", "remove": True}, 200)
    return Named(claim=claim["id"])


def test_what_is_read_in_pages() -> None:
    """Every one of them has both a limit and a cursor."""
    assert {name_of(route) for route in PAGED} >= {
        "list_reservations",
        "list_history",
        "list_lists",
        "list_members",
        "list_removals",
        "list_keys",
        "list_failures",
    }
    assert all({"limit", "cursor"} <= set(route.query) and route.cursor for route in PAGED)


@pytest.mark.parametrize("route", PAGED, ids=name_of)
async def test_a_limit_is_1_to_1000(admin: Caller, west: Named, route: Route) -> None:
    """Both are limits and what is beyond either is none; an empty one is as absent."""
    for limit in ("0", "1001", "-1", "1.0", "1e2", "x", "+1", "\N{ARABIC-INDIC DIGIT ONE}"):
        (await ask(admin, route, west, {"limit": limit})).invalid("limit")
    for limit in ("1", "1000", ""):
        assert len((await ask(admin, route, west, {"limit": limit}, expect=200)).json["items"]) <= int(limit or 100)
    (await ask(admin, route, west, {"limit": "0", "cursor": "x"})).invalid("limit", "cursor")


async def test_a_page_is_of_100_unless_it_is_said(admin: Caller, west: Named) -> None:
    """The hundred-and-first is on the next page, which is the last."""
    for path in ("/v1/reservations?", f"/v1/lists/{west.list}/members?", "/v1/history?type=claim.reserved&"):
        first = (await admin.get(path)).json
        last = (await admin.get(f"{path}cursor={first['next_cursor']}")).json
        assert (len(first["items"]), len(last["items"]), last["next_cursor"]) == (100, 1, None), path
        everybody = [one["prospect"] if isinstance(one["prospect"], str) else ids_of([one])[0] for one in first["items"] + last["items"]]
        assert sorted(everybody) == sorted(f"p{number}" for number in range(101)), path


@pytest.mark.parametrize("route", FILTERED, ids=name_of)
async def test_a_filter_with_an_empty_value_is_as_absent(admin: Caller, west: Named, route: Route) -> None:
    """The answer is the same, whichever of them are there without a value."""
    plain = await ask(admin, route, west, expect=200)
    named = {"search_prospects": {"q"}, "get_why": {"integration", "prospect", "rep"}}.get(name_of(route), set())
    assert (await ask(admin, route, west, dict.fromkeys(set(route.query) - named, ""), expect=200)).json == plain.json


@pytest.mark.parametrize("route", PAGED, ids=name_of)
async def test_a_forged_cursor_is_refused_or_a_place(admin: Caller, west: Named, client: Commands, route: Route) -> None:
    """One of another form is a 422. One of the right form is a place, wherever it is; what no place can be is a 422, too, and nothing ever a crash."""
    before = kept(client)
    texts = ["x", "!", "=", "W10", "e30", cursor_of({}), cursor_of([*(kind() for kind in route.cursor), 1]), cursor_of([None] * len(route.cursor)), "A" * 5_000]
    for text in texts:
        (await ask(admin, route, west, {"cursor": text})).invalid("cursor")
    for forged in itertools.product(*(FORGED[kind] for kind in route.cursor)):
        told = await ask(admin, route, west, {"cursor": cursor_of([*forged]), "limit": "2"})
        if told.status != 200:
            told.invalid("cursor")
    assert kept(client) == before
