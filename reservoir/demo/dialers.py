"""Eight simulated reps who dial one list in parallel mode: what a parallel dialer does, with `reservoir.client` over real HTTP, and with made-up telephones."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reservoir.client import Claim, ClaimLapsedError, Reservoir, Session

NAMES = ("ana", "bea", "carl", "dora", "emil", "fay", "gus", "hana")
LINES = (4, 3, 5, 4, 3, 5, 4, 4)
"""How many lines each of them dials at once."""

HOLD_SECONDS = 30
KEEP_SECONDS = 30

RINGING_S = (0.10, 0.55)
TALKING_S = (0.25, 0.80)
"""A call of the demo is over in a moment: it is not the talking that is shown."""

ENDINGS: tuple[tuple[str, int], ...] = (("no_answer", 58), ("voicemail", 22), ("connected", 12), ("busy", 6), ("wrong_number", 2))
"""How a call ends, in so many of a hundred."""


@dataclass(slots=True)
class Rep:
    """One of them, and what became of the calls. ``doing`` is what the rep does now, in words; ``dry``: nobody was left to call."""

    name: str
    lines: int
    calls: int = 0
    conversations: int = 0
    doing: str = "comes in"
    dry: bool = False

    @property
    def address(self) -> str:
        """By which the service knows the rep."""
        return f"{self.name}@acme.example"


@dataclass(slots=True)
class Office:
    """The reps together: they stop when so many calls were attempted, or when nobody is left. ``told`` is what the service said of every attempt."""

    calls_most: int
    reps: Sequence[Rep] = field(default_factory=lambda: [Rep(name, lines) for name, lines in zip(NAMES, LINES, strict=True)])
    told: list[Claim] = field(default_factory=list)
    lapsed: int = 0
    next_available_at: datetime | None = None
    begun_s: float = field(default_factory=time.monotonic)
    _left: int = 0

    @property
    def calls(self) -> int:
        """How many were attempted."""
        return len(self.told)

    @property
    def took_s(self) -> float:
        """Since they began."""
        return time.monotonic() - self.begun_s

    async def dial(self, url: str, key: str, list_id: str) -> None:
        """Dials until it is enough. **Raises**: as the client does."""
        self.begun_s, self._left = time.monotonic(), self.calls_most
        async with Reservoir(url, key) as reservoir, asyncio.TaskGroup() as group:
            for number, rep in enumerate(self.reps):
                group.create_task(self._work(reservoir, rep, list_id, random.Random(number)))  # noqa: S311 - chance, and no secret

    async def _work(self, reservoir: Reservoir, rep: Rep, list_id: str, chance: random.Random) -> None:
        async with reservoir.session(rep.address) as session:
            while (count := min(rep.lines, self._left)) > 0:
                self._left -= count
                rep.doing = "looks who is next"
                granted = await session.claim(list_id, mode="parallel", count=count, hold_seconds=HOLD_SECONDS)
                self._left += count - len(granted.claims)
                if not granted.claims:
                    rep.dry, self.next_available_at = True, granted.next_available_at
                    break
                await _Round(self, reservoir, session, rep, chance).dial(granted.claims)
        rep.doing = "finds nobody left" if rep.dry else "is done"


@dataclass(slots=True)
class _Round:
    """Several lines dialed at once. The first person who answers has the rep; the other lines hang up, and stay reserved all the same (R4)."""

    office: Office
    reservoir: Reservoir
    session: Session
    rep: Rep
    chance: random.Random
    _talking: asyncio.Event = field(default_factory=asyncio.Event)

    async def dial(self, claims: Sequence[Claim]) -> None:
        """Every line to its end."""
        self.rep.doing = f"rings {len(claims)} people"
        async with asyncio.TaskGroup() as lines:
            for claim in claims:
                lines.create_task(self._line(claim))

    async def _line(self, held: Claim) -> None:
        try:
            claim = await self.reservoir.attempt(held)
        except ClaimLapsedError:
            self.office.lapsed += 1  # somebody else may have this person by now: not dialed
            return
        self.office.told.append(claim)
        self.rep.calls += 1
        await self.reservoir.record_disposition(claim, await self._call(claim))

    async def _call(self, claim: Claim) -> str:
        ending = self.chance.choices([name for name, _ in ENDINGS], [weight for _, weight in ENDINGS])[0]
        try:
            async with asyncio.timeout(self.chance.uniform(*RINGING_S)):
                await self._talking.wait()
        except TimeoutError:
            if ending != "connected":
                return ending
        if self._talking.is_set():
            return "cancelled"
        self._talking.set()
        self.rep.conversations += 1
        self.rep.doing = f"talks to {claim.prospect.name}"
        async with self.reservoir.keep(claim, KEEP_SECONDS):
            await asyncio.sleep(self.chance.uniform(*TALKING_S))
        return ending
