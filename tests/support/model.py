"""The rules of claiming as plain Python: what an org must look like after each act. No store, no clock of its own, no index; whatever can be derived is.

Every act is given the store's time. What only the store can know (a claim's id, the exact millisecond) is told to the model afterwards, by `granted` and the
like, which also say what the history must have by then. Prospects are pairs of integration and id.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from tests.support.clocks import expiry_by_the_rule

HOUR_MS = 3_600_000
HELD_MOST_MS = 8 * HOUR_MS
RESERVED_MOST_MS = 24 * HOUR_MS
SANDBOX_SPEED = 1_000

Prospect = tuple[str, str]
Facts = dict[str, object]


@dataclass
class Setting:
    """Multi-rep dialing of an integration. ``switched_on`` counts how often it came on."""

    enabled: bool = False
    unit: str = "day"
    duration: int = 1
    switched_on: int = 0


@dataclass(frozen=True)
class Taker:
    """Who claims, and how; ``hold_ms`` 0: the attempts start now."""

    rep: str
    session: str
    mode: str
    hold_ms: int = 0


@dataclass
class Claim:
    """A claim, whatever became of it. ``state`` never says lapsed or expired: that is a question of when one asks, see `told`. ``lined_up_ms``: until when a
    hold was to last as it was taken."""

    id: str
    integration: str
    prospect: str
    taker: Taker
    list: str | None
    state: str
    claimed_ms: int
    attempted_ms: int | None = None
    ends_ms: int | None = None
    first_ends_ms: int | None = None
    lined_up_ms: int = 0
    switched_on: int = 0
    disposition: tuple[str, bool, str | None] | None = None
    follows: str | None = None
    recorded_end: bool = False

    @property
    def of(self) -> Prospect:
        return self.integration, self.prospect

    def ran_out(self, now_ms: int) -> bool:
        """Whether it is an unreserved hold whose call did not begin in time (R9)."""
        return self.state == "unreserved" and self.attempted_ms is None and self.ends_ms is not None and self.ends_ms < now_ms

    def told(self, now_ms: int) -> Facts:
        """The claim as an answer tells of it at that time."""
        past = self.ends_ms is not None and self.ends_ms < now_ms
        state = self.state
        if past and (state == "held" or (state == "unreserved" and self.attempted_ms is None)):
            state = "lapsed"
        elif past and state == "reserved":
            state = "expired"
        return {
            "id": self.id,
            "state": state,
            "integration": self.integration,
            "prospect": self.prospect,
            "rep": self.taker.rep,
            "session": self.taker.session,
            "mode": self.taker.mode,
            "list": self.list,
            "claimed_at_ms": self.claimed_ms,
            "attempted_at_ms": self.attempted_ms,
            "expires_at_ms": None if self.state == "unreserved" else self.ends_ms,
        }

    def event(self, kind: str, **more: object) -> Facts:
        """What the history says of it."""
        told: Facts = {"integration": self.integration, "prospect": self.prospect, "rep": self.taker.rep, "session": self.taker.session}
        told |= {"mode": self.taker.mode, "claim": self.id, "type": kind} | more
        return told if self.list is None else told | {"list": self.list}


@dataclass(frozen=True)
class Row:
    """What a list has of a member. ``reason``: why nobody may be handed it, or None."""

    version: int = 1
    reason: str | None = None


@dataclass
class Run:
    """A sync. ``brought`` stand at the head of the list, in the order in which they came. ``sender``: who writes for it. ``due``: a worker may take it now.
    ``silent``: it is lost as soon as somebody looks."""

    id: str
    state: str = "running"
    sender: str = ""
    due: bool = False
    silent: bool = False
    complete: bool = False
    page: int = 0
    brought: list[str] = field(default_factory=list)
    fetched: int = 0
    added: int = 0
    updated: int = 0
    left: int = 0
    rejected: int = 0


@dataclass
class List:
    """A list. ``sourced``: a CRM's, which workers read. ``removed``: whom each rep removed, and by which claim.
    ``places``: the prospect last handed to each rep while the mode was off, and its rank."""

    integration: str
    sourced: bool = False
    order: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    removed: dict[str, dict[str, str]] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    run: Run | None = None
    fetched: int = 0

    def dialable(self, rep: str | None = None) -> list[str]:
        """Members who can be dialed, in order; with a rep, those that the rep has not removed."""
        return [who for who in self.order if self.rows[who].reason is None and who not in self.removed.get(rep or "", {})]

    def beyond(self, rep: str) -> list[str]:
        """The members behind the rep's own place (R9)."""
        if rep not in self.places:
            return self.order
        last, rank = self.places[rep]
        return self.order[self.order.index(last) + 1 :] if last in self.order else self.order[rank:]

    def ahead(self, rep: str) -> list[str]:
        """Whom the rep's own walk has still to meet (R9)."""
        left = self.beyond(rep)
        return [who for who in self.dialable(rep) if who in left]

    def begin(self, run_id: str) -> Run:
        """A run begins. Who leaves by it leaves a rep at the rank that it has now."""
        run = self.run = Run(run_id)
        self.places = {rep: (last, self.order.index(last) if last in self.order else rank) for rep, (last, rank) in self.places.items()}
        return run

    def bring(self, run: Run, number: int, rows: list[tuple[str, Row]]) -> None:
        """A page of the run: what it brings stands behind what the run has brought before, and before all the rest (R12)."""
        run.silent = False
        if number == run.page:
            return
        run.page = number
        for who, row in rows:
            if who in run.brought:
                run.rejected += not self.sourced
                continue
            run.brought.append(who)
            run.fetched += 1
            run.added += who not in self.rows
            run.updated += who in self.rows and self.rows[who] != row
            self.rows[who] = row
        self.order = run.brought + [who for who in self.order if who not in run.brought]

    def erase(self, who: str) -> None:
        """A member is forgotten. A rep who was handed it last goes on at its rank, and one whose last had left, at the same people."""
        rank = self.order.index(who)
        for rep, (last, at) in self.places.items():
            if last == who:
                self.places[rep] = last, rank
            elif last not in self.order and at > rank:
                self.places[rep] = last, at - 1
        self.order.remove(who)
        del self.rows[who]
        if self.run and who in self.run.brought:
            self.run.brought.remove(who)

    def finish(self, run: Run, *, complete: bool) -> None:
        """The run was read to its end: who it did not bring leaves, if the source was ready (``complete``)."""
        if complete:
            run.left = len(self.order) - len(run.brought)
            self.order = list(run.brought)
            self.rows = {who: row for who, row in self.rows.items() if who in run.brought}
        run.complete, self.fetched = complete, run.fetched


@dataclass
class Org:
    """An org. ``taken`` keeps who is past as long as the history does not say so; ``expected`` is what the history must say next."""

    id: str
    zone: str
    sandbox: bool
    settings: dict[str, Setting]
    lists: dict[str, List] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    taken: dict[Prospect, str] = field(default_factory=dict)
    tokens: dict[str, tuple[object, list[str]]] = field(default_factory=dict)
    expected: deque[Facts] = field(default_factory=deque)

    def holder(self, of: Prospect, now_ms: int) -> Claim | None:
        """The claim that has the prospect now, or None."""
        claim = self.claims.get(self.taken.get(of, ""))
        return claim if claim and claim.ends_ms is not None and claim.ends_ms >= now_ms else None

    def stands(self, claim: Claim, now_ms: int) -> bool:
        """Whether the claim is still its owner's."""
        return claim.state == "unreserved" or self.holder(claim.of, now_ms) is claim

    def live(self, now_ms: int) -> list[Claim]:
        """All that is held or reserved now, soonest to end first."""
        found = [claim for of in self.taken if (claim := self.holder(of, now_ms))]
        return sorted(found, key=lambda claim: (claim.ends_ms, f"{claim.integration}:{claim.prospect}".encode()))

    def due(self, now_ms: int) -> list[Claim]:
        """All whose end is past, and not in the history."""
        unreserved = [claim for claim in self.claims.values() if claim.ran_out(now_ms) and not claim.recorded_end]
        return [self.claims[id_] for of, id_ in self.taken.items() if not self.holder(of, now_ms)] + unreserved

    def free(self, list_: List, now_ms: int, rep: str | None = None) -> list[str]:
        """Who of a list is available, in order; with a rep, to that rep."""
        return [who for who in list_.dialable(rep) if not self.holder((list_.integration, who), now_ms)]

    def taken_in(self, list_: List, now_ms: int, rep: str | None = None) -> list[Claim]:
        """The claims that keep members of a list from being dialed."""
        return [claim for who in list_.dialable(rep) if (claim := self.holder((list_.integration, who), now_ms))]

    def next_end(self, list_: List, now_ms: int, rep: str | None = None) -> int | None:
        """When the next member of a dry list frees; None if some are available, or if none will be."""
        ends = [claim.ends_ms for claim in self.taken_in(list_, now_ms, rep) if claim.ends_ms is not None]
        return None if self.free(list_, now_ms, rep) else min(ends, default=None)

    def flagged(self, of: Prospect) -> bool:
        """Whether any list has the CRM's Do Not Call flag for the prospect."""
        return any(list_.integration == of[0] and of[1] in list_.rows and list_.rows[of[1]].reason == "do-not-call" for list_ in self.lists.values())

    def versions(self, claim: Claim) -> set[int]:
        """Which version of a prospect's data an answer may show: its own list's, else any list's that has it; none if it is in no list."""
        own = self.lists.get(claim.list or "")
        if own and own.integration == claim.integration and claim.prospect in own.rows:
            return {own.rows[claim.prospect].version}
        return {of.rows[claim.prospect].version for of in self.lists.values() if of.integration == claim.integration and claim.prospect in of.rows}

    # Why

    def against(self, of: Prospect, name: str | None, rep: str | None, mode: str | None, now_ms: int) -> list[str]:
        """The rules that keep a prospect from being dialed now; with a list, by a claim on it."""
        list_ = self.lists.get(name or "")
        inside = list_ if list_ and list_.integration == of[0] else None
        row = inside.rows.get(of[1]) if inside else None
        holder, on = self.holder(of, now_ms), self.settings[of[0]].enabled
        found = ["not-a-member"] if name and not row else []
        if mode != "click_to_call":
            found += [holder.state] if holder and on else []
            found += ["do-not-call"] if self.flagged(of) else []
            found += ["undialable"] if row and row.reason == "no-phone" else []
            found += ["removed"] if inside and of[1] in inside.removed.get(rep or "", {}) else []
            found += ["behind-your-place"] if inside and row and rep and not on and of[1] not in inside.beyond(rep) else []
        return found

    def against_all(self, list_: List, rep: str | None, now_ms: int) -> dict[str, int]:
        """How many members of a list each rule keeps from being dialed now."""
        on = self.settings[list_.integration].enabled
        found = Counter(claim.state for claim in self.taken_in(list_, now_ms) if on)
        found.update("undialable" if row.reason == "no-phone" else row.reason for row in list_.rows.values() if row.reason)
        found["removed"] = sum(who in list_.removed.get(rep or "", {}) for who in list_.order)
        found["behind-your-place"] = 0 if on else len(list_.order) - len(list_.beyond(rep or ""))
        return {rule: count for rule, count in found.items() if count}

    # Prospects

    def knows(self, of: Prospect, now_ms: int) -> bool:
        """Whether there is anything of a person to be erased: in a list, taken, or noted."""
        listed = any(list_.integration == of[0] and of[1] in list_.rows for list_ in self.lists.values())
        noted = any(claim.of == of and claim.disposition and claim.disposition[2] is not None for claim in self.claims.values())
        return listed or noted or self.holder(of, now_ms) is not None

    def erase(self, of: Prospect) -> int:
        """A person was erased: out of all lists, out of so many, and no note is left. Who has them has them still."""
        lists = [list_ for list_ in self.lists.values() if list_.integration == of[0] and of[1] in list_.rows]
        for list_ in lists:
            list_.erase(of[1])
        for claim in self.claims.values():
            if claim.of == of and claim.disposition:
                claim.disposition = (*claim.disposition[:2], None)
        self.expected.append({"type": "prospect.erased", "integration": of[0], "prospect": of[1]})
        return len(lists)

    # Claims

    def repeats(self, key: str | None, request: object, now_ms: int) -> str | list[Claim] | None:
        """What a request with this key is answered, if the key is known: a refusal, or the claims that still stand (R15)."""
        if key is None or key not in self.tokens:
            return None
        first, ids = self.tokens[key]
        if first != request:
            return "idempotency-key-reused"
        return [self.claims[id_] for id_ in ids if self.stands(self.claims[id_], now_ms)] or "claim-lapsed"

    def wanted(self, list_: List, taker: Taker, count: int, now_ms: int) -> list[str]:
        """Whom a claim on a list must be granted, in order."""
        if self.settings[list_.integration].enabled:
            return self.free(list_, now_ms, taker.rep)[:count]
        return list_.ahead(taker.rep)[:count]

    def granted(self, of: Prospect, list_: str | None, taker: Taker, id_: str, now_ms: int) -> Claim:
        """A claim was granted at that time, under that id."""
        setting = self.settings[of[0]]
        claim = Claim(id_, *of, taker, list_, "unreserved", now_ms, switched_on=setting.switched_on)
        assert id_ not in self.claims, f"the claim id {id_} is used twice"
        self.claims[id_] = claim
        if not setting.enabled:
            claim.attempted_ms = None if taker.hold_ms else now_ms
            claim.ends_ms = now_ms + taker.hold_ms if taker.hold_ms else None
            self.expected.append(claim.event("claim.unreserved"))
            return claim
        assert not self.holder(of, now_ms), f"{of} is granted to {id_}, and {self.taken[of]} has it"
        claim.follows = self.taken.get(of)
        self.taken[of] = id_
        if taker.hold_ms:
            claim.state, claim.ends_ms = "held", now_ms + taker.hold_ms
            claim.lined_up_ms = claim.ends_ms
        else:
            claim.state, claim.attempted_ms, claim.ends_ms = "reserved", now_ms, self.expiry(of[0], now_ms)
        self.expected.append(claim.event(f"claim.{claim.state}", expires_at=claim.ends_ms))
        return claim

    def walked(self, list_: List, rep: str, last: str) -> None:
        """While the mode is off, a rep's place is the prospect last handed over."""
        list_.places[rep] = last, list_.order.index(last)

    def expiry(self, integration: str, now_ms: int) -> int:
        """When an attempt that starts now ends."""
        setting = self.settings[integration]
        length_ms = expiry_by_the_rule(setting.unit, setting.duration, self.zone, now_ms) - now_ms
        return now_ms + (length_ms // SANDBOX_SPEED if self.sandbox else length_ms)

    def refuses_attempt(self, claim: Claim, now_ms: int) -> str | None:
        """Why a claim's call must not start now, or None."""
        if claim.state != "unreserved":
            return None if self.stands(claim, now_ms) else "claim-lapsed"
        setting = self.settings[claim.integration]
        past = claim.ends_ms is not None and claim.ends_ms < now_ms
        lapsed = claim.attempted_ms is None and (past or setting.enabled or setting.switched_on != claim.switched_on)
        return "claim-lapsed" if lapsed else None

    def attempted(self, claim: Claim, now_ms: int) -> None:
        """A claim's call started at that time, unless it had before."""
        if claim.attempted_ms is not None:
            return
        claim.attempted_ms = now_ms
        if claim.state == "unreserved":
            self.expected.append(claim.event("claim.attempted"))
        else:
            claim.state, claim.ends_ms = "reserved", self.expiry(claim.integration, now_ms)
            self.expected.append(claim.event("claim.reserved", expires_at=claim.ends_ms))

    def refuses_release(self, claim: Claim, now_ms: int) -> str | None:
        """Why a claim cannot be given back, or None."""
        if claim.state in {"unreserved", "reserved"}:
            return "claim-unreserved" if claim.state == "unreserved" else "reservation-not-removable"
        return None if claim.state == "released" or self.stands(claim, now_ms) else "claim-lapsed"

    def released(self, claim: Claim, now_ms: int) -> None:
        """A hold was given back at that time, unless it had been before."""
        if claim.state == "held":
            claim.state, claim.ends_ms = "released", now_ms
            del self.taken[claim.of]
            self.expected.append(claim.event("claim.released"))

    def held_by(self, session: str, now_ms: int) -> list[Claim]:
        """What a session holds, in the order in which it was to end as it was taken."""
        found = [claim for claim in self.claims.values() if claim.state == "held" and claim.taker.session == session and self.stands(claim, now_ms)]
        return sorted(found, key=lambda claim: (claim.lined_up_ms, claim.id))

    def refuses_extension(self, claim: Claim, until_ms: int, now_ms: int) -> str | None:
        """Why a claim cannot be kept until then, or None (R16)."""
        if claim.state == "unreserved" or not self.stands(claim, now_ms):
            return "claim-unreserved" if claim.state == "unreserved" else "claim-lapsed"
        ends_ms = claim.ends_ms or 0
        limit_ms = claim.claimed_ms + HELD_MOST_MS if claim.state == "held" else (claim.first_ends_ms or ends_ms) + RESERVED_MOST_MS
        return "extension-limit" if ends_ms < until_ms and until_ms > limit_ms else None

    def extended(self, claim: Claim, until_ms: int) -> None:
        """A claim is kept until then, if that is later than it was."""
        if claim.ends_ms is not None and until_ms > claim.ends_ms:
            if claim.state == "reserved":
                claim.first_ends_ms = claim.first_ends_ms or claim.ends_ms
            claim.ends_ms = until_ms
            self.expected.append(claim.event("claim.extended", expires_at=until_ms))

    def refuses_disposition(self, claim: Claim, *, remove: bool) -> str | None:
        """Why an outcome cannot be recorded, or None."""
        if claim.attempted_ms is None:
            return "claim-not-attempted"
        return "no-list" if remove and claim.list is None else None

    def disposed(self, claim: Claim, outcome: str, *, remove: bool, note: str | None) -> None:
        """An outcome was recorded; with ``remove``, the rep is not handed the prospect again from that list (R10)."""
        if claim.disposition == (outcome, remove, note):
            return
        claim.disposition = outcome, remove, note
        self.expected.append(claim.event("disposition.recorded"))
        if remove and (list_ := self.lists.get(claim.list or "")):
            removed = list_.removed.setdefault(claim.taker.rep, {})
            if claim.prospect not in removed:
                removed[claim.prospect] = claim.id
                self.expected.append(claim.event("prospect.removed"))

    def restored(self, list_: str, rep: str, prospect: str) -> None:
        """A remove was undone."""
        claim = self.lists[list_].removed[rep].pop(prospect)
        facts: Facts = {"integration": self.lists[list_].integration, "prospect": prospect, "rep": rep, "list": list_, "claim": claim}
        self.expected.append(facts | {"type": "prospect.restored"})

    def older(self, claim: Claim, ms: int) -> None:
        """So much time has passed for the claim, and for nothing else."""
        claim.claimed_ms -= ms
        claim.attempted_ms = None if claim.attempted_ms is None else claim.attempted_ms - ms
        claim.ends_ms = None if claim.ends_ms is None else claim.ends_ms - ms
        claim.first_ends_ms = None if claim.first_ends_ms is None else claim.first_ends_ms - ms
        claim.lined_up_ms -= ms

    # History

    def recorded(self, entry: Facts, at_ms: int, now_ms: int) -> None:
        """The history has one more entry: it must be the next one expected, or the end, not told before, of a claim that is past by now."""
        if entry["type"] not in {"claim.lapsed", "reservation.expired"}:
            assert self.expected, f"the history has what nobody did: {entry}"
            assert entry == self.expected.popleft()
            follows = self.claims[str(entry["claim"])].follows if "claim" in entry else None
            assert follows is None or self.claims[follows].recorded_end, f"{entry} is in the history before the end of {follows}"
            return
        claim = self.claims[str(entry["claim"])]
        kind = "reservation.expired" if claim.state == "reserved" else "claim.lapsed"
        assert entry == claim.event(kind), f"{entry} is told of {claim}"
        assert claim.state != "unreserved" or claim.ran_out(now_ms), f"the history has an end of {claim}, whose call began"
        assert not claim.recorded_end, f"the history has the end of {claim.id} twice"
        assert claim.ends_ms == at_ms < now_ms, f"{claim} ended at {claim.ends_ms}, and the history says {at_ms}, at {now_ms}"
        claim.recorded_end = True
        if self.taken.get(claim.of) == claim.id:
            del self.taken[claim.of]
