"""Which of a report's columns says who, which is a number, a name, a flag."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from reservoir.integrations.salesforce.columns import COLUMNS_MOST, PERSON, Catalogue, Column
from reservoir.integrations.salesforce.people import ACCOUNT, PERSONS, PHONE_LABELS
from reservoir.integrations.salesforce.rows import Row, record
from reservoir.integrations.source import CrmError

_ACTIVITY = ("activity", "task", "event")
_OTHERS = re.compile(r"\b(user|reportsto|owner|manager|createdby|lastmodifiedby)")
_MOBILE = re.compile(r"mobil|cell|handy", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns mean, by their tokens; "" or nothing where there is none.

    **Shape**: ``person`` is those that say who, the first that is filled counts. ``row`` is the row's own record, by which a reading goes on past the cut.
    ``numbers`` are pairs of token and label. ``added`` are those that the report does not show. ``plain`` is kept beside the member as it is.
    """

    person: Sequence[str] = ()
    row: str = ""
    date: str = ""
    name: Sequence[str] = ()
    numbers: Sequence[Sequence[str]] = ()
    owner: str = ""
    company: str = ""
    title: str = ""
    time_zone: str = ""
    do_not_call: Sequence[str] = ()
    converted: Sequence[str] = ()
    person_contact: str = ""
    added: Sequence[str] = ()
    plain: Sequence[str] = ()
    advice: str | None = None

    def as_json(self) -> dict[str, object]:
        """For a cursor."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Out of a cursor."""
        return cls(**{each.name: told[each.name] for each in fields(cls)})


def roles(catalogue: Catalogue, wanted: Mapping[str, Any]) -> Roles:
    """The roles of a report's columns. ``wanted`` is the list's ``source.columns``. Without ``person``, only the rows can say (`told_by`).

    **Raises**: CrmError where a column that is wanted is not there.
    """
    _check(catalogue, wanted)
    person = [wanted["id"]] if wanted.get("id") else _person(catalogue)
    return _roles(catalogue, wanted, person)


def told_by(catalogue: Catalogue, wanted: Mapping[str, Any], rows: Sequence[Row]) -> Roles:
    """The roles where only what is in the columns can say who is meant.

    **Raises**: CrmError if nothing does, or several columns do and differ.
    """
    person = _person_by_content(catalogue, rows)
    return _roles(catalogue, wanted, person, _names_of(catalogue, person, rows))


def _check(catalogue: Catalogue, wanted: Mapping[str, Any]) -> None:
    there = tuple(catalogue.columns)
    for role, tokens in wanted.items():
        for token in [tokens] if isinstance(tokens, str) else tokens or ():
            if token not in catalogue.columns:
                detail = f"The report has no column {token!r}, which the list's source names for {role}; an admin must name one of those that there are."
                raise CrmError("crm-unsupported", detail, candidates=there)


def _person(catalogue: Catalogue) -> list[str]:
    if catalogue.of_activities and (who := catalogue.who()):
        return who
    leads, contacts = catalogue.at("lead.id")[:1], catalogue.at("contact.id")[:1]
    own = {"lead": leads, "contact": contacts}.get(catalogue.own, [])
    if own:
        return own
    both = [*contacts, *leads]
    if "campaign" in catalogue.type.lower():
        return both
    shown = [token for token in both if token in catalogue.shown]
    accounts = catalogue.at("account.id")[:1] if catalogue.own == "account" else []
    return shown or both or accounts or [token for token in catalogue.at(f"{PERSON}.id") if catalogue.columns[token].kind == "id"][:1]


def _person_by_content(catalogue: Catalogue, rows: Sequence[Row]) -> list[str]:
    tokens = [token for token in dict.fromkeys((*catalogue.shown, *_ids_to_try(catalogue))) if not _OTHERS.search(catalogue.columns[token].entity)]
    ids = catalogue.of_kind("id", tokens)
    for prefixes in (PERSONS, frozenset((ACCOUNT,))):
        for among in (ids, [token for token in tokens if token not in ids]):
            found = _alike(among, rows, prefixes)
            own = {vector: names for vector, names in found.items() if not any(_OTHERS.search(catalogue.columns[name].path) for name in names)}
            chosen = [names[0] for names in (own or found).values()]
            if len(chosen) == 1 or (len(chosen) == 2 and _never_both(chosen, rows)):
                return chosen
            if chosen:
                detail = "Several columns of the report could say who is meant; an admin must name one as source.columns.id."
                raise CrmError("crm-ambiguous", detail, candidates=tuple(name for names in found.values() for name in names))
    if rows:
        detail = "No column of the report says who is meant by a lead's or a contact's id; an admin must add one to it, or name it as source.columns.id."
        raise CrmError("crm-unsupported", detail, candidates=tuple(catalogue.columns))
    return []


def _ids_to_try(catalogue: Catalogue) -> list[str]:
    """The columns to add where nothing is known of any: those of the type that are ids."""
    return [] if catalogue.of_kind("id", catalogue.shown) else catalogue.of_kind("id")[:5]


def _alike(tokens: Iterable[str], rows: Sequence[Row], prefixes: frozenset[str]) -> dict[tuple[str | None, ...], list[str]]:
    """The columns whose filled cells are all ids of such records, by what is in them: a first and a last name that link to one record are one candidate."""
    found: dict[tuple[str | None, ...], list[str]] = {}
    for token in tokens:
        cells = [row.get(token) for row in rows]
        ids = tuple(record(cell) for cell in cells)
        filled = [one for one, cell in zip(ids, cells, strict=True) if cell is not None and cell.get("value") not in (None, "")]
        if (
            filled
            and all(one is not None and one[:3] in PERSONS | {ACCOUNT} for one in filled)
            and any(one is not None and one[:3] in prefixes for one in filled)
        ):
            found.setdefault(ids, []).append(token)
    return found


def _names_of(catalogue: Catalogue, person: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The shown columns that link to who is meant wherever they are filled: what they show is the name."""

    def meant(token: str, row: Row) -> bool:
        found = record(row.get(token))
        return found is not None and found[:15] in {own[:15] for one in person if (own := record(row.get(one)))}

    named = [token for token in catalogue.shown if catalogue.columns[token].kind != "id"]
    return [token for token in named if any(meant(token, row) for row in rows) and all(meant(token, row) or not record(row.get(token)) for row in rows)]


def _never_both(tokens: Sequence[str], rows: Sequence[Row]) -> bool:
    return not any(all(record(row.get(token)) for token in tokens) for row in rows)


def _roles(catalogue: Catalogue, wanted: Mapping[str, Any], person: list[str], named: Sequence[str] = ()) -> Roles:
    owns = _entities(catalogue, person)
    at = catalogue.at
    row = _row(catalogue, person)
    numbers = _numbers(catalogue, wanted, owns)
    flags = at(*(f"{own}.donotcall" for own in owns), "account.persondonotcall")
    converted = at("lead.isconverted") if {"lead", PERSON} & set(owns) else []
    name = [wanted["name"]] if wanted.get("name") else _name(catalogue, owns, named or person)
    contact = at("account.personcontactid")[:1]
    chosen = {
        "owner": _one(wanted, "owner", _owner(catalogue, owns)),
        "company": _one(
            wanted, "company", catalogue.shown_at("lead.company", "account.name", "contact.account", "contact.account.name", "campaignmember.companyoraccount")
        ),
        "title": _one(wanted, "title", catalogue.shown_at(*(f"{own}.title" for own in owns))),
        "time_zone": _one(wanted, "time_zone", []),
    }
    used = [*person, *([row] if row else []), *flags, *converted, *contact, *(token for token, _ in numbers), *name, *filter(None, chosen.values())]
    if not person:
        used += _ids_to_try(catalogue)
    return Roles(
        person=person,
        row=row,
        date=_date(catalogue, owns),
        name=name,
        numbers=numbers,
        do_not_call=flags,
        converted=converted,
        person_contact=contact[0] if contact else "",
        added=[token for token in dict.fromkeys(used) if token not in catalogue.shown][:COLUMNS_MOST],
        plain=[token for token in catalogue.shown if token not in used],
        advice=_advice(flags, converted, numbers, owns),
        **chosen,
    )


def _entities(catalogue: Catalogue, person: Iterable[str]) -> list[str]:
    """Of which objects the person's own fields are, the likeliest first."""
    known = [catalogue.columns[token].entity for token in person if catalogue.columns[token].field == "id"]
    owns = [entity for entity in known if entity in ("lead", "contact")] or (["account"] if known == ["account"] else ["contact", "lead"])
    return [*owns, "campaignmember", PERSON]


def _row(catalogue: Catalogue, person: Sequence[str]) -> str:
    """The column of the row's own record. A formula's text is none, though it looks like an id: reading on by it leaves records out."""
    if catalogue.of_activities:
        wanted = catalogue.at(*(f"{activity}.id" for activity in _ACTIVITY)) or list(person)
    elif len(person) == 1:
        own = catalogue.columns[person[0]]
        wanted = [person[0], *(catalogue.at("lead.id", "contact.id") if own.field != "id" else [])]
    else:
        wanted = catalogue.at("campaignmember.id")
    return next((token for token in wanted if catalogue.columns[token].kind in ("id", "") and catalogue.columns[token].path), "") or next(
        (token for token in wanted if catalogue.columns[token].kind == "id"), ""
    )


def _date(catalogue: Catalogue, owns: Iterable[str]) -> str:
    entities = _ACTIVITY if catalogue.of_activities else tuple(owns)
    found = catalogue.at(*(f"{entity}.createddate" for entity in entities))
    # A day's own rows must fit into one answer where the type has no time of day.
    return next((token for kinds in (("datetime", ""), ("date",)) for token in found if catalogue.columns[token].kind in kinds), "")


def _numbers(catalogue: Catalogue, wanted: Mapping[str, Any], owns: Sequence[str]) -> list[tuple[str, str]]:
    columns = catalogue.columns
    if wanted.get("phones"):
        return [(token, _phone_label(columns[token], owns)) for token in wanted["phones"]]
    shown = [token for token in catalogue.of_kind("phone", catalogue.shown) if not columns[token].reaches_nobody and not _OTHERS.search(columns[token].path)]
    own = catalogue.at(*(f"{entity}.{name}" for entity in owns for name in PHONE_LABELS))
    return [(token, _phone_label(columns[token], owns)) for token in dict.fromkeys((*shown, *own))]


def _phone_label(column: Column, owns: Sequence[str]) -> str:
    if column.entity in owns and column.field in PHONE_LABELS:
        return PHONE_LABELS[column.field]
    return "mobile" if not column.path and (_MOBILE.search(column.token) or _MOBILE.search(column.label)) else column.token


def _name(catalogue: Catalogue, owns: Sequence[str], person: Sequence[str]) -> list[str]:
    """The columns whose texts, one behind the other, are the name: of each object its full name, or the first and the last."""
    for of in (catalogue.shown_at, catalogue.at):
        found: list[str] = []
        for own in owns:
            found += of(f"{own}.name")[:1] or [*of(f"{own}.firstname")[:1], *of(f"{own}.lastname")[:1]]
        if found:
            return found
        linked = [token for token in person if catalogue.columns[token].kind != "id"]
        if linked:
            return linked
    return []


def _owner(catalogue: Catalogue, owns: Sequence[str]) -> list[str]:
    own = catalogue.shown_at(*(f"{entity}.{name}" for entity in owns for name in ("owner.name", "owner", "ownername", "ownerid")))
    return own or [token for token in catalogue.shown_at("user.name", "user.fullname") if not re.search(r"CREAT|UPDAT|MODIF", token.upper())]


def _one(wanted: Mapping[str, Any], role: str, found: Sequence[str]) -> str:
    return wanted.get(role) or next(iter(found), "")


def _advice(flags: Sequence[str], converted: Sequence[str], numbers: Sequence[object], owns: Sequence[str]) -> str | None:
    lacking = []
    if not flags:
        lacking.append("Do Not Call")
    if not converted and "lead" in owns and "contact" not in owns:
        lacking.append("Converted")
    if not numbers:
        lacking.append("a phone number")
    if not lacking:
        return None
    what = " or ".join(filter(None, (", ".join(lacking[:-1]), lacking[-1])))
    it = "it" if len(lacking) == 1 else "them"
    return (
        f"The report's type has no column for {what}, so reservoir cannot see {it}: "
        f"use a report type that has {it}, or a list view, a campaign or a query, for which {it} {'is' if it == 'it' else 'are'} read beside the source."
    )
