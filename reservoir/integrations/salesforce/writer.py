"""Salesforce, written into: calls as tasks, and what dispositions change on leads and contacts."""

from collections.abc import Iterator, Sequence
from itertools import chain

from reservoir.config import SalesforceConfig
from reservoir.integrations.salesforce.calls import CallLog
from reservoir.integrations.salesforce.connection import Connection
from reservoir.integrations.salesforce.fields import FieldChanges
from reservoir.integrations.salesforce.records import Records
from reservoir.integrations.source import CrmError, Pace, PassingError, WaitError
from reservoir.integrations.writer import Change, Written


class SalesforceWriter:
    """One org's Salesforce, for one thread."""

    def __init__(self, config: SalesforceConfig, pace: Pace) -> None:
        self._connection = Connection(config, pace)
        records = Records(self._connection)
        self._calls = CallLog(records, config.call_id_field)
        self._fields = FieldChanges(records)

    def write(self, changes: Sequence[Change]) -> Iterator[Written]:
        """As `Writer`: calls, then fields, each as few requests as Salesforce allows."""
        later: PassingError | WaitError | None = None
        calls, fields = ([change for change in changes if change.what == what] for what in ("call", "fields"))
        for change, told in chain(self._calls.write(calls), self._fields.write(fields)):
            if isinstance(told, CrmError):
                if told.slug == "crm-credentials":
                    raise told
                yield Written(change, error=told)
            elif isinstance(told, str):
                yield Written(change, logged=told if change.what == "call" else None)
            else:
                later = later or told
        if later is not None:
            raise later

    def close(self) -> None:
        """As `Writer`."""
        self._connection.close()
