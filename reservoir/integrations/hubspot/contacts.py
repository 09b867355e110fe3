"""Contacts as members: which of their properties is what, and whose they are."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from reservoir.domain.prospects import Member, Phone
from reservoir.integrations import phones
from reservoir.integrations.hubspot.portal import Portal
from reservoir.integrations.source import CrmError

MERGED = "hs_merged_object_ids"
OWNERS_ONE_BY_ONE = 5
"""When more are new on a page, all owners are read."""

_PHONES = ("mobilephone", "phone")
_CALCULATED = {"mobilephone": "hs_calculated_mobile_number", "phone": "hs_calculated_phone_number"}
"""What HubSpot made of a number with what it knows of the contact's country, for those that nobody else can read."""

_LABELS = {"mobilephone": "mobile"}
_FIELDS = ("email", "lifecyclestage", "hs_lead_status")


class Properties:
    """What each property of a contact is; the list's ``columns`` outrank what is usual.

    **Raises**: CrmError for columns that cannot be.
    """

    def __init__(self, columns: Mapping[str, object]) -> None:
        if columns.get("id") not in {None, "hs_object_id"}:
            raise CrmError("crm-unsupported", "A prospect of HubSpot is known by its record id alone, so that columns.id can only be hs_object_id.")
        chosen = {name: str(value) for name, value in columns.items() if value and name not in {"id", "phones"}}
        self._names = (chosen["name"],) if "name" in chosen else ("firstname", "lastname")
        numbers = columns.get("phones")
        self._phones = tuple(str(name) for name in numbers) if isinstance(numbers, list | tuple) and numbers else _PHONES
        self._company, self._title = chosen.get("company", "company"), chosen.get("title", "jobtitle")
        self._owner, self._time_zone = chosen.get("owner", "hubspot_owner_id"), chosen.get("time_zone", "hs_timezone")
        self.chosen = frozenset(chosen.values()) | (frozenset(self._phones) if numbers else frozenset())

    @property
    def names(self) -> tuple[str, ...]:
        """The properties to ask for."""
        calculated = (_CALCULATED[name] for name in self._phones if name in _CALCULATED)
        usual = (self._company, self._title, self._owner, self._time_zone)
        return tuple(dict.fromkeys((*self._names, *self._phones, *calculated, *usual, *_FIELDS, MERGED)))

    def owner(self, values: Mapping[str, object]) -> str | None:
        """The id of a contact's owner."""
        return _text(values, self._owner)

    def member(self, record: str, values: Mapping[str, object], region: str, owner: str | None, url: str | None) -> Member:
        """The member that a contact makes."""
        return Member(
            integration="hubspot",
            id=record,
            name=" ".join(filter(None, (_text(values, name) for name in self._names))) or None,
            phones=tuple(self._numbers(values, region)),
            company=_text(values, self._company),
            title=_text(values, self._title),
            owner=owner,
            time_zone=time_zone(_text(values, self._time_zone)),
            url=url,
            fields={name: text for name in _FIELDS if (text := _text(values, name))},
        )

    def _numbers(self, values: Mapping[str, object], region: str) -> Iterable[Phone]:
        seen = set()
        for name in self._phones:
            phone = None
            for text in (_text(values, name), _text(values, _CALCULATED.get(name, ""))):
                phone = phone or (phones.read(text, region, _LABELS.get(name, name)) if text else None)
            if phone and (phone.number, phone.extension) not in seen:
                seen.add((phone.number, phone.extension))
                yield phone


class Owners:
    """The names of the portal's owners, read as they are met and kept for the run."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._names: dict[str, str | None] = {}
        self._all_read = False
        self.refused: str | None = None

    def meet(self, ids: frozenset[str]) -> None:
        """Learns the names of these. Where the private app may not read owners, they stay without, and ``refused`` says what it lacks."""
        new = ids - self._names.keys()
        try:
            if len(new) > OWNERS_ONE_BY_ONE and not self._all_read:
                self._read_all()
            for owner in sorted(new - self._names.keys()):
                self._names[owner] = _person(self._portal.owner(owner) or {})
        except CrmError as error:
            if error.slug != "crm-permission":
                raise
            self.refused = str(error)
            self._names |= dict.fromkeys(new)

    def name(self, owner: str | None) -> str | None:
        """The name of one who was met."""
        return self._names.get(owner) if owner else None

    def _read_all(self) -> None:
        self._all_read = True
        try:
            self._names |= {str(owner["id"]): _person(owner) for owner in self._portal.owners() if isinstance(owner, dict) and "id" in owner}
        except CrmError as error:
            if error.slug != "crm-not-found":
                raise


def time_zone(told: str | None) -> str | None:
    """The IANA name of one of HubSpot's time zones, as ``america_slash_new_york``; None for what is none."""
    return _zones().get(told.replace("_slash_", "/").replace("_hyphen_", "-").lower()) if told else None


@cache
def _zones() -> Mapping[str, str]:
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in names}


def _person(owner: Mapping[str, object]) -> str | None:
    return " ".join(filter(None, (_text(owner, "firstName"), _text(owner, "lastName")))) or _text(owner, "email")


def _text(values: Mapping[str, object], name: str) -> str | None:
    value = values.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (value.strip() or None) if isinstance(value, str) else None
