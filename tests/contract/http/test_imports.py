"""PUT /v1/lists/{list}/members: the whole content of a csv list."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reservoir.sync import imports
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import BEN, Caller, csv_of, ids_of, kept, operation_of
from tests.support.waiting import await_until

PHONE = "+14155550100"
BOM = b"\xef\xbb\xbf"
NDJSON = "application/x-ndjson"
SYNC = "reservoir:{acme}:list:west:sync"


@pytest.fixture
async def west(admin: Caller) -> Caller:
    """The admin of an org that has an empty csv list west."""
    await admin.make_list("West")
    return admin


async def members(admin: Caller) -> list[str]:
    return ids_of(await admin.pages("/v1/lists/west/members"))


async def test_a_sync_is_told_whole(west: Caller) -> None:
    """200 SYNC when it is in, and the same from the list and its sync."""
    told = (await west.put("west", csv_of(["p1", "p2"]), expect=200)).json
    assert told == {
        "id": told["id"], "list": "west", "state": "done", "fetched": 2, "added": 2, "updated": 0, "left": 0, "rejected_count": 0, "rejected": [],
        "total": None, "complete": True, "truncated": False, "started_at": told["started_at"], "finished_at": told["finished_at"], "error": None,
    }  # fmt: skip
    assert (await west.get("/v1/lists/west/sync")).json == told
    listed = (await west.get("/v1/lists/west")).json
    assert (listed["last_sync"], listed["fetched"], listed["truncated"]) == (told, 2, False)


async def test_no_sync_yet(west: Caller) -> None:
    """404 no-sync for a list that never had one."""
    (await west.get("/v1/lists/west/sync", 404)).refused(404, "no-sync")


async def test_the_same_file_again_brings_nobody_new(west: Caller) -> None:
    """Fetched, added, updated and left are told of each run."""
    await west.fill("west", ["p1", "p2"])
    again = (await west.fill("west", ["p1", "p2"])).json
    assert [again[name] for name in ("fetched", "added", "updated", "left")] == [2, 0, 0, 0]
    changed = (await west.fill("west", [{"id": "p3"}, {"id": "p1", "name": "Dana"}])).json
    assert [changed[name] for name in ("fetched", "added", "updated", "left")] == [2, 1, 1, 1]
    assert await members(west) == ["p3", "p1"]


@pytest.mark.parametrize(
    "file",
    [
        b"id,name,phone\np1,Dana,+14155550100\np2,Kim,4155550101\n",
        BOM + b"id,name,phone\r\np1,Dana,+14155550100\r\np2,Kim,4155550101\r\n",
        b"id;name;phone\np1;Dana;+14155550100\np2;Kim;4155550101\n",
        b"ID\tName\tPhone\np1\tDana\t+14155550100\np2\tKim\t4155550101",
        b'\n"id","name","phone"\n"p1","Dana","+1 (415) 555-0100"\n\n p2 ,Kim,4155550101\n',
        b"phone,id,last_name,first_name\n+14155550100,p1,,Dana\n+14155550101,p2,Kim,\n",
    ],
    ids=["plain", "bom", "semicolons", "tabs", "quoted", "columns in another order"],
)
async def test_forms_of_a_csv(west: Caller, file: bytes) -> None:
    """BOM, separators, quotes, blank lines and the order of columns change nothing of what comes in."""
    told = (await west.put("west", file, "text/csv; charset=utf-8", 200)).json
    assert (told["fetched"], told["rejected"]) == (2, [])
    found = [(one["prospect"]["id"], one["prospect"]["name"], one["prospect"]["phones"][0]["number"]) for one in await west.pages("/v1/lists/west/members")]
    assert found == [("p1", "Dana", "+14155550100"), ("p2", "Kim", "+14155550101")]


async def test_quoted_newlines_and_lines(west: Caller) -> None:
    """A value may have newlines; a rejected row's line is the physical one on which it begins, the header being 1."""
    file = f'id,name,phone,note\np1,"Dana\nIto",{PHONE},"a, ""b"""\np2,x,,\np3,"y\nz\n",nonsense,\np4,w,{PHONE},\n'.encode()
    told = (await west.put("west", file, expect=200)).json
    assert [row["line"] for row in told["rejected"]] == [4, 5]
    assert told["rejected"][0]["detail"] == "no phone number"
    assert told["rejected_count"] == 2
    first = (await west.pages("/v1/lists/west/members"))[0]["prospect"]
    assert (first["name"], first["fields"]) == ("Dana\nIto", {"note": 'a, "b"'})


async def test_bad_rows_are_told_and_the_rest_is_imported(west: Caller) -> None:
    """No phone, no number, a repeated id, bytes that are no UTF-8, too many values: each with its line; kept ones are told and not counted."""
    rows = [
        b"id,phone,mobile", b"p1,+14155550100,", b"p2,,", b"p3,12,", b"p4,+14155550100,12", b"p1,+14155550101,", b"p\xff5,+14155550100,",
        b"p6,+14155550100,,too,many", b"p7,+14155550100,", b"\x01,+14155550100,", b",+14155550109,",
    ]  # fmt: skip
    told = (await west.put("west", b"\n".join(rows), expect=200)).json
    assert [row["line"] for row in told["rejected"] if not row.get("kept")] == [3, 4, 6, 7, 8, 10]
    assert [row["line"] for row in told["rejected"] if row.get("kept")] == [5]
    assert (told["rejected_count"], told["fetched"]) == (6, 4)
    assert await members(west) == ["p1", "p4", "p7", "+14155550109"]


async def test_a_search_knows_of_a_repeated_id_what_its_first_row_says(west: Caller) -> None:
    """In the same page and in a later one: nobody is found by a row that is not in."""
    others = [f"x{number},Somebody Else,{PHONE}" for number in range(200)]
    rows = ["id,name,phone", f"p1,Dana Ito,{PHONE}", "p1,Kim Nowhere,+14155550101", *others, "p1,Lou Nobody,+14155550102"]
    told = (await west.put("west", "\n".join(rows).encode(), expect=200)).json
    assert ([row["line"] for row in told["rejected"]], told["fetched"]) == ([3, 204], 201)
    found = {text: ids_of((await west.get("/v1/prospects", q=text)).json["items"]) for text in ("Dana", "Nowhere", "Nobody", "+14155550101", "+14155550102")}
    assert found == {"Dana": ["p1"], "Nowhere": [], "Nobody": [], "+14155550101": [], "+14155550102": []}


async def test_the_first_hundred_rejected_rows_are_shown_and_all_counted(west: Caller) -> None:
    """Of 700 bad rows over several pages, the first hundred by line, and how many there were."""
    rows = [f"p{number},{PHONE if number % 2 else ''}" for number in range(1_400)]
    told = (await west.put("west", "\n".join(["id,phone", *rows]).encode(), expect=200)).json
    assert (told["rejected_count"], told["fetched"], len(told["rejected"])) == (700, 700, 100)
    assert [row["line"] for row in told["rejected"]] == list(range(2, 202, 2))


async def test_ndjson(west: Caller) -> None:
    """Rows have the CSV's columns as keys; the first line is 1; a bad row is told and skipped."""
    rows = ['{"id": "p1", "name": "Dana", "phone": "+14155550100", "tier": 3}', "not json", "[]", '{"id": "p2"}', "", '{"id": "p3", "mobile": "4155550101"}']
    told = (await west.put("west", "\n".join(rows).encode(), NDJSON, 200)).json
    assert [row["line"] for row in told["rejected"]] == [2, 3, 4]
    found = await west.pages("/v1/lists/west/members")
    assert ids_of(found) == ["p1", "p3"]
    assert found[0]["prospect"]["fields"] == {"tier": "3"}


@pytest.mark.parametrize(
    ("file", "slug"),
    [
        (b"", "invalid-csv"),
        (b"\n\n", "invalid-csv"),
        (BOM, "invalid-csv"),
        (b"name,company\nDana,Initech\n", "invalid-csv"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "invalid-csv"),
        (b"PK\x03\x04" + bytes(range(256)), "invalid-csv"),
        (b"id,id,phone\np1,p1,+14155550100\n", "invalid-csv"),
        (b"id,phone\n", "no-rows"),
        (b"id,phone\np1,\np2,12\n", "no-rows"),
    ],
    ids=["nothing", "blank lines", "a BOM alone", "no id", "an image", "an archive", "two ids", "a header alone", "no good row"],
)
async def test_a_file_that_cannot_be_read_leaves_the_list_as_it_was(west: Caller, client: Commands, file: bytes, slug: str) -> None:
    """422, the keyspace as before, and the last sync still the one before."""
    await west.fill("west", ["p1", "p2"])
    before = kept(client)
    told = (await west.put("west", file)).refused(422, slug)
    if slug == "no-rows" and b"p1" in file:
        assert ([row["line"] for row in told.json["rejected"]], told.json["rejected_count"]) == ([2, 3], 2)
    assert kept(client) == before


async def test_ndjson_without_a_good_row(west: Caller, client: Commands) -> None:
    """422 no-rows, also for nothing at all, and the list is as before."""
    await west.fill("west", ["p1"])
    before = kept(client)
    for file in (b"", b"nonsense\n{}\n"):
        assert (await west.put("west", file, NDJSON)).slug in {"no-rows", "invalid-csv"}
        assert kept(client) == before


async def test_a_list_with_a_source_takes_no_file(admin: Caller) -> None:
    """422: its members come from its source."""
    await admin.post("/v1/lists", {"id": "sf", "name": "A", "integration": "salesforce", "source": {"kind": "report", "id": "00O5e000001AbCd"}}, 201)
    assert (await admin.put("sf", csv_of(["p1"]))).status == 422
    assert (await admin.counts("sf"))["members"] == 0


@pytest.mark.parametrize("content", ["application/json", "text/plain", "application/octet-stream", "text/csv2", "multipart/form-data; boundary=x"])
async def test_another_content_type(west: Caller, content: str) -> None:
    """415, and nothing is imported; on a list that is not there, 404 comes first."""
    (await west.put("west", csv_of(["p1"]), content)).refused(415, "unsupported-media-type")
    (await west.put("nowhere", csv_of(["p1"]), content)).refused(404, "list-not-found")
    assert (await west.counts("west"))["members"] == 0


async def test_an_unknown_parameter_of_an_upload(west: Caller) -> None:
    """422 before anything is read."""
    headers = {"Content-Type": "text/csv"}
    (await west("PUT", "/v1/lists/west/members?replace=true", data=csv_of(["p1"]), headers=headers)).invalid("replace")
    assert (await west.counts("west"))["members"] == 0


async def test_more_than_a_mebibyte(west: Caller) -> None:
    """The body limit does not apply to an upload."""
    rows = [{"id": f"p{number}", "note": "x" * 2_000} for number in range(700)]
    assert (await west.put("west", io.BytesIO(csv_of(rows)), expect=200)).json["fetched"] == 700
    assert (await west.counts("west"))["members"] == 700


class Upload:
    """An upload that goes on as the test says."""

    def __init__(self) -> None:
        self._more: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, rows: list[str], *, header: bool = False) -> None:
        self._more.put_nowait(b"id,phone\n" * header + b"".join(f"{row},{PHONE}\n".encode() for row in rows))

    def end(self) -> None:
        self._more.put_nowait(None)

    async def chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._more.get()) is not None:
            yield chunk


async def count_of_members(admin: Caller) -> int:
    return int((await admin.counts("west"))["members"])


async def test_r12_members_can_be_claimed_while_the_upload_runs(west: Caller) -> None:
    """R12: what has come stands first and can be claimed, the rest behind it in its old order; who did not come leaves at the end."""
    await west.fill("west", ["old-1", "p3", "old-2"])
    upload = Upload()
    upload.send([f"p{number}" for number in range(1, 301)], header=True)
    running = asyncio.create_task(west.put("west", upload.chunks(), expect=200))

    async def some_are_in() -> bool:
        return await count_of_members(west) > 250

    await await_until(some_are_in, "the first page to be in")
    sync = (await west.get("/v1/lists/west/sync")).json
    assert (sync["state"], sync["finished_at"], sync["complete"]) == ("running", None, False)
    assert ids_of((await west.claim("west", 3)).json["claims"]) == ["p1", "p2", "p3"]
    assert (await members(west))[-2:] == ["old-1", "old-2"]
    upload.send(["p301"])
    upload.end()
    done = (await running).json
    assert (done["id"], done["state"], done["fetched"], done["left"]) == (sync["id"], "done", 301, 2)
    assert await members(west) == [f"p{number}" for number in range(1, 302)]
    assert (await west.counts("west"))["reserved"] == 3


async def test_r12_what_came_is_there_though_the_sender_falls_silent(west: Caller, client: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """R12: the first rows, far fewer than a page, can be claimed without any other that comes; and as long as the sender is there, its run is not lost."""
    monkeypatch.setattr(imports, "BRING_WITHIN_S", 0.02)
    await west.fill("west", ["old"])
    upload = Upload()
    upload.send(["p1", "p2"], header=True)
    running = asyncio.create_task(west.put("west", upload.chunks(), expect=200))

    async def there(count: int) -> bool:
        return await count_of_members(west) == count

    await await_until(lambda: there(3), "two rows to be in")
    assert ids_of((await west.claim("west", 1)).json["claims"]) == ["p1"]
    until = client("HGET", SYNC, "lease")
    await await_until(lambda: client("HGET", SYNC, "lease") != until, "its lease to be renewed")
    upload.send(["p3"])
    await await_until(lambda: there(4), "the third to be in")
    upload.end()
    told = (await running).json
    assert (told["fetched"], told["added"], told["left"], told["rejected_count"]) == (3, 3, 1, 0)
    assert await members(west) == ["p1", "p2", "p3"]


async def test_one_at_a_time(west: Caller) -> None:
    """While an upload runs another one is 409 sync-running, and the running one goes on."""
    upload = Upload()
    upload.send([f"p{number}" for number in range(300)], header=True)
    running = asyncio.create_task(west.put("west", upload.chunks(), expect=200))

    async def some_are_in() -> bool:
        return await count_of_members(west) > 0

    await await_until(some_are_in, "the first page to be in")
    (await west.put("west", csv_of(["x"]))).refused(409, "sync-running")
    upload.end()
    assert (await running).json["fetched"] == 300
    assert "x" not in await members(west)


async def test_a_list_deleted_under_an_upload_stays_deleted(west: Caller, client: Commands) -> None:
    """The running sync ends: 404 for the upload, and nothing of the list is left or comes back."""
    upload = Upload()
    upload.send([f"p{number}" for number in range(300)], header=True)
    running = asyncio.create_task(west.put("west", upload.chunks()))

    async def some_are_in() -> bool:
        return await count_of_members(west) > 0

    await await_until(some_are_in, "the first page to be in")
    await west("DELETE", "/v1/lists/west", expect=204)
    upload.end()
    (await running).refused(404, "list-not-found")
    assert not [key for key in kept(client) if ":list:" in key or "lists-of" in key]


async def break_off(admin: Caller, sent: bytes, *, broken: bool) -> bytes:
    """Sends the head of an upload in chunks, then what is no chunk (``broken``) or nothing any more; returns what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(admin.root.rpartition(":")[2]))
    head = f"PUT /v1/lists/west/members HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.key}\r\nContent-Type: text/csv\r\n"
    writer.write(head.encode() + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
    try:
        if not broken:
            return b""
        writer.write(b"no chunk\r\n")
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def failed(admin: Caller) -> bool:
    told = await admin.get("/v1/lists/west/sync", None)
    return bool(told.status == 200 and told.json["state"] == "failed")


@pytest.mark.parametrize("count", [3, 300])
async def test_a_body_that_breaks_off(west: Caller, count: int) -> None:
    """R12: a client that is there gets 400 body-incomplete; the sync is failed, what came stands first, and nobody has left."""
    await west.fill("west", ["old", "p2"])
    rows = "id,phone\n" + "".join(f"p{number},{PHONE}\n" for number in range(count))
    answer = await break_off(west, rows.encode(), broken=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (problem["type"], problem["status"]) == ("/problems/body-incomplete", 400)
    assert await members(west) == [*(f"p{number}" for number in range(count)), "old"]
    sync = (await west.get("/v1/lists/west/sync")).json
    assert (sync["state"], sync["fetched"], sync["left"], sync["complete"]) == ("failed", count, 0, False)
    assert (sync["error"]["type"], sync["error"]["status"]) == ("/problems/body-incomplete", 400)
    assert (await west.get("/v1/lists/west")).json["fetched"] == 2
    await west.fill("west", ["p1"])
    assert await members(west) == ["p1"]


async def test_a_client_that_is_gone(west: Caller) -> None:
    """R12: the sync is failed and what came stands, though nobody is there to be told."""
    await west.fill("west", ["old"])
    await break_off(west, f"id,phone\np1,{PHONE}\np2,{PHONE}\np3".encode(), broken=False)

    async def ended() -> bool:
        return await failed(west)

    await await_until(ended, "the sync to be failed")
    assert await members(west) == ["p1", "p2", "old"]


async def test_a_body_that_breaks_off_before_its_first_row(west: Caller, client: Commands) -> None:
    """400 body-incomplete, and nothing at all has happened."""
    await west.fill("west", ["old"])
    before = kept(client)
    assert (await break_off(west, b"id,pho", broken=True)).startswith(b"HTTP/1.1 400 ")
    assert kept(client) == before


async def test_r13_a_reserved_member_stays_reserved_through_a_sync_and_frees_at_its_place(west: Caller, client: Commands) -> None:
    """R13: reservations outlive syncs; one whose reservation expires after it is back at the place that the sync gave it."""
    await west.fill("west", ["p1", "p2", "p3"])
    await west.claim("west", 1)
    await west.fill("west", ["p3", "p1", "p2"])
    assert (await west.counts("west"))["reserved"] == 1
    assert ids_of((await west.claim("west", 1, **BEN)).json["claims"]) == ["p3"]
    age(client, "acme", "csv:p1", 86_400_001)
    assert ids_of((await west.claim("west", 5, **BEN)).json["claims"]) == ["p1", "p2"]


async def test_a_prospect_of_64_lists_joins_no_other(admin: Caller) -> None:
    """Of a row whose prospect is in 64 lists already, the line is told, and the rest is imported."""
    await asyncio.gather(*(admin.make_list(f"L{number}", ["p1"]) for number in range(64)))
    await admin.make_list("One too many")
    told = (await admin.fill("one-too-many", ["p0", "p1", "p2"])).json
    assert [row["line"] for row in told["rejected"]] == [3]
    assert (await admin.counts("one-too-many"))["members"] == 2
    claim = (await admin.claim_one("p1")).json
    assert claim["state"] == "reserved"
    counts: list[Any] = [one["counts"] for one in await admin.pages("/v1/lists")]
    assert sum(one["reserved"] for one in counts) == 64


def test_the_document_tells_of_both_content_types() -> None:
    """What an upload may be is in the document."""
    operation = operation_of("PUT", "/v1/lists/west/members")
    assert operation is not None
    assert set(operation["requestBody"]["content"]) == {"text/csv", NDJSON}
