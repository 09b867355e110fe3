"""What a connection may write, by what Salesforce says of its objects."""

from collections.abc import Iterator, Mapping
from typing import Any

from reservoir.integrations.salesforce.connection import Connection
from reservoir.integrations.salesforce.records import described

_NEEDED = (
    ("log calls", "Task", "createable", "create tasks"),
    ("change leads", "Lead", "updateable", "edit leads"),
    ("change contacts", "Contact", "updateable", "edit contacts"),
)


def writable(connection: Connection, call_id_field: str) -> Iterator[tuple[bool, str]]:
    """What this user may do, and what not, in words. Where Salesforce does not tell, nothing is said. **Raises**: as `Source`."""
    for words, name, flag, permission in _NEEDED:
        found = described(connection, name)
        if isinstance(found.get(flag), bool):
            yield found[flag], words if found[flag] else f"{words}, which write-back needs: an admin must grant this user the permission to {permission}"
        if name == "Task" and isinstance(fields := found.get("fields"), list):
            yield _knows(fields, call_id_field)


def _knows(fields: list[Any], name: str) -> tuple[bool, str]:
    words = f"know a logged call again by {name}"
    field = next((field for field in fields if isinstance(field, Mapping) and field.get("name") == name), None)
    if field is None:
        return False, f"{words}: Task has no such field, or this user may not see it; until an admin adds it, a call is looked for before it is logged again"
    if field.get("externalId") is False or field.get("createable") is False:
        return False, f"{words}: it must be an external id of Task that this user may edit; until then, a call is looked for before it is logged again"
    return True, words
