"""A report's columns: which there are, and what each stands for in Salesforce's objects.

A column's token is no contract, and its label is in the reader's language. What it stands for is told by its entity (``Lead.Phone``), its data type, and by
what is in it; a few tokens are known besides, for answers that leave the entity out.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

COLUMNS_MOST = 100
"""Of a report that the API runs."""

PERSON = "person"
"""The entity of a column that is known by its token alone, in a report type that is not."""

_TOKENS = {
    "LEAD_ID": "lead.id", "CONTACT_ID": "contact.id", "CUST_ID": "*.id", "FIRST_NAME": "*.firstname", "LAST_NAME": "*.lastname", "FULL_NAME": "*.name",
    "PHONE": "*.phone", "PHONE1": "*.phone", "PHONE2": "*.fax", "FAX": "*.fax", "PHONE3": "*.mobilephone", "MOBILE": "*.mobilephone",
    "MOBILE_PHONE": "*.mobilephone", "PHONE4": "*.homephone", "HOME_PHONE": "*.homephone", "PHONE5": "*.otherphone", "OTHER_PHONE": "*.otherphone",
    "PHONE6": "*.assistantphone", "ASSISTANT_PHONE": "*.assistantphone", "OWNER": "*.owner", "OWNER_FULL_NAME": "*.owner", "OWNER_NAME": "*.owner",
    "COMPANY": "lead.company", "TITLE": "*.title", "ACCOUNT_NAME": "account.name", "ACCOUNT_ID": "account.id", "CONVERTED": "lead.isconverted",
    "DO_NOT_CALL": "*.donotcall", "CREATED_DATE": "*.createddate", "ACTIVITY_ID": "activity.id", "WHO_ID": "activity.whoid", "WHO_NAME": "activity.whoid",
}  # fmt: skip
"""What standard report types call their columns, in their own entity (*). Source: reports that other people's tests have recorded."""

_NOBODYS = re.compile(r"fax|assist|asst", re.IGNORECASE)
_ACTIVITIES = ("activity", "task", "event")
_WHO = re.compile(r"(?:activity|task|event)\.who(?:id|name|\.(?:id|name|firstname|lastname))?")


@dataclass(frozen=True, slots=True)
class Column:
    """**Shape**: ``kind`` is the data type and ``path`` entity and field, both in lower case; "" where the answer does not tell."""

    token: str
    kind: str
    path: str
    label: str = ""

    @property
    def entity(self) -> str:
        return self.path.partition(".")[0]

    @property
    def field(self) -> str:
        return self.path.partition(".")[2]

    @property
    def reaches_nobody(self) -> bool:
        """Whether a number in it is a fax's or an assistant's. The label is asked only where nothing else is known of the column."""
        return any(_NOBODYS.search(told) for told in ((self.path,) if self.path else (self.token, self.label)))


class Catalogue:
    """The columns of one report: those that it shows, in order, and those that its type has beside them."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        definition = described.get("reportMetadata") or {}
        self.type = str((definition.get("reportType") or {}).get("type") or "")
        self.own = _own(self.type)
        self.grouped = [group["name"] for which in ("groupingsDown", "groupingsAcross") for group in definition.get(which) or ()]
        self.selected = [token for token in definition.get("detailColumns") or () if token not in self.grouped]
        told = _told(described)
        self.columns = {token: self._column(token, told.get(token, {})) for token in dict.fromkeys((*self.selected, *self.grouped, *told))}

    @property
    def shown(self) -> list[str]:
        """The tokens that the report itself shows."""
        return [*self.selected, *self.grouped]

    @property
    def of_activities(self) -> bool:
        """Whether its rows are tasks and events."""
        return self.own == "activity" or any(_WHO.fullmatch(self.columns[token].path) for token in self.shown)

    def who(self) -> list[str]:
        """The columns that say with whom an activity is: the type's own id of them, and a name that links to them, those first that are shown."""
        found = sorted((token for token, column in self.columns.items() if _WHO.fullmatch(column.path)), key=lambda token: token not in self.shown)
        ids = set(self.of_kind("id", found))
        return [*[token for token in found if token not in ids][:1], *[token for token in found if token in ids][:1]]

    def at(self, *paths: str) -> list[str]:
        """The columns at these places, those of the first place first, and those that are shown before those that are not."""
        return [
            token
            for path in paths
            for shown in (True, False)
            for token, column in self.columns.items()
            if column.path == path and (token in self.shown) is shown
        ]

    def shown_at(self, *paths: str) -> list[str]:
        """The columns at these places that the report shows."""
        return [token for token in self.at(*paths) if token in self.shown]

    def of_kind(self, kind: str, tokens: Iterable[str] | None = None) -> list[str]:
        """Those of a data type."""
        return [token for token in (self.columns if tokens is None else tokens) if self.columns[token].kind == kind]

    def _column(self, token: str, told: Mapping[str, Any]) -> Column:
        entity = told.get("entityColumnName")
        path = str(entity) if entity else _known(token, self.own)
        return Column(token, str(told.get("dataType") or "").lower(), path.lower().replace("$", "."), str(told.get("label") or ""))


def _own(report_type: str) -> str:
    name = report_type.lower()
    if name.startswith(_ACTIVITIES):
        return "activity"
    return next((entity for entity in ("lead", "contact", "account") if name.startswith(entity)), "")


def _known(token: str, own: str) -> str:
    """What a token stands for by itself: a field's own path, or one that standard report types have."""
    known = _TOKENS.get(token.upper())
    if known is not None:
        return known.replace("*", own or PERSON)
    return token if re.fullmatch(r"[A-Za-z]\w*[.$][\w.$]+", token) else ""


def _told(described: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What an answer tells of each column, all its places together."""
    found: dict[str, dict[str, Any]] = {}
    extended = described.get("reportExtendedMetadata") or {}
    parts = [extended.get("detailColumnInfo"), extended.get("groupingColumnInfo")]
    parts += [category.get("columns") for category in (described.get("reportTypeMetadata") or {}).get("categories") or () if isinstance(category, Mapping)]
    for part in parts:
        for token, told in (part or {}).items():
            if isinstance(told, Mapping):
                found.setdefault(token, {}).update({key: value for key, value in told.items() if value is not None})
    return found
