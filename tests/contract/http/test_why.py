"""Why: every reason, by which rule, who, since, until; and how much of a list by each."""

from typing import Any

import pytest

from reservoir.domain.lists import ListDefinition
from reservoir.domain.prospects import Member
from reservoir.domain.times import DAY_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, BEN, App, Caller


@pytest.fixture
async def west(admin: Caller) -> Caller:
    """A list west of p1 to p4 and d1, who is flagged; p1 is in east, too."""
    await admin.make_list("West", ["p1", "p2", "p3", "p4", {"id": "d1", "do_not_call": "x"}])
    await admin.make_list("East", ["p1"])
    return admin


async def why(caller: Caller, prospect: str = "p1", integration: str = "csv", **query: Any) -> Any:
    """The whole answer about one prospect."""
    return (await caller.get("/v1/why", integration=integration, prospect=prospect, **query)).json


async def rules(caller: Caller, prospect: str = "p1", **query: Any) -> list[str]:
    """The rules alone."""
    return [reason["rule"] for reason in (await why(caller, prospect, **query))["reasons"]]


async def counts(caller: Caller, **query: Any) -> dict[str, int]:
    """How much of west, by rule."""
    told = (await caller.get("/v1/why", list="west", **query)).json
    found = {reason["rule"]: reason["count"] for reason in told["reasons"]}
    assert len(found) == len(told["reasons"])
    assert all(count > 0 for count in found.values())
    return found


async def test_nothing_is_against_it(west: Caller) -> None:
    """Dialable, without a reason or a note; so is who is in no list, for a claim by id."""
    assert await why(west) == await why(west, list="west", rep="ana@acme.com", mode="parallel") == {"dialable": True, "reasons": [], "notes": []}
    assert await why(west, "nobody") == {"dialable": True, "reasons": [], "notes": []}


@pytest.mark.parametrize("mode", ["power", "parallel", None])
async def test_reserved_and_held(west: Caller, mode: str | None) -> None:
    """R2: by whom, since when, until when; in every list, and by id."""
    query = {"mode": mode} if mode else {}
    claim = await west.take("east")
    held = await west.take("west", **BEN, hold_seconds=60)
    assert held["prospect"]["id"] == "p2"
    for more in ({}, {"list": "west"}, {"list": "west", "rep": "ana@acme.com"}):
        told = await why(west, **query, **more)
        (reason,) = told["reasons"]
        assert (told["dialable"], reason["rule"], reason["rep"]) == (False, "reserved", "ana@acme.com")
        assert (reason["since"], reason["until"]) == (claim["attempted_at"], claim["expires_at"])
        assert claim["expires_at"] in reason["detail"]
    (reason,) = (await why(west, "p2", **query))["reasons"]
    assert (reason["rule"], reason["rep"], reason["since"], reason["until"]) == ("held", "ben@acme.com", held["claimed_at"], held["expires_at"])


async def test_r3_click_to_call_is_never_blocked(west: Caller) -> None:
    """R3: not by a reservation, a flag, or a remove; but of a list in which the prospect is not, there is none to be claimed."""
    await west.after(await west.take("west"), "disposition", {"outcome": "busy", "remove": True}, 200)
    for prospect in ("p1", "d1"):
        assert await why(west, prospect, list="west", rep="ana@acme.com", mode="click_to_call") == {"dialable": True, "reasons": [], "notes": []}
    assert await rules(west, "p2", list="east", mode="click_to_call") == ["not-a-member"]
    assert (await west.get("/v1/why", list="west", mode="click_to_call")).json == {"dialable": True, "reasons": [], "notes": []}


async def test_every_reason_not_only_the_first(west: Caller, client: Commands) -> None:
    """R10: reserved and removed together; when the one has expired, the other is left, for that rep and that list."""
    claim = await west.take("west")
    await west.after(claim, "disposition", {"outcome": "busy", "remove": True}, 200)
    assert await rules(west, list="west", rep="ana@acme.com") == ["reserved", "removed"]
    age(client, "acme", "csv:p1", DAY_MS + 1)
    (reason,) = (await why(west, list="west", rep="ana@acme.com"))["reasons"]
    removed_at = (await west.get("/v1/lists/west/removals")).json["items"][0]["removed_at"]
    assert (reason["rule"], reason["rep"], reason["since"], reason["until"]) == ("removed", "ana@acme.com", removed_at, None)
    for query in ({}, {"rep": "ana@acme.com"}, {"list": "west"}, {"list": "west", "rep": "ben@acme.com"}, {"list": "east", "rep": "ana@acme.com"}):
        assert await rules(west, **query) == [], "a claim by id is not bound, nor another rep, nor another list"


async def test_flag_and_phone(west: Caller, app: App) -> None:
    """do-not-call is the flag, by id too; undialable is for no phone, and only from a list, for a claim by id needs none."""
    assert await rules(west, "d1") == await rules(west, "d1", list="west") == ["do-not-call"]
    org = await app.services.orgs.get("acme", fresh=True)
    assert org is not None

    await app.services.lists.create(org, ListDefinition("hub", "Hub", "hubspot", None, {}, 0), exact=True, by="a test")
    run = await app.services.syncs.begin(org, "hub")
    assert isinstance(run, str)
    await app.services.syncs.page(org, "hub", run, 1, [(1, Member("hubspot", "7")), (2, Member("hubspot", "8", do_not_call=True))], [], 0)
    await app.services.syncs.finish(org, "hub", run)
    await west.enable("hubspot")
    assert (await why(west, "7", "hubspot", list="hub"))["reasons"][0]["rule"] == "undialable"
    assert (await why(west, "7", "hubspot"))["dialable"] is True
    assert [one["rule"] for one in (await why(west, "8", "hubspot", list="hub"))["reasons"]] == ["do-not-call"]
    told = (await west.get("/v1/why", list="hub")).json
    assert (told["dialable"], {one["rule"]: one["count"] for one in told["reasons"]}) == (False, {"undialable": 1, "do-not-call": 1})


async def test_not_a_member(west: Caller) -> None:
    """Only of a list; one of another integration has nobody of this one."""
    assert await rules(west, "p2", list="east") == await rules(west, "nobody", list="west") == ["not-a-member"]
    await west.post("/v1/lists", {"id": "hub", "name": "Hub", "integration": "hubspot", "source": {"kind": "list", "id": "1"}}, 201)
    assert await rules(west, "p1", list="hub") == ["not-a-member"]


async def test_r9_behind_the_reps_own_place(west: Caller) -> None:
    """R9: while multi-rep dialing is off, who the rep has come past; reservations block nobody then; on again, places block nobody."""
    await west.take("west", **BEN)
    await west.enable(enabled=False)
    await west.take("west", count=1)
    await west.take("west", count=1)
    notes = ["multi-rep-dialing-off"]
    told = await why(west, "p1", list="west", rep="ana@acme.com")
    assert (told["dialable"], [one["rule"] for one in told["reasons"]], told["notes"]) == (False, ["behind-your-place"], notes)
    assert await rules(west, "p2", list="west", rep="ana@acme.com") == ["behind-your-place"]
    assert await why(west, "p3", list="west", rep="ana@acme.com") == {"dialable": True, "reasons": [], "notes": notes}
    assert await why(west, "p1") == await why(west, "p1", list="west", rep="ben@acme.com") == {"dialable": True, "reasons": [], "notes": notes}
    assert await counts(west, rep="ana@acme.com") == {"behind-your-place": 2, "do-not-call": 1}
    assert await counts(west, rep="ben@acme.com") == await counts(west) == {"do-not-call": 1}
    await west.claim("west", 2, **ANA)
    told = (await west.get("/v1/why", list="west", rep="ana@acme.com")).json
    assert (told["dialable"], told["notes"]) == (False, notes)
    await west.enable()
    assert await rules(west, "p2", list="west", rep="ana@acme.com") == []


async def test_of_a_list_each_with_its_count(west: Caller, client: Commands) -> None:
    """Exact: reserved, held, flagged, and whom this rep removed, until the first of them frees; what is past is none, settled or not."""
    for _ in range(2):
        await west.after(await west.take("west"), "disposition", {"outcome": "busy", "remove": True}, 200)
    held = await west.take("west", **BEN, hold_seconds=60)
    assert await counts(west) == {"reserved": 2, "held": 1, "do-not-call": 1}
    told = (await west.get("/v1/why", list="west", rep="ana@acme.com")).json
    assert told["dialable"] is True
    assert {one["rule"]: one["count"] for one in told["reasons"]} == {"reserved": 2, "held": 1, "removed": 2, "do-not-call": 1}
    assert {one["rule"]: one["until"] for one in told["reasons"]}["held"] == held["expires_at"]
    await west.take("west", **BEN)
    assert (await west.get("/v1/why", list="west")).json["dialable"] is False
    age(client, "acme", "csv:p1", DAY_MS + 1)
    assert await counts(west) == {"reserved": 2, "held": 1, "do-not-call": 1}
    assert (await west.get("/v1/why", list="west")).json["dialable"] is True
    assert (await west.get("/v1/why", list="west", rep="ana@acme.com")).json["dialable"] is False, "who is free is removed for ana"


async def test_of_many_removals(west: Caller, app: App) -> None:
    """Counted to the last, those who are members; one who left is none."""
    await west.make_list("Long", [f"q{number}" for number in range(1_200)])
    key = "reservoir:{acme}:list:long"
    for number in range(0, 1_300, 100):
        who = [f"q{one}" for one in range(number, number + 100)]
        await app.services.store.command("HSET", f"{key}:removed:ana", *[word for one in who for word in (one, "1 x")])
    await app.services.store.command("SADD", f"{key}:removers", "ana")
    told = (await west.get("/v1/why", list="long", rep="ana")).json
    assert (told["dialable"], [(one["rule"], one["count"]) for one in told["reasons"]]) == (False, [("removed", 1_200)])


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({}, {"prospect"}),
        ({"integration": "csv"}, {"prospect"}),
        ({"prospect": "p1"}, {"integration"}),
        ({"integration": "hubspot", "list": "west"}, {"integration"}),
        ({"integration": "hubspot", "prospect": "x"}, {"prospect"}),
        ({"integration": "pipedrive", "prospect": "x"}, {"integration"}),
        ({"list": "west", "mode": "predictive"}, {"mode"}),
        ({"list": "Not A List"}, {"list"}),
        ({"list": "west", "colour": "red"}, {"colour"}),
    ],
)
async def test_bad_queries(west: Caller, query: dict[str, str], where: set[str]) -> None:
    """A prospect is named by integration and id; without one, a list."""
    (await west.get("/v1/why", 422, **query)).invalid(*where)


async def test_a_lists_integration_may_be_named_with_it(west: Caller) -> None:
    """It says nothing that the list does not."""
    assert (await west.get("/v1/why", list="west", integration="csv")).json == (await west.get("/v1/why", list="west")).json


async def test_of_a_list_that_is_not_there(west: Caller) -> None:
    """404 list-not-found, with a prospect or without."""
    (await west.get("/v1/why", 404, list="nowhere")).refused(404, "list-not-found")
    (await west.get("/v1/why", 404, list="nowhere", integration="csv")).refused(404, "list-not-found")
    (await west.get("/v1/why", 404, list="nowhere", integration="csv", prospect="p1")).refused(404, "list-not-found")


async def test_a_key_that_an_operator_set_is_a_reason(west: Caller, client: Commands) -> None:
    """It blocks, so it is told."""
    client("SET", "reservoir:{acme}:reservation:csv:p1", "hands off", "EX", 600)
    (reason,) = (await why(west))["reasons"]
    assert (reason["rule"], reason["rep"], reason["since"]) == ("reserved", None, None)
