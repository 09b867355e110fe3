"""Records, as an org has them, and ids that are Salesforce's."""

from typing import Any

from reservoir.integrations.salesforce.ids import prospect_id

Record = dict[str, Any]

PREFIXES = {"Lead": "00Q", "Contact": "003", "Account": "001", "Campaign": "701", "CampaignMember": "00v", "Task": "00T", "User": "005", "ListView": "00B"}
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OWNER: Record = {"Id": "005000000000001AAA", "Name": "Olga Owner"}


def record_id(prefix: str, number: int) -> str:
    """The number-th id of an object, in its 18 characters. The letters are in the order in which Salesforce sorts ids: capitals first."""
    digits = ""
    for _ in range(12):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return prospect_id(prefix + digits)


def lead(number: int, **fields: Any) -> Record:
    """A lead with everything that a dialer needs."""
    return {
        "Id": record_id("00Q", number), "FirstName": "Lea", "LastName": f"Lead {number}", "Name": f"Lea Lead {number}", "Company": f"Company {number}",
        "Title": "Director", "Phone": f"415555{number % 10_000:04}", "MobilePhone": None, "Fax": "415-555-9999", "Status": "Open", "DoNotCall": False,
        "IsConverted": False, "Owner": OWNER, "OwnerId": OWNER["Id"], "AnnualRevenue": 5.0, "CreatedDate": f"2026-01-{1 + number // 86_400 % 28:02}T"
        f"{number // 3_600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z", **fields,
    }  # fmt: skip


def contact(number: int, **fields: Any) -> Record:
    """A contact with everything that a dialer needs."""
    return {
        "Id": record_id("003", number), "FirstName": "Cora", "LastName": f"Contact {number}", "Name": f"Cora Contact {number}", "Title": "CFO",
        "Phone": f"212555{number % 10_000:04}", "MobilePhone": f"917555{number % 10_000:04}", "HomePhone": None, "OtherPhone": None,
        "AssistantPhone": "212-555-8888", "Fax": "212-555-9999", "DoNotCall": False, "Owner": OWNER, "OwnerId": OWNER["Id"],
        "Account": {"Id": record_id("001", number), "Name": f"Account {number}", "Phone": "212-555-7777"}, "AccountId": record_id("001", number),
        "ReportsTo": None, "ReportsToId": None, "CreatedDate": "2026-01-01T00:00:00Z", **fields,
    }  # fmt: skip


def value_at(record: Record | None, path: str) -> Any:
    """What stands at a path below a record; None where a lookup is empty."""
    if record is not None and "." not in path:
        return record[path]
    found: Any = record
    for name in path.split("."):
        if found is None:
            return None
        found = found[name]
    return found
