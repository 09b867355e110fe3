"""What no route ever sees: requests that are none, and bodies that end before their end."""

import asyncio
import json

import pytest

from tests.support.commands import Commands
from tests.support.service import Caller, flaws, kept
from tests.support.waiting import await_until

PROBLEM = {"$ref": "#/components/schemas/Problem"}


class Raw:
    """A client that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, caller: Caller) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", int(caller.root.rpartition(":")[2])))

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """Says nothing more, and goes on listening."""
        self._writer.write_eof()

    async def continued(self) -> None:
        """Until the service says that it wants the body."""
        assert await self._reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(status.split(" ")[1]), headers, await self._reader.readexactly(int(headers.get("content-length", 0)))

    async def closed(self) -> bool:
        """Whether the service has closed the connection, with nothing more to say."""
        return await self._reader.read() == b""

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


@pytest.fixture
async def raw(admin: Caller):  # type: ignore[no-untyped-def]  # an async generator of Raw
    client = await Raw.to(admin)
    yield client
    await client.close()


def head(admin: Caller, line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", f"Authorization: Bearer {admin.key}", *headers, "", ""]).encode("latin-1")


async def refused(client: Raw, status: int, slug: str) -> None:
    told, headers, body = await client.answer()
    problem = json.loads(body)
    assert (told, problem["status"], problem["type"]) == (status, status, f"/problems/{slug}")
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"]
    assert not flaws(problem, PROBLEM)


NO_REQUESTS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "an unknown method": b"BREW /v1/org HTTP/1.1\r\nHost: x\r\n\r\n",
    "nonsense": b"nonsense\r\n\r\n",
    "a header without a colon": b"GET /healthz HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a path that is too long": b"GET /healthz?" + b"q" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header that is too long": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "a path with bytes": b"GET /v1/lists/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is none": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /v1/claims HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": b"POST /v1/claims HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /v1/claims HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
}


@pytest.mark.parametrize("text", NO_REQUESTS.values(), ids=NO_REQUESTS)
async def test_what_is_no_request(raw: Raw, text: bytes) -> None:
    """It is told in the form of every error, quotes nothing of what came, and the connection ends."""
    await raw.say(text)
    await refused(raw, 422, "invalid-request")
    assert await raw.closed()


async def test_what_is_no_request_behind_one_that_is(admin: Caller, raw: Raw) -> None:
    """The first is answered, the second refused."""
    await raw.say(head(admin, "GET /v1/org"))
    assert (await raw.answer())[0] == 200
    await raw.say(b"nonsense\r\n\r\n")
    await refused(raw, 422, "invalid-request")
    assert await raw.closed()


@pytest.mark.parametrize("line", ["GET /v1/org", "POST /v1/claims", "GET /nowhere"])
async def test_an_expectation_that_nobody_can_meet(admin: Caller, raw: Raw, line: str) -> None:
    """It is refused in the form of every error."""
    await raw.say(head(admin, line, "Expect: miracles"))
    await refused(raw, 422, "invalid-request")


async def test_a_body_that_does_not_come(admin: Caller, raw: Raw, monkeypatch: pytest.MonkeyPatch, client: Commands) -> None:
    """400 body-incomplete after a time, though the client says that more will come; nothing is done."""
    monkeypatch.setattr("reservoir.http.serving.BODY_WITHIN_S", 0.05)
    before = kept(client)
    await raw.say(head(admin, "POST /v1/lists", "Content-Length: 500", "Content-Type: application/json") + b'{"name": "We')
    await refused(raw, 400, "body-incomplete")
    assert kept(client) == before


JSON = ("Content-Type: application/json", "Expect: 100-continue")
CUT = {
    "a length that is not reached": ("Content-Length: 500", b'{"rep": "ana"'),
    "a chunk that is not finished": ("Transfer-Encoding: chunked", b'1f4\r\n{"rep": "ana"'),
    "a last chunk that does not come": ("Transfer-Encoding: chunked", b"2\r\n{}\r\n"),
}


@pytest.mark.parametrize(("header", "body"), CUT.values(), ids=CUT)
@pytest.mark.parametrize("line", ["POST /v1/claims", "PATCH /v1/org", "POST /v1/lists"])
async def test_a_body_that_breaks_off_while_the_client_listens(admin: Caller, raw: Raw, client: Commands, line: str, header: str, body: bytes) -> None:
    """400 body-incomplete, the connection ends, and nothing is done."""
    before = kept(client)
    await raw.say(head(admin, line, header, *JSON))
    await raw.continued()
    await raw.say(body)
    raw.end()
    await refused(raw, 400, "body-incomplete")
    assert await raw.closed()
    assert kept(client) == before


async def test_a_body_that_is_not_in_chunks_as_it_says(admin: Caller, raw: Raw, client: Commands) -> None:
    """400 body-incomplete without waiting for the client to go, the connection ends, and nothing is done."""
    before = kept(client)
    await raw.say(head(admin, "POST /v1/claims", "Transfer-Encoding: chunked", *JSON))
    await raw.continued()
    await raw.say(b"no chunk\r\n")
    await refused(raw, 400, "body-incomplete")
    assert await raw.closed()
    assert kept(client) == before


async def test_an_upload_that_breaks_off_while_the_client_listens(admin: Caller, raw: Raw) -> None:
    """R12: 400 body-incomplete, the sync is failed, and what came stands."""
    await admin.make_list("West", ["old"])
    await raw.say(head(admin, "PUT /v1/lists/west/members", "Content-Length: 500", "Content-Type: text/csv", "Expect: 100-continue"))
    await raw.continued()
    await raw.say(b"id,phone\np1,+14155550100\np2,+14155550100\n")
    raw.end()
    await refused(raw, 400, "body-incomplete")
    assert (await admin.get("/v1/lists/west/sync")).json["state"] == "failed"
    assert [one["prospect"]["id"] for one in await admin.pages("/v1/lists/west/members")] == ["p1", "p2", "old"]


async def test_an_upload_that_falls_silent(admin: Caller, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    """R12: after a time it has broken off, though its client is there and says nothing: 400, the sync is failed, and what came stands."""
    monkeypatch.setattr("reservoir.http.lists.CHUNK_WITHIN_S", 0.05)
    await admin.make_list("West", ["old"])
    await raw.say(head(admin, "PUT /v1/lists/west/members", "Content-Length: 500", "Content-Type: text/csv", "Expect: 100-continue"))
    await raw.continued()
    await raw.say(b"id,phone\np1,+14155550100\np2,+14155550100\n")
    await refused(raw, 400, "body-incomplete")
    assert (await admin.get("/v1/lists/west/sync")).json["state"] == "failed"
    assert [one["prospect"]["id"] for one in await admin.pages("/v1/lists/west/members")] == ["p1", "p2", "old"]


async def test_a_whole_body_is_served_however_its_client_ends(admin: Caller, raw: Raw) -> None:
    """A request that came whole is done, though its client says nothing more."""
    body = b'{"name": "West", "integration": "csv"}'
    await raw.say(head(admin, "POST /v1/lists", f"Content-Length: {len(body)}", "Content-Type: application/json", "Expect: 100-continue"))
    await raw.continued()
    await raw.say(body)

    async def there() -> bool:
        return bool((await admin.get("/v1/lists")).json["items"])

    await await_until(there, "the list")
    assert (await raw.answer())[0] == 201


async def test_requests_one_behind_the_other(admin: Caller, raw: Raw) -> None:
    """Several that come in one piece are answered in their order."""
    await raw.say(head(admin, "GET /v1/org") + head(admin, "GET /v1/lists/nowhere") + head(admin, "GET /healthz"))
    assert [(await raw.answer())[0] for _ in range(3)] == [200, 404, 200]
