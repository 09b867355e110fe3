"""Connections to the CRMs of orgs, as the config has them."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from reservoir.integrations.base import integrations
from reservoir.integrations.source import Checked, CrmError, Source
from reservoir.integrations.writer import Writer
from reservoir.storage.budgets import BudgetStore
from reservoir.storage.orgs import OrgStore
from reservoir.sync.pacing import SharedPace
from reservoir.sync.threads import OneThread

NOTHING_TO_CHECK = Checked(None, (), (), {})


class Connections:
    """What a source is opened with: the org's table of the config, and its budget. ``tables`` gives the table of an org by the integration's name, or None."""

    def __init__(self, orgs: OrgStore, budgets: BudgetStore, tables: Callable[[str, str], Any]) -> None:
        self._orgs = orgs
        self._budgets = budgets
        self._tables = tables

    def has(self, org_id: str, integration: str) -> bool:
        """Whether the org is connected. One that has no source needs no connection."""
        return not integrations()[integration].has_source or self._tables(org_id, integration) is not None

    def opener(self, org_id: str, integration: str, *, anew: bool = False) -> Callable[[], Source]:
        """What opens the source, to be called in the thread that will use it. ``anew``: the CRM's limits are read again, whatever it said before.

        **Raises**: CrmError (``crm-not-connected``).
        """
        offered, kept = integrations().get(integration), self._tables(org_id, integration)
        if offered is None or offered.connect is None or kept is None:
            table = f"[orgs.{org_id}.{integration}]"
            detail = f"This service has no connection to {integration} for the org {org_id}: its operator must put a table {table} into the config."
            raise CrmError("crm-not-connected", detail)
        connect, pace = offered.connect, SharedPace(self._orgs, self._budgets, org_id, integration, anew=anew)
        return lambda: connect(kept, pace)

    def writes(self, org_id: str, integration: str) -> bool:
        """Whether the org is connected to a CRM that can be written into."""
        return integrations()[integration].writer is not None and self._tables(org_id, integration) is not None

    def writer(self, org_id: str, integration: str) -> Callable[[], Writer]:
        """What opens the writer, to be called in the thread that will use it, where the org has one (`writes`)."""
        connect, kept = integrations()[integration].writer, self._tables(org_id, integration)
        if connect is None:
            raise ValueError(f"nothing can be written into {integration}")
        pace = SharedPace(self._orgs, self._budgets, org_id, integration)
        return lambda: connect(kept, pace)

    async def check(self, org_id: str, integration: str) -> Checked:
        """Logs in and looks at what the connection may do. **Raises**: CrmError, PassingError, WaitError."""
        if not integrations()[integration].has_source:
            return NOTHING_TO_CHECK
        opener = self.opener(org_id, integration)
        thread = OneThread(f"check of {integration}")

        def check() -> Checked:
            with closing(opener()) as source:
                return source.check()

        try:
            return await thread.do(check)
        finally:
            thread.end()
