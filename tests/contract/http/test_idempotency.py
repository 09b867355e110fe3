"""Idempotency-Key on the two POSTs that claim: a retry is safe (R15)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, BEN, App, Caller, Told, ids_of, kept

Ask = Callable[..., Awaitable[Told]]


async def test_r15_a_repeat_takes_nothing_more(admin: Caller, client: Commands) -> None:
    """R15: the same key and body answers 201 with the same claims, and the keyspace is as it was."""
    await admin.make_list("West", ["p1", "p2", "p3"])
    first = await admin.claim("west", 2, key="k-1")
    before = kept(client)
    for _ in range(2):
        again = await admin.claim("west", 2, key="k-1")
        assert again.json == first.json
    assert kept(client) == before


async def test_r15_a_repeat_of_a_claim_by_id(admin: Caller) -> None:
    """R15: one particular prospect, claimed again with the same key, is the same claim and no 409."""
    first = await admin.claim_one("p1", key="k-1")
    assert (await admin.claim_one("p1", key="k-1")).json == first.json
    (await admin.claim_one("p1", expect=409, key="k-2")).refused(409, "prospect-reserved")


async def test_r15_two_at_once_are_one_grant(admin: Caller, app: App, other_app: App) -> None:
    """R15: many requests with one key at once, over two processes, are one grant, which all receive."""
    await admin.make_list("West", [f"p{number}" for number in range(20)])
    told = await asyncio.gather(*(admin.at((app, other_app)[number % 2]).claim("west", 3, key="k-1") for number in range(10)))
    assert {tuple(claim["id"] for claim in one.json["claims"]) for one in told} == {tuple(claim["id"] for claim in told[0].json["claims"])}
    assert (await admin.counts("west"))["reserved"] == 3


async def test_r15_a_repeat_tells_the_claims_that_still_stand_as_they_stand(admin: Caller, client: Commands) -> None:
    """R15: one attempted since is told as reserved; released, lapsed and expired ones, and those that somebody else has by now, are not told."""
    await admin.make_list("West", [f"p{number}" for number in range(1, 6)])
    first = await admin.claim("west", 4, key="k-1", hold_seconds=600)
    attempted, released, lapsed, taken = first.json["claims"]
    await admin.after(attempted, "attempt", expect=200)
    await admin.after(released, "release", expect=200)
    age(client, "acme", f"csv:{lapsed['prospect']['id']}", 600_001)
    age(client, "acme", f"csv:{taken['prospect']['id']}", 600_001)
    await admin.claim_one(taken["prospect"]["id"], **BEN)
    (standing,) = (await admin.claim("west", 4, key="k-1", hold_seconds=600)).json["claims"]
    assert (standing["id"], standing["state"]) == (attempted["id"], "reserved")


async def test_r15_a_repeat_tells_how_the_list_stands_now(admin: Caller, client: Commands) -> None:
    """R15: the figures of a repeat are those of its own instant: a hold that lapsed since counts as available."""
    await admin.make_list("West", ["p1", "p2"])
    await admin.claim("west", 2, key="k-1", hold_seconds=600)
    age(client, "acme", "csv:p1", 600_001)
    told = await admin.claim("west", 2, key="k-1", hold_seconds=600)
    assert (ids_of(told.json["claims"]), told.json["list"]["available"]) == (["p2"], 1)


async def test_r15_if_none_stands_the_dialer_must_not_dial(admin: Caller, client: Commands) -> None:
    """R15: 409 claim-lapsed once none of the key's claims stands, and nobody is claimed anew."""
    await admin.make_list("West", ["p1", "p2"])
    await admin.claim("west", key="k-1")
    age(client, "acme", "csv:p1", DAY_MS + 1)
    (await admin.claim("west", expect=409, key="k-1")).refused(409, "claim-lapsed")
    one = await admin.claim_one("c-1", key="k-2", hold_seconds=600)
    await admin.after(one.json, "release", expect=200)
    (await admin.claim_one("c-1", expect=409, key="k-2", hold_seconds=600)).refused(409, "claim-lapsed")
    assert (await admin.counts("west"))["available"] == 2


async def test_r15_unreserved_claims_stand_too(admin: Caller) -> None:
    """R15: while multi-rep dialing is off, a repeat tells the same claims and moves no place, also after it was switched on."""
    await admin.enable(enabled=False)
    await admin.make_list("West", ["p1", "p2", "p3"])
    first = await admin.claim("west", 2, key="k-1")
    assert (await admin.claim("west", 2, key="k-1")).json == first.json
    assert (await admin.take("west"))["prospect"]["id"] == "p3"
    await admin.enable()
    assert (await admin.claim("west", 2, key="k-1")).json["claims"] == first.json["claims"]


async def test_an_answer_that_took_nothing_is_not_remembered(admin: Caller) -> None:
    """Asked again with the same key when there is somebody, or when the prospect is free, it claims."""
    await admin.make_list("West")
    await admin.claim("west", expect=200, key="k-1")
    await admin.fill("west", ["p1"])
    held = await admin.take("west", key="k-1", hold_seconds=None)
    assert held["prospect"]["id"] == "p1"
    hold = (await admin.claim_one("c-1", hold_seconds=600)).json
    (await admin.claim_one("c-1", expect=409, key="k-2")).refused(409, "prospect-reserved")
    await admin.after(hold, "release", expect=200)
    await admin.claim_one("c-1", key="k-2")


@pytest.mark.parametrize(
    "other",
    [
        {"rep": "ben"},
        {"session": "s-9"},
        {"mode": "power", "count": 1},
        {"count": 3},
        {"hold_seconds": 60},
        {"wait_seconds": 1},
    ],
)
async def test_a_key_reused_for_another_body(admin: Caller, client: Commands, other: dict[str, Any]) -> None:
    """422 idempotency-key-reused for the same key with any other body, and nothing is taken."""
    await admin.make_list("West", [f"p{number}" for number in range(9)])
    await admin.claim("west", 2, key="k-1")
    before = kept(client)
    (await admin.claim("west", **({"count": 2} | other), expect=422, key="k-1")).refused(422, "idempotency-key-reused")
    assert kept(client) == before


async def test_a_key_reused_on_another_path(admin: Caller) -> None:
    """422 idempotency-key-reused on another list, and on the other POST; on a list that is not there, 404 comes first."""
    await admin.make_list("West", ["p1", "p2"])
    await admin.make_list("East", ["p3"])
    await admin.claim("west", key="k-1")
    (await admin.claim("east", expect=422, key="k-1")).refused(422, "idempotency-key-reused")
    (await admin.claim_one("p2", expect=422, key="k-1")).refused(422, "idempotency-key-reused")
    (await admin.claim("nowhere", expect=404, key="k-1")).refused(404, "list-not-found")


async def test_defaults_filled_in_are_the_same_body(admin: Caller) -> None:
    """Bodies are compared after validation: a default that is written out, another order, other white space and another form of the id are no other body."""
    await admin.enable("salesforce")
    await admin.make_list("West", ["p1", "p2"])
    path, headers = "/v1/lists/west/claims", {"Idempotency-Key": "k-1", "Content-Type": "application/json"}
    texts = [
        b'{"rep": "ana", "session": "s-1", "mode": "parallel"}',
        b'{"wait_seconds":0,"hold_seconds":null,"count":1,"mode":"parallel","session":"s-1","rep":"\\u0061na"}',
    ]
    told = [await admin("POST", path, data=text, headers=headers, expect=201) for text in texts]
    assert told[0].json == told[1].json
    short = await admin.claim_one("00Q5e00000AbCdE", "salesforce", key="k-2")
    assert (await admin.claim_one("00Q5e00000AbCdEEAV", "salesforce", key="k-2", list=None)).json == short.json


async def test_keys_are_per_org(app: App, admin: Caller) -> None:
    """The same key of another org is another key."""
    await admin.make_list("West", ["p1"])
    globex = await app.org("globex")
    await globex.enable()
    await globex.make_list("West", ["g1"])
    assert ids_of((await admin.claim("west", key="k-1")).json["claims"]) == ["p1"]
    assert ids_of((await globex.claim("west", key="k-1")).json["claims"]) == ["g1"]


async def test_click_to_call_remembers_none(admin: Caller) -> None:
    """A key on click to call binds nothing: used for a claim afterwards, it is new."""
    await admin.claim_one("p1", expect=200, key="k-1", mode="click_to_call")
    await admin.claim_one("p1", expect=200, key="k-1", mode="click_to_call", **BEN)
    await admin.claim_one("p1", key="k-1")


@pytest.mark.parametrize("key", ["x", "x" * 255, "{*}:%00 ~!", "own-made-up", "a b"])
async def test_a_key_is_printable_ascii(admin: Caller, key: str) -> None:
    """1 to 255 printable ASCII characters, whatever they are, make a repeat safe."""
    first = await admin.claim_one("p1", key=key)
    assert (await admin.claim_one("p1", key=key)).json == first.json


@pytest.mark.parametrize("key", ["", "x" * 256, "k\N{LATIN SMALL LETTER E WITH ACUTE}", "a\tb"])
async def test_what_is_no_key_is_refused(admin: Caller, key: str) -> None:
    """A 422 that names the header, and nothing is taken."""
    (await admin.claim_one("p1", expect=422, key=key)).invalid("Idempotency-Key")
    await admin.claim_one("p1")


async def test_what_is_kept_of_a_request_is_ids_and_a_digest(admin: Caller, client: Commands) -> None:
    """Neither rep nor body is in what a key remembers, and it goes after 24 h, or 15 min where the service made it."""
    await admin.make_list("West", ["p1", "p2"])
    claim = (await admin.claim("west", key="k-1")).json["claims"][0]
    await admin.claim("west")
    remembered = {key: entry for key, entry in kept(client).items() if ":idempotency:" in key}
    mine = remembered.pop("reservoir:{acme}:idempotency:k-1")
    digest, *ids = mine.value.split(" ")
    assert (len(digest), ids) == (32, [claim["id"]])
    now_ms = int(client("TIME")[0]) * 1_000
    assert mine.expires_at_ms is not None
    assert DAY_MS - 120_000 < mine.expires_at_ms - now_ms <= DAY_MS + 1_000
    (own,) = remembered.values()
    assert own.expires_at_ms is not None
    assert 13 * 60_000 < own.expires_at_ms - now_ms <= 15 * 60_000 + 1_000


async def test_r15_a_repeat_after_the_list_was_deleted(admin: Caller) -> None:
    """R15: what the key took still stands, and the repeat says so."""
    await admin.make_list("West", ["p1"])
    first = await admin.claim("west", key="k-1")
    await admin("DELETE", "/v1/lists/west", expect=204)
    again = await admin.claim("west", key="k-1")
    assert [claim["id"] for claim in again.json["claims"]] == [claim["id"] for claim in first.json["claims"]]
    assert again.json["claims"][0]["session"] == ANA["session"]
