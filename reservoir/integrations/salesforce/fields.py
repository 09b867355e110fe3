"""What dispositions change on leads and contacts, and on the accounts of persons."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from reservoir.integrations.salesforce.people import CONTACT, LEAD
from reservoir.integrations.salesforce.records import Fields, Records, Told, alone, literal, together
from reservoir.integrations.salesforce.refusals import RefusedError
from reservoir.integrations.source import CrmError
from reservoir.integrations.writer import Change

WORDS = "the change"

_OBJECTS = {LEAD: "Lead", CONTACT: "Contact"}
_ACCOUNT = "Account"


@dataclass(frozen=True, slots=True)
class _Target:
    """A record, and the changes that are written into it."""

    object: str
    record: str
    changes: Sequence[Change]


class FieldChanges:
    """One org's leads and contacts. A name without an object is meant for the objects that have it: Salesforce says which have not.

    A person account is a contact with an account of its own: what is said to be an account's is written into that, and into no company's.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._absent: set[tuple[str, str]] = set()
        self._known: dict[str, frozenset[str] | None] = {}

    def write(self, changes: Sequence[Change]) -> Iterator[tuple[Change, Told]]:
        """Writes changes together, a person's as one. Where that one is refused, each of them for itself, since only one of them may be to blame."""
        accounts = self._accounts([change for change in changes if change.prospect.startswith(CONTACT) and _names_account(change)])
        theirs = [change for change in changes if change.prospect in accounts and _names_account(change)]
        failed = {change.claim: told for change, told in self._write(_targets(theirs, accounts)) if not isinstance(told, str)}
        for change, told in self._write(_targets(changes, {})):
            yield change, failed.get(change.claim, told)

    def _write(self, targets: Iterable[_Target]) -> Iterator[tuple[Change, Told]]:
        left = sorted(targets, key=lambda target: target.object)
        while left:
            wanted = [(target, self._fields(target)) for target in left]
            yield from ((change, change.prospect) for target, fields in wanted if not fields for change in target.changes)
            rows, left = [row for row in wanted if row[1]], []
            for (target, fields), found in zip(rows, self._together(rows), strict=True):
                told = found if found is not None else self._alone(target)
                if isinstance(told, RefusedError) and self._learns(told, target, fields):
                    left.append(target)
                elif isinstance(told, RefusedError) and len(target.changes) > 1:
                    yield from ((change, self._alone(replace(target, changes=[change]))) for change in target.changes)
                else:
                    yield from ((change, told) for change in target.changes)

    def _accounts(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """The accounts of those of these contacts who are person accounts, by the contacts' ids."""
        if not changes:
            return {}
        people = ", ".join(sorted({literal(change.prospect) for change in changes}))
        try:
            found = self._records.query(f"SELECT Id, PersonContactId FROM Account WHERE PersonContactId IN ({people})", "the accounts of persons")  # noqa: S608
        except CrmError as error:
            if error.status == 400:  # an org without person accounts does not know the field
                return {}
            raise
        return {str(account.get("PersonContactId")): str(account["Id"]) for account in found if account.get("Id")}

    def _together(self, rows: Sequence[tuple[_Target, Fields]]) -> list[Told | None]:
        named = [(target.object, target.record, fields) for target, fields in rows]
        return together(partial(self._records.update_all, named, WORDS), len(named))

    def _alone(self, target: _Target) -> Told:
        while fields := self._fields(target):
            told = alone(partial(self._records.update, target.object, target.record, fields, WORDS))
            if not (isinstance(told, RefusedError) and self._learns(told, target, fields)):
                return told
        return target.record

    def _fields(self, target: _Target) -> Fields:
        """What is written on the record's own object: the last word counts, and one that names the object more than one that does not."""
        name = target.object
        general, own = {}, {}
        for change in target.changes:
            for field, value in change.fields.items():
                kind, _, bare = field.rpartition(".")
                if kind.lower() == name.lower():
                    own[bare] = value
                elif not kind and name != _ACCOUNT and (name, bare) not in self._absent:
                    general[bare] = value
        return general | own

    def _learns(self, told: RefusedError, target: _Target, fields: Fields) -> bool:
        """Whether what is refused are fields that the object has not, and that are not said to be its own."""
        name = target.object
        own = {bare for change in target.changes for kind, _, bare in (field.rpartition(".") for field in change.fields) if kind.lower() == name.lower()}
        refused = {bare for bare in fields if bare not in own and told.code.startswith("INVALID_FIELD") and told.names(bare)}
        if refused and told.code != "INVALID_FIELD":  # it may be there, and not for this user to change
            refused = refused - known if (known := self._has(name)) is not None else set()
        self._absent |= {(name, bare) for bare in refused}
        return bool(refused)

    def _has(self, name: str) -> frozenset[str] | None:
        if name not in self._known:
            self._known[name] = self._records.fields_of(name)
        return self._known[name]


def _targets(changes: Iterable[Change], accounts: Mapping[str, str]) -> list[_Target]:
    """The records of these people, or those of their accounts that are given, each with its changes in their order."""
    people: dict[str, list[Change]] = {}
    for change in changes:
        people.setdefault(change.prospect, []).append(change)
    return [
        _Target(_ACCOUNT, accounts[prospect], of_one) if prospect in accounts else _Target(_OBJECTS.get(prospect[:3], "Contact"), prospect, of_one)
        for prospect, of_one in people.items()
    ]


def _names_account(change: Change) -> bool:
    return any(field.lower().startswith(f"{_ACCOUNT.lower()}.") for field in change.fields)
