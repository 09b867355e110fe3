"""Queries, list views and campaigns: records by SOQL, which no cut ends, and what is read beside them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reservoir.domain.refusals import InvalidError
from reservoir.integrations.salesforce.answers import Asked, bad_answer
from reservoir.integrations.salesforce.connection import Connection
from reservoir.integrations.salesforce.ids import prospect_id
from reservoir.integrations.salesforce.people import LEAD, PHONE_LABELS, Person, Read, is_true, once_each
from reservoir.integrations.salesforce.query import OBJECTS, object_of, refuses_query
from reservoir.integrations.source import CrmError, Cursor, Page, RejectedRecord, Wanted

BATCH = 200
"""Ids in one query: their address stays below the 8 KiB that proxies take."""

_FLAGS = {"Lead": ("DoNotCall", "IsConverted", "Phone", "MobilePhone"), "Contact": ("DoNotCall", "Phone", "MobilePhone", "HomePhone", "OtherPhone")}
_ALSO = {"Lead": ("Name", "Company", "Title", "Owner.Name"), "Contact": ("Name", "Account.Name", "Title", "Owner.Name")}
_REFUSED = re.compile(r"No such column '([\w.]+)'|relationship '(\w+)'", re.IGNORECASE)
_LOCATOR = re.compile(r"/services/data/v[\d.]+/(query/.+)")
_SOURCE_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")

Record = Mapping[str, Any]
"""A record's fields by their paths, as ``Owner.Name``."""


def person_contacts(connection: Connection, accounts: Sequence[str]) -> dict[str, str]:
    """The contact of each person account, by the first 15 characters of the account's id; companies have none."""
    found: dict[str, str] = {}
    asked = Asked("the contacts of person accounts", "query")
    for ids in _batches(accounts):
        try:
            records = _all(connection, f"SELECT Id, PersonContactId FROM Account WHERE Id IN ({_quoted(ids)})", asked)  # noqa: S608
        except CrmError as error:
            if error.status == 400:  # an org without person accounts does not know the field
                return {}
            raise
        found |= {str(record.get("Id"))[:15]: record["PersonContactId"] for record in records if record.get("PersonContactId")}
    return found


@dataclass
class Beside:
    """What is read beside the source of one object's records: flags, numbers and the rest of a person. ``refused``: the fields that this user cannot see."""

    connection: Connection
    object: str
    wanted: Sequence[str] = ()
    refused: set[str] = field(default_factory=set)

    def read(self, ids: Sequence[str]) -> dict[str, Record]:
        """Records by the first 15 characters of their ids; those that are gone since or out of sight are missing."""
        found: dict[str, Record] = {}
        for batch in _batches(ids):
            found |= {str(record.get("Id"))[:15]: record for record in self._batch(batch)}
        return found

    def _batch(self, ids: Sequence[str]) -> list[Record]:
        asked = Asked(f"{self.object.lower()}s' flags and numbers", "query")
        while True:
            fields = [name for name in dict.fromkeys((*_FLAGS[self.object], *_ALSO[self.object], *self.wanted)) if name not in self.refused]
            query = f"SELECT {', '.join(('Id', *fields))} FROM {self.object} WHERE Id IN ({_quoted(ids)})"  # noqa: S608
            try:
                return _all(self.connection, query, asked)
            except CrmError as error:
                if error.status != 400 or not self._drop(str(error), fields):
                    raise

    def _drop(self, told: str, fields: Sequence[str]) -> bool:
        """Does without the fields that were refused, as far as the refusal names them, else without those that are not needed; whether any is less."""
        before = len(self.refused)
        names = {name.lower() for found in _REFUSED.findall(told) for name in found if name}
        self.refused |= {name for name in fields if names & {name.lower(), name.lower().rpartition(".")[2], name.lower().partition(".")[0]}}
        if len(self.refused) == before:
            self.refused |= set(fields) - set(_FLAGS[self.object])
        return len(self.refused) > before


class QueryReader:
    """The pages of a query of leads or of contacts, and of a list view, which is one."""

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        self._connection = connection
        self._region = wanted.phone_region
        self._columns = columns_of(wanted)
        self._asked, self._find = _query_of(connection, wanted.source)

    def pages(self, cursor: Cursor | None) -> Iterator[Page]:
        """**Again**: a query whose results Salesforce has put away is read from its start."""
        beside: Beside | None = None
        for answer, known in _answers(self._connection, self._find, self._asked, cursor):
            beside = beside or Beside(self._connection, known["object"])
            records = [_flat(record) for record in answer["records"]]
            yield self._page(records, beside, {**known, "next": answer["nextRecordsUrl"]} if not answer.get("done", True) else None, answer.get("totalSize"))

    def _page(self, records: Sequence[Record], beside: Beside, cursor: Cursor | None, total: int | None) -> Page:
        names = {name.lower() for record in records for name in record}
        beside.wanted = [name for name in _named(self._columns) if name.lower() not in names]
        enough = not beside.wanted and {name.lower() for name in _FLAGS[beside.object][:4]} <= names
        found = beside.read([record["Id"] for record in records if record.get("Id")]) if not enough else None
        _check_named(self._columns, [beside], names)
        read = (_read(record.get("Id"), record, found, self._columns) for record in records)
        members, rejected = once_each(read, self._region, self._connection.instance)
        return Page(members, rejected, cursor, total=total, advice=_advice([beside], names))


class CampaignReader:
    """The pages of a campaign: its members by their own ids, leads and contacts, whatever they answered."""

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        self._connection = connection
        self._region = wanted.phone_region
        self._columns = columns_of(wanted)
        self._id = source_id(wanted)
        self._asked = Asked(f"the campaign {self._id}", "query")
        self._besides = [Beside(connection, name, _named(self._columns)) for name in OBJECTS.values()]

    def pages(self, cursor: Cursor | None) -> Iterator[Page]:
        """**Again**: as a query's."""
        query = f"SELECT Id, LeadId, ContactId, Status FROM CampaignMember WHERE CampaignId = '{self._id}' ORDER BY Id"  # noqa: S608
        for answer, known in _answers(self._connection, lambda: (query, ""), self._asked, cursor):
            if not answer["records"] and cursor is None:
                self._must_exist()
            yield self._page(answer["records"], {**known, "next": answer["nextRecordsUrl"]} if not answer.get("done", True) else None, answer.get("totalSize"))

    def _page(self, records: Sequence[Record], cursor: Cursor | None, total: int | None) -> Page:
        people = [(record.get("ContactId") or record.get("LeadId"), record) for record in records]
        found: dict[str, Record] = {}
        asked = []
        for beside in self._besides:
            ids = [who for who, _ in people if who and who.startswith(LEAD) == (beside.object == "Lead")]
            if ids:
                found |= beside.read(ids)
                asked.append(beside)
        _check_named(self._columns, asked, set())
        read = (self._member(who, record, found) for who, record in people)
        members, rejected = once_each(read, self._region, self._connection.instance)
        return Page(members, rejected, cursor, total=total, advice=_advice(asked, set()))

    def _member(self, who: str | None, record: Record, found: Mapping[str, Record]) -> Read | None:
        if not who:
            return RejectedRecord(str(record.get("Id") or ""), "neither a lead nor a contact")
        return _read(who, {"CampaignMember.Status": record.get("Status")}, found, self._columns)

    def _must_exist(self) -> None:
        if not _all(self._connection, f"SELECT Id FROM Campaign WHERE Id = '{self._id}'", self._asked):  # noqa: S608
            detail = f"There is no campaign {self._id}, or it is not shared with this user; an admin must share it, or the list needs another source."
            raise CrmError("crm-not-found", detail)


def source_id(wanted: Wanted) -> str:
    """The id of the source's record, as safe in a query and an address as an id is.

    **Raises**: CrmError for what is none.
    """
    text = str(wanted.source.get("id"))
    if not _SOURCE_ID.fullmatch(text):
        detail = f"{text[:40]!r} is no Salesforce id, so there is no such {str(wanted.source['kind']).replace('_', ' ')}; an admin must mend the list's source."
        raise CrmError("crm-not-found", detail)
    return text


def columns_of(wanted: Wanted) -> dict[str, Any]:
    """The columns that the list's source names."""
    told = wanted.source.get("columns")
    return {role: names for role, names in told.items() if names} if isinstance(told, Mapping) else {}


def _query_of(connection: Connection, source: Mapping[str, object]) -> tuple[Asked, Callable[[], tuple[str, str]]]:
    """What is asked for, and what finds its query and its object."""
    if source["kind"] == "soql":
        return Asked("the list's query", "query"), lambda: _made(str(source["query"]))
    asked = Asked(f"the list view {source['id']}", "list_view")
    return asked, lambda: _made(_list_view(connection, str(source["id"]), asked))


def _made(query: str) -> tuple[str, str]:
    refusal = refuses_query(query)
    if refusal is not None:
        raise CrmError("crm-unsupported", f"The query makes no list: {refusal}. An admin must change it.")
    return query, object_of(query)


def _list_view(connection: Connection, view: str, asked: Asked) -> str:
    """The query behind a list view of leads or of contacts."""
    missing: CrmError | None = None
    for name in OBJECTS.values():
        try:
            described = connection.ask(f"sobjects/{name}/listviews/{view}/describe", asked)
        except CrmError as error:
            if error.slug not in ("crm-not-found", "crm-unsupported") or error.status not in (400, 404):
                raise
            missing = error
        else:
            if not isinstance(described, Mapping) or not isinstance(described.get("query"), str):
                raise bad_answer(asked)
            return str(described["query"])
    detail = (
        f"There is no list view {view} of leads or of contacts, or it is not shared with this user; an admin must share it, or the list needs another source."
    )
    raise CrmError("crm-not-found", detail, status=missing.status if missing else 404)


def _answers(
    connection: Connection, find: Callable[[], tuple[str, str]], asked: Asked, cursor: Cursor | None
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The answers to a query one after the other, each with what a cursor must know beside its place."""
    known: dict[str, Any] = {}
    path = None
    if cursor is not None:
        known, path = {"object": cursor["object"]}, _locator(cursor["next"], asked)
    restarted = False
    while True:
        if path is None:
            query, name = find()
            known = {"object": name}
            answer = _checked(connection.ask("query/", asked, params={"q": query}), asked)
        else:
            try:
                answer = _checked(connection.ask(path, asked), asked)
            except CrmError as error:
                if restarted or error.status not in (400, 404):
                    raise
                restarted, path = True, None
                continue
        yield answer, known
        if answer.get("done", True):
            return
        path = _locator(answer["nextRecordsUrl"], asked)


def _all(connection: Connection, query: str, asked: Asked) -> list[Record]:
    """Every record of a query of few."""
    return [_flat(record) for answer, _ in _answers(connection, lambda: (query, ""), asked, None) for record in answer["records"]]


def _checked(answer: Any, asked: Asked) -> dict[str, Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get("records"), list) or not all(isinstance(record, dict) for record in answer["records"]):
        raise bad_answer(asked)
    if not answer.get("done", True):
        _locator(answer.get("nextRecordsUrl"), asked)
    return answer


def _locator(url: object, asked: Asked) -> str:
    found = _LOCATOR.fullmatch(url) if isinstance(url, str) else None
    if found is None:
        raise bad_answer(asked)
    return found[1]


def _flat(record: Record, above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        if name == "attributes":
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def _read(who: object, row: Record, beside: Mapping[str, Record] | None, columns: Mapping[str, Any]) -> Read | None:
    """Who a record is; None for a lead that is none any more. ``beside`` is None where the row has all."""
    try:
        canonical = prospect_id(str(who))
    except InvalidError as error:
        return RejectedRecord(str(who or ""), str(error))
    more: Record | None = {} if beside is None else beside.get(str(who)[:15], beside.get(canonical[:15]))
    if more is None:
        return Person(canonical, unread=True)
    known = {name.lower(): value for name, value in (*more.items(), *row.items())}
    if is_true(known.get("isconverted")):
        return None
    phones = columns.get("phones") or [name for name in dict.fromkeys((*row, *more)) if name.lower() in PHONE_LABELS]
    used = {name.lower() for name in (*_named(columns), *phones)} | {"id", "name", "company", "account.name", "title", "owner.name", "donotcall", "isconverted"}

    def text(role: str, *names: str) -> str | None:
        found = (known.get(name.lower()) for name in ((columns[role],) if role in columns else names))
        return next((str(value).strip() for value in found if value is not None and str(value).strip()), None)

    return Person(
        canonical,
        name=text("name", "Name") or " ".join(part for part in (text("", "FirstName"), text("", "LastName")) if part) or None,
        numbers=tuple((PHONE_LABELS.get(name.lower(), name), value) for name in phones if isinstance(value := known.get(name.lower()), str)),
        company=text("company", "Company", "Account.Name"),
        title=text("title", "Title"),
        owner=text("owner", "Owner.Name"),
        time_zone=text("time_zone"),
        fields={name: value for name, value in row.items() if value is not None and value != "" and name.lower() not in used},
        do_not_call=is_true(known.get("donotcall")),
    )


def _named(columns: Mapping[str, Any]) -> list[str]:
    """The field paths that the list's source names; its id is always the record's own."""
    return [name for role, names in columns.items() if role != "id" for name in ([names] if isinstance(names, str) else names)]


def _check_named(columns: Mapping[str, Any], besides: Sequence[Beside], there: Iterable[str]) -> None:
    for name in _named(columns):
        if besides and name.lower() not in there and all(name in beside.refused for beside in besides):
            known = {field for beside in besides for field in ("Id", *_FLAGS[beside.object], *_ALSO[beside.object]) if field not in beside.refused}
            detail = f"There is no field {name!r}, which the list's source names, or this user may not see it; an admin must name one that there is."
            raise CrmError("crm-unsupported", detail, candidates=tuple(sorted(known | set(there))))


def _advice(besides: Sequence[Beside], there: Iterable[str]) -> str | None:
    lacking = sorted({name for beside in besides for name in _FLAGS[beside.object] if name in beside.refused and name.lower() not in there})
    if not lacking:
        return None
    return f"This user cannot see {', '.join(lacking)}, so reservoir cannot honour it; an admin must grant the user the right to read it."


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    unique = [*dict.fromkeys(ids)]
    return (unique[start : start + BATCH] for start in range(0, len(unique), BATCH))


def _quoted(ids: Iterable[str]) -> str:
    """Ids in a query: letters and digits alone, so that nothing else gets in."""
    return ", ".join(f"'{one}'" for one in ids if one.isalnum())
