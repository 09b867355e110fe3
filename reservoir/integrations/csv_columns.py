"""The columns of a CSV list, and the member that each row makes."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from reservoir.domain import ids
from reservoir.domain.lists import Rejection
from reservoir.domain.prospects import Member, Phone
from reservoir.domain.refusals import InvalidError
from reservoir.integrations import phones

_NAMED = frozenset(
    ("id", "email", "name", "first_name", "last_name", "company", "title", "owner", "time_zone", "url", "do_not_call"),
)
_PHONE = re.compile(r"mobile|phone(_.*)?")
_MOBILE = ("mobile", "phone_mobile")
_NOBODYS = frozenset(("fax", "assistant"))
_YES = ("true", "yes", "1", "x")
_SHOWN_MAX = 40


class InvalidCsvError(Exception):
    """The whole file cannot be read, and the message says why in a sentence: no text, no header, or none that names an id, an e-mail or a phone."""


@dataclass(slots=True)  # made by the million: freezing them took a third of the time in which a row is read
class Row:
    """A row that became a member. **Shape**: ``line`` is where it begins; ``rejections`` are of the numbers that it had to do without."""

    line: int
    member: Member
    rejections: tuple[Rejection, ...] = ()


def prospect_id(text: str) -> str:
    """The id without the space around it and in Unicode's composed form (NFC), in which what looks the same is the same.

    **Raises**: InvalidError.
    """
    return ids.opaque(unicodedata.normalize("NFC", text.strip()))


def recognised(name: str) -> bool:
    """Whether a column of this name means something to every list."""
    key = name.strip().lower()
    return key in _NAMED or _is_phone(key)


class Columns:
    """What each value of a row is, by the names in the header.

    **Raises**: InvalidCsvError where no column could tell who somebody is, or two tell the same.
    """

    def __init__(self, header: Sequence[str], region: str) -> None:
        self._region = region
        self._width = len(header)
        named: dict[str, int] = {}
        numbers: list[tuple[str, int]] = []
        self._others: list[tuple[str, int]] = []
        for index, name in enumerate(map(str.strip, header)):
            key = name.lower()
            if key in named:
                raise InvalidCsvError(f"two columns are called {key!r}")
            if key in _NAMED:
                named[key] = index
            if _is_phone(key):
                numbers.append((name, index))
            elif name and (key == "email" or key not in _NAMED):
                self._others.append((name, index))
        if not numbers and not named.keys() & {"id", "email"}:
            shown = ", ".join(repr(name[:_SHOWN_MAX]) for name in header[:5])
            raise InvalidCsvError(f"none of the columns is an id, an email, a phone or a mobile; the first are {shown}")
        self._phones = sorted(numbers, key=lambda column: column[0].lower() not in _MOBILE)
        absent = self._width  # where row() puts an empty value
        self._id, self._email, self._name, self._first_name, self._last_name = (
            named.get(key, absent) for key in ("id", "email", "name", "first_name", "last_name")
        )
        self._company, self._title, self._owner, self._time_zone, self._url, self._do_not_call = (
            named.get(key, absent) for key in ("company", "title", "owner", "time_zone", "url", "do_not_call")
        )

    def row(self, line: int, values: list[str]) -> Row | Rejection:
        """The member that the row makes, or why it makes none. Values that are missing at its end are empty; ``values`` is used up."""
        if any(values[self._width :]):
            return Rejection(line, f"{len(values)} values, where the header has {self._width} columns")
        del values[self._width :]
        values += [""] * (self._width + 1 - len(values))
        numbers, impossible = self._read_phones(values)
        if not numbers:
            return Rejection(line, "; ".join(impossible) or "no phone number")
        try:
            record = prospect_id(self._record(values, numbers))
        except InvalidError as error:
            return Rejection(line, f"the id cannot be one: {error}")
        member = Member(
            integration="csv",
            id=record,
            name=values[self._name].strip() or f"{values[self._first_name].strip()} {values[self._last_name].strip()}".strip() or None,
            phones=tuple(numbers),
            company=values[self._company].strip() or None,
            title=values[self._title].strip() or None,
            owner=values[self._owner].strip() or None,
            time_zone=values[self._time_zone].strip() or None,
            url=values[self._url].strip() or None,
            fields=self._fields(values),
            do_not_call=values[self._do_not_call].strip().lower() in _YES,
        )
        return Row(line, member, tuple(Rejection(line, detail, kept=True) for detail in impossible))

    def _read_phones(self, values: list[str]) -> tuple[list[Phone], list[str]]:
        numbers: list[Phone] = []
        impossible: list[str] = []
        for label, index in self._phones:
            text = values[index].strip()
            if text:
                phone = phones.read(text, self._region, label)
                if phone is None:
                    impossible.append(f"{label} {text[:_SHOWN_MAX]!r} cannot be a phone number")
                else:
                    numbers.append(phone)
        return numbers, impossible

    def _record(self, values: list[str], numbers: list[Phone]) -> str:
        """The id, or one that is stable where the source has none: the e-mail in lower case, else the first number."""
        given = values[self._id].strip()
        if given:
            return given
        email = values[self._email].strip()
        return email.lower() if "@" in email else numbers[0].number

    def _fields(self, values: list[str]) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, index in self._others:
            value = values[index]
            if value and name not in found and not value.isspace():
                found[name] = value
        return found


def _is_phone(key: str) -> bool:
    """A fax's or an assistant's number is not one under which the prospect is reached."""
    return _PHONE.fullmatch(key) is not None and _NOBODYS.isdisjoint(key.split("_"))
