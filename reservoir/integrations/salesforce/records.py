"""Records written in Salesforce: one by one, or many in one call, each with its own outcome."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from reservoir.domain.write_back import FieldValue
from reservoir.integrations.salesforce import answers
from reservoir.integrations.salesforce.answers import Asked, Problem, Refusal
from reservoir.integrations.salesforce.connection import Connection
from reservoir.integrations.salesforce.refusals import RowLockedError
from reservoir.integrations.source import CrmError

WRITE_S = 60.0
"""An org's own triggers run for every record of a call."""

Fields = Mapping[str, FieldValue]
Told = str | Problem
"""What became of a record: its id, or what stands in the way."""


class Records:
    """Writes of one connection. **Raises**, from every method: as `Source`, for what holds for more than one record; ``*_all`` give an outcome for each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def query(self, soql: str, words: str) -> list[Mapping[str, Any]]:
        """The first page of what a query finds."""
        asked = Asked(words, "query")
        answer = self._connection.ask("query/", asked, params={"q": soql})
        found = answer.get("records") if isinstance(answer, Mapping) else None
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            raise answers.bad_answer(asked)
        return found

    def fields_of(self, name: str) -> frozenset[str] | None:
        """What an object has, as far as this user may see; None where Salesforce does not tell."""
        fields = described(self._connection, name).get("fields")
        return frozenset(str(field.get("name")) for field in fields if isinstance(field, Mapping)) if isinstance(fields, list) else None

    def create(self, name: str, fields: Fields, words: str) -> str:
        """A new record's id."""
        return self._id(self._connection.ask(f"sobjects/{name}", Asked(words, "write"), method="POST", json=dict(fields)), words)

    def update(self, name: str, record: str, fields: Fields, words: str) -> str:
        """Changes a record."""
        self._connection.ask(f"sobjects/{name}/{quote(record, safe='')}", Asked(words, "write"), method="PATCH", json=dict(fields))
        return record

    def upsert(self, name: str, field: str, value: str, fields: Fields, words: str) -> str:
        """Changes the record whose external id is the value, or makes it; its id, or "" where an older API that has changed it does not say."""
        path = f"sobjects/{name}/{field}/{quote(value, safe='')}"
        answer = self._connection.ask(path, Asked(words, "write"), method="PATCH", json=dict(fields))
        return "" if answer is None else self._id(answer, words)

    def create_all(self, name: str, rows: Sequence[Fields], words: str) -> list[Told]:
        """Makes up to 200 records."""
        return self._together("POST", "composite/sobjects", [_record(name, row) for row in rows], words)

    def update_all(self, rows: Sequence[tuple[str, str, Fields]], words: str) -> list[Told]:
        """Changes up to 200 records: objects, ids and fields, in at most ten runs of one object."""
        return self._together("PATCH", "composite/sobjects", [{**_record(name, fields), "id": record} for name, record, fields in rows], words)

    def upsert_all(self, name: str, field: str, rows: Sequence[Fields], words: str) -> list[Told]:
        """Changes or makes up to 200 records, each of which has its external id among its fields."""
        return self._together("PATCH", f"composite/sobjects/{name}/{field}", [_record(name, row) for row in rows], words)

    def _together(self, method: str, path: str, records: list[dict[str, Any]], words: str) -> list[Told]:
        asked = Asked(words, "write")
        answer = self._connection.ask(path, asked, read_s=WRITE_S, method=method, json={"allOrNone": False, "records": records})
        if not isinstance(answer, list) or len(answer) != len(records):
            raise answers.bad_answer(asked)
        return [self._told(row, asked) for row in answer]

    def _told(self, row: object, asked: Asked) -> Told:
        if not isinstance(row, Mapping):
            return answers.bad_answer(asked)
        if row.get("success") is True:
            return str(row.get("id") or "")
        errors = row.get("errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
        code, message = str(first.get("statusCode") or ""), self._connection.without_secrets(str(first.get("message") or ""))
        return answers.problem(Refusal(403 if code == "REQUEST_LIMIT_EXCEEDED" else 400, code, message), asked)

    def _id(self, answer: object, words: str) -> str:
        found = answer.get("id") if isinstance(answer, Mapping) else None
        if not isinstance(found, str):
            raise answers.bad_answer(Asked(words, "write"))
        return found


def alone(write: Callable[[], str]) -> Told:
    """The outcome of one record's write, where others may fare better."""
    try:
        return write()
    except (CrmError, RowLockedError) as error:
        return error


def described(connection: Connection, name: str) -> Mapping[str, Any]:
    """What Salesforce says of an object; nothing where it does not tell. **Raises**: as `Source`."""
    try:
        answer = connection.ask(f"sobjects/{name}/describe", Asked(f"what there is of {name}"))
    except CrmError as error:
        if error.slug == "crm-credentials":
            raise
        return {}
    return answer if isinstance(answer, Mapping) else {}


def together(write: Callable[[], list[Told]], count: int) -> list[Told | None]:
    """The outcomes of many records; None for one that is to be written alone: it is the only one, or the request as a whole was refused."""
    if count > 1:
        try:
            return [*write()]
        except CrmError as error:
            if error.slug == "crm-credentials":
                raise
    return [None] * count


def literal(text: str) -> str:
    """A text as SOQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r") + "'"


def _record(name: str, fields: Fields) -> dict[str, Any]:
    return {"attributes": {"type": name}, **fields}
