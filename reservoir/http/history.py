"""The history over HTTP: in pages, or streamed whole."""

import asyncio
import csv
import io
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace

import orjson
from aiohttp import web

from reservoir.domain.history import Entry
from reservoir.domain.refusals import InvalidError
from reservoir.domain.times import instant
from reservoir.http import answers
from reservoir.http.problems import ProblemError
from reservoir.http.query import NO_CURSOR
from reservoir.http.visit import Answer, Route, Visit, page_answer
from reservoir.integrations.base import integrations
from reservoir.storage.history import Chunk, Wanted
from reservoir.storage.orgs import StaleError
from reservoir.storage.redis import StoreUnavailableError
from reservoir.telemetry import request_id

JSON, CSV, NDJSON = "application/json", "text/csv", "application/x-ndjson"

IDS_MOST = 1 << 63

log = logging.getLogger(__name__)

Writer = Callable[[Iterable[Entry]], bytes]


async def list_history(visit: Visit, _: None) -> Answer | web.StreamResponse:
    """What happened, in the order of recording: a page of it, or all of it as a stream where the request accepts one."""
    wanted = _wanted(visit.query.values)
    form = _form(visit.request.headers.get("Accept", ""))
    if form != JSON:
        return await _stream(visit, wanted, form)
    found, last = await visit.services.history.page(visit.org, wanted, visit.query.page.limit, _after(visit))
    return page_answer([answers.history_entry(one) for one in found], None if last is None else [int(part) for part in last.split("-")])


def _wanted(query: Mapping[str, str]) -> Wanted:
    return Wanted(
        type=query.get("type"),
        integration=query.get("integration"),
        prospects=_prospects(query["prospect"], query.get("integration")) if "prospect" in query else None,
        list=query.get("list"),
        rep=query.get("rep"),
        claim=query.get("claim"),
        from_ms=instant(query["from"]) if "from" in query else None,
        to_ms=instant(query["to"]) if "to" in query else None,
    )


def _prospects(given: str, integration: str | None) -> dict[str, str]:
    """The canonical ids that a record's id may stand for, by integration (R18). **Raises**: ProblemError if the one that is named can have no such id."""
    found: dict[str, str] = {}
    for name in [integration] if integration else integrations():
        try:
            found[name] = integrations()[name].prospect_id(given)
        except InvalidError as error:
            if integration:
                raise ProblemError.invalid([{"parameter": "prospect", "detail": str(error)}]) from None
    return found


def _after(visit: Visit) -> str | None:
    after = visit.query.page.after
    if after is None:
        return None
    if not all(0 <= part < IDS_MOST for part in after):
        raise ProblemError.invalid([{"parameter": "cursor", "detail": NO_CURSOR}])
    return "-".join(str(part) for part in after)


def _form(accept: str) -> str:
    """Which form is wanted most: a page of JSON unless one of the streams is asked for by its name. **Source**: RFC 9110 section 12.5.1."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        media, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        weights[media] = float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 0.0
    any_json = max(weights.get(JSON, 0.0), weights.get("application/*", 0.0), weights.get("*/*", 0.0))
    named = {JSON: weights.get(JSON, any_json), CSV: weights.get(CSV, 0.0), NDJSON: weights.get(NDJSON, 0.0)}
    return max(named, key=lambda media: named[media])


async def _stream(visit: Visit, wanted: Wanted, form: str) -> web.StreamResponse:
    """All that is there at the start, a chunk at a time, so in flat memory however long it is; it goes on as fast as the client reads.

    What cannot be told to its end is cut off so that nobody takes it for whole.
    """
    first = await visit.services.history.read(visit.org, wanted.start)
    response = web.StreamResponse(headers={"Content-Type": f"{form}; charset=utf-8", "X-Request-Id": request_id.get() or ""})
    written: Writer = _csv if form == CSV else _ndjson
    await response.prepare(visit.request)
    try:
        if form == CSV:
            await response.write(_row(answers.HISTORY_FIELDS))
        async for entries in _chunks(visit, first):
            if told := written(entry for entry in entries if wanted.admits(entry)):
                await response.write(told)
        await response.write_eof()
    except ConnectionError:
        log.info("the reader of the history went away")
    except (StoreUnavailableError, ProblemError, asyncio.CancelledError) as error:
        log.warning("the history was cut off: %s", error)
        _cut_off(visit.request)
        if isinstance(error, asyncio.CancelledError):
            raise
    except BaseException:
        _cut_off(visit.request)
        raise
    return response


async def _chunks(visit: Visit, chunk: Chunk) -> AsyncIterator[list[Entry]]:
    """Chunk after chunk up to what was newest when the first was read, as long as the key opens the org."""
    until = chunk.last
    while True:
        yield chunk.entries
        if not chunk.more:
            return
        place = chunk.entries[-1].id
        while True:
            try:
                chunk = await visit.services.history.read(visit.org, place, until=until)
                break
            except StaleError:
                visit = await _anew(visit)


async def _anew(visit: Visit) -> Visit:
    """The visit with the org as it is now. **Raises**: ProblemError, if the key does not open it any more."""
    org = await visit.services.orgs.get(visit.org.id, fresh=True)
    key = org.keys.get(visit.key.id) if org else None
    if org is None or key is None or key.sha256 != visit.key.sha256:
        raise ProblemError("unauthenticated", "the key was revoked meanwhile")
    return replace(visit, org=org, key=key)


def _cut_off(request: web.Request) -> None:
    """Ends the connection so that even a reader who is told no length sees that something is missing: with a reset, not with an end."""
    transport = request.transport
    if transport is None:
        return
    if (connection := transport.get_extra_info("socket")) is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _ndjson(entries: Iterable[Entry]) -> bytes:
    return b"".join(orjson.dumps(answers.history_entry(entry)) + b"\n" for entry in entries)


def _csv(entries: Iterable[Entry]) -> bytes:
    told = (answers.history_entry(entry) for entry in entries)
    return b"".join(_row([_cell(name, value) for name, value in one.items()]) for one in told)


def _cell(name: str, value: object) -> str:
    """A value as a cell. One that a spreadsheet would take for a formula gets an apostrophe before it, so that whoever chooses an id cannot make it act."""
    if name == "detail":
        return orjson.dumps(value).decode()
    text = "" if value is None else str(value)
    return f"'{text}" if re.match(r"[=@]|[+-](?!\d+$)", text) else text


def _row(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


ROUTES = (
    Route(
        "GET",
        "/v1/history",
        list_history,
        "read",
        "Read what happened, in pages, or streamed whole as CSV or NDJSON",
        answer="History",
        query=("rep", "prospect", "integration", "list", "claim", "type", "from", "to", "limit", "cursor"),
        cursor=(int, int),
        streamed_as=(CSV, NDJSON),
    ),
)
