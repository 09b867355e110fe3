"""Orgs, lists and claims for tests, made by the scripts themselves, called one by one; and time that has passed without anybody waiting for it."""

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from reservoir.domain.search import terms_of_data
from reservoir.domain.times import DAY_MS, rfc3339
from reservoir.storage.keys import encoded, prefix
from reservoir.storage.scripts import Verb, script
from tests.support.commands import Commands, Word
from tests.support.keyspace import Snapshot, changes, snapshot

ALWAYS = (0, 1 << 52)
"""A window of store time that no test leaves."""

ROOM = 1 << 30
"""How many places a run has: the first run of a list begins at place -ROOM, the second at -2 * ROOM."""

TTL_MS = {"held": DAY_MS, "reserved": 7 * DAY_MS}
"""For how long a claim is known after its end."""

BARE: frozenset[Verb] = frozenset({"create_org", "delete_org", "read_org", "read_rights"})
"""Scripts that are given neither."""

READS: frozenset[Verb] = frozenset(verb for verb in get_args(Verb) if verb.startswith("read_")) - BARE
"""Scripts that are given the generation, but no window."""


@dataclass
class Terms:
    """What a setting means for an attempt now."""

    enabled: bool = True
    length_ms: int = DAY_MS
    switched_on: int = 1


@dataclass
class Bench:
    """One org on a server, driven script by script. ``terms`` and ``window`` are what the next calls are told; change them freely."""

    server: Commands
    org: str = "acme"
    generation: str = ""
    terms: dict[str, Terms] = field(default_factory=lambda: {"salesforce": Terms(), "hubspot": Terms(), "csv": Terms()})
    window: tuple[int, int] = ALWAYS
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def prefix(self) -> str:
        return prefix(self.org)

    def arguments(self, verb: Verb, *own: Word) -> list[Word]:
        """All arguments of a call but the nonce."""
        words: list[Word] = [] if verb in BARE else [self.generation]
        if verb not in READS | BARE:
            words += self.window
        words += own
        if script(verb).terms:
            words.append(" ".join(f"{name} {int(is_.enabled)} {is_.length_ms} {is_.switched_on}" for name, is_ in self.terms.items()))
        return words

    def call(self, verb: Verb, *own: Word, nonce: str | None = None) -> list[Any]:
        """The reply of a script without its nonce; numbers as such, however they were told. The same ``nonce`` makes it the same call, sent again.

        **Raises**: hiredis.ReplyError.
        """
        nonce = nonce or f"n{next(self._numbers)}"
        reply = self.server("EVAL", script(verb).source, 1, self.prefix, *self.arguments(verb, *own), nonce)
        assert reply.pop() == nonce
        assert isinstance(reply[1], int)
        return [as_number(told) for told in reply]

    def key(self, name: str) -> str:
        """A key of the org by what stands behind its prefix."""
        return self.prefix + name

    def snapshot(self) -> Snapshot:
        return snapshot(self.server)

    def changes(self, before: Snapshot) -> dict[str, Any]:
        """What is different since."""
        return changes(before, self.snapshot(), self.org)

    def history(self) -> list[dict[str, Any]]:
        """All entries, the oldest first."""
        entry = self.snapshot().get(self.key("history"))
        return list(entry.value) if entry else []

    # The org and its lists

    def create(self) -> "Bench":
        """Creates the org."""
        self.call("create_org", json.dumps({"id": self.org, "name": "Acme", "time_zone": "UTC", "phone_region": "US", "sandbox": False}))
        self.generation = self.server("GET", self.key("generation"))
        return self

    def create_list(self, list_: str, integration: str = "csv", source: str = "null", sync: str = "{}") -> None:
        assert self.call("create_list", list_, "0", list_.title(), integration, source, sync, '{"by":"a test"}')[0] == "created"

    def ask(self, list_: str, run: str) -> list[Any]:
        return self.call("ask_sync", list_, run)

    def take_sync(self, token: str, run: str = "begun", held_ms: int = 8_000) -> list[Any]:
        return self.call("take_sync", token, run, 60_000, held_ms)

    def hold(self, list_: str, run: str, held_ms: int = 8_000, after_ms: int | str = "", error: str = "") -> list[Any]:
        return self.call("hold_sync", list_, run, 60_000, held_ms, after_ms, error)

    def fill(self, list_: str, members: Iterable[str | tuple[str, str]], *, run: str | None = None) -> None:
        """One whole run of the list; a member that is given as a pair has a reason for not being dialable."""
        run = run or f"run{next(self._numbers)}"
        assert self.begin(list_, run)[0] == "begun"
        rows = [member if isinstance(member, tuple) else (member, "") for member in members]
        for number, start in enumerate(range(0, len(rows), 250)):
            assert self.page(list_, run, number, rows[start : start + 250])[0] == "in"
        while (reply := self.finish(list_, run))[0] == "leaving":
            pass
        assert reply[0] == "done"

    def make_list(self, list_: str, members: Iterable[str | tuple[str, str]], integration: str = "csv", **definition: str) -> None:
        """Creates a list that has these members, in this order."""
        self.create_list(list_, integration, **definition)
        self.fill(list_, members)

    def begin(self, list_: str, run: str, lease_ms: int = 60_000) -> list[Any]:
        return self.call("begin_sync", list_, run, lease_ms)

    def page(
        self,
        list_: str,
        run: str,
        number: int,
        members: Sequence[str | tuple[str, str]],
        *,
        rejected: Sequence[Mapping[str, object]] = (),
        first_line: int = 2,
        lease_ms: int = 60_000,
        version: int = 1,
        known: Mapping[str, str] | None = None,
    ) -> list[Any]:
        """Brings a page. ``version`` is in each member's data, so that another one is a change."""
        told: list[Word] = [len(members)]
        found: dict[str, list[str]] = {}
        for line, member in enumerate(members, first_line):
            prospect, reason = member if isinstance(member, tuple) else (member, "")
            told += [line, prospect, data(prospect, version), reason]
            found[prospect] = [f"{term} {prospect}" for term in found_by(prospect).split()]
        for entry in sorted(entry for entries in found.values() for entry in entries):
            told += [0, entry]
        counted = sum(not row.get("kept") for row in rejected)
        also = json.dumps(dict(known or {}))
        return self.call("import_page", list_, run, lease_ms, number, json.dumps(list(rejected)), counted, also, 8_000, *told)

    def finish(self, list_: str, run: str, *, truncated: bool = False, complete: bool = True) -> list[Any]:
        return self.call("finish_sync", list_, run, 60_000, int(truncated), int(complete), 8_000)

    # Claims

    def claim(
        self,
        list_: str = "west",
        *,
        rep: str = "ana",
        session: str = "s-1",
        mode: str = "parallel",
        count: int = 1,
        hold_ms: int = 0,
        key: str | None = None,
        digest: str = "digest",
        kept_ms: int = DAY_MS,
        base: str | None = None,
        after: str | int = "",
        waiting: str = "",
    ) -> list[Any]:
        """The reply to a claim on a list. Without a ``key`` it is a request of its own. ``waiting``: its word and ticket, if it waits."""
        number = next(self._numbers)
        request = (rep, session, mode, count, hold_ms, key or f"key{number}", digest, kept_ms)
        return self.call("claim", list_, *request, base or claim_base(number), after, waiting)

    def claim_one(
        self,
        prospect: str,
        *,
        integration: str = "csv",
        list_: str = "",
        rep: str = "ana",
        session: str = "s-1",
        mode: str = "power",
        hold_ms: int = 0,
        key: str | None = None,
        digest: str = "digest",
        kept_ms: int = DAY_MS,
        base: str | None = None,
    ) -> list[Any]:
        """The reply to a claim by id."""
        number = next(self._numbers)
        return self.call(
            "claim_one", integration, prospect, list_, rep, session, mode, hold_ms, key or f"key{number}", digest, kept_ms, base or claim_base(number)
        )

    def taken(self, list_: str = "west", **how: Any) -> list["Row"]:
        """Claims on a list, and what was granted."""
        reply = self.claim(list_, **how)
        assert reply[0] in {"claimed", "repeated"}, reply
        return [Row.of(told) for told in reply[2]]

    def take(self, list_: str = "west", **how: Any) -> "Row":
        """Claims one prospect of a list, which must be granted."""
        (row,) = self.taken(list_, **how)
        return row

    def age(self, member: str, ms: int) -> None:
        """As `age`."""
        age(self.server, self.org, member, ms)

    def age_unreserved(self, claim: str, ms: int) -> None:
        """As `age_unreserved`."""
        age_unreserved(self.server, self.org, claim, ms)


@dataclass(frozen=True)
class Row:
    """A claim's row, as scripts reply it."""

    id: str
    integration: str
    prospect: str
    rep: str | None
    session: str | None
    mode: str | None
    list: str | None
    state: str
    claimed_at: int | None
    attempted_at: int | None
    expires_at: int | None
    disposition: str | None
    member: str | None

    @classmethod
    def of(cls, told: Sequence[Any]) -> "Row":
        """The row that a script replied."""
        return cls(*told[:8], *(as_number(at) for at in told[8:11]), *told[11:])

    @property
    def ends(self) -> int:
        """When it ends, which it must."""
        assert self.expires_at is not None
        return self.expires_at


def as_number(told: Any) -> Any:
    """What a script told, as a number if that is what it is."""
    return int(told) if isinstance(told, str) and re.fullmatch(r"-?\d{1,18}", told) else told


def claim_base(number: int) -> str:
    """The base of a claim's id: 16 letters, the same ones for the same number."""
    return f"{number:016d}".translate(str.maketrans("0123456789", "abcdefghij"))


def data(prospect: str, version: int = 1) -> str:
    """A member's data, as `member_json` would shape it, but for what no script looks at."""
    return json.dumps({"id": prospect, "name": f"Name of {prospect}", "version": version})


def found_by(prospect: str) -> str:
    """What a search finds by such data."""
    return " ".join(terms_of_data(json.loads(data(prospect))))


def reservation(
    claim: str,
    claimed_ms: int,
    ends_ms: int,
    *,
    state: str = "reserved",
    rep: str = "ana",
    session: str = "s-1",
    mode: str = "parallel",
    list_: str | None = "west",
    attempted_ms: int | None = None,
) -> dict[str, Any]:
    """What a reservation's key must say. ``attempted_ms`` None: with the claim, unless it is held."""
    attempted = attempted_ms if attempted_ms is not None else (claimed_ms if state == "reserved" else None)
    return {
        "state": state,
        "rep": rep,
        "session": session,
        "mode": mode,
        "list": list_,
        "claim": claim,
        "claimed_at": rfc3339(claimed_ms),
        "attempted_at": None if attempted is None else rfc3339(attempted),
        "expires_at": rfc3339(ends_ms),
    }


def age(server: Commands, org: str, member: str, ms: int) -> None:
    """Lets ``ms`` pass for the live hold or reservation on a member (``integration:prospect``), and for nothing else: all its times lie so much further
    back, in its key, its claim, the witness and every list, as if it had been taken so much earlier. One whose end is past by that has ended, its key gone
    by the store's own hand, and nobody has settled it yet. A session and the tokens of requests live as long as they would have."""
    start = prefix(org)
    integration = member.partition(":")[0]
    while True:
        assert server("WATCH", f"{start}ends", f"{start}claim-of", f"{start}lists-of:{integration}") == "OK"
        ends, id_ = server("ZSCORE", f"{start}ends", member), server("HGET", f"{start}claim-of", member)
        if ends is None or id_ is None:
            server("UNWATCH")
            raise AssertionError(f"nobody has {member}")
        if server.all([("MULTI",), *_aged(server, start, member, id_, ms), ("EXEC",)])[-1] is not None:
            return


def age_unreserved(server: Commands, org: str, claim: str, ms: int) -> None:
    """Lets ``ms`` pass for a hold that was taken while multi-rep dialing was off, and for nothing else."""
    start = prefix(org)
    key = f"{start}claim:{claim}"
    assert server("ZSCORE", f"{start}unreserved-ends", claim) == server("HGET", key, "expires_at"), f"{claim} is no unreserved hold that stands"
    server.all([("MULTI",), ("ZINCRBY", f"{start}unreserved-ends", -ms, claim), *(("HINCRBY", key, at, -ms) for at in ("claimed_at", "expires_at")), ("EXEC",)])


def _aged(server: Commands, start: str, member: str, id_: str, ms: int) -> list[tuple[Word, ...]]:
    """The commands that move all times of one hold or reservation back."""
    integration, _, prospect = member.partition(":")
    reservation_key, claim_key = f"{start}reservation:{integration}:{encoded(prospect)}", f"{start}claim:{id_}"
    flat = server("HGETALL", claim_key)
    record = dict(zip(flat[::2], flat[1::2], strict=True))
    times = {name: int(record[name]) for name in ("claimed_at", "attempted_at", "expires_at", "first_expires_at") if name in record}
    commands: list[tuple[Word, ...]] = [("ZINCRBY", f"{start}ends", -ms, member)]
    commands += [("HSET", claim_key, name, at - ms) for name, at in times.items()]
    commands.append(("PEXPIREAT", claim_key, server("PEXPIRETIME", claim_key) - ms))
    text, key_ends = server("GET", reservation_key), server("PEXPIRETIME", reservation_key)
    if text is not None:
        for at in set(times.values()):
            text = text.replace(rfc3339(at), f"@{at}@")
        for at in set(times.values()):
            text = text.replace(f"@{at}@", rfc3339(at - ms))
        commands.append(("SET", reservation_key, text, "KEEPTTL"))
        if key_ends > 0:
            commands.append(("PEXPIREAT", reservation_key, key_ends - ms))
    if record.get("state") == "held":
        session = f"{start}session:{encoded(record['session'])}"
        commands.append(("ZADD", session, "XX", "INCR", -ms, id_))
    for mark in (server("HGET", f"{start}lists-of:{integration}", prospect) or "").split():
        commands += [("ZADD", f"{start}list:{mark}:{index}", "XX", "INCR", -ms, prospect) for index in ("held", "reserved") if not mark.startswith("!")]
    return commands
