"""What is to be seen after every act, held against the model."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis.stateful import invariant

from reservoir.domain.claims import Reservation
from reservoir.domain.lists import ListState
from reservoir.domain.prospects import Phone
from reservoir.domain.refusals import Refused
from reservoir.domain.search import Question
from reservoir.domain.times import rfc3339
from reservoir.storage.keys import encoded, prefix
from reservoir.storage.lists import ListedMember
from reservoir.storage.orgs import Org
from reservoir.storage.removals import Removal
from reservoir.storage.reservations import After, Filter
from tests.property.acts import ORGS, REPS, Acts
from tests.property.processes import Process
from tests.support import model
from tests.support.keyspace import Snapshot, contradictions, snapshot, strays


@dataclass(frozen=True)
class Seen:
    """What the service tells of an org."""

    lists: list[ListState]
    members: dict[str, list[ListedMember]]
    removals: dict[str, list[Removal]]
    reservations: list[Reservation]
    found: list[set[model.Prospect]]


QUESTIONS: tuple[tuple[Question, Callable[[model.Row], bool]], ...] = (
    (Question((), None, ("ann",)), lambda row: row.version in {1, 2}),
    (Question((), None, ("anne",)), lambda row: row.version == 2),
    (Question((), Phone("", "+14155550100"), ()), lambda row: row.reason != "no-phone"),
)
"""What is searched for, and which rows of a list are meant by it."""


class Checks(Acts):
    """The invariants. An org in which nothing was done is not read again: its keys must be what they were, to the last TTL (R17)."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: set[str] = set()
        self.before: Snapshot = {}

    @invariant()
    def nothing_contradicts(self) -> None:
        """Every key is declared, every index of every list agrees with the witness, the keys and the claims; other orgs are as they were."""
        state, now_ms = snapshot(self.world.commands), self.world.now_ms()
        assert strays({key: entry for key, entry in state.items() if self.before.get(key) != entry}) == []
        for id_, org in self.orgs.items():
            start = prefix(id_)
            if id_ not in self.acted:
                assert {key: entry for key, entry in state.items() if key.startswith(start)} == {
                    key: entry for key, entry in self.before.items() if key.startswith(start)
                }
                continue
            found = [wrong for wrong in contradictions(state, id_, now_ms) if not self.excused(id_, wrong)]
            assert found == []
            self.read_history(org, state, now_ms)
            for claim in org.live(now_ms):
                self.read_key(org, claim, state)
        assert self.settled == set(), "not all that was due is in the history"
        self.before = state

    def excused(self, org: str, wrong: str) -> bool:
        """Whether an act is known to leave that behind: a key that a hand deleted, ties of a deleted list that are yet to be undone."""
        torn = any(wrong.startswith(f"{member}: ") and wrong.endswith("it is gone") for of, member in self.torn if of == org)
        return torn or (org in self.unswept and wrong.startswith("lists-of:"))

    def read_history(self, org: model.Org, state: Snapshot, now_ms: int) -> None:
        """Each act is in the history, once, in the order of acting; each lapse and expiry once, with its own instant."""
        entry = state.get(f"{prefix(org.id)}history")
        entries = list(entry.value) if entry else []
        for told in entries[self.told[org.id] :]:
            facts = {name: str(value) if name in {"prospect", "rep", "session"} else value for name, value in told.items() if name not in {"at", "detail"}}
            org.recorded(facts, told["at"], now_ms)
            self.settled.discard(str(told.get("claim")))
        self.told[org.id] = len(entries)
        assert not org.expected, f"the history does not have {list(org.expected)}"

    def read_key(self, org: model.Org, claim: model.Claim, state: Snapshot) -> None:
        """What an operator sees is what is so."""
        key = f"{prefix(org.id)}reservation:{claim.integration}:{encoded(claim.prospect)}"
        if key not in state and (org.id, f"{claim.integration}:{claim.prospect}") in self.torn:
            return
        assert state[key].expires_at_ms == claim.ends_ms
        assert state[key].value == {
            "state": claim.state,
            "rep": claim.taker.rep,
            "session": claim.taker.session,
            "mode": claim.taker.mode,
            "list": claim.list,
            "claim": claim.id,
            "claimed_at": rfc3339(claim.claimed_ms),
            "attempted_at": None if claim.attempted_ms is None else rfc3339(claim.attempted_ms),
            "expires_at": rfc3339(claim.ends_ms or 0),
        }

    @invariant()
    def all_is_told_as_it_is(self) -> None:
        """Counts are exact at every moment, the order is the list's own, and each member's status and holder are what they are."""
        acted, self.acted = self.acted, set()
        for id_ in sorted(acted & self.orgs.keys()):
            org, seen = self.orgs[id_], self.ask(self.orgs[id_], self.see)
            now_ms = self.world.now_ms()
            assert [state.definition.id for state in seen.lists] == sorted(org.lists)
            for state in seen.lists:
                self.read_list(org, org.lists[state.definition.id], state, now_ms)
                self.read_members(org, org.lists[state.definition.id], seen.members[state.definition.id], now_ms)
                self.read_removals(org.lists[state.definition.id], seen.removals[state.definition.id])
            self.read_reservations(org, seen.reservations, now_ms)
            for (asked, meant), found in zip(QUESTIONS, seen.found, strict=True):
                known = {(list_.integration, who) for list_ in org.lists.values() for who, row in list_.rows.items() if meant(row)}
                assert found == known, f"{asked} finds {found}, not {known}"
        self.acted = acted

    async def see(self, process: Process, org: Org) -> Seen:
        """Reads all that the service tells of the org, in pages of different sizes."""
        states, _ = await process.lists.page(org, 100, None)
        members: dict[str, list[ListedMember]] = {}
        for number, state in enumerate(states):
            members[state.definition.id] = found = []
            after: str | None = None
            while True:
                size = 2 if number == self.turn % len(states) else 100
                page = await process.lists.members(org, state.definition.id, size, after, self.looks)
                assert not isinstance(page, Refused)
                found += [member for member, _ in page.members]
                if not page.more:
                    break
                after = page.members[-1][1]
        removals: dict[str, list[Removal]] = {}
        for state in states:
            read = await process.removals.page(org, state.definition.id, None, 100, None)
            assert not isinstance(read, Refused)
            removals[state.definition.id] = read[0]
        reservations: list[Reservation] = []
        last: After | None = None
        while True:
            some, last = await process.reservations.page(org, Filter(), (3, 100)[self.turn % 2], last)
            reservations += some
            if last is None:
                hits = [{(one.id.integration, one.id.id) for one in await process.prospects.search(org, asked)} for asked, _ in QUESTIONS]
                return Seen(states, members, removals, reservations, hits)

    @property
    def looks(self) -> str:
        """The rep as whom the members are looked at."""
        return REPS[len(self.before) % len(REPS)]

    def read_list(self, org: model.Org, list_: model.List, told: ListState, now_ms: int) -> None:
        counts = told.counts
        held = [claim for claim in org.taken_in(list_, now_ms) if claim.state == "held"]
        undialable = len(list_.order) - len(list_.dialable())
        available = len(org.free(list_, now_ms))
        assert (counts.members, counts.available, counts.held, counts.undialable) == (len(list_.order), available, len(held), undialable)
        assert counts.reserved == len(list_.order) - available - len(held) - undialable
        assert told.next_available_at_ms == org.next_end(list_, now_ms)
        assert (told.multi_rep_dialing, told.fetched) == (org.settings[list_.integration].enabled, list_.fetched)
        run, sync = list_.run, told.last_sync
        assert (run and run.id) == (sync and sync.id)
        if run and sync:
            assert sync.state == ("failed" if run.state == "running" and run.silent else run.state)
            assert (sync.fetched, sync.added, sync.updated, sync.left) == (run.fetched, run.added, run.updated, run.left)
            assert (sync.rejected_count, sync.complete) == (run.rejected, run.complete)

    def read_members(self, org: model.Org, list_: model.List, found: list[ListedMember], now_ms: int) -> None:
        assert [member.prospect for member in found] == list_.order
        for member in found:
            holder, row = org.holder((list_.integration, member.prospect), now_ms), list_.rows[member.prospect]
            removed = member.prospect in list_.removed.get(self.looks, ())
            status = "undialable" if row.reason else holder.state if holder else "removed" if removed else "available"
            assert (member.status, member.reason) == (status, row.reason)
            assert (member.reservation and member.reservation.claim) == (holder and holder.id)

    def read_removals(self, list_: model.List, found: list[Removal]) -> None:
        """R10: whom each rep removed, and by which claim, though they are no members any more."""
        true = [(rep, who, claim) for rep, removed in list_.removed.items() for who, claim in removed.items()]
        assert [(one.rep, one.prospect, one.claim) for one in found] == sorted(true, key=lambda one: (encoded(one[0]), one[1].encode()))
        assert {one.integration for one in found} <= {list_.integration}

    def read_reservations(self, org: model.Org, found: list[Reservation], now_ms: int) -> None:
        """All that is held or reserved, soonest to end first."""
        assert [(one.claim, one.state, one.expires_at_ms) for one in found] == [(one.id, one.state, one.ends_ms) for one in org.live(now_ms)]
        for told in found:
            claim = org.claims[told.claim or ""]
            assert (told.integration, told.prospect, told.rep, told.session, told.mode, told.list) == (
                *claim.of, claim.taker.rep, claim.taker.session, claim.taker.mode, claim.list
            )  # fmt: skip
            assert (told.claimed_at_ms, told.attempted_at_ms) == (claim.claimed_ms, claim.attempted_ms)

    def teardown(self) -> None:
        """At the end all that is due is settled, once, and nobody is lost."""
        if self.orgs:
            self.world.run(self.process.settling.everything())
            self.acted = set(ORGS)
            self.unswept.clear()
            self.nothing_contradicts()
            self.all_is_told_as_it_is()
            assert [claim for org in self.orgs.values() for claim in org.due(self.world.now_ms())] == []
