"""The pace of an org's calls to its CRM, for a source in its own thread, kept at the store for all workers."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError as NobodyWaitsError
from typing import TypeVar

from reservoir.integrations.source import PassingError, WaitError
from reservoir.storage.budgets import BudgetStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.redis import StoreUnavailableError

Answer = TypeVar("Answer")

ANSWER_WITHIN_S = 30.0


class SharedPace:
    """As `reservoir.integrations.source.Pace`. ``anew``: what the CRM said before is forgotten as soon as it says more, or something is spent."""

    def __init__(self, orgs: OrgStore, budgets: BudgetStore, org_id: str, integration: str, *, anew: bool = False) -> None:
        self._orgs = orgs
        self._budgets = budgets
        self._org_id = org_id
        self._integration = integration
        self._loop = asyncio.get_running_loop()
        self._anew = anew
        self._forgotten: set[str] = set()

    def spend(self, what: str, most: int, per_s: int) -> None:
        """As `Pace`."""
        self._forget(what)
        after_s = self._ask(lambda org: self._budgets.spend(org, self._integration, what, most, per_s))
        if after_s is not None:
            words = f"{most} {what.replace('_', ' ')} in {_span(per_s)}, or the fewer that the CRM says are left,"
            raise WaitError("crm-budget", f"The budget of {words} is used up. It goes on by itself.", after_s=after_s)

    def free(self, what: str, most: int, per_s: int) -> int:
        """As `Pace`."""
        return max(0, most - self._ask(lambda org: self._budgets.spent(org, self._integration, what, per_s)))

    def hold(self, what: str, for_s: float) -> None:
        """As `Pace`."""
        self._forget(what)
        self._ask(lambda org: self._budgets.hold(org, self._integration, what, for_s))

    def left(self, what: str, count: int, for_s: float) -> None:
        """As `Pace`."""
        self._forget(what)
        self._ask(lambda org: self._budgets.left(org, self._integration, what, count, for_s))

    def _forget(self, what: str) -> None:
        """What was said before, and nothing of what is said now."""
        if self._anew and what not in self._forgotten:
            self._forgotten.add(what)
            self._ask(lambda org: self._budgets.forget(org, self._integration, what))

    def _ask(self, ask: Callable[[Org], Awaitable[Answer]]) -> Answer:
        """Asks the store from the source's thread. **Raises**: PassingError where it is away: nothing is spent that nobody counts."""
        try:
            return asyncio.run_coroutine_threadsafe(self._orgs.ask(self._org_id, ask), self._loop).result(ANSWER_WITHIN_S)
        except (StoreUnavailableError, TimeoutError, NobodyWaitsError, RuntimeError) as error:
            raise PassingError("crm-unavailable", "The budget of the CRM cannot be read, for the store is away.") from error


def _span(per_s: int) -> str:
    return {60: "a minute", 3_600: "an hour", 86_400: "a day"}.get(per_s, f"{per_s} seconds")
