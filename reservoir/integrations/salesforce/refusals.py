"""What it means that Salesforce does not write a record: whose turn it is, or whether another try is worth it.

Source: SOAP API Developer Guide, "StatusCode"; REST API Developer Guide, "sObject Collections" (v59-67).
"""

import re
from dataclasses import dataclass

from reservoir.integrations.source import CrmError, Missing, PassingError

_LOCKED = re.compile(r"UNABLE_TO_LOCK_ROW|QUERY_TIMEOUT|SERVER_UNAVAILABLE")
"""Somebody else writes the same record at this moment. A trigger's own error has the code in its message alone."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    slug: Missing
    words: str


_NOT_THERE = _Meaning("crm-not-found", "the record is deleted in Salesforce, or not shared with this user; an admin must restore or share it")
_NOT_ALLOWED = _Meaning("crm-permission", "this user may not do so; an admin must grant the permission to edit the object, the record, and the fields named")
_NOT_TAKEN = _Meaning("crm-unsupported", "Salesforce does not take it; an admin must change what is written back")
_NO_FIELD = _Meaning("crm-unsupported", "there is no such field, or this user may not see it; an admin must change what is written back, or grant the field")
_MEANINGS = {
    "CANNOT_UPDATE_CONVERTED_LEAD": _Meaning("crm-unsupported", "the lead was converted, and Salesforce changes no converted lead; nobody need do anything"),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": _Meaning("crm-unsupported", "a validation rule forbids it; an admin must change the rule, or what is written back"),
    "STORAGE_LIMIT_EXCEEDED": _Meaning("crm-unsupported", "the org's storage is full; an admin must make room in Salesforce, then retry"),
    "DUPLICATE_EXTERNAL_ID": _Meaning("crm-unsupported", "several records in Salesforce bear this id already; an admin must delete all but one"),
    "ENTITY_IS_DELETED": _NOT_THERE, "NOT_FOUND": _NOT_THERE, "INVALID_CROSS_REFERENCE_KEY": _NOT_THERE, "MALFORMED_ID": _NOT_THERE,
    "INVALID_FIELD_FOR_INSERT_UPDATE": _NOT_ALLOWED, "INVALID_FIELD": _NO_FIELD, "300": _NOT_TAKEN, "403": _NOT_ALLOWED, "404": _NOT_THERE,
}  # fmt: skip


class RefusedError(CrmError):
    """A record is not written, and will not be as things are. ``code`` and ``said`` are Salesforce's."""

    def __init__(self, meaning: _Meaning, words: str, code: str, said: str, status: int) -> None:
        told = f" Salesforce says: {said[:300]}" if said else ""
        super().__init__(meaning.slug, f"{words[:1].upper()}{words[1:]} is not written: {meaning.words}.{told}", status=status)
        self.code = code
        self.said = said

    @property
    def of_the_request(self) -> bool:
        """Whether it is the form of what was asked that is refused, and another form may be taken."""
        return self.code.startswith("INVALID_FIELD") or self.code in {"", "NOT_FOUND", "MALFORMED_ID", "MISSING_ARGUMENT", "INACTIVE_OWNER_OR_USER"}

    def names(self, field: str) -> bool:
        """Whether it is this field that is refused."""
        return re.search(rf"(?<![\w]){re.escape(field)}(?![\w])", self.said) is not None


class RowLockedError(PassingError):
    """This record could not be written just now; others may be."""


def refused(status: int, code: str, message: str, words: str) -> RefusedError | RowLockedError:
    """What is to be thought of a record that was not written. ``words``: what it is."""
    if _LOCKED.search(code) or _LOCKED.search(message):
        detail = f"{words[:1].upper()}{words[1:]} is being written by somebody else at this moment; it is tried again. Salesforce says: {message[:300]}"
        return RowLockedError("crm-unavailable", detail, status=status)
    if code.startswith("INSUFFICIENT_ACCESS"):
        return RefusedError(_NOT_ALLOWED, words, code, message, status)
    return RefusedError(_MEANINGS.get(code) or _MEANINGS.get(str(status), _NOT_TAKEN), words, code, message, status)
