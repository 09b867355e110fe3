"""Salesforce, written into: calls as completed tasks, and fields of leads and contacts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reservoir.config import SalesforceConfig
from reservoir.domain.write_back import FieldValue
from reservoir.integrations.salesforce.answers import Asked
from reservoir.integrations.salesforce.connection import Connection
from reservoir.integrations.source import CrmError, Pace
from reservoir.integrations.writer import Change, Written

_OBJECTS = {"00Q": "Lead", "003": "Contact"}
_MESSAGE_MOST = 300
_SELECT = "SELECT Id FROM %s WHERE %s LIMIT 1"


class SalesforceWriter:
    """One org's connection. A call is upserted by an external id, where Task has the field for it; else it is looked for before a repeat, by CallObject."""

    def __init__(self, config: SalesforceConfig, pace: Pace) -> None:
        self._connection = Connection(config, pace)
        self._id_field = config.call_id_field
        self._marks = True
        self._users: dict[str, str | None] = {}
        self._fields: dict[str, frozenset[str] | None] = {}

    def write(self, changes: Sequence[Change]) -> Iterator[Written]:
        """As `Writer`: calls one by one, fields together."""
        for change in changes:
            if change.what == "call":
                yield self._told(change, self._log)
        yield from self._change_all([change for change in changes if change.what == "fields"])

    def close(self) -> None:
        """Closes its connections."""
        self._connection.close()

    def _told(self, change: Change, write: Callable[[Change], str | None]) -> Written:
        try:
            return Written(change, logged=write(change))
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
            return Written(change, error=error)

    # Calls

    def _log(self, change: Change) -> str:
        known = change.logged or (self._found(change.claim) if change.repeated else None)
        if known is not None:
            if outcome := _outcome(change):
                self._send("PATCH", f"sobjects/Task/{known}", "the logged call", {"CallDisposition": outcome})
            return known
        task = {
            "WhoId": change.prospect,
            "Subject": "Call",
            "TaskSubtype": "Call",
            "Status": "Completed",
            "ActivityDate": datetime.fromtimestamp(change.at_ms / 1_000, UTC).date().isoformat(),
            "CallType": "Outbound",
            "CallDisposition": _outcome(change),
            "CallObject": change.claim,
            "OwnerId": self._user(change.rep),
        }
        return self._create(change.claim, {name: value for name, value in task.items() if value is not None})

    def _create(self, claim: str, task: Mapping[str, str]) -> str:
        """By the external id. Where Task has no such field, plainly: what else is wrong is wrong then, too."""
        if self._marks:
            try:
                return self._id_of(self._send("PATCH", f"sobjects/Task/{self._id_field}/{claim}", "the call", task), claim)
            except CrmError as error:
                if error.status not in {400, 404}:
                    raise
        made = self._id_of(self._send("POST", "sobjects/Task", "the call", task), claim)
        self._marks = False
        return made

    def _id_of(self, told: object, claim: str) -> str:
        made = told.get("id") if isinstance(told, Mapping) else None
        return str(made) if made else self._found(claim) or ""

    def _found(self, claim: str) -> str | None:
        """The call, if it was logged before."""
        for field in (self._id_field, "CallObject"):
            try:
                found = self._first("Task", f"{field} = {quoted(claim)}", "the logged call")
            except CrmError as error:
                if error.slug == "crm-credentials" or field == "CallObject":
                    raise
                continue
            if found:
                return found
        return None

    def _user(self, rep: str) -> str | None:
        """The active user whose e-mail is the rep; None: the connection's own."""
        if rep not in self._users:
            self._users[rep] = None
            if "@" in rep:
                try:
                    self._users[rep] = self._first("User", f"Email = {quoted(rep)} AND IsActive = true", "the rep's user")
                except CrmError as error:
                    if error.slug == "crm-credentials":
                        raise
        return self._users[rep]

    def _first(self, name: str, condition: str, words: str) -> str | None:
        told = self._connection.ask("query/", Asked(words, "query"), params={"q": _SELECT % (name, condition)})
        records = told.get("records") if isinstance(told, Mapping) else None
        return str(records[0]["Id"]) if isinstance(records, list) and records and "Id" in records[0] else None

    # Fields

    def _change_all(self, changes: Sequence[Change]) -> Iterator[Written]:
        """Those of a kind together; one by one where they can not be written together."""
        written: dict[str, Written] = {}
        wanted = {change.claim: self._wanted(change) for change in changes}
        records = [
            {"attributes": {"type": _object(change)}, "id": change.prospect, **wanted[change.claim]}
            for change in sorted(changes, key=_object)
            if wanted[change.claim] and sum(other.prospect == change.prospect for other in changes) == 1
        ]
        if len(records) > 1:
            try:
                told = self._send("PATCH", "composite/sobjects", "the fields", {"allOrNone": False, "records": records})
            except CrmError as error:
                if error.slug == "crm-credentials":
                    raise
                told = []
            if isinstance(told, list) and len(told) == len(records):
                by_prospect = {record["id"]: one for record, one in zip(records, told, strict=True)}
                written = {change.claim: Written(change, error=_error(by_prospect[change.prospect])) for change in changes if change.prospect in by_prospect}
        for change in changes:
            yield written.get(change.claim) or self._told(change, self._change)

    def _change(self, change: Change) -> None:
        if fields := self._wanted(change):
            self._send("PATCH", f"sobjects/{_object(change)}/{change.prospect}", "the record", fields)

    def _wanted(self, change: Change) -> dict[str, FieldValue]:
        """The fields that are this object's: those qualified by it, and of the others those that it has."""
        kind, found = _object(change), {}
        for name, value in change.fields.items():
            owner, _, bare = name.rpartition(".")
            has = self._fields_of(kind) if not owner else None
            if owner == kind or (not owner and (has is None or bare in has)):
                found[bare] = value
        return found

    def _fields_of(self, kind: str) -> frozenset[str] | None:
        """The fields that an object has; None where the org does not tell."""
        if kind not in self._fields:
            try:
                told = self._connection.ask(f"sobjects/{kind}/describe", Asked(f"what a {kind} has"))
            except CrmError as error:
                if error.slug == "crm-credentials":
                    raise
                told = None
            fields = told.get("fields") if isinstance(told, Mapping) else None
            self._fields[kind] = frozenset(str(field["name"]) for field in fields) if isinstance(fields, list) else None
        return self._fields[kind]

    def _send(self, method: str, path: str, words: str, body: Mapping[str, Any]) -> Any:
        return self._connection.ask(path, Asked(words), method=method, json=dict(body))


def _object(change: Change) -> str:
    return _OBJECTS.get(change.prospect[:3], "Contact")


def _outcome(change: Change) -> str | None:
    return change.call_outcome or (change.outcome.replace("_", " ") if change.outcome else None)


def quoted(text: str) -> str:
    """Text in a query. **Source**: SOQL and SOSL Reference, "Quoted String Escape Sequences"."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _error(told: object) -> CrmError | None:
    """Why one record of many was refused."""
    if not isinstance(told, Mapping) or told.get("success") is True:
        return None
    errors = told.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    code, message = str(first.get("statusCode", "")), str(first.get("message", ""))[:_MESSAGE_MOST]
    if "DELETED" in code or "NOT_FOUND" in code:
        return CrmError("crm-not-found", f"Salesforce has no such record any more. Salesforce says: {message}", status=404)
    if "INSUFFICIENT" in code or "ACCESS" in code:
        return CrmError("crm-permission", f"Salesforce does not let this user change the record. Salesforce says: {message}", status=403)
    return CrmError("crm-unsupported", f"Salesforce does not take the change. Salesforce says: {message}", status=400)
