"""Which queries make a list."""

import pytest

from reservoir.integrations.salesforce import refuses_query
from reservoir.integrations.salesforce.query import object_of


@pytest.mark.parametrize(
    ("query", "of"),
    [
        ("SELECT Id FROM Lead", "Lead"),
        ("select id, Name from contact where Email like '%@acme.example' order by Name limit 10", "Contact"),
        ("SELECT\n  Name,\n  Id\nFROM Lead\nUSING SCOPE mine", "Lead"),
        ("SELECT l.Id, l.Name FROM Lead l WHERE l.Status = 'Open'", "Lead"),
        ("SELECT c.Id FROM Contact AS c", "Contact"),
        ("SELECT Lead.Id FROM Lead", "Lead"),
        ("SELECT FIELDS(STANDARD) FROM Contact", "Contact"),
        ("SELECT Name, toLabel(Status), Id FROM Lead", "Lead"),
        ("SELECT Id FROM Contact WHERE Id IN (SELECT ContactId FROM CampaignMember WHERE Status = 'Sent')", "Contact"),
        ("SELECT Id FROM Lead WHERE Company = 'From Account, Inc.' AND Name != 'O\\'Brien'", "Lead"),
        ("SELECT Id FROM Lead ORDER BY Name, Id", "Lead"),
    ],
)
def test_a_query_of_people_is_taken(query: str, of: str) -> None:
    """Leads or contacts, with their ids, however it is written."""
    assert (refuses_query(query), object_of(query)) == (None, of)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "begins with SELECT"),
        ("DELETE FROM Lead", "begins with SELECT"),
        ("FIND {Dana} IN ALL FIELDS RETURNING Lead(Id)", "begins with SELECT"),
        ("SELECT Id", "FROM Lead or FROM Contact"),
        ("SELECT Id FROM Account", "found FROM Account"),
        ("SELECT Id FROM", "found FROM nothing"),
        ("SELECT Name FROM Lead", "expected Id"),
        ("SELECT AccountId, Owner.Id FROM Contact", "expected Id"),
        ("SELECT COUNT() FROM Lead", "no COUNT()"),
        ("SELECT COUNT(Id), Status FROM Lead GROUP BY Status", "no GROUP BY"),
        ("SELECT MAX(Id) FROM Lead", "no MAX()"),
        ("SELECT Id, (SELECT Id FROM Tasks) FROM Contact", "no query inside SELECT"),
        ("SELECT c.Id FROM Contact c, c.Account a", "one after FROM"),
        ("SELECT (SELECT Id FROM Contacts) FROM Account", "no query inside SELECT"),
        ("SELECT Id FROM Lead WHERE Name = 'x", "never closed"),
    ],
)
def test_what_makes_no_list_is_refused(query: str, why: str) -> None:
    """With the reason, before anything is asked of Salesforce."""
    assert why in str(refuses_query(query))
