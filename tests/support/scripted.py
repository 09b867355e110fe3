"""A source that does what a test says, page by page, and a worker whose connections lead to it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from reservoir.domain.prospects import Member, Phone
from reservoir.integrations.source import Checked, Cursor, Page, RejectedRecord, Source, Wanted
from reservoir.storage.budgets import BudgetStore
from reservoir.storage.orgs import OrgStore
from reservoir.storage.syncs import SyncStore
from reservoir.sync.connections import Connections
from reservoir.sync.worker import Worker


def person(id_: str) -> Member:
    return Member("salesforce", id_, f"Name of {id_}", (Phone("phone", "+14155550100"),))


@dataclass
class Script:
    """What the source has: pages of ids, and faults by page, each raised once. ``gate``: a page that is there only when it is opened."""

    pages: list[list[str]]
    total: int | None = None
    rejected: dict[int, list[RejectedRecord]] = field(default_factory=dict)
    faults: dict[int, list[Exception]] = field(default_factory=dict)
    gates: dict[int, threading.Event] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    anew: list[bool] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    wanted: Wanted | None = None
    pace: Any = None

    def open(self, pace: Any = None) -> Source:
        self.opened += 1
        self.pace = pace
        return _Scripted(self)


class _Scripted:
    def __init__(self, script: Script) -> None:
        self._script = script

    def pages(self, wanted: Wanted, cursor: Cursor | None) -> Iterator[Page]:
        script = self._script
        script.wanted = wanted
        for number in range(int(str(cursor["page"])) if cursor else 0, max(1, len(script.pages))):
            script.asked.append(number)
            if number in script.gates:
                assert script.gates[number].wait(30), f"nobody opened page {number}"
            if script.faults.get(number):
                raise script.faults[number].pop(0)
            last = number + 1 >= len(script.pages)
            yield Page(
                tuple(person(id_) for id_ in (script.pages[number] if script.pages else ())),
                tuple(script.rejected.get(number, ())),
                None if last else {"page": number + 1},
                script.total,
                **(script.last if last else {}),
            )

    def check(self) -> Checked:
        return Checked("a user", ("read",), (), {"calls": 9})

    def close(self) -> None:
        self._script.closed += 1


class ScriptedConnections(Connections):
    """Every org is connected to the script."""

    def __init__(self, orgs: OrgStore, script: Script) -> None:
        super().__init__(orgs, BudgetStore(orgs), lambda _, __: object())
        self.script = script

    def opener(self, org_id: str, integration: str, *, anew: bool = False) -> Callable[[], Source]:
        del org_id, integration
        self.script.anew.append(anew)
        return self.script.open


@dataclass
class Working:
    """A worker in this process, that looks when it is told to."""

    worker: Worker
    script: Script
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def once(self) -> None:
        """Takes what is due, and works until nothing of it is under way."""
        await self.worker.turn(self.stop)
        await self.worker.idle()


def working(orgs: OrgStore, script: Script) -> Working:
    """A worker on the script, whose pauses between tries are none."""
    return Working(Worker(orgs, SyncStore(orgs), ScriptedConnections(orgs, script), pauses_s=(0.0, 0.0)), script)
