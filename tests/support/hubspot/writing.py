"""What a portal lets be written: contacts' properties, calls, and whose they are."""

from datetime import datetime
from typing import Any

from tests.support.hubspot.reading import STARTED, inputs_of, object_of
from tests.support.hubspot.records import Portal, Properties
from tests.support.hubspot.refusing import RefusalError, expect, invalid, not_found

CALL_TO_CONTACT = 194
CALL_STATUSES = {"BUSY", "CALLING_CRM_USER", "CANCELED", "COMPLETED", "CONNECTING", "FAILED", "IN_PROGRESS", "NO_ANSWER", "QUEUED", "RINGING"}


class Writing:
    """The calls that change something."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def update_contact(self, record: str, body: Any) -> dict[str, Any]:
        properties = self._properties(body, self._portal.contact_properties)
        return object_of(*self._changed(self._portal.contacts, record, properties))

    def update_contacts(self, body: Any) -> tuple[int, dict[str, Any]]:
        """A merged contact is left out without a word."""
        inputs = inputs_of(body, "id", "properties")
        checked = [(input_["id"], self._properties(input_, self._portal.contact_properties)) for input_ in inputs]
        results, missing = [], []
        for record, properties in checked:
            if record.isdecimal() and int(record) in self._portal.merged:
                continue
            if not record.isdecimal() or int(record) not in self._portal.contacts or int(record) in self._portal.archived:
                missing.append(record)
            else:
                results.append(object_of(*self._changed(self._portal.contacts, record, properties)))
        return _batch(results, missing)

    def create_call(self, body: Any) -> dict[str, Any]:
        properties = self._call(body)
        associations = body.get("associations", [])
        expect(isinstance(associations, list), "associations is a list")
        contacts = [self._associated(association) for association in associations]
        call = len(self._portal.calls) + 9_001
        self._portal.calls[call] = properties
        self._portal.on_write()
        self._portal.associated |= {(call, contact) for contact in contacts}
        return object_of(call, properties)

    def create_calls(self, body: Any) -> tuple[int, dict[str, Any]]:
        results = [self.create_call(input_) for input_ in inputs_of(body, "properties")]
        return 201, {"status": "COMPLETE", "results": results, "startedAt": STARTED, "completedAt": STARTED}

    def update_call(self, call: str, body: Any) -> dict[str, Any]:
        return object_of(*self._changed(self._portal.calls, call, self._properties(body, self._portal.call_properties)))

    def update_calls(self, body: Any) -> tuple[int, dict[str, Any]]:
        results, missing = [], []
        for input_ in inputs_of(body, "id", "properties"):
            if input_["id"].isdecimal() and int(input_["id"]) in self._portal.calls:
                results.append(self.update_call(input_["id"], input_))
            else:
                missing.append(input_["id"])
        return _batch(results, missing)

    def search_calls(self, body: Any) -> dict[str, Any]:
        """By properties that are equal. The index behind it lags: what it does not know yet is not found."""
        expect(isinstance(body, dict), "a search is an object")
        groups = body.get("filterGroups", [])
        expect(isinstance(groups, list) and 0 < len(groups) <= 5, "between 1 and 5 filterGroups")
        limit = body.get("limit", 10)
        expect(isinstance(limit, int) and 0 < limit <= 200, "limit is between 1 and 200")
        found = [
            object_of(call, {name: properties.get(name) for name in body.get("properties", [])})
            for call, properties in self._portal.calls.items()
            if self._portal.search_knows(call) and any(self._fits(call, properties, group) for group in groups)
        ]
        return {"total": len(found), "results": found[:limit]}

    def associate(self, call: str, contact: str) -> dict[str, Any]:
        if int(call) not in self._portal.calls or int(contact) not in self._portal.contacts:
            raise not_found()
        self._portal.associated.add((int(call), int(contact)))
        return {"status": "COMPLETE", "results": [], "startedAt": STARTED, "completedAt": STARTED}

    def _fits(self, call: int, properties: Properties, group: Any) -> bool:
        expect(isinstance(group, dict) and isinstance(group.get("filters"), list) and 0 < len(group["filters"]) <= 6, "a group has 1 to 6 filters")
        for filter_ in group["filters"]:
            name, operator, value = filter_.get("propertyName"), filter_.get("operator"), filter_.get("value")
            if name == "associations.contact":
                expect(operator == "EQ", f"operator {operator}")
                if (call, int(value)) not in self._portal.associated:
                    return False
                continue
            expect(name in self._portal.call_properties, f"There was a problem with the request: no property {name}")
            expect(operator in {"EQ", "IN"}, f"operator {operator}")
            if properties.get(name) not in (filter_.get("values", []) if operator == "IN" else [value]):
                return False
        return True

    def _call(self, body: Any) -> Properties:
        properties = self._properties(body, self._portal.call_properties)
        expect(properties.get("hs_timestamp"), "hs_timestamp is required")
        expect(properties.get("hs_call_status") in CALL_STATUSES | {None}, f"hs_call_status {properties.get('hs_call_status')!r} is not one of its options")
        expect(properties.get("hs_call_direction") in {"INBOUND", "OUTBOUND", None}, "hs_call_direction is not one of its options")
        try:
            datetime.fromisoformat(str(properties["hs_timestamp"]))
        except ValueError:
            expect(str(properties["hs_timestamp"]).isdecimal(), "hs_timestamp is no time")
        return properties

    def _associated(self, association: Any) -> int:
        expect(isinstance(association, dict) and str(association.get("to", {}).get("id", "")).isdecimal(), "an association has to.id")
        for kind in association.get("types") or [{}]:
            expect(kind.get("associationCategory") == "HUBSPOT_DEFINED" and kind.get("associationTypeId") == CALL_TO_CONTACT, "an association has types")
        contact = int(association["to"]["id"])
        if contact not in self._portal.contacts or contact in self._portal.archived:
            raise invalid(f"contact {contact} does not exist")
        return contact

    def _properties(self, body: Any, known: set[str]) -> Properties:
        expect(isinstance(body, dict) and isinstance(body.get("properties"), dict), "properties is required")
        for name, value in body["properties"].items():
            if name not in known:
                raise RefusalError(400, "VALIDATION_ERROR", f'Property values were not valid: [{{"error":"PROPERTY_DOESNT_EXIST","name":"{name}"}}]')
            expect(isinstance(value, str), f"the value of {name} is a string")
        for name in self._portal.unique & body["properties"].keys():
            if any(call.get(name) == body["properties"][name] for call in self._portal.calls.values()):
                raise RefusalError(409, "CONFLICT", f"an object with {name} exists")
        return dict(body["properties"])

    def _changed(self, records: dict[int, Properties], record: str, properties: Properties) -> tuple[int, Properties]:
        number = int(record) if record.isdecimal() else 0
        number = self._portal.merged.get(number, number)
        if number not in records or number in self._portal.archived:
            raise not_found()
        records[number] |= properties
        return number, records[number]


def _batch(results: list[dict[str, Any]], missing: list[str]) -> tuple[int, dict[str, Any]]:
    told = {"status": "COMPLETE", "results": results, "startedAt": STARTED, "completedAt": STARTED}
    if not missing:
        return 200, told
    error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not update some objects", "context": {"ids": missing}}
    return 207, {**told, "numErrors": 1, "errors": [error]}
