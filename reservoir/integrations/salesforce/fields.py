"""What dispositions change on leads and contacts."""

from collections.abc import Iterator, Sequence
from functools import partial

from reservoir.integrations.salesforce.people import CONTACT, LEAD
from reservoir.integrations.salesforce.records import Fields, Records, Told, alone, together
from reservoir.integrations.salesforce.refusals import RefusedError
from reservoir.integrations.writer import Change

WORDS = "the change"

_OBJECTS = {LEAD: "Lead", CONTACT: "Contact"}


class FieldChanges:
    """One org's leads and contacts. A name without an object is meant for the objects that have it: Salesforce says which have not."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._absent: set[tuple[str, str]] = set()
        self._known: dict[str, frozenset[str] | None] = {}

    def write(self, changes: Sequence[Change]) -> Iterator[tuple[Change, Told]]:
        """Writes changes together, a person's as one. Where that one is refused, each of them for itself, since only one of them may be to blame."""
        people: dict[str, list[Change]] = {}
        for change in changes:
            people.setdefault(change.prospect, []).append(change)
        left = sorted(people.values(), key=lambda of_one: _object(of_one[0]))
        while left:
            wanted = [(of_one, self._fields(of_one)) for of_one in left]
            yield from ((change, change.prospect) for of_one, fields in wanted if not fields for change in of_one)
            rows, left = [row for row in wanted if row[1]], []
            for (of_one, fields), found in zip(rows, self._together(rows), strict=True):
                told = found if found is not None else self._alone(of_one)
                if isinstance(told, RefusedError) and self._learns(told, of_one, fields):
                    left.append(of_one)
                elif isinstance(told, RefusedError) and len(of_one) > 1:
                    yield from ((change, self._alone([change])) for change in of_one)
                else:
                    yield from ((change, told) for change in of_one)

    def _together(self, rows: Sequence[tuple[list[Change], Fields]]) -> list[Told | None]:
        named = [(_object(of_one[0]), of_one[0].prospect, fields) for of_one, fields in rows]
        return together(partial(self._records.update_all, named, WORDS), len(named))

    def _alone(self, of_one: list[Change]) -> Told:
        while fields := self._fields(of_one):
            told = alone(partial(self._records.update, _object(of_one[0]), of_one[0].prospect, fields, WORDS))
            if not (isinstance(told, RefusedError) and self._learns(told, of_one, fields)):
                return told
        return of_one[0].prospect

    def _fields(self, of_one: Sequence[Change]) -> Fields:
        """What is written on the person's own object: the last word counts, and one that names the object more than one that does not."""
        name = _object(of_one[0])
        general, own = {}, {}
        for change in of_one:
            for field, value in change.fields.items():
                kind, _, bare = field.rpartition(".")
                if kind.lower() == name.lower():
                    own[bare] = value
                elif not kind and (name, bare) not in self._absent:
                    general[bare] = value
        return general | own

    def _learns(self, told: RefusedError, of_one: Sequence[Change], fields: Fields) -> bool:
        """Whether what is refused are fields that the object has not, and that are not said to be its own."""
        name = _object(of_one[0])
        own = {bare for change in of_one for kind, _, bare in (field.rpartition(".") for field in change.fields) if kind.lower() == name.lower()}
        refused = {bare for bare in fields if bare not in own and told.code.startswith("INVALID_FIELD") and told.names(bare)}
        if refused and told.code != "INVALID_FIELD":  # it may be there, and not for this user to change
            refused = refused - known if (known := self._has(name)) is not None else set()
        self._absent |= {(name, bare) for bare in refused}
        return bool(refused)

    def _has(self, name: str) -> frozenset[str] | None:
        if name not in self._known:
            self._known[name] = self._records.fields_of(name)
        return self._known[name]


def _object(change: Change) -> str:
    return _OBJECTS.get(change.prospect[:3], "Contact")
