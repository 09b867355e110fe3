"""Salesforce as a source: which reader a list has, and what the connection may do."""

from collections.abc import Iterator
from dataclasses import replace

from reservoir.config import SalesforceConfig, SalesforceJwt, SalesforcePassword
from reservoir.integrations.salesforce.answers import Asked
from reservoir.integrations.salesforce.connection import Connection, left_of
from reservoir.integrations.salesforce.queries import CampaignReader, QueryReader, source_id
from reservoir.integrations.salesforce.report import ReportReader
from reservoir.integrations.salesforce.rights import writable
from reservoir.integrations.source import Checked, CrmError, Cursor, Pace, Page, Wanted

_READS = (
    ("run reports (the permission Run Reports)", "analytics/reports", None),
    ("read leads, with phones and Do Not Call", "query/", "SELECT Id, Phone, DoNotCall, IsConverted FROM Lead WHERE Id IN ('00Q000000000000EAA')"),
    ("read contacts, with phones and Do Not Call", "query/", "SELECT Id, Phone, DoNotCall FROM Contact WHERE Id IN ('003000000000000AAA')"),
)
"""What syncs need: in words, and what shows it. The queries name nobody, and are refused all the same where the user may not read."""


class SalesforceSource:
    """One org's Salesforce, for one thread."""

    def __init__(self, config: SalesforceConfig, pace: Pace) -> None:
        self._config = config
        self._connection = Connection(config, pace)

    def pages(self, wanted: Wanted, cursor: Cursor | None) -> Iterator[Page]:
        """As `Source`."""
        kind = wanted.source["kind"]
        if kind != "soql":
            source_id(wanted)
        reader: ReportReader | QueryReader | CampaignReader
        if kind == "report":
            reader = ReportReader(self._connection, wanted)
        elif kind == "campaign":
            reader = CampaignReader(self._connection, wanted)
        else:
            reader = QueryReader(self._connection, wanted)
        yield from reader.pages(cursor)

    def check(self) -> Checked:
        """As `Source`. A part of the API that is not there says neither may nor may not."""
        limits = self._connection.read_limits()
        checked = Checked(self._user(), ("log in",), (), {})
        for words, path, query in _READS:
            try:
                self._connection.ask(path, Asked(words, "query"), params={"q": query} if query else None)
            except CrmError as error:
                if error.slug == "crm-credentials":
                    raise
                if error.slug != "crm-not-found" and error.status != 405:
                    checked = replace(checked, may_not=(*checked.may_not, f"{words}: {error}"), lacking=True)
            else:
                checked = replace(checked, may=(*checked.may, words))
        for may, words in writable(self._connection, self._config.call_id_field):
            checked = replace(checked, may=(*checked.may, words)) if may else replace(checked, may_not=(*checked.may_not, words))
        calls = self._connection.api_calls_left if self._connection.api_calls_left is not None else left_of(limits, "DailyApiRequests")
        budget = {"report_runs_left": self._connection.runs_left(limits)}
        return replace(checked, budget=budget if calls is None else {**budget, "api_calls_left": calls})

    def close(self) -> None:
        """As `Source`."""
        self._connection.close()

    def _user(self) -> str | None:
        """As whom we are logged in, if it can be told."""
        if isinstance(self._config, (SalesforceJwt, SalesforcePassword)):
            return self._config.username
        found = self._connection.user_id
        if found is None:
            return None
        try:
            answer = self._connection.ask("query/", Asked("the user", "query"), params={"q": f"SELECT Username FROM User WHERE Id = '{found}'"})  # noqa: S608
            name = answer["records"][0]["Username"]
        except (CrmError, KeyError, IndexError, TypeError):
            return found
        return name if isinstance(name, str) and name else found
