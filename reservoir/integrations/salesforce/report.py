"""Reports: run once as they are, and read on past the rows that the API cuts off."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reservoir.domain.refusals import InvalidError
from reservoir.integrations.salesforce.answers import Asked, bad_answer
from reservoir.integrations.salesforce.columns import COLUMNS_MOST, Catalogue
from reservoir.integrations.salesforce.connection import Connection
from reservoir.integrations.salesforce.ids import prospect_id
from reservoir.integrations.salesforce.people import ACCOUNT, LEAD, PERSONS, Person, Read, is_true, once_each
from reservoir.integrations.salesforce.queries import columns_of, person_contacts
from reservoir.integrations.salesforce.roles import Roles, roles, told_by
from reservoir.integrations.salesforce.rows import Row, number, plain, record, rows, text
from reservoir.integrations.source import CrmError, Cursor, Page, RejectedRecord, Wanted

FILTERS_MOST = 20
ROWS_MOST = 2_000
_FORMATS = ("TABULAR", "SUMMARY", "MATRIX")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a reading past the cut is. All of it goes into the cursor: the report as it was when the run began, whatever becomes of it meanwhile.

    **Shape**: ``by``: ``id`` or ``date``; ``last``: what the last row had in that column, as Salesforce wrote it, or None at the start.
    """

    definition: Mapping[str, Any]
    roles: Roles
    by: str
    last: str | None = None

    @property
    def column(self) -> str:
        return self.roles.row if self.by == "id" else self.roles.date

    def as_cursor(self) -> Cursor:
        return {"definition": dict(self.definition), "roles": self.roles.as_json(), "by": self.by, "last": self.last}


class ReportReader:
    """One report's pages."""

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        self._connection = connection
        self._region = wanted.phone_region
        self._first_page_only = wanted.fetch == "first_page"
        self._columns = columns_of(wanted)
        self._id = str(wanted.source["id"])
        self._asked = Asked(f"the report {self._id}", "report")

    def pages(self, cursor: Cursor | None) -> Iterator[Page]:
        """From the start: the report's own first page in its own order, then all of it by the cursor. **Again**: rows come again, and nobody is left out."""
        self._connection.forget_limits()
        if cursor is None:
            page, place = self._first()
            yield page
        else:
            told: Mapping[str, Any] = cursor
            place = _Place(told["definition"], Roles.from_json(told["roles"]), told["by"], told["last"])
        while place is not None:
            page, place = self._next(place)
            yield page

    def _first(self) -> tuple[Page, _Place | None]:
        described = self._connection.ask(f"analytics/reports/{self._id}/describe", self._asked)
        definition = _object(_object(described, self._asked).get("reportMetadata"), self._asked)
        if str(definition.get("reportFormat", "TABULAR")).upper() not in _FORMATS:
            detail = f"The report {self._id} is a joined one, which Salesforce's API does not run; the list needs a tabular, summary or matrix report."
            raise CrmError("crm-unsupported", detail)
        catalogue = self._catalogue(described)
        meant = roles(catalogue, self._columns)
        asked = {**definition, "hasDetailRows": True, "detailColumns": _room(catalogue.selected, meant.added)}
        result = self._run(asked)
        found = self._rows(result, asked)
        if not _says_who(found, meant):
            meant = told_by(catalogue, self._columns, found)
            asked = {**asked, "detailColumns": _room(asked["detailColumns"], [token for token in meant.added if token not in asked["detailColumns"]])}
        cut = _was_cut(result, definition, len(found))
        place = _Place(_flat(asked, catalogue.grouped), meant, "id" if meant.row else "date") if cut and not self._first_page_only else None
        # What is rejected here comes again where the reading goes on, and counts there.
        return self._page(found, meant, place, truncated=cut and place is None, total=_total(result, len(found)), tell_rejected=place is None), place

    def _catalogue(self, described: Mapping[str, Any]) -> Catalogue:
        try:
            return Catalogue(described)
        except (KeyError, TypeError, AttributeError):
            pass
        raise bad_answer(self._asked)

    def _next(self, place: _Place) -> tuple[Page, _Place | None]:
        if not place.column:
            raise self._stuck("its type has neither the record's id nor the date of its creation as a column")
        definition = _past(place, self._id)
        try:
            result = self._run(definition)
        except CrmError as error:
            if error.status != 400 or place.by != "id" or not place.roles.date:
                raise
            # Salesforce's documents do not promise that ids can be compared; dates can.
            return self._next(_Place(place.definition, place.roles, "date"))
        found = self._rows(result, definition)
        if not _says_who(found, place.roles):
            raise bad_answer(self._asked)
        following = self._following(place, found) if _was_cut(result, place.definition, len(found)) else None
        return self._page(found, place.roles, following), following

    def _following(self, place: _Place, found: list[Row]) -> _Place:
        cell = found[-1].get(place.column, {}) if found else {}
        last = cell.get("value")
        if not isinstance(last, str) or not last:
            if place.by == "id" and place.roles.date and found:
                return _Place(place.definition, place.roles, "date")
            raise self._stuck("its last row has nothing to go on from")
        if last == place.last:
            raise self._stuck(f"{len(found):,} rows and more have {last} in the column {place.column}")
        return _Place(place.definition, place.roles, place.by, last)

    def _run(self, definition: Mapping[str, Any]) -> Mapping[str, Any]:
        result = _object(self._connection.run(self._id, self._asked, definition), self._asked)
        _object(result.get("factMap"), self._asked)
        return result

    def _rows(self, result: Mapping[str, Any], definition: Mapping[str, Any]) -> list[Row]:
        try:
            found = rows(result, definition)
        except (KeyError, TypeError, AttributeError, ValueError):
            pass
        else:
            # Totals without their rows are no empty report: everybody would leave the list.
            total = _total(result, 0)
            if found or total == 0 or (total is None and result.get("hasDetailRows") is not False):
                return found
        raise bad_answer(self._asked)

    def _page(
        self, found: list[Row], meant: Roles, place: _Place | None, *, truncated: bool = False, total: int | None = None, tell_rejected: bool = True
    ) -> Page:
        contacts = self._person_contacts(found, meant)
        members, rejected = once_each((_person(row, meant, contacts) for row in found), self._region, self._connection.instance)
        cursor = place.as_cursor() if place is not None else None
        return Page(members, rejected if tell_rejected else (), cursor, total=total, truncated=truncated, advice=meant.advice)

    def _person_contacts(self, found: Iterable[Row], meant: Roles) -> Mapping[str, str]:
        """The contacts of the person accounts among the rows."""
        contacts: dict[str, str] = {}
        unknown: list[str] = []
        for row in found:
            account = _first_record(row, meant.person)
            if account is not None and account.startswith(ACCOUNT):
                contact = record(row.get(meant.person_contact))
                if contact is not None:
                    contacts[account[:15]] = contact
                elif not meant.person_contact:
                    unknown.append(account)
        return {**contacts, **person_contacts(self._connection, unknown)}

    def _stuck(self, why: str) -> CrmError:
        detail = (
            f"The report {self._id} cannot be read past the rows that Salesforce hands over at once: {why}. An admin must narrow it or change it, "
            "take a list view or a query, or set the list to its first page."
        )
        return CrmError("crm-no-progress", detail)


def _object(value: object, asked: Asked) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise bad_answer(asked)
    return value


def _room(columns: list[str], added: Iterable[str]) -> list[str]:
    """The columns with those that are added; the report's last ones give way where Salesforce takes no more."""
    added = [*added][:COLUMNS_MOST]
    return [*columns[: COLUMNS_MOST - len(added)], *added]


def _flat(definition: Mapping[str, Any], grouped: list[str]) -> dict[str, Any]:
    """The same rows without groups, whose columns stand among the others."""
    flat = {**definition, "reportFormat": "TABULAR", "groupingsDown": [], "groupingsAcross": []}
    flat["detailColumns"] = _room(definition["detailColumns"], grouped)
    if grouped:
        flat["aggregates"] = [name for name in definition.get("aggregates") or () if name == "RowCount"]
        flat |= {"chart": None} if definition.get("chart") else {}
    return flat


def _past(place: _Place, report: str) -> dict[str, Any]:
    """The definition of the page behind ``place``: in the order of its column, and only what comes after."""
    definition = dict(place.definition)
    if place.column not in definition["detailColumns"]:
        definition["detailColumns"] = _room(definition["detailColumns"], [place.column])
    definition["sortBy"] = [{"sortColumn": place.column, "sortOrder": "Asc"}]
    if place.last is not None:
        filters = list(definition.get("reportFilters") or ())
        if len(filters) >= FILTERS_MOST:
            detail = f"The report {report} has {len(filters)} filters, and to read it past its cut takes one of the {FILTERS_MOST} that Salesforce allows."
            raise CrmError("crm-unsupported", f"{detail} An admin must remove one, or set the list to its first page.")
        operator = "greaterThan" if place.by == "id" else "greaterOrEqual"
        definition["reportFilters"] = [*filters, {"column": place.column, "operator": operator, "value": place.last}]
        logic = definition.get("reportBooleanFilter")
        definition["reportBooleanFilter"] = f"({logic}) AND {len(filters) + 1}" if logic else None
    return definition


def _says_who(found: list[Row], meant: Roles) -> bool:
    """Whether the rows have the column that says who; an answer may lack one that was added."""
    return not found or any(token in found[0] for token in meant.person)


def _was_cut(result: Mapping[str, Any], definition: Mapping[str, Any], count: int) -> bool:
    """Whether Salesforce handed over less than there is. What the report's own row limit leaves out is none of it."""
    limit = definition.get("topRows")
    most = limit.get("rowLimit") if isinstance(limit, Mapping) else None
    if isinstance(most, int) and count >= most:
        return False
    if "allData" not in result and count >= ROWS_MOST:
        return True
    return result.get("allData") is False or result.get("hasExceededTabularRowLimit") is True


def _total(result: Mapping[str, Any], count: int) -> int | None:
    """How many rows there are, if the report counts them and the count is not that of this page alone."""
    try:
        names = result["reportMetadata"]["aggregates"]
        total = result["factMap"]["T!T"]["aggregates"][names.index("RowCount")]["value"]
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    return total if isinstance(total, int) and (total > count or result.get("allData") is True) else None


def _first_record(row: Row, tokens: Iterable[str]) -> str | None:
    return next((found for found in (record(row.get(token)) for token in tokens) if found is not None), None)


def _person(row: Row, meant: Roles, contacts: Mapping[str, str]) -> Read | None:
    """Who the row is about; None for a lead that is none any more."""
    found = _first_record(row, meant.person)
    if found is None:
        return RejectedRecord(record(row.get(meant.row)) or "", "no lead or contact is in this row")
    if found.startswith(ACCOUNT):
        if found[:15] not in contacts:
            return RejectedRecord(found, "a company's account, which is no person")
        found = contacts[found[:15]]
    try:
        canonical = prospect_id(found)
    except InvalidError as error:
        return RejectedRecord(found, str(error))
    if canonical[:3] not in PERSONS:
        return RejectedRecord(canonical, "neither a lead nor a contact")
    if canonical.startswith(LEAD) and any(_is_set(row, token) for token in meant.converted):
        return None
    return Person(
        canonical,
        name=" ".join(part for part in (text(row.get(token)) for token in meant.name) if part) or None,
        numbers=tuple((label, typed) for token, label in meant.numbers if (typed := number(row.get(token)))),
        company=text(row.get(meant.company)),
        title=text(row.get(meant.title)),
        owner=text(row.get(meant.owner)),
        time_zone=text(row.get(meant.time_zone)),
        fields={token: value for token in meant.plain if token in row and (value := plain(row[token])) is not None},
        do_not_call=any(_is_set(row, token) for token in meant.do_not_call),
    )


def _is_set(row: Row, token: str) -> bool:
    return token in row and is_true(row[token].get("value"))
