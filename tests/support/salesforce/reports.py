"""Reports, run as the Reports and Dashboards REST API runs them."""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

from tests.support.salesforce.records import Record, value_at
from tests.support.salesforce.refusing import SalesforceRefusalError
from tests.support.salesforce.report_types import ReportColumn, ReportType

ROWS_MOST = 2_000
COLUMNS_MOST = 100
FILTERS_MOST = 20

OPERATORS: Mapping[str, frozenset[str]] = {
    "id": frozenset(("equals", "notEqual", "startsWith")),
    "boolean": frozenset(("equals", "notEqual")),
    "datetime": frozenset(("equals", "notEqual", "lessThan", "greaterThan", "lessOrEqual", "greaterOrEqual")),
    "currency": frozenset(("equals", "notEqual", "lessThan", "greaterThan", "lessOrEqual", "greaterOrEqual")),
}
TEXT_OPERATORS = frozenset(("equals", "notEqual", "contains", "notContain", "startsWith", "lessThan", "greaterThan", "lessOrEqual", "greaterOrEqual"))

COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "greaterThan": lambda raw, value: raw is not None and raw > value,
    "greaterOrEqual": lambda raw, value: raw is not None and raw >= value,
    "lessThan": lambda raw, value: raw is not None and raw < value,
    "lessOrEqual": lambda raw, value: raw is not None and raw <= value,
    "startsWith": lambda raw, value: raw is not None and str(raw).startswith(value),
    "contains": lambda raw, value: raw is not None and value in str(raw),
    "notContain": lambda raw, value: raw is None or value not in str(raw),
}


@dataclass
class Report:
    """A saved report."""

    type: ReportType
    metadata: dict[str, Any]


def report(
    report_type: ReportType,
    columns: Iterable[str],
    *,
    report_id: str = "00O000000000001AAA",
    filters: Iterable[tuple[str, str, str]] = (),
    logic: str | None = None,
    sort: tuple[str, str] | None = None,
    down: Iterable[str] = (),
    across: Iterable[str] = (),
    **more: Any,
) -> Report:
    """A saved report, as its metadata is."""
    down, across = [*down], [*across]
    metadata = {
        "id": report_id, "name": "Cold people", "developerName": "Cold_people", "reportFormat": "MATRIX" if across else "SUMMARY" if down else "TABULAR",
        "reportType": {"type": report_type.name, "label": report_type.name}, "detailColumns": [*columns], "aggregates": ["RowCount"],
        "reportFilters": [
            {"column": column, "operator": operator, "value": value, "filterType": "fieldValue", "isRunPageEditable": True}
            for column, operator, value in filters
        ],
        "reportBooleanFilter": logic, "sortBy": [{"sortColumn": sort[0], "sortOrder": sort[1]}] if sort else [], "scope": "organization",
        "standardFilters": [], "standardDateFilter": {"column": "CREATED_DATE", "durationValue": "CUSTOM", "startDate": None, "endDate": None},
        "crossFilters": [], "topRows": None, "hasDetailRows": True, "hasRecordCount": True, "showGrandTotal": True, "showSubtotals": True, "currency": None,
        "groupingsDown": [{"name": name, "sortOrder": "Asc", "dateGranularity": "None", "sortAggregate": None} for name in down],
        "groupingsAcross": [{"name": name, "sortOrder": "Asc", "dateGranularity": "None", "sortAggregate": None} for name in across],
        "folderId": "00l000000000001AAA", **more,
    }  # fmt: skip
    return Report(report_type, metadata)


class Reports:
    """Every saved report of an org, over its records."""

    def __init__(self, records: Mapping[str, dict[str, Record]]) -> None:
        self._records = records
        self.saved: dict[str, Report] = {}
        self.compares_ids = True
        """Whether ``greaterThan`` is taken for ids; the documents say no, and orgs do."""
        self.tells_row_limit = True
        """Whether answers have ``hasExceededTabularRowLimit``, as newer versions do."""

    def describe(self, report_id: str) -> dict[str, Any]:
        """GET …/{id}/describe."""
        saved = self._found(report_id)
        return {
            "attributes": {"type": "Report", "reportId": saved.metadata["id"]},
            "reportMetadata": deepcopy(saved.metadata),
            "reportExtendedMetadata": _extended(saved.type, saved.metadata),
            "reportTypeMetadata": {
                "categories": [
                    {"label": "Allgemein", "columns": {token: column.described(entities=saved.type.entities) for token, column in saved.type.columns.items()}}
                ],
                "dataTypeFilterOperatorMap": {},
                "scopeInfo": {},
                "standardFilterInfos": {},
            },
        }

    def run(self, report_id: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """GET or POST …/{id}?includeDetails=true; ``given`` is the body's ``reportMetadata``."""
        saved = self._found(report_id)
        metadata = {**deepcopy(saved.metadata), **(given or {})}
        if metadata["reportFormat"] == "MULTI_BLOCK":
            raise SalesforceRefusalError(501, "NOT_IMPLEMENTED", "The report format is not supported.")
        _check(saved.type, metadata, compares_ids=self.compares_ids)
        columns = saved.type.columns
        found = [record for record in self._records.get(saved.type.object, {}).values() if self._passes(saved.type, metadata, record)]
        for by in metadata["sortBy"]:
            # Salesforce puts what is empty first.
            sorting = [(columns[by["sortColumn"]].raw(record) or "", record) for record in found]
            found = [record for _, record in sorted(sorting, key=itemgetter(0), reverse=by["sortOrder"] == "Desc")]
        if metadata["topRows"]:
            found = found[: metadata["topRows"]["rowLimit"]]
        groups = [*metadata["groupingsDown"], *metadata["groupingsAcross"]]
        found.sort(key=partial(_place, columns, [group["name"] for group in groups]))
        return self._answer(saved, metadata, found)

    def _answer(self, saved: Report, metadata: dict[str, Any], found: list[Record]) -> dict[str, Any]:
        shown = found[:ROWS_MOST]
        answer = {
            "attributes": {"type": "Report", "reportId": metadata["id"], "reportName": metadata["name"]},
            "allData": len(found) <= ROWS_MOST,
            "hasDetailRows": True,
            **_facts(saved.type.columns, metadata, shown, len(found)),
            "reportExtendedMetadata": _extended(saved.type, metadata),
            "reportMetadata": metadata,
        }
        if self.tells_row_limit and metadata["reportFormat"] == "TABULAR":
            answer["hasExceededTabularRowLimit"] = len(found) > ROWS_MOST
        return answer

    def _found(self, report_id: str) -> Report:
        for saved_id, saved in self.saved.items():
            if saved_id[:15] == report_id[:15]:
                return saved
        raise SalesforceRefusalError(404, "NOT_FOUND", "The data you’re trying to access is unavailable.")

    def _passes(self, report_type: ReportType, metadata: Mapping[str, Any], record: Record) -> bool:
        kept = [_keeps(one, report_type.columns[one["column"]], record) for one in metadata["reportFilters"]]
        logic = metadata["reportBooleanFilter"]
        return _holds(logic, kept) if logic else all(kept) and all(self._crosses(cross, record) for cross in metadata["crossFilters"])

    def _crosses(self, cross: Mapping[str, Any], record: Record) -> bool:
        related = any(value_at(one, cross["relatedEntityJoinField"]) == record["Id"] for one in self._records.get(cross["relatedEntity"], {}).values())
        return bool(related == cross["includesObject"])


def _place(columns: Mapping[str, ReportColumn], groups: Iterable[str], record: Record) -> list[str]:
    return [str(columns[name].raw(record) or "") for name in groups]


def _check(report_type: ReportType, metadata: Mapping[str, Any], *, compares_ids: bool) -> None:
    """What the API refuses."""
    columns, selected = report_type.columns, metadata["detailColumns"]
    grouped = [group["name"] for group in (*metadata["groupingsDown"], *metadata["groupingsAcross"])]
    if unknown := [token for token in (*selected, *grouped) if token not in columns]:
        raise _bad(f"Specify a valid column name, because {unknown[0]} is invalid.")
    if len(selected) > COLUMNS_MOST or len(set(selected)) < len(selected):
        raise _bad("A report has at most 100 columns, each once.")
    if set(grouped) & set(selected):
        raise _bad("You can't include groupings in the selected columns list.", specificErrorCode=113)
    expected = {"TABULAR": (0, 0), "SUMMARY": (1, 0), "MATRIX": (1, 1)}[metadata["reportFormat"]]
    if (bool(metadata["groupingsDown"]), bool(metadata["groupingsAcross"])) != expected:
        raise _bad(f"The groupings are not those of a {metadata['reportFormat']} report.")
    if len(metadata["sortBy"]) > 1:
        raise _bad("A report can only be sorted by one column.")
    if metadata["sortBy"] and metadata["reportFormat"] == "MATRIX":
        raise _bad("A matrix report cannot be sorted by a column.")
    if any(by["sortColumn"] not in selected for by in metadata["sortBy"]):
        raise _bad("The sort column name must be from a selected column.")
    if metadata["topRows"] and not metadata["sortBy"]:
        raise _bad("A row limit needs a sort column.")
    _check_filters(columns, metadata, compares_ids=compares_ids)


def _check_filters(columns: Mapping[str, ReportColumn], metadata: Mapping[str, Any], *, compares_ids: bool) -> None:
    filters, logic = metadata["reportFilters"], metadata["reportBooleanFilter"]
    if len(filters) > FILTERS_MOST:
        raise _bad("A report has at most 20 filters.")
    for one in filters:
        if one["column"] not in columns:
            raise _bad("Specify a valid filterable column.")
        kind = columns[one["column"]].data_type
        allowed = OPERATORS.get(kind, TEXT_OPERATORS) | (frozenset(("greaterThan",)) if kind == "id" and compares_ids else frozenset())
        if one["operator"] not in allowed:
            raise _bad(f"Specify a valid condition because {one['operator']} is invalid.")
        if kind == "id" and one["operator"] != "startsWith" and len(one["value"]) not in (15, 18):
            raise _bad(f"The filter value for ID {one['column']} is incorrect: it must be 15 or 18 characters.")
    if logic:
        numbers = {int(number) for number in re.findall(r"\d+", logic)}
        if numbers - set(range(1, len(filters) + 1)):
            raise _bad("The filter logic references an undefined filter.")
        if set(range(1, len(filters) + 1)) - numbers:
            raise _bad("Some filter conditions are defined but not referenced in your filter logic.")


def _bad(message: str, **more: Any) -> SalesforceRefusalError:
    return SalesforceRefusalError(400, "BAD_REQUEST", message, **more)


def _keeps(one: Mapping[str, Any], column: ReportColumn, record: Record) -> bool:
    raw, operator = column.raw(record), one["operator"]
    if operator in ("equals", "notEqual"):
        wanted = [part.strip().strip('"') for part in re.findall(r'"[^"]*"|[^,]+', one["value"])] or [""]
        same = ("1" if raw else "0") in wanted if column.data_type == "boolean" else str(raw or "") in wanted
        return same is (operator == "equals")
    return COMPARED[operator](raw, one["value"])


def _holds(logic: str, kept: list[bool]) -> bool:
    """Filter logic, with AND before OR."""
    words = re.findall(r"\d+|\(|\)|AND|OR|NOT", logic.upper())
    value, rest = _either(words, kept)
    if rest:
        raise _bad("The filter logic is incorrect.")
    return value


def _either(words: list[str], kept: list[bool]) -> tuple[bool, list[str]]:
    value, words = _both(words, kept)
    while words[:1] == ["OR"]:
        other, words = _both(words[1:], kept)
        value = value or other
    return value, words


def _both(words: list[str], kept: list[bool]) -> tuple[bool, list[str]]:
    value, words = _one(words, kept)
    while words[:1] == ["AND"]:
        other, words = _one(words[1:], kept)
        value = value and other
    return value, words


def _one(words: list[str], kept: list[bool]) -> tuple[bool, list[str]]:
    if words[:1] == ["NOT"]:
        value, rest = _one(words[1:], kept)
        return not value, rest
    if words[:1] == ["("]:
        value, rest = _either(words[1:], kept)
        if rest[:1] != [")"]:
            raise _bad("The filter logic is incorrect.")
        return value, rest[1:]
    return kept[int(words[0]) - 1], words[1:]


def _extended(report_type: ReportType, metadata: Mapping[str, Any]) -> dict[str, Any]:
    def told(token: str) -> dict[str, Any]:
        return {"label": report_type.columns[token].label, "dataType": report_type.columns[token].data_type}

    grouped = [group["name"] for group in (*metadata["groupingsDown"], *metadata["groupingsAcross"])]
    return {
        "detailColumnInfo": {token: told(token) for token in metadata["detailColumns"]},
        "aggregateColumnInfo": {"RowCount": {"label": "Record Count", "dataType": "int"}},
        "groupingColumnInfo": {token: {**told(token), "groupingLevel": level} for level, token in enumerate(grouped)},
    }


def _facts(columns: Mapping[str, ReportColumn], metadata: Mapping[str, Any], shown: list[Record], count: int) -> dict[str, Any]:
    """Groups and fact map: rows under the leaves alone, totals beside them."""
    down, across = ([group["name"] for group in metadata[which]] for which in ("groupingsDown", "groupingsAcross"))
    down_tree: dict[str, Any] = {}
    across_tree: dict[str, Any] = {}
    facts: dict[str, Any] = {"T!T": {"aggregates": [{"label": str(count), "value": count}], "rows": []}}
    for record in shown:
        key = f"{_leaf(down_tree, columns, down, record)}!{_leaf(across_tree, columns, across, record)}"
        leaf = facts.setdefault(key, {"aggregates": [{"label": "1", "value": 1}], "rows": []})
        leaf["rows"].append({"dataCells": [columns[token].cell(record) for token in metadata["detailColumns"]]})
    return {
        "factMap": dict(reversed(facts.items())),
        "groupingsDown": {"groupings": _groupings(down_tree)},
        "groupingsAcross": {"groupings": _groupings(across_tree)},
    }


def _leaf(tree: dict[str, Any], columns: Mapping[str, ReportColumn], names: list[str], record: Record) -> str:
    key, level = "", tree
    for name in names:
        cell = columns[name].cell(record)
        found = level.setdefault(str(cell["value"]), {"cell": cell, "key": f"{key}{len(level)}", "below": {}})
        key, level = f"{found['key']}_", found["below"]
    return key[:-1] or "T"


def _groupings(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": one["key"], **one["cell"], "groupings": _groupings(one["below"])} for one in tree.values()]
