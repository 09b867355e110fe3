"""R17: one org never sees, claims or changes what is another's."""

import re
from typing import Any

import pytest

from reservoir.http.visit import Route
from tests.support.commands import Commands
from tests.support.keyspace import Entry
from tests.support.service import BEN, App, Caller, ids_of, kept
from tests.support.walk import Named, ask, in_order, name_of

MASKS = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\b\d{13}-\d+\b", "ENTRY"),
    (r"rsv_[a-z]+_[a-z2-7]{12}_[a-z2-7]{52}", "KEY"),
    (r"\b[a-z2-7]{16}\d\d\b", "CLAIM"),
    (r"\b[a-z2-7]{16}\b", "ID"),
    (r"\b[a-z2-7]{12}\b", "ID"),
    (r"\b(west|wset)\b", "LIST"),
    (r"\b(p1|q1)\b", "PROSPECT"),
)

NOBODYS = Named("wset", "aaaaaaaaaaaaaaaa00", "q1", "aaaaaaaaaaaa")


def masked(text: str) -> str:
    """An answer without what is different in any two answers."""
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text


def acmes(client: Commands) -> dict[str, Entry]:
    return {key: entry for key, entry in kept(client).items() if "{acme}" in key}


async def acme_with_everything(acme: Caller) -> Named:
    """An org that has a list with members of every status, claims of every state, a sync and keys."""
    await acme.make_list("West", [{"id": "p1", "name": "Secret Name"}, {"id": "p2"}, {"id": "p3"}, {"id": "d1", "do_not_call": "x"}])
    reserved = await acme.take("west", key="a-key")
    await acme.after(reserved, "disposition", {"outcome": "busy", "remove": True, "note": "a secret"}, 200)
    await acme.take("west", hold_seconds=3_600)
    key = (await acme.post("/v1/api-keys", {"name": "a secret key", "scopes": ["read"]}, 201)).json["id"]
    return Named(claim=reserved["id"], key=key)


@pytest.mark.parametrize("route", in_order(), ids=name_of)
async def test_r17_another_orgs_ids_answer_as_if_they_had_never_been(app: App, admin: Caller, client: Commands, route: Route) -> None:
    """R17: down every route, asked with another org's key, what is this org's answers as what nobody ever had, and stays as it is."""
    named = await acme_with_everything(admin)
    globex = await app.org("globex")
    await globex.enable()
    before = acmes(client)
    told = await ask(globex, route, named)
    assert acmes(client) == before
    assert "ecret" not in told.text
    assert named.claim not in told.text
    # The same of what nobody has, in an org that is as empty as that one was.
    initech = await app.org("initech")
    await initech.enable()
    of_nobody = await ask(initech, route, NOBODYS)
    assert told.status == of_nobody.status
    assert masked(told.text).replace("globex", "ORG").replace("Globex", "ORG") == masked(of_nobody.text).replace("initech", "ORG").replace("Initech", "ORG")


async def test_r17_the_same_ids_in_two_orgs_are_two_prospects(app: App, admin: Caller) -> None:
    """R17: lists, prospects, reps and sessions of the same names live side by side, and a claim in one blocks nobody in the other."""
    globex = await app.org("globex")
    await globex.enable()
    for org in (admin, globex):
        await org.make_list("West", ["p1", "p2"])
    first = await admin.take("west")
    second = await globex.take("west")
    assert first["prospect"]["id"] == second["prospect"]["id"] == "p1"
    assert ids_of(await admin.pages("/v1/reservations")) == ids_of(await globex.pages("/v1/reservations")) == ["p1"]
    for verb, body in (("attempt", {}), ("release", {}), ("extend", {"seconds": 60}), ("disposition", {"outcome": "busy"})):
        (await globex.after(first, verb, body)).refused(404, "claim-not-found")
    assert (await admin.get(f"/v1/claims/{first['id']}")).json == first | {"disposition": None}
    await admin.claim_one("p2")
    assert (await globex.claim_one("p2", expect=200, mode="click_to_call")).json["reservation"] is None
    assert (await globex.post("/v1/reservations/lookup", {"prospects": [{"integration": "csv", "id": "p2"}]}, 200)).json["reservations"] == [None]
    assert [one["status"] for one in await globex.pages("/v1/lists/west/members")] == ["reserved", "available"]


async def test_r17_an_org_that_looks_like_another_is_not_it(app: App) -> None:
    """R17: orgs whose ids begin alike share nothing, nor do ids that contain the separators of keys."""
    one, two = await app.org("a"), await app.org("ab")
    for org in (one, two):
        await org.enable()
    strange = "b:list:west"
    await one.make_list("West", [strange])
    claim = await one.take("west", rep="x}:y", session="{ab}:session")
    assert claim["prospect"]["id"] == strange
    assert await two.pages("/v1/reservations") == []
    assert await two.pages("/v1/lists") == []
    assert (await two.claim_one(strange, **BEN)).json["state"] == "reserved"


async def test_r17_a_cursor_of_another_org_opens_nothing(app: App, admin: Caller) -> None:
    """R17: a cursor is a place in one's own results, whoever made it."""
    await admin.make_list("West", [f"p{number}" for number in range(5)])
    await admin.claim("west", 5)
    cursor = (await admin.get("/v1/reservations", limit=2)).json["next_cursor"]
    globex = await app.org("globex")
    told: Any = (await globex.get("/v1/reservations", cursor=cursor)).json
    assert told == {"items": [], "next_cursor": None}
