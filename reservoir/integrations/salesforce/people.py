"""A person as a row has them, and the member that they become."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reservoir.domain.prospects import Member, Phone
from reservoir.integrations import phones
from reservoir.integrations.source import RejectedRecord

LEAD, CONTACT, ACCOUNT = "00Q", "003", "001"
PERSONS = frozenset((LEAD, CONTACT))

PHONE_LABELS = {
    "mobilephone": "mobile", "phone": "phone", "homephone": "home", "otherphone": "other",
    "personmobilephone": "mobile", "personhomephone": "home", "personotherphone": "other",
}  # fmt: skip
"""Salesforce's own phone fields, in lower case, as a dialer knows them. A fax's and an assistant's are not among them."""

_RECORD = re.compile(r"00[A-Za-z0-9]{13}(?:[A-Za-z0-9]{3})?")


@dataclass(frozen=True, slots=True)
class Person:
    """Who, by the canonical id, and what the row has of them.

    **Shape**: ``numbers`` are labels with numbers as they were typed, in the source's order. ``unread``: the source names the person and does not show them.
    """

    id: str
    name: str | None = None
    numbers: tuple[tuple[str, str], ...] = ()
    company: str | None = None
    title: str | None = None
    owner: str | None = None
    time_zone: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    do_not_call: bool = False
    unread: bool = False


Read = Person | RejectedRecord
"""What became of a row that counts."""


def member(person: Person, region: str, instance: str) -> Member:
    """The member, with the numbers that can be dialed: mobile first, each once."""
    if person.unread:
        return Member("salesforce", person.id, unread=True)
    read = (phones.read(text, region, label) for label, text in person.numbers)
    numbers: dict[tuple[str, str | None], Phone] = {}
    for phone in sorted((phone for phone in read if phone is not None), key=lambda phone: phone.label != "mobile"):
        numbers.setdefault((phone.number, phone.extension), phone)
    return Member(
        integration="salesforce",
        id=person.id,
        name=person.name,
        phones=tuple(numbers.values()),
        company=person.company,
        title=person.title,
        owner=person.owner,
        time_zone=person.time_zone,
        url=f"{instance}/{person.id}",
        fields=person.fields,
        do_not_call=person.do_not_call,
    )


def once_each(read: Iterable[Read | None], region: str, instance: str) -> tuple[tuple[Member, ...], tuple[RejectedRecord, ...]]:
    """The members and the rejected of one answer: of several rows of one person, the first counts."""
    members: dict[str, Member] = {}
    rejected: dict[tuple[str, str], RejectedRecord] = {}
    for one in read:
        if isinstance(one, RejectedRecord):
            rejected.setdefault((one.record, one.detail) if one.record else ("", str(len(rejected))), one)
        elif one is not None and one.id not in members:
            members[one.id] = member(one, region, instance)
    return tuple(members.values()), tuple(rejected.values())


def is_record(value: object) -> bool:
    """Whether it looks like a record's id."""
    return isinstance(value, str) and _RECORD.fullmatch(value) is not None


def is_true(value: object) -> bool:
    """Whether a flag is set, however it is written."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "1"))
