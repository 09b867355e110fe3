"""HubSpot, written into: calls as engagements of their contacts, and contacts' properties."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from reservoir.config import HubspotConfig
from reservoir.domain.write_back import FieldValue
from reservoir.integrations.hubspot.portal import READ_CONTACTS, READ_OWNERS, WRITE_CONTACTS, Portal, results
from reservoir.integrations.source import CrmError, Pace
from reservoir.integrations.writer import Change, Written

CALL_TO_CONTACT = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 194}
FOUND_MOST = 100

_OUTCOMES = {
    "connected": "f240bbac-87c9-4f6e-bf70-924b57d47db7",
    "busy": "9d9162e7-6cf3-4944-bf63-4dff82258764",
    "no_answer": "73a0d17f-1163-4015-bdd5-ec830791da20",
    "voicemail": "b2cf5968-551e-4856-9783-52b3da59a7d0",
    "wrong_number": "17b47fee-58de-441e-a44c-c6300d46f273",
}
"""HubSpot's own outcomes of a call, which every portal begins with. **Source**: developers.hubspot.com, engagements: calls (read 2026-11-22)."""


class HubspotWriter:
    """One private app's connection. Calls are marked with the claim's id, where the portal has the property for it, so that a repeat finds them."""

    def __init__(self, config: HubspotConfig, pace: Pace) -> None:
        self._portal = _WritablePortal(config, pace)
        self._id_property = config.call_id_property
        self._owners: dict[str, str | None] = {}

    def write(self, changes: Sequence[Change]) -> Iterator[Written]:
        """As `Writer`: calls one by one, contacts' properties together."""
        for change in changes:
            if change.what == "call":
                yield self._told(change, self._log)
        fields = [change for change in changes if change.what == "fields"]
        if len(fields) > 1:
            yield from self._change_all(fields)
        else:
            yield from (self._told(change, self._change) for change in fields)

    def close(self) -> None:
        """Closes what is open."""
        self._portal.transport.close()

    def _told(self, change: Change, write: Callable[[Change], str | None]) -> Written:
        try:
            return Written(change, logged=write(change))
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
            return Written(change, error=error)

    def _log(self, change: Change) -> str:
        known = change.logged or (self._found(change) if change.repeated else None)
        if known is None:
            try:
                return self._portal.create_call(self._properties(change), change.prospect)
            except CrmError as error:
                # The mark may be taken: another worker logs it at this moment.
                known = self._portal.call_of(self._id_property, change.claim) if error.status in {400, 409} and self._marks else None
                if known is None:
                    raise
        told = {"hs_call_disposition": self._disposition(change), "hs_call_body": _body(change)}
        self._portal.update_call(known, {name: text for name, text in told.items() if text})
        return known

    def _found(self, change: Change) -> str | None:
        """The call, if it was logged before: by the claim's id, or else by when it was, and with whom."""
        if self._marks:
            # What is searched for is found some time after it was written; what is read by its mark, at once, if the property is unique.
            found = self._portal.call_of(self._id_property, change.claim)
            return found or next((call for call, _ in self._portal.find_calls(self._id_property, change.claim)), None)
        of_contact = self._portal.find_calls("associations.contact", change.prospect)
        return next((call for call, at_ms in of_contact if at_ms == change.at_ms), None)

    def _properties(self, change: Change) -> dict[str, str]:
        told = {
            "hs_timestamp": datetime.fromtimestamp(change.at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "hs_call_title": "Call",
            "hs_call_direction": "OUTBOUND",
            "hs_call_status": "COMPLETED",
            "hs_call_body": _body(change),
            "hs_call_disposition": self._disposition(change),
            "hubspot_owner_id": self._owner(change.rep),
            self._id_property: change.claim if self._marks else None,
        }
        return {name: text for name, text in told.items() if text}

    def _disposition(self, change: Change) -> str | None:
        return change.call_outcome or _OUTCOMES.get(change.outcome or "")

    @cached_property
    def _marks(self) -> bool:
        """Whether the portal has the property by which a call is known again."""
        return self._portal.has_call_property(self._id_property)

    def _owner(self, rep: str) -> str | None:
        """The active user whose e-mail is the rep; None: the connection's own."""
        if rep not in self._owners:
            self._owners[rep] = self._portal.owner_of(rep) if "@" in rep else None
        return self._owners[rep]

    def _change(self, change: Change) -> None:
        self._portal.update_contact(change.prospect, _texts(change.fields))

    def _change_all(self, changes: Sequence[Change]) -> Iterator[Written]:
        """One request for all. Of whom HubSpot says nothing, or if one of them spoils it for all, one by one."""
        merged: dict[str, dict[str, str]] = {}
        for change in changes:
            merged.setdefault(change.prospect, {}).update(_texts(change.fields))
        try:
            updated = self._portal.update_contacts(merged)
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
            updated = frozenset()
        for change in changes:
            yield Written(change) if change.prospect in updated else self._told(change, self._change)


class _WritablePortal(Portal):
    """The calls that write, and those that look for what was written."""

    def create_call(self, properties: Mapping[str, str], contact: str) -> str:
        """Logs a call with a contact, and returns its id."""
        body = {"properties": dict(properties), "associations": [{"to": {"id": contact}, "types": [CALL_TO_CONTACT]}]}
        return str(self._ask(self._calls.create, body, scope=WRITE_CONTACTS, absent="no such contact")["id"])

    def update_call(self, call: str, properties: Mapping[str, str]) -> None:
        """Changes a call that was logged."""
        if properties:
            self._ask(self._calls.update, call, {"properties": dict(properties)}, scope=WRITE_CONTACTS, absent=f"no call {call}")

    def call_of(self, name: str, value: str) -> str | None:
        """The id of the call whose unique property has this value; None where there is none, or where the property is not unique."""
        try:
            told = self._ask(self._calls.get_by_id, value, id_property=name, scope=READ_CONTACTS, absent="no such call")
        except CrmError as error:
            if error.status in {400, 404, 405}:
                return None
            raise
        return str(told["id"]) if told.get("id") else None

    def find_calls(self, name: str, value: str) -> Iterator[tuple[str, int | None]]:
        """The newest calls of which this is so: their ids, and when they were."""
        body = {
            "filterGroups": [{"filters": [{"propertyName": name, "operator": "EQ", "value": value}]}],
            "properties": ["hs_timestamp"],
            "sorts": [{"propertyName": "hs_timestamp", "direction": "DESCENDING"}],
            "limit": FOUND_MOST,
        }
        for call in results(self._ask(self._client.crm.objects.calls.search_api.do_search, body, scope=READ_CONTACTS, absent="no search of calls")):
            if isinstance(call, dict) and "id" in call:
                yield str(call["id"]), _ms((call.get("properties") or {}).get("hs_timestamp"))

    def has_call_property(self, name: str) -> bool:
        """Whether calls have a property of this name, as far as that may be known."""
        try:
            self._ask(self._properties.get_by_name, "calls", name, scope=READ_CONTACTS, absent=f"no property {name!r} of calls")
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
            return False
        return True

    def owner_of(self, email: str) -> str | None:
        """The id of the active owner with this e-mail."""
        try:
            found = results(self._ask(self._owners.get_page, email=email, limit=1, scope=READ_OWNERS, absent="no owners"))
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
            return None
        active = [owner for owner in found if isinstance(owner, dict) and not owner.get("archived")]
        return next((str(owner["id"]) for owner in active if str(owner.get("email", "")).lower() == email.lower() and "id" in owner), None)

    def update_contact(self, contact: str, properties: Mapping[str, str]) -> None:
        """Changes a contact; one that was merged is who it became."""
        update = self._client.crm.contacts.basic_api.update
        self._ask(update, contact, {"properties": dict(properties)}, scope=WRITE_CONTACTS, absent=f"no contact {contact}")

    def update_contacts(self, changes: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
        """Changes up to 100 contacts, and returns the ids of those that HubSpot says it changed."""
        body = {"inputs": [{"id": contact, "properties": dict(properties)} for contact, properties in changes.items()]}
        told = self._ask(self._contacts.update, body, scope=WRITE_CONTACTS, absent="no such contacts")
        return frozenset(str(row.get("id")) for row in results(told) if isinstance(row, dict))

    @cached_property
    def _calls(self) -> Any:
        return self._client.crm.objects.calls.basic_api


def _ms(told: object) -> int | None:
    """A time of HubSpot's, which may be an instant or a count of milliseconds."""
    text = str(told)
    if text.isdecimal():
        return int(text)
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000)
    except ValueError:
        return None


def _body(change: Change) -> str | None:
    return f"Outcome: {change.outcome.replace('_', ' ')}" if change.outcome else None


def _texts(fields: Mapping[str, FieldValue]) -> dict[str, str]:
    """HubSpot's values are text, whatever the property's type. A name that is qualified by an object is that of a contact's property."""
    found = {}
    for name, value in fields.items():
        kind, _, bare = name.rpartition(".")
        if kind.lower() in {"", "contact", "contacts"}:
            found[bare] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
