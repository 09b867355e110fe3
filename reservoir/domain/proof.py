"""The proof that nobody was reserved twice: the history replayed, prospect by prospect, and held against what stands in the store.

It is a judgement of its own. It shares nothing with the scripts that grant, so that what is wrong with them is not wrong here, too.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from reservoir.domain.history import Entry
from reservoir.domain.times import DAY_MS, HOUR_MS, SECOND_MS, rfc3339

Kind = Literal["double-dial", "unknown", "lost", "wrong-end", "early-end", "impossible", "history-deleted"]
"""double-dial: two claims had one prospect at one time. unknown: a claim that the history does not know. lost: what should stand and does not. wrong-end:
ends that disagree, or that no rule allows. early-end: what ended before its time. impossible: an act that no claim in that state allows."""

HELD_MOST_MS = 8 * HOUR_MS
EXTENDED_MOST_MS = DAY_MS
"""How far a hold may be extended from its claim, and a reservation past its first end (R16)."""

SLACK_MS = SECOND_MS
"""An entry's stamp may lie a little before its script's own reading of the clock."""

SHOWN_MOST = 1_000
ENDED_KEPT = 65_536
"""Of how many prospects it is remembered who had them last, to know an act on what is over: a bound on memory, however long the history is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: with which prospect (``integration:prospect``), by which claims, in words."""

    kind: Kind
    prospect: str | None
    claims: tuple[str, ...]
    detail: str


@dataclass(slots=True)
class Findings:
    """All that is wrong, counted, and the first thousand of it."""

    shown: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: Kind, prospect: str | None, claims: tuple[str, ...], detail: str) -> None:
        """One more."""
        self.counts[kind] += 1
        if len(self.shown) < SHOWN_MOST:
            self.shown.append(Finding(kind, prospect, claims, detail))


@dataclass(slots=True)
class Taken:
    """Who has a prospect, as the history says. ``limit_ms``: how far it may be extended; None where its beginning is not known."""

    claim: str
    state: str
    from_ms: int
    ends_ms: int
    limit_ms: int | None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store has of a prospect, at one instant. None: it has no such thing.

    **Shape**: ``ends_ms`` is the witness, ``claim`` the one that *claim-of* names; ``key_claim`` the one that the reservation's key names, '' if it names none.
    """

    prospect: str
    ends_ms: int | None
    claim: str | None
    key_ends_ms: int | None
    key_claim: str | None
    record: Mapping[str, str | int | None] | None

    @property
    def claimed_ms(self) -> int:
        """When its claim was taken, by its record; 0 if that does not say."""
        return int((self.record or {}).get("claimed_at") or 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one org. **Units**: it is proved from ``since_ms`` to ``until_ms``, by the store's clock.

    **Shape**: ``whole``: nothing of the history has been let go yet. ``counts``: entries by type. ``missing_keys``: keys that a hand deleted, which frees
    nobody; ``foreign_keys``: keys that a hand set, which are obeyed. ``keys_sought``: whether keys that no index knows were looked for.
    """

    org: str
    since_ms: int
    until_ms: int
    whole: bool
    counts: Mapping[str, int]
    held: int
    reserved: int
    missing_keys: int
    foreign_keys: int
    keys_sought: bool
    findings: Findings

    @property
    def double_dials(self) -> int:
        """How many pairs of claims had one prospect at one time."""
        return self.findings.counts["double-dial"]

    @property
    def violations(self) -> int:
        """How much is wrong in all."""
        return self.findings.counts.total()


class Replay:
    """The history told entry by entry, in the order of recording, and the store's state where it has been told so far.

    **Shape**: memory is kept for whoever is taken, and for a bounded number of those who were.
    """

    def __init__(self, since_ms: int, *, whole: bool) -> None:
        self.since_ms = since_ms
        self.whole = whole
        self.findings = Findings()
        self.counts: Counter[str] = Counter()
        self.taken: dict[str, Taken] = {}
        self.missing_keys: set[str] = set()
        self.foreign_keys: set[str] = set()
        self._prospect_of: dict[str, str] = {}
        self._ended: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._acts: Mapping[str, Callable[[Entry, str, str], None]] = {
            "claim.held": self._granted,
            "claim.reserved": self._granted,
            "claim.extended": self._extended,
            "claim.released": self._released,
            "claim.lapsed": self._over,
            "reservation.expired": self._over,
        }

    def begins_behind(self, at_ms: int) -> None:
        """Nothing more is known of what was recorded up to then, but for what has been told already: it was let go while it was read."""
        if self.whole:
            self.whole, self.since_ms = False, at_ms + SLACK_MS

    def record(self, entry: Entry) -> None:
        """The next entry. One that blocks nobody (an unreserved claim, click to call, a setting, …) is counted."""
        self.counts[entry.type] += 1
        act = self._acts.get(entry.type)
        if act is None:
            return
        if entry.claim is None or entry.prospect is None or (entry.expires_at_ms is None and act in (self._granted, self._extended)):
            self.findings.add("impossible", entry.member, (), f"the entry {entry.id} ({entry.type}) does not say who or until when")
        else:
            act(entry, entry.member, entry.claim)

    def judge(self, found: Standing, now_ms: int) -> None:
        """Holds what the store has of a prospect at ``now_ms`` against the history up to that very instant."""
        known = self.taken.get(found.prospect)
        stands = found.ends_ms is not None and found.ends_ms >= now_ms
        if found.key_claim == "":
            self.foreign_keys.add(found.prospect)
        if known is None or known.ends_ms < now_ms:
            self._judge_free(found, known, stands=stands)
            return
        known.confirmed = True
        if not stands:
            self._add("lost", found.prospect, known.claim, f"should stand until {rfc3339(known.ends_ms)}, and the store has nobody for the prospect")
            return
        if found.claim != known.claim:
            self.findings.add("lost", found.prospect, (known.claim, found.claim or ""), f"{known.claim} should have the prospect, the store says {found.claim}")
        if found.ends_ms != known.ends_ms:
            self._add("wrong-end", found.prospect, known.claim, f"ends at {_time(found.ends_ms)} in the store, at {rfc3339(known.ends_ms)} by the history")
        self._judge_key(found, known)
        self._judge_record(found, known)

    def _judge_free(self, found: Standing, known: Taken | None, *, stands: bool) -> None:
        """Nobody has the prospect now, by the history."""
        if stands and known is not None:
            self._add(
                "wrong-end", found.prospect, known.claim, f"stands until {_time(found.ends_ms)}, though by the history it ended at {rfc3339(known.ends_ms)}"
            )
        elif stands:
            if found.record is not None and found.claim and found.claimed_ms < self.since_ms and not self.whole:
                self.taken[found.prospect] = Taken(found.claim, str(found.record["state"]), found.claimed_ms, found.ends_ms or 0, None, confirmed=True)
                return
            claims = (found.claim,) if found.claim else ()
            self.findings.add("unknown", found.prospect, claims, f"taken until {_time(found.ends_ms)}, and the history does not know it")
        elif found.key_claim:
            self.findings.add("unknown", found.prospect, (found.key_claim,), f"its key names {found.key_claim}, which has nobody")

    def _judge_key(self, found: Standing, known: Taken) -> None:
        if found.key_claim is None:
            self.missing_keys.add(found.prospect)
        elif found.key_claim not in {"", known.claim}:
            self.findings.add("lost", found.prospect, (known.claim, found.key_claim), f"its key names {found.key_claim}, not {known.claim}")
        elif found.key_claim and found.key_ends_ms != found.ends_ms:
            self._add("wrong-end", found.prospect, known.claim, f"its key ends at {_time(found.key_ends_ms)}, not at {_time(found.ends_ms)}")

    def _judge_record(self, found: Standing, known: Taken) -> None:
        if found.claim != known.claim:
            return
        if found.record is None:
            self._add("lost", found.prospect, known.claim, "has no record any more")
        elif found.record["member"] != found.prospect:
            self._add("impossible", found.prospect, known.claim, f"is a claim of {found.record['member']}")
        elif (known.state or found.record["state"], known.ends_ms) != (found.record["state"], found.record["expires_at"]):
            told = f"{found.record['state']} until {found.record['expires_at']}"
            self._add("wrong-end", found.prospect, known.claim, f"is {told} by its record, {known.state} until {known.ends_ms} by the history")

    # What the history tells

    def _granted(self, entry: Entry, member: str, claim: str) -> None:
        known, ends_ms = self.taken.get(member), entry.expires_at_ms or 0
        if ends_ms < entry.at_ms:
            self._add("wrong-end", member, claim, f"ends at {rfc3339(ends_ms)}, before it begins")
        if known is not None and known.claim == claim:
            self._attempted(entry, known)
            return
        if (other := self._prospect_of.get(claim)) is not None:
            self._add("impossible", member, claim, f"has {other} already, and was granted again")
        last = self._ended.get(member)
        if known is not None and known.ends_ms >= entry.at_ms:
            self._twice(
                member, known.claim, claim, f"was granted at {rfc3339(entry.at_ms)}, while {known.claim} had the prospect until {rfc3339(known.ends_ms)}"
            )
        elif last is not None and last[0] == claim:
            self._add("impossible", member, claim, f"was attempted at {rfc3339(entry.at_ms)}, after it had ended")
        elif last is not None and last[1] >= entry.at_ms:
            self._twice(member, last[0], claim, f"was granted at {rfc3339(entry.at_ms)}, while {last[0]} had the prospect until {rfc3339(last[1])}")
        if known is not None:
            self._end(member, known, known.ends_ms)
        held = entry.type == "claim.held"
        limit_ms = entry.at_ms + HELD_MOST_MS if held else ends_ms + EXTENDED_MOST_MS
        self.taken[member] = Taken(claim, "held" if held else "reserved", entry.at_ms, ends_ms, limit_ms)
        self._prospect_of[claim] = member

    def _attempted(self, entry: Entry, known: Taken) -> None:
        if known.state == "reserved" or entry.type == "claim.held":
            self._add("impossible", entry.member, known.claim, f"was granted again at {rfc3339(entry.at_ms)}, while it was {known.state}")
        elif known.ends_ms < entry.at_ms:
            self._add("impossible", entry.member, known.claim, f"was attempted at {rfc3339(entry.at_ms)}, after its hold had lapsed")
        known.state, known.ends_ms, known.confirmed = "reserved", entry.expires_at_ms or 0, False
        known.limit_ms = known.ends_ms + EXTENDED_MOST_MS

    def _extended(self, entry: Entry, member: str, claim: str) -> None:
        known, ends_ms = self.taken.get(member), entry.expires_at_ms or 0
        if known is None and not self.whole and member not in self._ended:
            self.taken[member] = Taken(claim, "", 0, ends_ms, None)
            self._prospect_of[claim] = member
        elif known is None or known.claim != claim:
            self._strange(entry, claim, known)
        else:
            if known.ends_ms < entry.at_ms:
                self._add("impossible", member, claim, f"was extended at {rfc3339(entry.at_ms)}, after it had ended")
            if ends_ms < known.ends_ms:
                self._add("wrong-end", member, claim, f"was shortened from {rfc3339(known.ends_ms)} to {rfc3339(ends_ms)}")
            if known.limit_ms is not None and ends_ms > known.limit_ms:
                self._add("wrong-end", member, claim, f"was extended to {rfc3339(ends_ms)}, beyond its limit {rfc3339(known.limit_ms)}")
            known.ends_ms, known.confirmed = ends_ms, False

    def _released(self, entry: Entry, member: str, claim: str) -> None:
        known = self.taken.get(member)
        if known is None or known.claim != claim:
            self._strange(entry, claim, known)
            return
        if known.state == "reserved":
            self._add("early-end", member, claim, f"was released at {rfc3339(entry.at_ms)}, though it was reserved until {rfc3339(known.ends_ms)}")
            self._end(member, known, known.ends_ms)
            return
        if known.ends_ms < entry.at_ms:
            self._add("impossible", member, claim, f"was released at {rfc3339(entry.at_ms)}, after its hold had lapsed")
        self._end(member, known, min(known.ends_ms, entry.at_ms - 1))

    def _over(self, entry: Entry, member: str, claim: str) -> None:
        known = self.taken.get(member)
        if entry.written_ms + SLACK_MS < entry.at_ms:
            self._add("early-end", member, claim, f"ended at {rfc3339(entry.at_ms)}, which was recorded at {rfc3339(entry.written_ms)} already")
        if entry.detail.get("reserved") is False and (known is None or known.claim != claim):
            return  # a hold of multi-rep dialing off, which never kept anybody away (R9)
        if known is None or known.claim != claim:
            self._strange(entry, claim, known)
            return
        if known.state and (known.state == "held") != (entry.type == "claim.lapsed"):
            self._add("impossible", member, claim, f"was {known.state}, and ended as {entry.type}")
        if entry.at_ms < known.ends_ms:
            self._add("early-end", member, claim, f"ended at {rfc3339(entry.at_ms)}, though it was to stand until {rfc3339(known.ends_ms)}")
        elif entry.at_ms > known.ends_ms:
            self._add("wrong-end", member, claim, f"ended at {rfc3339(entry.at_ms)}, though it was to end at {rfc3339(known.ends_ms)}")
        self._end(member, known, known.ends_ms)

    def _strange(self, entry: Entry, claim: str, known: Taken | None) -> None:
        """An act of a claim that does not have the prospect. One from before the history's beginning may have had it all the time."""
        last = self._ended.get(entry.member)
        from_before = not self.whole and (last is None or last[0] != claim)
        if known is not None and known.from_ms <= entry.at_ms and from_before:
            self._twice(entry.member, claim, known.claim, f"{claim} had the prospect until {rfc3339(entry.at_ms)}, and {known.claim} since {known.from_ms}")
        elif known is not None or not from_before:
            self._add("impossible", entry.member, claim, f"{entry.type} at {rfc3339(entry.at_ms)}, though it did not have the prospect")

    def _end(self, member: str, known: Taken, until_ms: int) -> None:
        """Forgets who has the prospect, but for until when they had it: the latest of those who had."""
        self.taken.pop(member, None)
        self._prospect_of.pop(known.claim, None)
        last = self._ended.pop(member, None)
        self._ended[member] = last if last is not None and last[1] > until_ms else (known.claim, until_ms)
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)

    def _twice(self, member: str, first: str, second: str, detail: str) -> None:
        self.findings.add("double-dial", member, (first, second), detail)

    def _add(self, kind: Kind, member: str, claim: str, detail: str) -> None:
        self.findings.add(kind, member, (claim,), detail)


def _time(at_ms: int | None) -> str:
    return "no time" if at_ms is None or at_ms < 0 else rfc3339(at_ms)
