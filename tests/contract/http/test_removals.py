"""Removals (R10): made by a disposition, seen and undone over HTTP."""

from typing import Any

import pytest

from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, BEN, App, Caller, cursor_of, ids_of, path_part

WEST = "/v1/lists/west/removals"
REMOVE = {"outcome": "wrong_number", "remove": True}


@pytest.fixture
async def west(admin: Caller) -> Caller:
    """The admin of an org with a list west of p1 to p4, multi-rep dialing on."""
    await admin.make_list("West", [{"id": f"p{number}", "name": f"Name {number}"} for number in range(1, 5)])
    return admin


async def remove(caller: Caller, client: Commands, prospect: str, **who: Any) -> Any:
    """Dials the prospect out of west, removes them, and lets the reservation expire."""
    claim = (await caller.claim_one(prospect, list="west", **who)).json
    await caller.after(claim, "disposition", REMOVE, 200)
    age(client, "acme", f"csv:{prospect}", 86_400_001)
    return claim


async def undo(caller: Caller, rep: str, prospect: str, integration: str = "csv", list_: str = "west", expect: int | None = 204) -> Any:
    return await caller("DELETE", f"/v1/lists/{list_}/removals/{path_part(rep)}/{integration}/{path_part(prospect)}", expect=expect)


async def test_r10_a_removed_prospect_is_for_others_only(west: Caller, client: Commands) -> None:
    """R10: that rep is not handed the prospect again from that list; another is, and that rep from another list, and by id."""
    await west.make_list("East", ["p1"])
    await remove(west, client, "p1")
    assert ids_of((await west.claim("west")).json["claims"]) == ["p2"]
    assert ids_of((await west.claim("west", **BEN, hold_seconds=5)).json["claims"]) == ["p1"]
    age(client, "acme", "csv:p1", 6_000)
    assert ids_of((await west.claim("east")).json["claims"]) == ["p1"]
    age(client, "acme", "csv:p1", 86_400_001)
    assert (await west.claim_one("p1", list="west")).json["prospect"]["id"] == "p1"


async def test_r10_it_lasts_though_the_prospect_leaves_and_returns(west: Caller, client: Commands) -> None:
    """R10: and is seen as long as it lasts; where no list knows the prospect any more, the name is not known."""
    claim = await remove(west, client, "p1")
    await west.fill("west", ["p3"])
    (told,) = await west.pages(WEST)
    assert told["prospect"] == {"integration": "csv", "id": "p1", "name": None}
    await west.fill("west", [{"id": "p1", "name": "Dana Ito"}])
    (told,) = await west.pages(WEST)
    assert told == {
        "rep": ANA["rep"],
        "prospect": {"integration": "csv", "id": "p1", "name": "Dana Ito"},
        "removed_at": (await west.get(f"/v1/claims/{claim['id']}")).json["disposition"]["at"],
        "claim": claim["id"],
    }
    assert (await west.claim("west", expect=200)).json == {
        "claims": [], "list": {"id": "west", "multi_rep_dialing": True, "available": 0, "next_available_at": None}
    }  # fmt: skip
    assert [one["status"] for one in await west.pages("/v1/lists/west/members", rep=ANA["rep"])] == ["removed"]
    assert [one["status"] for one in await west.pages("/v1/lists/west/members", rep=BEN["rep"])] == ["available"]


async def test_r10_until_it_is_undone(west: Caller, client: Commands) -> None:
    """R10: 204, once; then the rep is handed the prospect again, in their place, and may remove them again."""
    await remove(west, client, "p1")
    assert ids_of((await west.claim("west", hold_seconds=5)).json["claims"]) == ["p2"]
    await undo(west, ANA["rep"], "p1")
    assert await west.pages(WEST) == []
    (await undo(west, ANA["rep"], "p1", expect=None)).refused(404, "removal-not-found")
    claim = await west.take("west")
    assert claim["prospect"]["id"] == "p1"
    await west.after(claim, "disposition", REMOVE, 200)
    assert [one["claim"] for one in await west.pages(WEST)] == [claim["id"]]


async def test_r10_a_disposition_that_is_repeated_after_the_undoing_removes_nobody(west: Caller, client: Commands) -> None:
    """The same body as the last one again records nothing more: a late retry does not undo what the admin did."""
    claim = await remove(west, client, "p1")
    await undo(west, ANA["rep"], "p1")
    await west.after(claim, "disposition", REMOVE, 200)
    assert await west.pages(WEST) == []
    await west.after(claim, "disposition", REMOVE | {"note": "again"}, 200)
    assert len(await west.pages(WEST)) == 1


async def test_r10_until_the_list_is_deleted(west: Caller, client: Commands) -> None:
    """R10: a list made anew under the same id, at once, knows of no removal."""
    await remove(west, client, "p1")
    await west("DELETE", "/v1/lists/west", expect=204)
    (await west.get(WEST, None)).refused(404, "list-not-found")
    await west.make_list("West", ["p1"])
    assert await west.pages(WEST) == []
    assert ids_of((await west.claim("west")).json["claims"]) == ["p1"]


async def test_removals_are_read_in_pages_by_rep_and_prospect(west: Caller, client: Commands) -> None:
    """Each once, whatever the page's size; `rep` leaves only that rep's, an empty one is none."""
    reps = ("a", "a b", "ana@acme.com", "ana@acme.com!", "Zoë {*}:%20")
    ids = [f"p{number}" for number in range(1, 5)]
    for rep in reps:
        for prospect in ids:
            await remove(west, client, prospect, rep=rep)
    everything = [(one["rep"], one["prospect"]["id"]) for one in await west.pages(WEST)]
    assert sorted(everything) == sorted((rep, prospect) for rep in reps for prospect in ids)
    for limit in (1, 3, 4, 20):
        assert [(one["rep"], one["prospect"]["id"]) for one in await west.pages(WEST, limit=limit)] == everything
    for rep in reps:
        assert [(one["rep"], one["prospect"]["id"]) for one in await west.pages(WEST, rep=rep, limit=3)] == [(rep, prospect) for prospect in ids]
        assert [one["prospect"]["id"] for one in await west.pages(WEST, rep=rep)] == ids
    assert await west.pages(WEST, rep="nobody") == []
    assert len(await west.pages(WEST, rep="")) == len(everything)
    elsewhere = (await west.get(WEST, rep="a b", cursor=cursor_of(["ana%40 p1"]))).json["items"]
    assert {one["rep"] for one in elsewhere} == {"a b"}, "another rep's cursor opens nobody else's page"


async def test_more_removals_than_one_step_reads(west: Caller, client: Commands) -> None:
    """A page of up to 1,000 is read in steps of 250, and is whole."""
    who = [f"q{number:04d}" for number in range(620)]
    for prospect in who:
        client("HSET", "reservoir:{acme}:list:west:removed:ana@acme.com", prospect, "1700000000000 aaaaaaaaaaaaaaaa00")
        client("ZADD", "reservoir:{acme}:list:west:removals", 0, f"ana@acme.com {prospect}")
    client("SADD", "reservoir:{acme}:list:west:removers", "ana@acme.com")
    page = (await west.get(WEST, limit=600)).json
    assert [one["prospect"]["id"] for one in page["items"]] == who[:600]
    rest = (await west.get(WEST, limit=600, cursor=page["next_cursor"])).json
    assert ([one["prospect"]["id"] for one in rest["items"]], rest["next_cursor"]) == (who[600:], None)
    assert (await west.get(WEST, limit=620)).json["next_cursor"] is None


async def test_what_cannot_be_undone_is_refused(west: Caller, client: Commands) -> None:
    """First what the path names, from left to right; then an id that is none; then the removal."""
    await remove(west, client, "p1")
    (await undo(west, "ana@acme.com", "p1", list_="nowhere", expect=None)).refused(404, "list-not-found")
    (await undo(west, "ana@acme.com", "p1", "pipedrive", "nowhere", expect=None)).refused(404, "list-not-found")
    (await undo(west, "ana@acme.com", "p1", "pipedrive", expect=None)).refused(404, "integration-not-found")
    (await undo(west, "ana@acme.com", "p2", expect=None)).refused(404, "removal-not-found")
    (await undo(west, "ben@acme.com", "p1", expect=None)).refused(404, "removal-not-found")
    (await undo(west, "ana@acme.com", "1", "hubspot", expect=None)).refused(404, "removal-not-found")
    (await undo(west, "ana@acme.com", "01", "hubspot", expect=None)).invalid("prospect")
    (await undo(west, "ana@acme.com", "01", "hubspot", "nowhere", expect=None)).refused(404, "list-not-found")
    (await undo(west, "a\x01", "p1", expect=None)).invalid("rep")
    (await west.get(WEST, None, limit=0)).invalid("limit")
    (await west.get(WEST, None, cursor="x")).invalid("cursor")
    (await west.get(WEST, None, session="s")).invalid("session")
    assert len(await west.pages(WEST)) == 1


async def test_undoing_needs_an_admin(app: App, west: Caller, client: Commands) -> None:
    """A dialer's key sees removals, and undoes none."""
    await remove(west, client, "p1")
    dialer = await app.member_of("acme", "dial")
    assert len(await dialer.pages(WEST)) == 1
    (await undo(dialer, "ana@acme.com", "p1", expect=None)).refused(403, "forbidden")
    assert len(await west.pages(WEST)) == 1


async def test_a_removal_is_kept_by_the_canonical_id(admin: Caller, client: Commands) -> None:
    """R18: a Salesforce record is one prospect however its id is written, here too."""
    await admin.patch("/v1/integrations/salesforce/multi-rep-dialing", {"enabled": True}, 200)
    await admin.post("/v1/lists", {"name": "Crm", "integration": "salesforce", "source": {"kind": "report", "id": "00O5e000008TQ9aEAG"}}, 201)
    client("HSET", "reservoir:{acme}:list:crm:removed:ana@acme.com", "00Q5e00000AbCdEEAV", "1700000000000 aaaaaaaaaaaaaaaa00")
    client("ZADD", "reservoir:{acme}:list:crm:removals", 0, "ana@acme.com 00Q5e00000AbCdEEAV")
    client("SADD", "reservoir:{acme}:list:crm:removers", "ana@acme.com")
    assert (await admin.get("/v1/lists/crm/removals")).json["items"][0]["prospect"]["integration"] == "salesforce"
    await undo(admin, "ana@acme.com", "00Q5e00000AbCdE", "salesforce", "crm")
