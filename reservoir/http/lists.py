"""Lists over HTTP: definitions, how they stand, members."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import orjson
from aiohttp import web

from reservoir.domain.ids import slug
from reservoir.domain.lists import ListDefinition
from reservoir.domain.refusals import Refused
from reservoir.http import answers
from reservoir.http.bodies import CreateList, ListFields
from reservoir.http.connections import broke_off
from reservoir.http.finding import find_list
from reservoir.http.problems import ProblemError, required
from reservoir.http.visit import Answer, Route, Visit, etag, page_answer
from reservoir.storage.lists import ListedMember
from reservoir.sync.imports import BrokenOffError, Content

EXAMINED_MOST = 5_000
CHUNK_WITHIN_S = 30
"""How long an upload may be silent, while its run is kept: then that ends as failed, what came stands, and the list can be filled anew."""

CONTENTS = ("text/csv", "application/x-ndjson")


async def create_list(visit: Visit, body: CreateList) -> Answer | Refused:
    """A new list."""
    wanted = _definition(body.id or slug(body.name), body)
    created = await visit.services.lists.create(visit.org, wanted, exact=body.id is not None, by=visit.by)
    if isinstance(created, Refused):
        return created
    return await _listed(visit, created, 201)


async def list_lists(visit: Visit, _: None) -> Answer:
    """The org's lists, by id."""
    page = visit.query.page
    await visit.services.write_back.catch_up(visit.org)
    states, after = await visit.services.lists.page(visit.org, page.limit, page.after[0] if page.after else None)
    return page_answer([answers.list_state(state) for state in states], None if after is None else (after,))


async def get_list(visit: Visit, _: None) -> Answer | Refused:
    """How a list stands."""
    await visit.services.write_back.catch_up(visit.org)
    return await _listed(visit, visit.list_id())


async def patch_list(visit: Visit, patch: object) -> Answer | Refused:
    """A change to what an admin says of a list."""
    list_id = visit.list_id()
    while True:
        before = required(await visit.services.lists.get(visit.org, list_id)).definition
        told = _told(before)
        body = visit.patched(ListFields, {"integration": before.integration, **told}, patch, fixed="integration")
        visit.require_match(etag(told))
        changed = await visit.services.lists.change(visit.org, before, _definition(list_id, body), visit.by)
        if isinstance(changed, Refused):
            return changed
        if changed:
            return await _listed(visit, list_id)


async def delete_list(visit: Visit, _: None) -> Answer | Refused:
    """The end of a list; reservations stay."""
    return await visit.services.lists.delete(visit.org, visit.list_id(), visit.by) or Answer(None, 204)


async def list_members(visit: Visit, _: None) -> Answer | Refused:
    """Members in list order, each with how it stands. With a filter, at most 5,000 are looked at for one page."""
    query, page = visit.query.values, visit.query.page
    status, text = query.get("status"), query.get("q")
    list_id, after = visit.list_id(), str(page.after[0]) if page.after else None
    found: list[ListedMember] = []
    examined = 0
    while examined < EXAMINED_MOST:
        asked = page.limit - len(found) if not status and not text else EXAMINED_MOST
        told = await visit.services.lists.members(visit.org, list_id, asked, after, query.get("rep"))
        if isinstance(told, Refused):
            return told
        examined += len(told.members)
        for number, (member, place) in enumerate(told.members, 1):
            after = place
            if (not status or member.status == status) and (not text or _mentions(member, text)):
                found.append(member)
            if len(found) == page.limit:
                more = told.more or number < len(told.members)
                return page_answer([answers.member(one) for one in found], (int(place),) if more else None)
        if not told.more:
            return page_answer([answers.member(one) for one in found], None)
    return page_answer([answers.member(one) for one in found], (int(after or 0),))


async def put_members(visit: Visit, _: None) -> Answer | Refused:
    """The whole content of a csv list, streamed in."""
    list_id = visit.list_id()
    state = required(await visit.services.lists.get(visit.org, list_id))
    content = visit.request.content_type
    if content not in CONTENTS:
        raise ProblemError("unsupported-media-type", f"Expected {' or '.join(CONTENTS)}, found {visit.request.headers.get('Content-Type', 'none')[:80]}.")
    if state.definition.source is not None or state.definition.integration != "csv":
        raise ProblemError.invalid([{"parameter": "list", "detail": "this list is filled from its source, not by hand"}])
    told = await visit.services.imports.run(visit.org.id, list_id, _chunks(visit.request), cast("Content", content))
    return told if isinstance(told, Refused) else Answer(answers.sync(told))


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. One that stays silent for too long has broken off: else its run and its connection would stay for ever."""
    try:
        while True:
            async with asyncio.timeout(CHUNK_WITHIN_S):
                chunk = await request.content.readany()
            if not chunk:
                break
            yield chunk
    except TimeoutError as error:
        raise BrokenOffError(f"nothing came for {CHUNK_WITHIN_S} s") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise BrokenOffError(str(error)) from error
    if broke_off(request):
        raise BrokenOffError("the body ended before its end")


async def _listed(visit: Visit, list_id: str, status: int = 200) -> Answer | Refused:
    state = await visit.services.lists.get(visit.org, list_id)
    if isinstance(state, Refused):
        return state
    return Answer(answers.list_state(state), status, {"ETag": etag(_told(state.definition))})


def _definition(list_id: str, body: ListFields) -> ListDefinition:
    source: dict[str, Any] | None = None if body.source is None else body.source.model_dump(exclude_none=True)
    return ListDefinition(list_id, body.name, body.integration, source, body.plan, 0)


def _told(definition: ListDefinition) -> dict[str, object]:
    return {"name": definition.name, "source": definition.source, "sync": definition.sync}


_PUNCTUATION = str.maketrans("", "", " ().-/")
"""What people write into numbers."""


def _mentions(member: ListedMember, text: str) -> bool:
    """Whether a part of the member's id, name or numbers is the text, case aside."""
    data = orjson.loads(member.data)
    wanted = text.casefold()
    said = (data["id"], data["name"] or "", *(phone["number"] for phone in data["phones"]))
    number = text.translate(_PUNCTUATION)
    return any(wanted in one.casefold() for one in said) or (number.isdecimal() and any(number in phone["number"] for phone in data["phones"]))


_NOT_FOUND = ("list-not-found",)

ROUTES = (
    Route("POST", "/v1/lists", create_list, "admin", "Create a list", body=CreateList, answer="List", status=201, problems=("list-exists",)),
    Route("GET", "/v1/lists", list_lists, "read", "Read the org's lists", answer="Lists", query=("limit", "cursor"), cursor=(str,)),
    Route("GET", "/v1/lists/{list}", get_list, "read", "See how a list stands", find=find_list, answer="List", problems=_NOT_FOUND),
    Route(
        "PATCH",
        "/v1/lists/{list}",
        patch_list,
        "admin",
        "Change a list",
        patch=True,
        body=ListFields,
        find=find_list,
        answer="List",
        problems=(*_NOT_FOUND, "precondition-failed"),
        media=("application/merge-patch+json", "application/json"),
    ),
    Route("DELETE", "/v1/lists/{list}", delete_list, "admin", "Delete a list", find=find_list, status=204, problems=_NOT_FOUND),
    Route(
        "GET",
        "/v1/lists/{list}/members",
        list_members,
        "read",
        "Read a list's members in list order",
        find=find_list,
        answer="Members",
        query=("rep", "q", "status", "limit", "cursor"),
        cursor=(int,),
        problems=_NOT_FOUND,
    ),
    Route(
        "PUT",
        "/v1/lists/{list}/members",
        put_members,
        "admin",
        "Put in the whole content of a csv list",
        find=find_list,
        answer="Sync",
        problems=(*_NOT_FOUND, "sync-running", "invalid-csv", "no-rows", "body-incomplete"),
        media=CONTENTS,
        streams=True,
    ),
)
