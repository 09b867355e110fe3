"""API keys: created, told, revoked; and scopes, down every route."""

import asyncio
import hashlib
import re
from typing import Any, get_args

import pytest

from reservoir.domain.settings import SCOPES, Scope
from reservoir.domain.times import HOUR_MS
from reservoir.http.visit import Route
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import App, Caller, at, cursor_of, kept, lasts_ms
from tests.support.walk import Named, ask, in_order, name_of

KEY = re.compile(r"rsv_acme_[a-z2-7]{12}_[a-z2-7]{52}")


async def test_a_key_is_shown_once(app: App, admin: Caller, client: Commands) -> None:
    """201 with the key; from then on it is told without it, and only its hash is in the store."""
    told = (await admin.post("/v1/api-keys", {"name": "dialer", "scopes": ["dial"]}, 201)).json
    assert KEY.fullmatch(told["key"])
    assert told == {
        "id": told["id"], "name": "dialer", "scopes": ["dial"], "created_at": told["created_at"], "last_used_at": None, "key": told["key"],
    }  # fmt: skip
    assert (await app.caller(told["key"]).get("/v1/org")).json["id"] == "acme"
    listed = await admin.get("/v1/api-keys")
    assert told["key"] not in listed.text
    (mine,) = [one for one in listed.json["items"] if one["id"] == told["id"]]
    assert {**mine, "last_used_at": None} == {name: value for name, value in told.items() if name != "key"}
    everything = str(kept(client))
    assert told["key"] not in everything
    assert told["key"].rpartition("_")[2] not in everything
    assert hashlib.sha256(told["key"].encode()).hexdigest() in everything


async def test_last_used_at_is_right_to_the_minute(app: App, admin: Caller, client: Commands) -> None:
    """null until the key is used, then the minute of its use."""
    told = (await admin.post("/v1/api-keys", {"name": "dialer", "scopes": ["read"]}, 201)).json

    async def used() -> Any:
        return next(one["last_used_at"] for one in (await admin.get("/v1/api-keys")).json["items"] if one["id"] == told["id"])

    assert await used() is None
    before = int(client("TIME")[0])
    await app.caller(told["key"]).get("/v1/org")
    after = int(client("TIME")[0])
    assert before - before % 60 <= at(await used()).timestamp() <= after


async def test_pages_of_keys(admin: Caller) -> None:
    """Oldest first, in pages of any size, also where one goes while they are read."""
    made = [(await admin.post("/v1/api-keys", {"name": f"k-{number}", "scopes": ["read"]}, 201)).json["id"] for number in range(5)]
    everything = await admin.pages("/v1/api-keys")
    assert {one["id"] for one in everything} > set(made)
    for limit in (1, 2, 6, 7):
        assert await admin.pages("/v1/api-keys", limit=limit) == everything
    first = (await admin.get("/v1/api-keys", limit=3)).json
    own = (admin.key or "").split("_")[2]
    gone = next(one["id"] for one in first["items"] if one["id"] != own)
    await admin("DELETE", f"/v1/api-keys/{gone}", expect=204)
    rest = (await admin.get("/v1/api-keys", cursor=first["next_cursor"])).json["items"]
    assert [one["id"] for one in first["items"] + rest] == [one["id"] for one in everything]
    for cursor in ("x", cursor_of([-5]), cursor_of([1]), cursor_of(["a", "b"]), cursor_of([1, 2])):
        (await admin.get("/v1/api-keys", 422, cursor=cursor)).invalid("cursor")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["/name", "/scopes"]),
        ({"name": "", "scopes": []}, ["/name", "/scopes"]),
        ({"name": "a", "scopes": ["write"]}, ["/scopes/0"]),
        ({"name": "a", "scopes": ["dial", "root", 1]}, ["/scopes/1", "/scopes/2"]),
        ({"name": "a", "scopes": "dial"}, ["/scopes"]),
        ({"name": "a", "scopes": None}, ["/scopes"]),
        ({"name": "a\0", "scopes": ["dial"]}, ["/name"]),
        ({"name": "a", "scopes": ["dial"], "key": "mine", "id": "x"}, ["/key", "/id"]),
    ],
)
async def test_a_bad_key_is_refused(admin: Caller, body: Any, where: list[str], client: Commands) -> None:
    """A 422 that names every bad field, and no key."""
    before = kept(client)
    (await admin.post("/v1/api-keys", body)).invalid(*where)
    assert kept(client) == before


async def test_a_revoked_key_is_gone(app: App, admin: Caller) -> None:
    """204, then 401 for its holder and 404 key-not-found for whoever revokes it again; so for what never was."""
    told = (await admin.post("/v1/api-keys", {"name": "dialer", "scopes": ["admin"]}, 201)).json
    holder = app.caller(told["key"])
    assert (await holder("DELETE", f"/v1/api-keys/{told['id']}", expect=204)).text == ""
    (await holder.get("/v1/org", 401)).refused(401, "unauthenticated")
    for key in (told["id"], "aaaaaaaaaaaa", "x", "%00", "%2E%2E"):
        (await admin("DELETE", f"/v1/api-keys/{key}")).refused(404, "key-not-found")


async def test_the_last_key_can_be_revoked(admin: Caller) -> None:
    """An admin may revoke every key, their own too: keys are made with the command line, too."""
    ids = [one["id"] for one in (await admin.get("/v1/api-keys")).json["items"]]
    own = (admin.key or "").split("_")[2]
    for key in sorted(ids, key=lambda id_: id_ == own):
        await admin("DELETE", f"/v1/api-keys/{key}", expect=204)
    (await admin.get("/v1/api-keys", 401)).refused(401, "unauthenticated")


def forged(key: str) -> list[str]:
    """What looks like a key and is none."""
    head, org, id_, secret = key.split("_")
    other = "b" if secret[0] == "a" else "a"
    return [
        "",
        "x",
        key[:-1],
        key + "a",
        key.upper(),
        f"{head}_{org}_{id_}_{other}{secret[1:]}",
        f"{head}_globex_{id_}_{secret}",
        f"{head}_nobody_{id_}_{secret}",
        f"{head}_{org}_aaaaaaaaaaaa_{secret}",
        f"{head}_{org}_*_{secret}",
        f"{head}_{{acme}}_{id_}_{secret}",
        "\N{LATIN SMALL LETTER E WITH ACUTE}" * 10,
    ]


async def test_what_is_no_key_is_unauthenticated(app: App, admin: Caller) -> None:
    """401 with WWW-Authenticate for no key, a forged one, another scheme; the scheme's case does not matter."""
    await app.org("globex")
    assert admin.key
    for key in forged(admin.key):
        told = (await app.caller()("GET", "/v1/org", headers={"Authorization": f"Bearer {key}"})).refused(401, "unauthenticated")
        assert told.headers["WWW-Authenticate"] == "Bearer"
    for header in ({}, {"Authorization": admin.key}, {"Authorization": f"Basic {admin.key}"}, {"Authorization": "Bearer"}, {"X-Api-Key": admin.key}):
        (await app.caller()("GET", "/v1/org", headers=header)).refused(401, "unauthenticated")
    (await app.caller()("GET", f"/v1/org?api_key={admin.key}")).refused(401, "unauthenticated")
    for scheme in ("bearer", "BEARER"):
        await app.caller()("GET", "/v1/org", headers={"Authorization": f"{scheme} {admin.key}"}, expect=200)


# Scopes


CONTRACT: dict[str, Scope] = {
    "claim_next": "dial", "claim_one": "dial", "get_claim": "read", "attempt": "dial", "release": "dial", "extend": "dial", "dispose": "dial",
    "end_session": "dial", "list_reservations": "read", "look_up": "read", "get_reservation": "read",
    "create_list": "admin", "list_lists": "read", "get_list": "read", "patch_list": "admin", "delete_list": "admin", "get_sync": "read", "ask_sync": "dial",
    "list_members": "read", "put_members": "admin", "list_removals": "read", "restore": "admin", "reset": "dial",
    "list_integrations": "read", "get_integration": "read", "get_multi_rep_dialing": "read", "patch_multi_rep_dialing": "admin",
    "get_org": "read", "patch_org": "admin", "list_keys": "admin", "create_key": "admin", "revoke_key": "admin",
}  # fmt: skip
"""Which scope each operation needs, by the contract. A route that is not here has a rule below all the same: `needed`."""


def needed(route: Route) -> Scope:
    """The scope that the contract says: `read` every GET but the API keys', and lookups; of the rest, what `CONTRACT` says, and else `admin`."""
    if route.method == "GET":
        return "admin" if "/api-keys" in route.path else "read"
    return CONTRACT.get(name_of(route), "admin")


@pytest.mark.parametrize("scope", get_args(Scope))
async def test_scopes_down_every_route(app: App, admin: Caller, scope: Scope) -> None:
    """Each route is 403 to a key whose scope does not reach it, naming the scope that does, whatever it names; and answers those that do."""
    await admin.make_list("West", ["p1", "p2"])
    claim = await admin.take("west", hold_seconds=600)
    key = (await admin.post("/v1/api-keys", {"name": "to go", "scopes": ["read"]}, 201)).json["id"]
    caller = await app.member_of("acme", scope)
    named = Named(claim=claim["id"], key=key)
    for route in in_order():
        wanted = needed(route)
        told = await ask(caller, route, named)
        if SCOPES.index(scope) < SCOPES.index(wanted):
            assert wanted in told.refused(403, "forbidden").json["detail"], route.path
            nothing = Named("nowhere", prospect="nobody", integration="csv")
            (await ask(caller, route, nothing)).refused(403, "forbidden")
        else:
            assert told.slug not in {"forbidden", "unauthenticated"}, route.path
            assert told.status < 500, route.path


@pytest.mark.parametrize("scopes", [["read", "dial"], ["dial", "read"], ["dial", "dial"], ["dial"]])
async def test_a_key_of_several_scopes_reaches_what_the_widest_does(app: App, admin: Caller, scopes: list[str]) -> None:
    """Each scope is all of the ones below it, in whatever order they are named, and twice the same is once."""
    told = (await admin.post("/v1/api-keys", {"name": "a", "scopes": scopes}, 201)).json
    assert told["scopes"] == list(dict.fromkeys(scopes))
    caller = app.caller(told["key"])
    await caller.get("/v1/reservations")
    await caller.claim_one("p1")
    (await caller.patch("/v1/org", {"name": "x"})).refused(403, "forbidden")


async def test_nobody_is_authenticated_on_any_route(app: App, admin: Caller, client: Commands) -> None:
    """Down every route, no key and a forged one are 401 before anything else, and nothing is done."""
    await admin.make_list("West", ["p1"])
    before = kept(client)
    for route in in_order():
        for caller in (app.caller(), app.caller("rsv_acme_aaaaaaaaaaaa_" + "a" * 52)):
            (await ask(caller, route, Named())).refused(401, "unauthenticated")
            (await caller(route.method, re.sub("{[^}]*}", "nowhere", route.path) + "?bogus=1", data=b"no json")).refused(401, "unauthenticated")
    assert kept(client) == before


# Two processes


async def test_a_revoked_key_stops_at_once_in_every_process(app: App, other_app: App, admin: Caller) -> None:
    """The next call of another process that knew the key is 401, down every route, whatever else is wrong with it; not one of them does anything."""
    await admin.make_list("West", ["p1", "p2"])
    claim = await admin.take("west", hold_seconds=600)
    told = await admin.claim_one("c-1", hold_seconds=600)
    for route in in_order():
        for scope, named in (("admin", Named(claim=claim["id"])), ("read", Named("nowhere", prospect="nobody"))):
            made = (await admin.post("/v1/api-keys", {"name": "to go", "scopes": [scope]}, 201)).json
            there = other_app.caller(made["key"])
            await there.get("/v1/org")
            await admin.at(app)("DELETE", f"/v1/api-keys/{made['id']}", expect=204)
            assert (await ask(there, route, named)).slug == "unauthenticated", f"{route.method} {route.path} {scope} {named}"
    assert (await admin.get(f"/v1/claims/{told.json['id']}")).json["state"] == "held"
    assert (await admin.counts("west"))["available"] == 1


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("GET", "/v1/lists", None),
        ("GET", "/v1/lists?limit=0", None),
        ("GET", "/v1/reservations", None),
        ("POST", "/v1/reservations/lookup", b'{"prospects": []}'),
        ("POST", "/v1/claims", b"no json"),
        ("POST", "/v1/lists", b"{}"),
        ("PATCH", "/v1/org", b"[]"),
        ("GET", "/v1/integrations/pipedrive", None),
        ("DELETE", "/v1/api-keys/aaaaaaaaaaaa", None),
    ],
)
async def test_a_revoked_key_is_refused_where_the_store_need_not_be_asked(
    app: App, other_app: App, admin: Caller, method: str, path: str, data: bytes | None
) -> None:
    """401, too, for what another process could have answered or refused out of its memory."""
    for scope in ("read", "admin"):
        made = (await admin.post("/v1/api-keys", {"name": "to go", "scopes": [scope]}, 201)).json
        there = other_app.caller(made["key"])
        await there.get("/v1/org")
        await admin.at(app)("DELETE", f"/v1/api-keys/{made['id']}", expect=204)
        headers = {"Content-Type": "application/json"} if data else {}
        (await there(method, path, data=data, headers=headers)).refused(401, "unauthenticated")


async def test_a_new_key_is_known_at_once_in_every_process(app: App, other_app: App, admin: Caller) -> None:
    """A process that remembers the org knows a key that another one made a moment ago."""
    await admin.at(other_app).get("/v1/org")
    for _ in range(3):
        made = (await admin.at(app).post("/v1/api-keys", {"name": "new", "scopes": ["dial"]}, 201)).json
        await other_app.caller(made["key"]).get("/v1/reservations")


async def test_r7_a_setting_is_obeyed_by_the_next_claim_of_every_process(app: App, other_app: App, admin: Caller, client: Commands) -> None:
    """R7: switched and changed through one process, it is obeyed by the very next attempt through another."""
    here, there = admin.at(app), admin.at(other_app)
    for round_ in range(1, 4):
        await here.enable(enabled=False)
        assert (await there.claim_one(f"a-{round_}")).json["state"] == "unreserved"
        await here.enable(unit="hour", duration=round_)
        claim = (await there.claim_one(f"b-{round_}", hold_seconds=600)).json
        await here.enable(unit="hour", duration=round_ + 10)
        attempted = (await there.after(claim, "attempt", expect=200)).json
        assert lasts_ms(attempted, "attempted_at") == (round_ + 10) * HOUR_MS
    age(client, "acme", "csv:b-1", 11 * HOUR_MS + 1)
    await there.claim_one("b-1")


async def test_many_settings_changed_at_once_over_two_processes(app: App, other_app: App, admin: Caller) -> None:
    """Claims that run while settings change are all answered, each by a setting that was in force."""
    await admin.enable(unit="hour", duration=1)

    async def change() -> None:
        for duration in range(2, 8):
            await admin.at(app).enable(unit="hour", duration=duration)

    async def claim(number: int) -> Any:
        return (await admin.at((app, other_app)[number % 2]).claim_one(f"p-{number}")).json

    _, *claims = await asyncio.gather(change(), *(claim(number) for number in range(30)))
    assert {lasts_ms(one) for one in claims} <= {hours * HOUR_MS for hours in range(1, 8)}
    assert lasts_ms(await claim(99)) == 7 * HOUR_MS
