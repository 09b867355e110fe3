"""What is true of every answer: its form, its id, and that a defect shows nothing of the inside."""

import json
import logging
import re

import pytest

from reservoir.http.answers import PROBLEMS
from reservoir.http.routes import ROUTES
from reservoir.http.visit import Route
from tests.support.commands import Commands
from tests.support.service import App, Caller
from tests.support.walk import Named, ask, in_order, name_of

CONTRACT = {
    "malformed-json": 400, "body-incomplete": 400, "unauthenticated": 401, "forbidden": 403, "not-found": 404, "list-not-found": 404, "claim-not-found": 404,
    "not-reserved": 404, "not-a-member": 404, "integration-not-found": 404, "key-not-found": 404, "no-sync": 404, "method-not-allowed": 405,
    "prospect-reserved": 409, "do-not-call": 409, "claim-lapsed": 409, "claim-unreserved": 409, "claim-not-attempted": 409, "reservation-not-removable": 409,
    "extension-limit": 409, "list-exists": 409, "sync-running": 409, "precondition-failed": 412, "body-too-large": 413, "unsupported-media-type": 415,
    "invalid-request": 422, "idempotency-key-reused": 422, "no-source": 422, "no-rows": 422, "invalid-csv": 422, "too-many-requests": 429,
    "internal-error": 500, "not-ready": 503, "store-unavailable": 503,
}  # fmt: skip


def test_problems_have_the_contracts_status() -> None:
    """Each problem of the contract's table exists, with its status."""
    assert {slug: PROBLEMS[slug][0] for slug in CONTRACT} == CONTRACT


@pytest.mark.parametrize("path", ["/v1", "/v2/lists", "/v1/lists/", "/v1/lists/west/claims/", "/v1/nothing", "//v1/lists", "/v1/claims/a/b/c", "/healthz/"])
async def test_nothing_at_a_path(admin: Caller, path: str) -> None:
    """404 not-found for a path that is none, with a key or without one."""
    for caller in (admin, Caller(admin.http, admin.root)):
        for method in ("GET", "POST", "PROPFIND"):
            (await caller(method, path)).refused(404, "not-found")


@pytest.mark.parametrize("route", in_order(), ids=name_of)
async def test_a_method_that_is_not_allowed(app: App, admin: Caller, route: Route) -> None:
    """405 with Allow for every method that a path has not, with a key or without one."""
    path = re.sub("{[^}]*}", "x", route.path)
    allowed = {one.method for one in ROUTES if re.sub("{[^}]*}", "x", one.path) == path}
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - allowed:
        for caller in (admin, app.caller()):
            async with caller.http.request(method, admin.root + path, headers={"Authorization": f"Bearer {caller.key}"} if caller.key else {}) as response:
                assert response.status == 405, method
                assert {one.strip() for one in response.headers["Allow"].split(",")} == allowed
                assert response.headers["Content-Type"].startswith("application/problem+json")
                assert response.headers["X-Request-Id"]
                text = await response.read()
                assert method == "HEAD" or json.loads(text)["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize("id_", ["x", "a-b_c.d:e/f", "!~{}*", "x" * 128])
async def test_a_request_id_is_echoed(admin: Caller, app: App, id_: str) -> None:
    """On answers, refusals, the router's own and where no key is needed."""
    for caller, path in ((admin, "/v1/org"), (app.caller(), "/v1/org"), (admin, "/v1/lists/nowhere"), (app.caller(), "/nowhere"), (app.caller(), "/healthz")):
        assert (await caller("GET", path, headers={"X-Request-Id": id_})).headers["X-Request-Id"] == id_


@pytest.mark.parametrize("id_", ["", "a b", "x" * 129, "\N{LATIN SMALL LETTER E WITH ACUTE}", "a\tb"])
async def test_what_is_no_request_id_is_replaced(admin: Caller, id_: str) -> None:
    """What would not be safe in a log line or a header is not echoed: another one is made."""
    made = {(await admin("GET", "/v1/org", headers={"X-Request-Id": id_})).headers["X-Request-Id"] for _ in range(5)}
    assert len(made) == 5
    assert all(re.fullmatch("[a-z0-9]{16,}", one) for one in made)


@pytest.mark.leaves("a key of the wrong type")
@pytest.mark.parametrize("key", ["reservoir:{acme}:ends", "reservoir:{acme}:history", "reservoir:{acme}:list:west:order"])
async def test_a_crash_shows_nothing_of_its_inside(admin: Caller, client: Commands, key: str, caplog: pytest.LogCaptureFixture) -> None:
    """500 internal-error with the request id, which the log has together with what went wrong; nobody is taken."""
    await admin.make_list("West", ["p1"])
    client("DEL", key)
    client("SET", key, "of the wrong type")
    path, body = "/v1/lists/west/claims", {"rep": "ana", "session": "s", "mode": "power"}
    with caplog.at_level(logging.ERROR):
        told = (await admin("POST", path, body, headers={"X-Request-Id": "find-me"})).refused(500, "internal-error")
    assert told.json["request_id"] == "find-me"
    assert told.json.keys() == {"type", "title", "status", "detail", "request_id"}
    assert not re.search("WRONGTYPE|lua|script|Traceback|Store|reservoir:|line [0-9]", told.text)
    assert "WRONGTYPE" in caplog.text
    assert not client("EXISTS", "reservoir:{acme}:reservation:csv:p1")
    (await admin("POST", path, body, headers={"Idempotency-Key": "k"})).refused(500, "internal-error")


@pytest.mark.leaves("a key of the wrong type")
async def test_a_crash_in_a_read(admin: Caller, client: Commands) -> None:
    """A read of what cannot be read is 500 with a request id that was made, and the next request is served."""
    await admin.make_list("West", ["p1"])
    client("SET", "reservoir:{acme}:list:west:held", "of the wrong type")
    told = (await admin.get("/v1/lists/west", 500)).refused(500, "internal-error")
    assert told.json["request_id"] == told.headers["X-Request-Id"]
    await admin.get("/v1/org")


async def test_answers_are_json(admin: Caller) -> None:
    """application/json and UTF-8 for what is done, for every route that has something to say."""
    await admin.make_list("West", [{"id": "p1", "name": "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} \N{PARTY POPPER}"}])
    claim = await admin.take("west", hold_seconds=600)
    for route in in_order():
        told = await ask(admin, route, Named(claim=claim["id"]))
        if told.status == 204:
            assert "Content-Type" not in told.headers
        elif told.status < 400:
            assert told.headers["Content-Type"].partition(";")[0] == "application/json", route.path


async def test_answers_are_utf_8(admin: Caller) -> None:
    """A name with non-ASCII characters comes back as it was sent."""
    await admin.patch("/v1/org", {"name": "\u65e5\u672c \N{PARTY POPPER}"}, 200)
    assert (await admin.get("/v1/org")).json["name"] == "\u65e5\u672c \N{PARTY POPPER}"
