"""GET /v1/history: what happened, in the order of recording, in pages and as a stream."""

import csv
import io
import itertools
import json
import logging
from typing import Any

import aiohttp
import pytest

from reservoir.domain.times import DAY_MS, rfc3339
from reservoir.http.answers import HISTORY_FIELDS
from reservoir.http.history import _cell, _form
from reservoir.storage.history import Chunk, HistoryStore
from reservoir.storage.keys import prefix
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.service import ANA, BEN, App, Caller, cursor_of, flaws, running
from tests.support.waiting import await_until

HISTORY = f"{prefix('acme')}history"
LONG_AGO = 1_600_000_000_000


async def types(caller: Caller, **query: Any) -> list[str]:
    return [one["type"] for one in await caller.pages("/v1/history", **query)]


async def streamed(caller: Caller, media: str, path: str = "/v1/history") -> str:
    """The whole of a stream."""
    async with caller.http.get(caller.root + path, headers={"Authorization": f"Bearer {caller.key}", "Accept": media}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == f"{media}; charset=utf-8"
        assert response.headers["X-Request-Id"]
        return await response.text()


def plant(client: Commands, count: int, **fields: Any) -> None:
    """So many entries of long ago, the oldest of the history."""
    client("DEL", HISTORY)
    facts = [word for pair in fields.items() for word in pair]
    replies = client.all([("XADD", HISTORY, f"{LONG_AGO + number}-0", "type", "claim.released", "at", LONG_AGO + number, *facts) for number in range(count)])
    assert len(replies) == count


async def test_every_act_is_told_with_its_fields(admin: Caller, client: Commands) -> None:
    """Each type of entry that claims, settings, keys, lists and imports make; ids only: no name, number or note."""
    await admin.post("/v1/lists", {"id": "west", "name": "Secret West", "integration": "csv"}, 201)
    await admin.fill("west", [{"id": "p1", "name": "Secret Ida", "phone": "+14155550177"}, "p2", "p3"])
    await admin.enable("hubspot", enabled=False)
    held = await admin.take("west", hold_seconds=60)
    await admin.after(held, "extend", {"seconds": 120}, 200)
    reserved = (await admin.after(held, "attempt", {}, 200)).json
    await admin.after(held, "disposition", {"outcome": "busy", "remove": True, "note": "a secret"}, 200)
    back = await admin.take("west", hold_seconds=60)
    await admin.after(back, "release", {}, 200)
    lapsing = await admin.take("west", hold_seconds=60)
    age(client, "acme", "csv:p2", 61_000)
    age(client, "acme", "csv:p1", DAY_MS + 1)
    later = (await admin.claim_one("7", "hubspot", hold_seconds=60)).json["id"]
    await admin.post(f"/v1/claims/{later}/attempt", {}, 200)
    await admin.claim_one("p3", mode="click_to_call", expect=200)
    key = (await admin.post("/v1/api-keys", {"name": "Secret Dana", "scopes": ["read"]}, 201)).json["id"]
    await admin("DELETE", f"/v1/api-keys/{key}", expect=204)
    await admin.patch("/v1/org", {"name": "Secret Inc", "time_zone": "Europe/Berlin"}, 200)
    await admin.patch("/v1/lists/west", {"name": "Secret East"}, 200)
    await admin.claim("west", 1)  # settles what is due
    await admin("DELETE", "/v1/lists/west", expect=204)
    told = await admin.pages("/v1/history")
    assert "ecret" not in json.dumps(told)
    assert "5550177" not in json.dumps(told)
    by_type = {one["type"]: one for one in told}
    assert all(tuple(one) == HISTORY_FIELDS and one["at"] <= one["recorded_at"] for one in told)
    who = {"integration": "csv", "prospect": "p1", "list": "west", **ANA, "mode": "parallel", "claim": held["id"]}
    first = next(one for one in told if one["type"] == "claim.held")
    assert first == {**first, **who, "at": held["claimed_at"], "expires_at": held["expires_at"], "detail": {}}
    assert by_type["claim.extended"] == {**by_type["claim.extended"], **who, "detail": {}}
    attempted = next(one for one in told if one["type"] == "claim.reserved")
    assert attempted == {**attempted, **who, "at": reserved["attempted_at"], "expires_at": reserved["expires_at"]}
    assert by_type["disposition.recorded"] == {**by_type["disposition.recorded"], **who, "detail": {"outcome": "busy", "remove": True}}
    assert by_type["prospect.removed"] == {**by_type["prospect.removed"], **who, "expires_at": None}
    assert by_type["claim.released"]["claim"] == back["id"]
    lapsed = by_type["claim.lapsed"]
    assert (lapsed["claim"], lapsed["at"] < lapsed["recorded_at"]) == (lapsing["id"], True)
    assert by_type["reservation.expired"] == {**by_type["reservation.expired"], **who, "expires_at": None}
    unreserved = [one for one in told if one["claim"] == later]
    assert [(one["type"], one["expires_at"]) for one in unreserved] == [("claim.unreserved", None), ("claim.attempted", None)]
    told_to = by_type["click_to_call"]
    assert told_to == {**told_to, **ANA, "prospect": "p3", "integration": "csv", "mode": "click_to_call", "claim": None, "list": None}
    admins = by_type["list.created"]["detail"]["by"]
    assert by_type["key.created"]["detail"] == {"key": key, "scopes": ["read"], "by": admins}
    assert by_type["key.revoked"]["detail"] == {"key": key, "by": admins}
    assert by_type["settings.changed"]["detail"] == {
        "setting": "org", "by": admins, "changed": ["name", "time_zone"],
        "before": {"time_zone": "UTC"}, "after": {"time_zone": "Europe/Berlin"},
    }  # fmt: skip
    switched = [one for one in told if one["type"] == "settings.changed" and one["integration"] == "csv"]
    off, on = ({"enabled": enabled, "reservation_timeout": {"unit": "day", "duration": 1}} for enabled in (False, True))
    assert [one["detail"] for one in switched] == [{"setting": "multi-rep-dialing", "before": off, "after": on, "by": admins}]
    assert by_type["list.changed"]["detail"] == {"by": admins, "changed": ["name"], "before": {}, "after": {}}
    assert by_type["list.deleted"]["detail"] == {"by": admins}
    run = by_type["sync.started"]["detail"]["sync"]
    counted = {"fetched": 3, "added": 3, "updated": 0, "left": 0, "rejected": 0}
    assert by_type["sync.finished"]["detail"] == {"sync": run, "state": "done", **counted}


@pytest.fixture
async def dialed(admin: Caller) -> Caller:
    """An org in which Ana has p1 and p2 of west, Ben holds p3, and has a lead of salesforce by id."""
    await admin.enable("salesforce")
    await admin.make_list("West", [f"p{number}" for number in range(1, 6)])
    await admin.claim("west", 2)
    await admin.claim("west", **BEN, hold_seconds=60)
    await admin.claim_one("00Q5e00000AbCdE", "salesforce", **BEN)
    return admin


@pytest.mark.parametrize("limit", [1, 3, 1_000])
async def test_filters_and_pages(dialed: Caller, limit: int) -> None:
    """Each filter and several together, in pages of any size, without a repeat or a gap; an empty value is as none."""
    whole = await dialed.pages("/v1/history")
    assert await dialed.pages("/v1/history", limit=limit) == whole
    assert await dialed.pages("/v1/history", limit=limit, rep="", type="", to="") == whole
    assert [one["id"] for one in whole] == sorted((one["id"] for one in whole), key=lambda id_: [int(part) for part in id_.split("-")])
    claim = next(one["claim"] for one in whole if one["prospect"] == "p2")
    for query, expected in (
        ({"rep": "ana@acme.com"}, ["claim.reserved"] * 2),
        ({"rep": "ben@acme.com"}, ["claim.held", "claim.reserved"]),
        ({"prospect": "p3"}, ["claim.held"]),
        ({"claim": claim}, ["claim.reserved"]),
        ({"list": "west", "type": "claim.reserved"}, ["claim.reserved"] * 2),
        ({"integration": "salesforce"}, ["settings.changed", "claim.reserved"]),
        ({"type": "claim.lapsed"}, []),
    ):
        assert await types(dialed, limit=limit, **query) == expected


@pytest.mark.parametrize("written", ["00Q5e00000AbCdE", "00Q5e00000AbCdEEAV", "00q5e00000abcdeeav"])
async def test_r18_a_record_is_found_however_its_id_is_written(dialed: Caller, written: str) -> None:
    """R18: with its integration and without; in an integration in which it is no id, it is refused."""
    assert await types(dialed, prospect=written) == await types(dialed, prospect=written, integration="salesforce") == ["claim.reserved"]
    assert await types(dialed, prospect=written, integration="csv") == []
    (await dialed.get("/v1/history", 422, prospect="p1", integration="salesforce")).invalid("prospect")


async def test_from_and_to_go_by_the_true_instant(dialed: Caller, client: Commands) -> None:
    """``from`` is inclusive, ``to`` exclusive; a lapse counts when it was, though it is recorded behind what came later."""
    lapsed, now = LONG_AGO + 500, int(client("TIME")[0]) * 1_000
    client("XADD", HISTORY, "*", "type", "claim.lapsed", "at", lapsed, "integration", "csv", "prospect", "late", "claim", "c")
    whole = await dialed.pages("/v1/history")
    assert whole[-1]["at"] == rfc3339(lapsed)
    assert await dialed.pages("/v1/history", **{"from": rfc3339(lapsed), "to": rfc3339(lapsed + 1)}) == whole[-1:]
    assert await dialed.pages("/v1/history", to=rfc3339(lapsed)) == []
    assert await dialed.pages("/v1/history", **{"from": rfc3339(lapsed + 1)}) == whole[:-1]
    assert await dialed.pages("/v1/history", **{"from": rfc3339(now + 3_600_000)}) == []
    for one in whole:
        assert one in await dialed.pages("/v1/history", **{"from": one["at"]})
        assert one not in await dialed.pages("/v1/history", to=one["at"])
    assert len(await dialed.pages("/v1/history", **{"from": "2020-09-13T14:26:40.5+02:00", "to": "2020-09-13T12:26:40.5001Z"})) == 1


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"type": "claim.taken"}, {"type"}),
        ({"type": "sync.progress"}, {"type"}),
        ({"from": "yesterday"}, {"from"}),
        ({"from": "2026-11-22"}, {"from"}),
        ({"to": "2026-11-22T17:00:00"}, {"to"}),
        ({"to": "2026-02-30T17:00:00Z"}, {"to"}),
        ({"from": "2026-11-22T17:00:00Z", "to": "1732294800"}, {"to"}),
        ({"integration": "pipedrive"}, {"integration"}),
        ({"list": "Not A List"}, {"list"}),
        ({"rep": "a\nb"}, {"rep"}),
        ({"limit": "0"}, {"limit"}),
        ({"cursor": "nonsense"}, {"cursor"}),
        ({"cursor": cursor_of([-1, 0])}, {"cursor"}),
        ({"cursor": cursor_of([1 << 63, 0])}, {"cursor"}),
        ({"cursor": cursor_of(["1-0"])}, {"cursor"}),
        ({"session": "s-1"}, {"session"}),
    ],
)
async def test_a_bad_query_is_refused(dialed: Caller, query: dict[str, str], where: set[str]) -> None:
    """422 that names each bad parameter, whatever form is accepted."""
    (await dialed.get("/v1/history", 422, **query)).invalid(*where)


async def test_a_page_examines_at_most_5_000_entries(admin: Caller, client: Commands) -> None:
    """With a filter that nothing fits for long, a page is empty and says where to go on; the one that fits is found in the end."""
    plant(client, 10_600, rep="ben")
    client("XADD", HISTORY, "*", "type", "claim.released", "at", LONG_AGO, "rep", "ana")
    page = (await admin.get("/v1/history", rep="ana")).json
    assert (page["items"], page["next_cursor"] is None) == ([], False)
    assert [one["rep"] for one in await admin.pages("/v1/history", rep="ana")] == ["ana"]
    assert len(await admin.pages("/v1/history", limit=1_000, rep="ben")) == 10_600


@pytest.mark.parametrize("query", ["", "?rep=ben@acme.com", "?type=click_to_call", "?limit=1"])
async def test_streams_tell_what_the_pages_tell(dialed: Caller, query: str) -> None:
    """NDJSON and CSV have every item, filtered, whatever the limit of a page is; the document knows their media types."""
    asked = dict([query[1:].split("=")]) if query else {}
    told = await dialed.pages("/v1/history", **asked)
    lines = await streamed(dialed, "application/x-ndjson", f"/v1/history{query}")
    assert [json.loads(line) for line in lines.splitlines()] == told
    head, *rows = csv.reader(io.StringIO(await streamed(dialed, "text/csv", f"/v1/history{query}"), newline=""))
    assert tuple(head) == HISTORY_FIELDS
    assert [[*row[:-1], json.loads(row[-1])] for row in rows] == [["" if value is None else value for value in one.values()] for one in told]
    responses = (await dialed.get("/openapi.json")).json["paths"]["/v1/history"]["get"]["responses"]["200"]
    assert set(responses["content"]) == {"application/json", "text/csv", "application/x-ndjson"}
    assert not flaws({"items": told, "next_cursor": None}, responses["content"]["application/json"]["schema"])


async def test_a_stream_ends_at_what_was_newest_when_it_began(admin: Caller, client: Commands) -> None:
    """Many chunks come whole and once each, and what is recorded meanwhile makes it no longer."""
    plant(client, 2_345)
    lines = (await streamed(admin, "application/x-ndjson")).splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"{LONG_AGO + number}-0" for number in range(2_345)]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, application/*;q=0.8", "application/json"),
        ("image/png", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; header=present", "text/csv"),
        ("application/x-ndjson, */*;q=0.1", "application/x-ndjson"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv;q=0, application/x-ndjson;q=0.2", "application/x-ndjson"),
        ("text/csv;q=nonsense", "application/json"),
    ],
)
def test_which_form_is_chosen(accept: str, form: str) -> None:
    """JSON unless a stream is asked for by its name, and not wanted less than JSON."""
    assert _form(accept) == form


@pytest.mark.parametrize("id_", ["=1+2", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "+1-2"])
def test_a_cell_is_no_formula(id_: str) -> None:
    """An id that a spreadsheet would act on has an apostrophe before it; a number with its sign, as ids that are made of phone numbers are, is left alone."""
    assert _cell("prospect", id_) == f"'{id_}"
    assert _cell("prospect", "+14155550100") == "+14155550100"
    assert (_cell("rep", None), _cell("rep", "ana=1"), _cell("detail", {"by": "=1"})) == ("", "ana=1", '{"by":"=1"}')


@pytest.fixture
def own_engine() -> Any:
    """A server of the test's own, to be killed."""
    with EngineProcess() as engine:
        yield engine


async def _long_history(app: App, engine: EngineProcess) -> Caller:
    """An admin in whose org more happened than any buffer on the way can hold."""
    admin = await app.org("acme")
    with Commands(engine.port) as client:
        client("EVAL", "for i = 1, 100000 do redis.call('XADD', KEYS[1], i .. '-0', 'type', 'claim.released', 'at', i, 'rep', string.rep('x', 200)) end", 1,
               f"{prefix('acme')}other")  # fmt: skip
        client("RENAME", f"{prefix('acme')}other", HISTORY)
    return admin


@pytest.mark.parametrize("media", ["text/csv", "application/x-ndjson"])
@pytest.mark.parametrize("fault", ["the store goes away", "the key is revoked"])
async def test_a_stream_that_cannot_be_told_to_its_end_fails_visibly(own_engine: EngineProcess, media: str, fault: str) -> None:
    """R14: what is cut off never looks whole; a reader sees that its connection broke."""
    async with running(own_engine.url) as app:
        admin = await _long_history(app, own_engine)
        asking = {"Authorization": f"Bearer {admin.key}", "Accept": media}
        async with admin.http.get(f"{admin.root}/v1/history", headers=asking) as response:
            assert await response.content.readany()
            if fault == "the store goes away":
                own_engine.kill9()
            else:
                (key,) = (one["id"] for one in (await admin.get("/v1/api-keys")).json["items"])
                await admin("DELETE", f"/v1/api-keys/{key}", expect=204)
            with pytest.raises(aiohttp.ClientError):
                await response.read()


async def test_a_setting_that_changes_does_not_end_a_stream(own_engine: EngineProcess) -> None:
    """R7: the org is read anew on the way, and all of it is told."""
    async with running(own_engine.url) as app:
        admin = await _long_history(app, own_engine)
        async with admin.http.get(f"{admin.root}/v1/history", headers={"Authorization": f"Bearer {admin.key}", "Accept": "application/x-ndjson"}) as response:
            first = await response.content.readline()
            await admin.enable()
            lines = [first, *(await response.read()).splitlines()]
        assert [json.loads(line)["id"] for line in lines] == [f"{number}-0" for number in range(1, 100_001)]


async def test_a_reader_who_goes_away_ends_the_stream(own_engine: EngineProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody reads the rest of the history for nobody."""
    caplog.set_level(logging.INFO)
    async with running(own_engine.url) as app:
        admin = await _long_history(app, own_engine)
        read, chunks = HistoryStore.read, itertools.count()

        async def counting(*arguments: Any, **options: Any) -> Chunk:
            next(chunks)
            return await read(*arguments, **options)

        monkeypatch.setattr(HistoryStore, "read", counting)
        response = await admin.http.get(f"{admin.root}/v1/history", headers={"Authorization": f"Bearer {admin.key}", "Accept": "text/csv"})
        assert await response.content.readany()
        response.close()
        await await_until(lambda: "went away" in caplog.text, "the service sees that nobody reads")
        assert next(chunks) < 200
        assert "internal-error" not in caplog.text
