"""What a portal shows: lists, memberships, contacts, owners, itself."""

import base64
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tests.support.hubspot.records import Portal, Properties
from tests.support.hubspot.refusing import expect, invalid, not_found

MEMBERSHIPS_MOST, BATCH_MOST, OWNERS_MOST = 250, 100, 500
STARTED = "2026-11-22T17:00:00.000Z"


def object_of(record: int, properties: Properties) -> dict[str, Any]:
    """A record in the form of the objects' API."""
    told = {"createdate": STARTED, "lastmodifieddate": STARTED, **properties, "hs_object_id": str(record)}
    return {"id": str(record), "properties": told, "createdAt": STARTED, "updatedAt": STARTED, "archived": False}


def inputs_of(body: Any, *required: str) -> list[dict[str, Any]]:
    """The inputs of a batch: at most 100, each with what it must have, none twice."""
    expect(isinstance(body, dict) and isinstance(body.get("inputs"), list), "inputs is required")
    inputs: list[Any] = body["inputs"]
    expect(0 < len(inputs) <= BATCH_MOST, f"between 1 and {BATCH_MOST} inputs, not {len(inputs)}")
    for input_ in inputs:
        expect(isinstance(input_, dict) and all(name in input_ for name in required), f"each input has {required}")
    ids = [input_["id"] for input_ in inputs if "id" in input_]
    expect(all(isinstance(id_, str) for id_ in ids) and len(set(ids)) == len(ids), "ids are strings, and no two are the same")
    return inputs


def limited(query: dict[str, str], most: int, default: int) -> int:
    """The limit of a page."""
    text = query.get("limit", str(default))
    expect(text.isdecimal() and 0 < int(text) <= most, f"limit is between 1 and {most}")
    return int(text)


class Reading:
    """The calls that change nothing."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def definition(self, list_id: str) -> dict[str, Any]:
        found = self._portal.lists.get(list_id)
        if found is None:
            raise not_found(f"List does not exist with ID {list_id}.")
        told = {
            "listId": list_id,
            "listVersion": 1,
            "name": f"List {list_id}",
            "objectTypeId": found.object_type,
            "processingType": "DYNAMIC",
            "filtersUpdatedAt": found.filters,
        }
        told |= {"processingStatus": found.status} if found.status else {}
        told |= {"size": len(found.members)} if found.tells_size else {}
        return {"list": told}

    def search_lists(self, body: Any) -> dict[str, Any]:
        expect(isinstance(body, dict) and isinstance(body.get("offset"), int), "offset is required")
        expect(isinstance(body.get("additionalProperties"), list), "additionalProperties is required")
        expect(0 < body.get("count", 20) <= 500, "count is between 1 and 500")
        found = [self.definition(list_id)["list"] for list_id in sorted(self._portal.lists)]
        count, offset = body.get("count", 20), body["offset"]
        return {"lists": found[offset : offset + count], "hasMore": len(found) > offset + count, "offset": offset + count, "total": len(found)}

    def memberships(self, list_id: str, query: dict[str, str]) -> dict[str, Any]:
        found = self._portal.lists.get(list_id)
        if found is None:
            raise not_found(f"List does not exist with ID {list_id}.")
        limit = limited(query, MEMBERSHIPS_MOST, 100)
        self._portal.on_page(self._portal.pages)
        self._portal.pages += 1
        since = _record_of(query["after"], list_id) if "after" in query else 0
        following = sorted(record for record in found.members if record > since)
        page = following[:limit]
        told: dict[str, Any] = {"results": [{"recordId": str(record), "membershipTimestamp": STARTED} for record in page]}
        if len(following) > limit:
            after = base64.urlsafe_b64encode(f"{list_id}|{page[-1]}".encode()).decode()
            told["paging"] = {"next": {"after": after, "link": f"https://api.hubapi.com/crm/v3/lists/{list_id}/memberships?after={after}"}}
        return told | ({"total": len(found.members)} if found.tells_total else {})

    def contacts(self, query: dict[str, str]) -> dict[str, Any]:
        limit = limited(query, 100, 10)
        return {"results": [object_of(record, properties) for record, properties in sorted(self._portal.contacts.items())[:limit]]}

    def batch_read(self, body: Any) -> tuple[int, dict[str, Any]]:
        """In the reverse of the order that was asked for: who counts on the order is found out."""
        inputs = inputs_of(body, "id")
        for name in ("properties", "propertiesWithHistory"):
            expect(isinstance(body.get(name), list), f"{name} is required")
        results, missing = [], []
        for input_ in reversed(inputs):
            expect(input_["id"].isdecimal(), f"{input_['id']!r} is no id")
            record = int(input_["id"])
            if record in self._portal.merged:
                results += self._survivor(record, body["properties"])
            elif record in self._portal.contacts and record not in self._portal.archived:
                results.append(self._shown(record, body["properties"]))
            else:
                missing.append(input_["id"])
        told = {"status": "COMPLETE", "results": results, "startedAt": STARTED, "completedAt": STARTED}
        if not missing:
            return 200, told
        error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some CONTACT objects", "context": {"ids": missing}}
        return 207, {**told, "numErrors": 1, "errors": [error]}

    def owner(self, owner_id: str, query: dict[str, str]) -> dict[str, Any]:
        found = self._portal.owners.get(owner_id)
        if found is None or found.get("archived", False) != (query.get("archived", "false") == "true"):
            raise not_found()
        return {"id": owner_id, "archived": False, **found}

    def owners(self, query: dict[str, str]) -> dict[str, Any]:
        limit, since = limited(query, OWNERS_MOST, 100), query.get("after", "")
        active = {owner: told for owner, told in sorted(self._portal.owners.items()) if not told.get("archived")}
        there = [owner for owner, told in active.items() if owner > since and query.get("email") in {None, told.get("email")}]
        told: dict[str, Any] = {"results": [{"id": owner, "archived": False, **self._portal.owners[owner]} for owner in there[:limit]]}
        return told | ({"paging": {"next": {"after": there[limit - 1]}}} if len(there) > limit else {})

    def properties(self, object_type: str) -> dict[str, Any]:
        names = self._portal.contact_properties if object_type in {"contacts", "0-1"} else self._portal.call_properties
        return {"results": [{"name": name, "label": name.title(), "type": "string", "fieldType": "text"} for name in sorted(names)]}

    def call_property(self, name: str) -> dict[str, Any]:
        if name not in self._portal.call_properties:
            raise not_found(f"{name} does not exist")
        return {"name": name, "label": name.title(), "type": "string", "fieldType": "text", "hasUniqueValue": name in self._portal.unique}

    def call(self, call: str, query: dict[str, str]) -> dict[str, Any]:
        """By its id, or by a property that is unique."""
        name = query.get("idProperty")
        expect(name is None or name in self._portal.unique, f"Unable to read by non-unique property {name}")
        for number, properties in self._portal.calls.items():
            if (properties.get(name) if name else str(number)) == call:
                return object_of(number, properties)
        raise not_found()

    def account(self) -> dict[str, Any]:
        return {"portalId": 4567, "accountType": "STANDARD", "timeZone": "US/Eastern", "uiDomain": "app-eu1.hubspot.com", "dataHostingLocation": "eu1"}

    def daily_use(self) -> dict[str, Any]:
        if self._portal.resets_at is None:
            raise not_found()
        told = {"name": "private-apps-api-calls-daily", "usageLimit": 650_000, "currentUsage": 650_000, "resetsAt": self._portal.resets_at}
        return {"results": [{**told, "fetchStatus": "SUCCESS"}]}

    def token(self, body: Any) -> dict[str, Any]:
        expect(isinstance(body, dict) and isinstance(body.get("tokenKey"), str), "tokenKey is required")
        if body["tokenKey"] not in self._portal.scopes:
            raise invalid("no such token")
        return {"userId": 12, "hubId": 4567, "appId": 89, "scopes": sorted(self._portal.scopes[body["tokenKey"]])}

    def _shown(self, record: int, properties: Sequence[str]) -> dict[str, Any]:
        """A contact's properties that were asked for; unknown names are passed over."""
        has = self._portal.contacts[record]
        return object_of(record, {name: has.get(name) for name in properties if name in self._portal.contact_properties})

    def _survivor(self, record: int, properties: Sequence[str]) -> list[dict[str, Any]]:
        """Who a merged contact became, under the id that it has now; or nobody, without a word."""
        if not self._portal.tells_merged:
            return []
        shown = self._shown(self._portal.merged[record], properties)
        if "hs_merged_object_ids" in properties:
            shown["properties"]["hs_merged_object_ids"] = ";".join(str(old) for old, new in self._portal.merged.items() if new == int(shown["id"]))
        return [shown]


def _record_of(after: str, list_id: str) -> int:
    try:
        of_list, record = base64.urlsafe_b64decode(after).decode().split("|")
        expect(of_list == list_id, "after is another list's")
        return int(record)
    except ValueError:
        raise invalid(f"after is not one that was given: {after!r}") from None


def answered(told: Any, status: int = 200) -> web.Response:
    """An answer of JSON."""
    return web.json_response(told, status=status)
