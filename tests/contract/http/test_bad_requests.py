"""Bad input: a clear answer, in the contract's order, and nothing half-done."""

import gzip
import io
import json
import logging
from typing import Any

import pytest

from reservoir.http.routes import ROUTES
from tests.support.commands import Commands
from tests.support.service import ANA, App, Caller, csv_of, kept
from tests.support.walk import Named, ask, name_of

CLAIM = "/v1/claims"
GOOD: dict[str, Any] = {"prospect": {"integration": "csv", "id": "p1"}, **ANA, "mode": "power"}
MEBIBYTE = 1 << 20


async def send(caller: Caller, text: bytes, path: str = CLAIM, method: str = "POST", content: str | None = "application/json") -> Any:
    return await caller(method, path, data=io.BytesIO(text) if len(text) > 100_000 else text, headers={} if content is None else {"Content-Type": content})


def with_value(value: str) -> bytes:
    """A claim by id of a list whose ``rep`` is this JSON text."""
    return json.dumps(GOOD | {"rep": "VALUE"}).replace('"VALUE"', value).encode("utf-8", "surrogatepass")


MALFORMED = {
    "nothing": b"",
    "white space": b" \n",
    "no json": b"rep=ana",
    "cut short": b'{"rep": "ana"',
    "two values": b"{} {}",
    "trailing comma": b'{"rep": "ana",}',
    "single quotes": b"{'rep': 'ana'}",
    "a comment": b'{"rep": "ana"} // x',
    "NaN": with_value("NaN"),
    "Infinity": with_value("-Infinity"),
    "1e999": with_value("1e999"),
    "-1e999": with_value("-1e999"),
    "leading zero": with_value("01"),
    "duplicate keys": b'{"rep": "ana", "session": "s", "rep": "ben"}',
    "duplicate keys deep inside": with_value('[{"a": {"b": 1, "b": 1}}]'),
    "duplicate keys written differently": b'{"rep": "ana", "r\\u0065p": "ben"}',
    "a lone surrogate": with_value('"\\ud800"'),
    "a lone surrogate behind a pair": with_value('"\\ud83d\\ude00 \\udc00"'),
    "a lone surrogate as a key": b'{"\\udfff": 1}',
    "surrogates the wrong way round": with_value('"\\ude00\\ud83d"'),
    "65 deep": b"[" * 65 + b"]" * 65,
    "65 deep in objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "100,000 deep and never closed": b"[" * 100_000,
    "control character": b'{"rep": "a\nb"}',
    "no UTF-8": b'{"rep": "\xff"}',
    "a surrogate in UTF-8": with_value('"\ud800"'),
    "UTF-16": '{"rep": "ana"}'.encode("utf-16"),
    "a BOM": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_json(admin: Caller, client: Commands, text: bytes) -> None:
    """400 malformed-json for what is not one JSON value, on POST and PATCH alike, and nothing is done."""
    before = kept(client)
    (await send(admin, text)).refused(400, "malformed-json")
    (await send(admin, text, "/v1/org", "PATCH")).refused(400, "malformed-json")
    assert kept(client) == before


async def test_64_deep_is_json(admin: Caller) -> None:
    """Nesting up to 64 is read, and refused for what it is; brackets in a string are no nesting."""
    (await send(admin, with_value("[" * 63 + "]" * 63))).invalid("/rep")
    (await send(admin, b"[" * 64 + b"]" * 64)).invalid("")
    claim = (await admin.post(CLAIM, GOOD | {"rep": '[{"' * 60}, 201)).json
    assert claim["rep"] == '[{"' * 60


@pytest.mark.parametrize("digits", [20, 400, 5_000, 500_000])
async def test_a_huge_integer_is_read_in_no_time_and_refused(admin: Caller, digits: int) -> None:
    """An integer of any length is a 422 that points at it; it is not echoed."""
    told = (await send(admin, json.dumps(GOOD | {"hold_seconds": 0}).replace(": 0", ": " + "9" * digits).encode())).invalid("/hold_seconds")
    assert len(told.text) < 1_000


HOSTILE = {
    "a string that is never closed": b"[" * 65 + b'"' + b'\\"' * 500_000,
    "a hundred thousand keys and one of them twice": b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b',"89999":2}',
    "a million digits of a fraction": b"[1." + b"3" * 1_000_000 + b"x]",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_json_is_refused_in_linear_time(admin: Caller, text: bytes) -> None:
    """What would cost a careless parser hours is 400 at once: the test's own timeout is the bound."""
    (await send(admin, text)).refused(400, "malformed-json")


@pytest.mark.parametrize(
    ("value", "found"), [("[]", "a list"), ("null", "null"), ("1", "1"), ('"x"', "'x'"), ("true", "true"), ("[{}]", "a list"), ("1.5", "1.5")]
)
async def test_what_is_no_object(admin: Caller, value: str, found: str) -> None:
    """422 that points at the whole body, and says what was expected and what came."""
    (error,) = (await send(admin, value.encode())).invalid("").json["errors"]
    assert error == {"pointer": "", "detail": f"expected an object, found {found}"}


async def test_what_came_is_told_once(admin: Caller) -> None:
    """A sentence that names the bad value already does not end with it."""
    told = await admin.post(CLAIM, GOOD | {"prospect": {"integration": "salesforce", "id": "p1"}, "hold_seconds": 4})
    assert {error["pointer"]: error["detail"].count("found") for error in told.json["errors"]} == {"/prospect/id": 0, "/hold_seconds": 1}
    assert "'p1'" in told.text


@pytest.mark.parametrize("character", ["\0", "\x01", "\x1f", "\x7f", "\x85", "\n", "\t", "\r"])
async def test_control_characters_in_ids(admin: Caller, client: Commands, character: str) -> None:
    """NUL and every control character in a rep, session or prospect id is a 422 that points at each."""
    await admin.make_list("West", ["p1"])
    before = kept(client)
    strange = f"a{character}b"
    (await admin.post(CLAIM, GOOD | {"rep": strange, "session": strange})).invalid("/rep", "/session")
    (await admin.post(CLAIM, GOOD | {"prospect": {"integration": "csv", "id": strange}})).invalid("/prospect/id")
    (await admin.post("/v1/reservations/lookup", {"prospects": [{"integration": "csv", "id": strange}]})).invalid("/prospects/0/id")
    assert kept(client) == before


async def test_ids_are_counted_in_bytes(admin: Caller) -> None:
    """255 bytes of UTF-8 are an id, 256 are none."""
    full = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 127 + "x"
    assert (await admin.claim_one(full, rep=full, session=full)).json["rep"] == full
    (await admin.claim_one("p", expect=422, rep=full + "x", session=full + "x")).invalid("/rep", "/session")


# Sizes and types


async def test_a_body_of_more_than_a_mebibyte(admin: Caller, client: Commands) -> None:
    """413 for a body of one byte more than 1 MiB, and of 2 MB; exactly 1 MiB is read."""
    before = kept(client)
    for size in (MEBIBYTE + 1, 2_000_000):
        text = json.dumps(GOOD).encode()
        (await send(admin, text + b" " * (size - len(text)))).refused(413, "body-too-large")
        (await send(admin, b"{}" + b" " * (size - 2), "/v1/org", "PATCH")).refused(413, "body-too-large")
    assert kept(client) == before
    text = json.dumps(GOOD).encode()
    assert (await send(admin, text + b" " * (MEBIBYTE - len(text)))).status == 201


async def test_a_body_that_grows_as_it_is_unpacked(admin: Caller) -> None:
    """413, too, for a small body that is a large one when it is unpacked; a small one that stays small is read."""
    for size, status in ((100, 201), (3 * MEBIBYTE, 413)):
        body = gzip.compress(json.dumps(GOOD).encode() + b" " * size)
        told = await admin("POST", CLAIM, data=body, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
        assert told.status == status


@pytest.mark.parametrize("packed", ["gzip", "deflate"])
async def test_a_body_that_is_not_packed_as_it_says(admin: Caller, client: Commands, caplog: pytest.LogCaptureFixture, packed: str) -> None:
    """400, nothing is done, and it is no defect of the service that its log would tell of."""
    await admin.make_list("West")
    before = kept(client)
    with caplog.at_level(logging.WARNING):
        told = await admin("POST", CLAIM, data=json.dumps(GOOD).encode(), headers={"Content-Type": "application/json", "Content-Encoding": packed})
        told.refused(400, "body-incomplete")
        assert kept(client) == before
        upload = await admin("PUT", "/v1/lists/west/members", data=csv_of(["p1"]), headers={"Content-Type": "text/csv", "Content-Encoding": packed})
        upload.refused(400, "body-incomplete")
        await admin.get("/v1/org")
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "content",
    ["text/plain", "application/x-www-form-urlencoded", "text/json", "application/jsonp", "application/problem+json", "x", "", "multipart/mixed; boundary=x"],
)
async def test_another_content_type(admin: Caller, client: Commands, content: str) -> None:
    """415 for a body that does not say that it is JSON, on POST and PATCH, whatever is in it."""
    before = kept(client)
    for text in (json.dumps(GOOD).encode(), b"no json"):
        (await send(admin, text, content=content)).refused(415, "unsupported-media-type")
        (await send(admin, text, "/v1/org", "PATCH", content)).refused(415, "unsupported-media-type")
    assert kept(client) == before


async def test_merge_patch_is_for_patches(admin: Caller) -> None:
    """A POST is no merge patch: 415."""
    (await send(admin, json.dumps(GOOD).encode(), content="application/merge-patch+json")).refused(415, "unsupported-media-type")


@pytest.mark.parametrize("content", ["application/json", "application/json; charset=utf-8", "Application/JSON", 'application/json; charset="UTF-8"; x=y'])
async def test_json_by_any_spelling(admin: Caller, content: str) -> None:
    """A content type is one whatever its case and parameters."""
    assert (await send(admin, json.dumps(GOOD).encode(), content=content)).status == 201


async def test_unknown_parameters_are_refused_everywhere(admin: Caller, client: Commands) -> None:
    """A query parameter that the route has not is a 422 that names it, on every route, and nothing is done."""
    await admin.make_list("West", ["p1"])
    claim = (await admin.claim_one("p1", hold_seconds=600)).json
    key = (await admin.post("/v1/api-keys", {"name": "a key", "scopes": ["read"]}, 201)).json["id"]
    before = kept(client)
    for route in ROUTES:
        (await ask(admin, route, Named(claim=claim["id"], key=key), {"dry_run": "true", "a": ""})).invalid("dry_run", "a")
    assert kept(client) == before


async def test_an_empty_body_may_be_left_out_everywhere(admin: Caller) -> None:
    """Where the body is {}, no body and no content type do as well."""
    await admin.make_list("West", ["p1"])
    claim = (await admin.claim_one("p1", hold_seconds=600)).json
    bare = [route for route in ROUTES if route.body is not None and not route.body.model_fields]
    assert len(bare) >= 6
    for route in bare:
        path = route.path.format(list="west", claim=claim["id"], session="s", integration="csv")
        told = await admin(route.method, path)
        expected = {"release": "reservation-not-removable", "ask_sync": "no-source"}.get(name_of(route), "")  # the attempt came first
        assert (told.slug, told.status < 400) == (expected, not expected), path


async def test_every_bad_part_is_named_at_once(admin: Caller, client: Commands) -> None:
    """What is wrong in path, query, header and body is in one answer, of a patch too, and nothing is done."""
    await admin.make_list("West", ["p1"])
    before = kept(client)
    for path, body, where in (
        ("/v1/lists/west", {"name": "", "integration": "csv"}, ("/name", "/integration")),
        ("/v1/org", {"id": "x", "time_zone": "Mars"}, ("/id", "/time_zone")),
        ("/v1/integrations/csv/multi-rep-dialing", {"enabled": 1}, ("/enabled",)),
        ("/v1/integrations/csv/write-back", {"log_calls": True, "x": 1}, ("/log_calls", "/x")),
    ):
        (await admin.patch(f"{path}?a=1", body, if_match='"stale"')).invalid("a", *where)
        (await admin.patch(f"{path}?a=1", {}, if_match='"stale"')).invalid("a")
    (await admin.post("/v1/lists/west/claims?a=1", {**ANA, "mode": "power", "count": 2}, Idempotency_Key="")).invalid("a", "Idempotency-Key", "/count")
    (await admin.post("/v1/sessions/%00/end?a=1", {"b": 1})).invalid("session", "a", "/b")
    (await admin.get("/v1/reservations/hubspot/07?a=1", 422)).invalid("prospect", "a")
    (await admin("DELETE", "/v1/lists/west/removals/%00/hubspot/07?a=1")).invalid("rep", "prospect", "a")
    (await admin("DELETE", "/v1/lists/west/removals/%00/pipedrive/07?a=1")).refused(404, "integration-not-found")
    assert kept(client) == before


# The order of refusals


async def test_the_order_of_refusals(app: App, admin: Caller, client: Commands) -> None:
    """401, 403, 404 of the path, body and query, 404 of what the body names, 409: each comes before the ones behind it, all else being wrong, too."""
    await admin.make_list("West", ["p1"])
    await admin.claim_one("p1", key="used")
    reader = await app.member_of("acme", "read")
    before = kept(client)

    async def claims(caller: Caller, list_: str = "west", text: bytes = b"no json", content: str = "text/plain") -> Any:
        headers = {"Content-Type": content, "Idempotency-Key": "used"}
        return await caller("POST", f"/v1/lists/{list_}/claims?bogus=1", data=text, headers=headers)

    (await claims(app.caller(), "nowhere")).refused(401, "unauthenticated")
    (await claims(reader, "nowhere")).refused(403, "forbidden")
    (await claims(admin, "nowhere")).refused(404, "list-not-found")
    (await claims(admin, "nowhere", content="application/json")).refused(404, "list-not-found")
    (await claims(admin, "nowhere", b"{}", "application/json")).refused(404, "list-not-found")
    (await claims(admin)).refused(415, "unsupported-media-type")
    (await claims(admin, content="application/json")).refused(400, "malformed-json")
    (await claims(admin, text=b"{}", content="application/json")).invalid("/rep", "/session", "/mode", "bogus")

    async def one(expect: int, **change: Any) -> Any:
        return await admin.claim_one("p1", expect=expect, **change)

    (await one(422, list="nowhere", rep="")).invalid("/rep")
    (await one(404, list="nowhere")).refused(404, "list-not-found")
    (await admin.claim_one("p9", expect=404, list="west")).refused(404, "not-a-member")
    (await one(409, list="west")).refused(409, "prospect-reserved")
    assert kept(client) == before


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("POST", "/v1/claims/aaaaaaaaaaaaaaaa00/extend", 404, "claim-not-found"),
        ("POST", "/v1/claims/aaaaaaaaaaaaaaaa00/disposition", 404, "claim-not-found"),
        ("POST", "/v1/claims/aaaaaaaaaaaaaaaa00/attempt", 404, "claim-not-found"),
        ("PATCH", "/v1/lists/nowhere", 404, "list-not-found"),
        ("PATCH", "/v1/integrations/pipedrive/multi-rep-dialing", 404, "integration-not-found"),
        ("PUT", "/v1/lists/nowhere/members", 404, "list-not-found"),
    ],
)
@pytest.mark.parametrize("content", ["application/json", "text/plain"])
@pytest.mark.parametrize("text", [b"no json", b'{"a": 1}', b"[]", b" " * (MEBIBYTE + 1)], ids=["no json", "unknown", "no object", "too large"])
async def test_what_the_path_names_comes_before_the_body(admin: Caller, method: str, path: str, status: int, slug: str, content: str, text: bytes) -> None:
    """404 whatever is wrong with the body, its type or its size."""
    (await send(admin, text, path + "?bogus=1", method, content)).refused(status, slug)


async def test_a_list_of_another_org(app: App, admin: Caller, client: Commands) -> None:
    """It answers as if it had never been, in the path and in the body."""
    globex = await app.org("globex")
    await globex.enable()
    await globex.make_list("Secret", ["p1"])
    before = kept(client)
    (await admin.claim("secret", expect=404)).refused(404, "list-not-found")
    (await admin.claim_one("p1", expect=404, list="secret")).refused(404, "list-not-found")
    (await admin.put("secret", csv_of(["x"]))).refused(404, "list-not-found")
    assert kept(client) == before
