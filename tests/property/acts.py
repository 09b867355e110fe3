"""What the state machine's acts have in common: the orgs as the model has them, the processes, whom an act is about, and how answers are compared."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from reservoir.domain import claims as domain
from reservoir.domain.refusals import Refused
from reservoir.storage.keys import ACTIVE
from reservoir.storage.orgs import Org
from tests.property.processes import Process, World
from tests.support import model
from tests.support.builders import age, age_unreserved

Answer = TypeVar("Answer")

ORGS = ("acme", "beta")
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe")
IDS = {"csv": ("p1", "p2", "p3", "101", "a:b", "{x}*", "Zoë %41"), "hubspot": ("101", "102", "103", "104")}
LISTS = {"west": "csv", "east": "csv", "north": "hubspot", "south": "csv"}
REPS = ("ana@acme.com", "bo:{x}* ç")
SESSIONS = ("s-1", "s 2")
KEYS = ("k1", "k 2", "k:3")
HOLDS_S = (60, 600, 3_600)
TIMEOUTS = (("day", 1), ("day", 3), ("day", 150), ("hour", 36), ("hour", 100))
"""Long enough that none ends by itself while an example runs, in a sandbox org neither."""

WORTH_TELLING = ("id", "state", "integration", "prospect", "rep", "session", "mode", "list", "claimed_at_ms", "attempted_at_ms", "expires_at_ms")
NEVER = "a" * 16 + "00"
"""The id of no claim."""

takers = st.builds(
    model.Taker,
    st.sampled_from(REPS),
    st.sampled_from(SESSIONS),
    st.sampled_from(("power", "parallel", "parallel")),
    st.sampled_from((0, 0, *HOLDS_S)).map(lambda seconds: seconds * 1_000),
)


def slug_of(answer: object) -> str | None:
    """Why something was refused, or None."""
    return answer.slug if isinstance(answer, Refused) else None


class Acts(RuleBasedStateMachine):
    """What both the rules and the checks stand on. ``world`` is set by the test; ``tight``: the scripts' bounds are so small that every act meets them."""

    world: ClassVar[World]
    tight: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.world.server.flush()
        self.processes = self.world.processes()
        self.orgs: dict[str, model.Org] = {}
        self.acted: set[str] = set(ORGS)
        self.requests: dict[tuple[str, str], Callable[[Process], None]] = {}
        self.torn: set[tuple[str, str]] = set()
        self.unswept: set[str] = set()
        self.turn = 0
        self.told: dict[str, int] = dict.fromkeys(ORGS, 0)
        self.gone: list[str] = []

    @property
    def process(self) -> Process:
        """One of the processes, by turns."""
        self.turn += 1
        return self.processes[self.turn % 2]

    def ask(self, org: model.Org, question: Callable[[Process, Org], Awaitable[Answer]], process: Process | None = None) -> Answer:
        """Does something in an org, by a process."""
        self.acted = {org.id}
        asked = process or self.process
        return self.world.ask(asked, org.id, lambda known: question(asked, known))

    def held_against(self, org: model.Org, told: domain.Claim, claim: model.Claim) -> None:
        """An answer's claim is what the model says of it, with its prospect's data."""
        assert {name: getattr(told, name) for name in WORTH_TELLING} == claim.told(self.world.now_ms())
        versions = org.versions(claim)
        assert (told.member is None) == (not versions)
        assert told.member is None or orjson.loads(told.member)["fields"]["version"] in versions

    def met(self, org: model.Org, claim: model.Claim) -> None:
        """A script met the claim that has a prospect: if a hand had deleted the key, it is there again. An unreserved claim has nobody, and mends nothing."""
        if claim.state != "unreserved":
            self.torn.discard((org.id, f"{claim.integration}:{claim.prospect}"))

    def draw_org(self, data: st.DataObject) -> model.Org:
        return self.orgs[data.draw(st.sampled_from(("acme",) * 7 + ("beta",)), "org")]

    def draw_list(self, data: st.DataObject, org: model.Org) -> str:
        return data.draw(st.sampled_from((*sorted(org.lists, reverse=True) * 4, *(["west"] * 8 if "west" in org.lists else []), "nowhere")), "list")

    def draw_claim(self, data: st.DataObject, likely: Callable[[model.Claim], bool]) -> tuple[model.Org, model.Claim | None]:
        """An org and one of its claims, a likely one more often than others; None: of an id that it has not, be it forged or another org's."""
        org = self.orgs[data.draw(st.sampled_from([id_ for id_, org in self.orgs.items() if org.claims]), "org")]
        best = [id_ for id_, claim in org.claims.items() if likely(claim)]
        id_ = data.draw(st.sampled_from((*best[-4:] * 4, *best, *list(org.claims)[-4:], None)), "claim")
        return org, org.claims[id_] if id_ else None

    def stranger(self, org: model.Org) -> str:
        """The id of a claim that is not the org's: of one that was deleted, or of another one."""
        return self.gone[-1] if self.gone else next((id_ for other in self.orgs.values() if other is not org for id_ in other.claims), NEVER)

    def unknown(self, org: model.Org, of: model.Prospect, list_: str | None) -> str | None:
        """Why a list that was named cannot be that of the claim, or None."""
        if list_ is None:
            return None
        known = org.lists.get(list_)
        if known is None:
            return "list-not-found"
        return None if known.integration == of[0] and of[1] in known.rows else "not-a-member"

    def refuses_claim(self, org: model.Org, of: model.Prospect, list_: str | None, now_ms: int) -> str | None:
        """Why one particular prospect is not granted now, or None."""
        taken = org.settings[of[0]].enabled and org.holder(of, now_ms)
        return self.unknown(org, of, list_) or ("do-not-call" if org.flagged(of) else None) or ("prospect-reserved" if taken else None)

    def older(self, org: model.Org, claim: model.Claim, ms: int) -> None:
        """So much time passes for a hold or a reservation, and for nothing else."""
        if claim.state == "unreserved":
            age_unreserved(self.world.commands, org.id, claim.id, ms)
        else:
            age(self.world.commands, org.id, f"{claim.integration}:{claim.prospect}", ms)
        org.older(claim, ms)
        # Nothing ends sooner than a process that settles has heard, but for what was taken of late: so this was, however long ago the machine did it.
        self.world.commands("ZADD", ACTIVE, self.world.now_ms(), org.id)
