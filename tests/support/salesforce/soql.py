"""As much of SOQL as the tests need; what it does not know it refuses, as Salesforce refuses nonsense."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tests.support.salesforce.records import Record
from tests.support.salesforce.refusing import SalesforceRefusalError

_QUERY = re.compile(
    r"SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+USING\s+SCOPE\s+\w+)?(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>[\w., ]+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"(?P<field>[\w.]+)\s*(?P<operator>=|!=|IN)\s*(?P<value>\([^)]*\)|'(?:[^'\\]|\\.)*'|true|false|null)", re.IGNORECASE)


def run(query: str, records: Mapping[str, Mapping[str, Record]], unseen: Iterable[str] = ()) -> list[Record]:
    """The records that a query finds. ``unseen``: fields, as ``Lead.DoNotCall``, that the user has no right to read."""
    parsed = _QUERY.fullmatch(query)
    if parsed is None:
        raise SalesforceRefusalError(400, "MALFORMED_QUERY", f"unexpected token in: {query[:80]}")
    name = next((known for known in records if known.lower() == parsed["object"].lower()), None)
    if name is None:
        raise SalesforceRefusalError(400, "INVALID_TYPE", f"sObject type '{parsed['object']}' is not supported.")
    fields = [re.sub(r"(?i)^tolabel\((\w+)\)$", r"\1", field.strip()) for field in parsed["fields"].split(",")]
    if len({field.lower() for field in fields}) < len(fields):
        raise SalesforceRefusalError(400, "INVALID_FIELD", "duplicate field selected")
    conditions = _conditions(parsed["where"])
    found = [record for record in records[name].values() if all(_holds(one, _value(record, one["field"], name)) for one in conditions)]
    for by in reversed([part.split() for part in (parsed["order"] or "").split(",") if part.strip()]):
        sorting = [(str(_value(record, by[0], name) or ""), record) for record in found]
        found = [record for _, record in sorted(sorting, key=lambda pair: pair[0], reverse=len(by) > 1 and by[1].upper() == "DESC")]
    limit = int(parsed["limit"]) if parsed["limit"] else len(found)
    _check(fields, records[name].values(), name, unseen)
    return [_selected(record, fields, name) for record in found[:limit]]


def _check(fields: Iterable[str], records: Iterable[Record], name: str, unseen: Iterable[str]) -> None:
    known = next(iter(records), None)
    for field in fields:
        if f"{name}.{field}" in unseen or (known is not None and field.partition(".")[0] not in known):
            raise SalesforceRefusalError(400, "INVALID_FIELD", f"No such column '{field.rpartition('.')[2]}' on entity '{name}'.")


def _conditions(where: str | None) -> Sequence[re.Match[str]]:
    parts = re.split(r"\s+AND\s+", where, flags=re.IGNORECASE) if where else []
    found = [condition for part in parts if (condition := _CONDITION.fullmatch(part.strip()))]
    if len(found) < len(parts):
        raise SalesforceRefusalError(400, "MALFORMED_QUERY", f"unexpected token in: {(where or '')[:80]}")
    return found


def _holds(condition: re.Match[str], value: Any) -> bool:
    said, operator = condition["value"], condition["operator"].upper()
    if operator == "IN":
        if isinstance(value, str) and "@" in value:
            return value.lower() in {one.lower() for one in _texts(said)}
        return (value[:15] if isinstance(value, str) and len(value) == 18 else value) in _ids(said)
    meant: Any = {"true": True, "false": False, "null": None}.get(said.lower(), said if not _texts(said) else _texts(said)[0])
    same = (str(value)[:15] == meant[:15]) if isinstance(meant, str) and len(meant) in (15, 18) else value == meant
    return bool(same) is (operator == "=")


@lru_cache(maxsize=4)
def _ids(said: str) -> frozenset[str]:
    return frozenset(one[:15] if len(one) in (15, 18) else one for one in _texts(said))


def _texts(said: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", one) for one in re.findall(r"'((?:[^'\\]|\\.)*)'", said)]


def _value(record: Record, field: str, name: str) -> Any:
    found: Any = record
    for part in field.split("."):
        if found is None:
            return None
        if part not in found:
            raise SalesforceRefusalError(400, "INVALID_FIELD", f"No such column '{part}' on entity '{name}'.")
        found = found[part]
    return found


def _selected(record: Record, fields: Iterable[str], name: str) -> Record:
    found: Record = {"attributes": {"type": name, "url": f"/services/data/v59.0/sobjects/{name}/{record['Id']}"}}
    for field in fields:
        first, _, rest = field.partition(".")
        if rest and record[first] is not None:
            found.setdefault(first, {"attributes": {"type": first, "url": "…"}})[rest] = _value(record, field, name)
        else:
            found[first] = record[first]
    return found
