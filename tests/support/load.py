"""Dialers under whose hands something is killed: they go on until they are stopped, and what they were told can be judged afterwards."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.fleet import Caller
from tests.support.history import Record
from tests.support.waiting import await_until


@dataclass
class Load:
    """Dialers who claim, call, give back and let hold, and write down what they are told, until they are stopped."""

    dialers: list[Caller]
    record: Record
    answers: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def repeats(self) -> int:
        return sum(dialer.repeats for dialer in self.dialers)

    async def dial(self, number: int) -> None:
        dialer, chance, turn = self.dialers[number % len(self.dialers)], random.Random(number), 0
        while not self.stopped.is_set():
            turn += 1
            taker = {"rep": f"rep-{number}", "session": f"s-{number}", "mode": "parallel"}
            body = {**taker, "count": chance.choice((1, 2, 3)), "hold_seconds": chance.choice((None, 3_600))}
            status, told = await dialer.ask("POST", "/v1/lists/west/claims", body, token=f"{number}:{turn}")
            assert status == 201, told
            self.record.granted(told["claims"])
            for claim in told["claims"]:
                if claim["state"] == "held":
                    await self.go_on(dialer, claim, chance.choice(("attempt", "release", "nothing")))
            self.answers += 1

    async def go_on(self, dialer: Caller, claim: Any, verb: str) -> None:
        path = f"/v1/claims/{claim['id']}/{verb}"
        if verb == "attempt":
            status, told = await dialer.ask("POST", path, {})
            assert status == 200, told
            self.record.granted([told])
        elif verb == "release":
            self.record.gives_back(claim["id"], time.time_ns() // 1_000_000)
            assert await dialer.ask("POST", path, {}) == (200, {"released": True})

    async def more_answers(self, count: int) -> None:
        """Returns when so many more were given."""
        enough = self.answers + count
        await await_until(lambda: self.answers >= enough, f"{count} more answers", timeout_s=60)
