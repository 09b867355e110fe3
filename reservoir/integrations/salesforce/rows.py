"""The rows of a report's run, whatever its format: what stands in which column."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reservoir.integrations.salesforce.people import is_record

Row = Mapping[str, Mapping[str, Any]]
"""Cells by their column's token: ``label`` is for people and localized, ``value`` typed. A group's columns are among them."""

_EMPTY = ("", "-")


def rows(result: Mapping[str, Any], asked: Mapping[str, Any]) -> list[Row]:
    """The detail rows, in the order in which the report shows them.

    ``asked`` is the definition that was run, for what an answer may leave out. In a summary or a matrix each row stands under one leaf of the groups,
    whose keys are the places of its groups; totals have none.
    """
    shown = result.get("reportMetadata")
    definition = {**asked, **{key: value for key, value in (shown if isinstance(shown, Mapping) else {}).items() if value is not None}}
    columns = definition.get("detailColumns") or ()
    down = _groups(result, definition, "groupingsDown")
    across = _groups(result, definition, "groupingsAcross")
    facts = result["factMap"]
    found: list[Row] = []
    for key in sorted(facts, key=_place):
        left, _, right = key.partition("!")
        group = {**down.get(left, {}), **across.get(right, {})}
        leaf = facts[key].get("rows") or ()
        found += [{**group, **dict(zip(columns, map(_cell, row["dataCells"]), strict=False))} for row in leaf]
    return found


def text(cell: Mapping[str, Any] | None) -> str | None:
    """What a cell says, for people: the name where it is a lookup's, else the value itself."""
    if cell is None:
        return None
    value, label = cell.get("value"), cell.get("label")
    shown = label.strip() if isinstance(label, str) and label.strip() not in _EMPTY else None
    if isinstance(value, str) and value.strip():
        return shown if is_record(value) and shown is not None else value.strip()
    if isinstance(value, Mapping):
        return shown
    return shown if value is None or value == "" else str(value)


def number(cell: Mapping[str, Any] | None) -> str | None:
    """A phone number as it was typed. It is the value or nothing: the label of an empty cell is a dash."""
    value = cell.get("value") if cell is not None else None
    return value.strip() or None if isinstance(value, str) else None


def plain(cell: Mapping[str, Any]) -> object:
    """The value to keep beside a member, or None: a lookup's by name, everything else as its type has it."""
    value = cell.get("value")
    if value is None or value == "":
        return None
    return text(cell) if is_record(value) else value


def record(cell: Mapping[str, Any] | None) -> str | None:
    """The record id in a cell, as it is written there."""
    value = cell.get("value") if cell is not None else None
    return value if isinstance(value, str) and is_record(value) else None


def _cell(cell: object) -> Mapping[str, Any]:
    return cell if isinstance(cell, Mapping) else {}


def _place(key: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    down, _, across = key.partition("!")
    return _numbers(down), _numbers(across)


def _numbers(key: str) -> tuple[int, ...]:
    return tuple(int(part) for part in key.split("_") if part.isdigit())


def _groups(result: Mapping[str, Any], definition: Mapping[str, Any], which: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The cells that a group adds to its rows, by the group's key in the fact map."""
    names = [group["name"] for group in definition.get(which) or () if isinstance(group, Mapping) and "name" in group]
    top = result.get(which) or {}
    return dict(_below(top.get("groupings") or (), names, {}))


def _below(
    groupings: Sequence[Mapping[str, Any]], names: Sequence[str], above: dict[str, Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Mapping[str, Any]]]]:
    for group in groupings:
        here = {**above, names[0]: group} if names else above
        yield str(group.get("key")), here
        yield from _below(group.get("groupings") or (), names[1:], here)
