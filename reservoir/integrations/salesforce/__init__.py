"""Salesforce: its leads and contacts, and the reports, list views, queries and campaigns that are lists of them.

Nothing here imports the client library; `connect` and `connect_writer` do, in the thread of a worker that will use it.
"""

from reservoir.config import SalesforceConfig
from reservoir.integrations.salesforce.ids import prospect_id
from reservoir.integrations.salesforce.query import refuses_query
from reservoir.integrations.source import Pace, Source
from reservoir.integrations.writer import Writer

__all__ = ["KINDS", "UNCLOG", "connect", "connect_writer", "prospect_id", "refuses_query"]

KINDS = ("report", "list_view", "soql", "campaign")

UNCLOG = (
    'So that they leave by themselves, add to the report in Salesforce a cross filter "without Activities" whose date is TODAY, '
    "or a filter on a status that a call changes."
)


def connect(config: SalesforceConfig, pace: Pace) -> Source:
    """A connection as the org's config has it. It logs in when it is first asked for something."""
    from reservoir.integrations.salesforce.source import SalesforceSource  # 0.5 s and 37 MB, which only a worker has to bear

    return SalesforceSource(config, pace)


def connect_writer(config: SalesforceConfig, pace: Pace) -> Writer:
    """The same connection, to write back."""
    from reservoir.integrations.salesforce.writer import SalesforceWriter

    return SalesforceWriter(config, pace)
