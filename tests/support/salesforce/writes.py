"""What the API writes: records one by one, by an external id, and two hundred at a time."""

import re
from collections.abc import Callable
from typing import Any

from tests.support.salesforce.records import PREFIXES, Record, record_id
from tests.support.salesforce.refusing import SalesforceRefusalError

RECORDS_MOST = 200
CHUNKS_MOST = 10
_CREATED_ONLY = frozenset(("TaskSubtype",))
_NEVER = frozenset(("Id", "CreatedDate", "IsConverted"))

FIELDS = {
    "Task": frozenset(
        ("WhoId", "Subject", "TaskSubtype", "Status", "ActivityDate", "CallType", "CallDurationInSeconds", "CallDisposition", "CallObject", "OwnerId",
         "Description", "Type", "Priority"),
    ),
}  # fmt: skip
CALL_ID = "Reservoir_Call_Id__c"


class Writer:
    """Writes into an org's records, and refuses what Salesforce refuses."""

    def __init__(self, records: dict[str, dict[str, Record]]) -> None:
        self._records = records
        self.external_ids = {f"Task.{CALL_ID}"}
        """Without it, Task has no such field."""
        self.denied: set[str] = set()
        """What this user may not do, as ``Task.create`` and ``Lead.update``, where the org is asked for it."""
        self.refuses: Callable[[str, dict[str, Any]], SalesforceRefusalError | None] = lambda _name, _fields: None
        """The org's own rules, locks and permissions: called with the object, and with what is written, an ``Id`` among it where it is known."""

    def fields(self, name: str) -> frozenset[str]:
        """The fields of an object that do not show by its records."""
        return FIELDS[name] | {field.partition(".")[2] for field in self.external_ids if field.startswith(f"{name}.")} if name in FIELDS else frozenset()

    def describe(self, name: str) -> dict[str, Any]:
        """GET sobjects/{name}/describe."""
        known = self.fields(name) or {field for one in self._of(name).values() for field in one}
        fields = [{"name": field, "type": "string", "externalId": f"{name}.{field}" in self.external_ids, "createable": True} for field in sorted(known)]
        return {"name": name, "createable": f"{name}.create" not in self.denied, "updateable": f"{name}.update" not in self.denied, "fields": fields}

    def create(self, name: str, fields: dict[str, Any]) -> tuple[int, Any]:
        """POST sobjects/{name}."""
        self._check(name, fields)
        made = record_id(PREFIXES[name], 900_000 + len(self._of(name)))
        self._of(name)[made] = {"Id": made, **dict.fromkeys(self.fields(name)), **fields}
        return 201, {"id": made, "success": True, "errors": []}

    def update(self, name: str, record: str, fields: dict[str, Any]) -> tuple[int, Any]:
        """PATCH sobjects/{name}/{id}."""
        found = next((one for one in self._of(name).values() if one["Id"][:15] == record[:15]), None)
        if found is None:
            raise SalesforceRefusalError(404, "NOT_FOUND", "The requested resource does not exist")
        if found.get("IsConverted"):
            raise SalesforceRefusalError(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", fields=[])
        self._check(name, fields, found)
        found.update(fields)
        return 204, None

    def upsert(self, name: str, external: str, value: str, fields: dict[str, Any]) -> tuple[int, Any]:
        """PATCH sobjects/{name}/{external id field}/{value}."""
        if f"{name}.{external}" not in self.external_ids:
            raise SalesforceRefusalError(404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {external}")
        if external in fields:
            raise SalesforceRefusalError(400, "INVALID_FIELD", "The external id is in the address, not in the body.", fields=[external])
        same = [one for one in self._of(name).values() if one.get(external) == value]
        if len(same) > 1:
            raise SalesforceRefusalError(300, "DUPLICATE_EXTERNAL_ID", "more than one record found for external id field")
        if same:
            self.update(name, same[0]["Id"], fields)
            return 200, {"id": same[0]["Id"], "success": True, "errors": [], "created": False}
        status, made = self.create(name, {**fields, external: value})
        return status, {**made, "created": True}

    def composite(self, method: str, body: dict[str, Any]) -> tuple[int, Any]:
        """POST or PATCH composite/sobjects: each record's outcome, in order."""
        records = self._checked(body)
        names = [record["attributes"]["type"] for record in records]
        chunks = sum(1 for before, name in zip([None, *names], names, strict=False) if before != name)
        if chunks > CHUNKS_MOST:
            raise SalesforceRefusalError(400, "EXCEEDED_MAX_SIZE_REQUEST", "at most 10 chunks of types")
        given = [record.get("id", record.get("Id")) for record in records]
        if method == "PATCH" and len(set(given)) < len(given):
            raise SalesforceRefusalError(400, "DUPLICATE_VALUE", "duplicate ids in the request")
        return 200, [self._outcome(method, record) for record in records]

    def upsert_all(self, name: str, external: str, body: dict[str, Any]) -> tuple[int, Any]:
        """PATCH composite/sobjects/{name}/{external id field}: the same, of one object."""
        records = self._checked(body)
        if any(record["attributes"]["type"] != name or "id" in record or external not in record for record in records):
            raise SalesforceRefusalError(400, "INVALID_FIELD", f"each record must be a {name} with its {external}, and without an id")
        if f"{name}.{external}" not in self.external_ids:
            raise SalesforceRefusalError(404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {external}")
        return 200, [self._outcome("upsert", record, external) for record in records]

    def _checked(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        if len(body["records"]) > RECORDS_MOST:
            raise SalesforceRefusalError(400, "EXCEEDED_MAX_SIZE_REQUEST", "at most 200 records of 10 chunks of types")
        if body.get("allOrNone", False):
            raise SalesforceRefusalError(400, "UNSUPPORTED", "the tests know no allOrNone")
        return list(body["records"])

    def _outcome(self, method: str, record: dict[str, Any], external: str = "") -> dict[str, Any]:
        fields = {key: value for key, value in record.items() if key not in ("attributes", "id", "Id", external)}
        name, one = record["attributes"]["type"], record.get("id", record.get("Id"))
        try:
            if method == "POST":
                return dict(self.create(name, fields)[1])
            if external:
                return dict(self.upsert(name, external, record[external], fields)[1])
            self.update(name, str(one), fields)
        except SalesforceRefusalError as error:
            told = error.body[0]
            return {"success": False, "errors": [{"statusCode": told["errorCode"], "message": told["message"], "fields": told.get("fields", [])}]}
        return {"id": one, "success": True, "errors": []}

    def _of(self, name: str) -> dict[str, Record]:
        if name not in PREFIXES:
            raise SalesforceRefusalError(404, "NOT_FOUND", "The requested resource does not exist")
        return self._records.setdefault(name, {})

    def _check(self, name: str, fields: dict[str, Any], before: Record | None = None) -> None:
        for field in fields:
            if field not in (self.fields(name) or frozenset(before or ())):
                raise SalesforceRefusalError(400, "INVALID_FIELD", f"No such column '{field}' on sobject of type {name}", fields=[])
            if field in _NEVER or (before is not None and field in _CREATED_ONLY):
                raise SalesforceRefusalError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {field}.", fields=[field])
        if not re.fullmatch(r"(00Q|003)\w+|", str(fields.get("WhoId") or "")):
            raise SalesforceRefusalError(400, "FIELD_INTEGRITY_EXCEPTION", "Related To ID: id value of incorrect type", fields=["WhoId"])
        refusal = self.refuses(name, {"Id": before["Id"] if before else None, **fields})
        if refusal is not None:
            raise refusal
