"""Orgs as every process remembers them, and the two ways in which an org's scripts are called: reading and writing.

What is remembered carries the org's generation. Each call compares it at the store, so that a changed setting or a revoked key is obeyed by the next call of
every process; there is no cache that expires.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, get_args

import orjson

from reservoir.domain.reservation_timeout import ReservationTimeout, Unit, length
from reservoir.domain.settings import ApiKey, MultiRepDialing, OrgProfile
from reservoir.domain.write_back import Mapped, WriteBack
from reservoir.storage import keys
from reservoir.storage.clock import TOLERANCE_MS, HostTime
from reservoir.storage.redis import SEND_WITHIN_S, Argument, Reply, Store, StoreFaultError, StoreUnavailableError
from reservoir.storage.replies import flat_hash, items, text
from reservoir.storage.scripts import Verb, script

BEHIND_S = 1.0
"""How long a call may go on settling what is due before it is refused."""

CLOCK_TRIES = 4
Answer = TypeVar("Answer")
ACTIVE_MARK_S = 10.0
"""How often a process that claims says at the store that the org is active."""


class StaleError(Exception):
    """What was remembered of the org is not true any more. Nothing was done: read the org anew and ask again."""


class UnknownOrgError(Exception):
    """There is no such org, or there is none any more."""


@dataclass(slots=True)
class Org:
    """An org at one generation. Never changed after it was read, but for the terms, which are computed as they are needed."""

    profile: OrgProfile
    generation: str
    keys: Mapping[str, ApiKey]
    settings: Mapping[str, MultiRepDialing]
    write_back: Mapping[str, WriteBack]
    _terms: tuple[str, int, int] | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The org's id."""
        return self.profile.id

    @property
    def prefix(self) -> str:
        """What the org's keys begin with."""
        return keys.prefix(self.profile.id)

    def terms(self, at_ms: int) -> tuple[str, int, int]:
        """What the settings mean for an attempt at ``at_ms``, in the form in which scripts take it, and from when until when (ms) that is right."""
        if self._terms is None or not self._terms[1] <= at_ms < self._terms[2]:
            self._terms = self._read_terms(at_ms)
        return self._terms

    def _read_terms(self, at_ms: int) -> tuple[str, int, int]:
        parts, from_ms, until_ms = [], 0, 1 << 52
        for integration, setting in self.settings.items():
            lasts = length(setting.timeout, self.profile.zone, at_ms, sandbox=self.profile.sandbox)
            from_ms, until_ms = max(from_ms, lasts.from_ms), min(until_ms, lasts.until_ms)
            parts.append(f"{integration} {int(setting.enabled)} {lasts.length_ms} {setting.switched_on}")
        return " ".join(parts), from_ms, until_ms


@dataclass(slots=True)
class _Tried:
    """What has become of a write so far. ``doubtful``: a sending of it was lost, so that it may have been done."""

    since_s: float
    clock: int = 0
    doubtful: bool = False


class OrgStore:
    """All orgs of one store, as this process remembers them."""

    def __init__(self, store: Store, integrations: Sequence[str]) -> None:
        self.store = store
        self.integrations = tuple(integrations)
        self._known: dict[str, Org] = {}
        self._marked_s: dict[str, float] = {}

    async def get(self, org_id: str, *, fresh: bool = False) -> Org | None:
        """The org as it is remembered, or as the store has it if it is not or ``fresh`` is asked for; None if there is none."""
        if not fresh and (known := self._known.get(org_id)):
            return known
        reply = await self.store.run(script("read_org"), keys.prefix(org_id), *self.integrations)
        if reply[0] == b"none":
            self._known.pop(org_id, None)
            return None
        self._known[org_id] = org = self._org(reply)
        return org

    async def ask(self, org_id: str, question: Callable[[Org], Awaitable[Answer]]) -> Answer:
        """Asks under what is known of the org, and anew as long as that has changed: for work that outlasts a setting.

        **Raises**: UnknownOrgError.
        """
        while True:
            org = await self.get(org_id)
            if org is None:
                raise UnknownOrgError(org_id)
            try:
                return await question(org)
            except StaleError:
                continue

    async def ids(self) -> list[str]:
        """The ids of all orgs, in order; also of one that is just being made, or whose deletion is under way or was cut short."""
        members = await self.store.command("SMEMBERS", keys.ORGS)
        return sorted(text(member) for member in (members if isinstance(members, list | set) else []))

    async def all(self) -> list[Org]:
        """All orgs, in order."""
        return [org for org_id in await self.ids() if (org := await self.get(org_id)) is not None]

    async def is_current(self, org: Org) -> bool:
        """Whether what is remembered is still so."""
        generation = await self.store.command("GET", f"{org.prefix}generation")
        return generation == org.generation.encode()

    async def create(self, profile: OrgProfile) -> bool:
        """Creates an org. **Again**: False, nothing changes."""
        told = {
            "id": profile.id,
            "name": profile.name,
            "time_zone": profile.time_zone,
            "phone_region": profile.phone_region,
            "sandbox": profile.sandbox,
        }
        while True:
            await self.store.command("SADD", keys.ORGS, profile.id)
            reply = await self.store.run(script("create_org"), keys.prefix(profile.id), orjson.dumps(told))
            if reply[0] != b"deleting":
                await self.store.command("SADD", keys.ORGS, profile.id)  # once more: a deletion that is just over may have taken it out
                return reply[0] == b"created"
            await self.delete(profile.id)

    async def delete(self, org_id: str) -> bool:
        """Deletes an org with all that is in it, live reservations too. False if there is none. Every process refuses its keys from the first step on.

        **Again**: goes on where another was cut short; then False.
        """
        prefix = keys.prefix(org_id)
        reply = await self.store.run(script("delete_org"), prefix, "")
        if reply[0] == b"none":
            return False
        await self._delete_from(org_id, text(reply[2]))
        return True

    async def finish_deletion(self, org_id: str) -> None:
        """Goes on with a deletion that was cut short, if there is one. **Again**: nothing."""
        if not await self.store.command("EXISTS", f"{keys.prefix(org_id)}generation"):
            await self._delete_from(org_id, "0")

    async def _delete_from(self, org_id: str, cursor: str) -> None:
        prefix = keys.prefix(org_id)
        self._known.pop(org_id, None)
        for marked in (keys.ACTIVE, keys.SYNCING):
            await self.store.command("ZREM", marked, org_id)
        while (reply := await self.store.run(script("delete_org"), prefix, cursor))[0] == b"deleting":
            cursor = text(reply[2])
        await self.store.command("SREM", keys.ORGS, org_id)
        if await self.store.command("EXISTS", f"{prefix}generation"):  # somebody made it anew meanwhile
            await self.store.command("SADD", keys.ORGS, org_id)

    async def read(self, verb: Verb, org: Org, *arguments: Argument) -> Reply:
        """Runs a reading script. **Raises**: StaleError, StoreUnavailableError."""
        reply = await self.store.run(script(verb), org.prefix, org.generation, *arguments)
        if reply[0] == b"stale":
            self.forget(org)
            raise StaleError(org.id)
        return reply

    async def write(self, verb: Verb, org: Org, *arguments: Argument) -> Reply:
        """Runs a writing script, under the org's generation and within the interval of store time for which its arguments are right.

        **Again**: as the script's own header says. One that says ``more`` is called again until nothing is due.

        **Raises**: StaleError; StoreUnavailableError, too when the store's clock is not to be trusted.
        """
        tried = _Tried(asyncio.get_running_loop().time())
        while True:
            try:
                reply = await self._write_once(verb, org, arguments, tried)
            except StoreUnavailableError as error:
                error.unknown = error.unknown or tried.doubtful
                raise
            if reply[0] == b"stale":
                self.forget(org)
                if tried.doubtful:
                    raise StoreUnavailableError("the org's settings changed while the store did not answer", unknown=True)
                raise StaleError(org.id)
            now_s = asyncio.get_running_loop().time()
            if reply[0] == b"clock":
                tried.clock += 1
                if tried.clock == CLOCK_TRIES or now_s >= tried.since_s + SEND_WITHIN_S:
                    raise StoreUnavailableError("the store answers later than its clock can be predicted", unknown=tried.doubtful)
            elif reply[0] == b"more":
                if now_s >= tried.since_s + BEHIND_S:
                    raise StoreUnavailableError("more holds and reservations are due than were settled within a second", unknown=tried.doubtful)
            else:
                return reply

    async def _write_once(self, verb: Verb, org: Org, arguments: tuple[Argument, ...], tried: "_Tried") -> Reply:
        self._require_clock()
        store, called = self.store, script(verb)
        at_ms = store.clock.predict(HostTime.read())
        terms, from_ms, until_ms = org.terms(at_ms)
        window = (max(from_ms, at_ms - TOLERANCE_MS), min(until_ms, at_ms + TOLERANCE_MS))
        within_s = tried.since_s + SEND_WITHIN_S - asyncio.get_running_loop().time()
        told = (org.generation, *window, *arguments, *((terms,) if called.terms else ()))
        answered = await store.send(called, org.prefix, *told, within_s=within_s)
        tried.doubtful = tried.doubtful or answered.doubtful
        return answered.reply

    async def mark_active(self, org: Org) -> None:
        """Says at the store that something may be taken in this org, before it is, so that every process looks after what falls due in it."""
        self._require_clock()
        now_s = asyncio.get_running_loop().time()
        if now_s - self._marked_s.get(org.id, float("-inf")) >= ACTIVE_MARK_S:
            await self.store.command("ZADD", keys.ACTIVE, self.store.clock.predict(HostTime.read()), org.id)
            self._marked_s[org.id] = now_s

    async def mark_syncing(self, org: Org) -> None:
        """Says at the store that something may change about when the org's lists are synced, before it does, so that every worker looks at it."""
        self._require_clock()
        await self.store.command("ZADD", keys.SYNCING, self.store.clock.predict(HostTime.read()), org.id)

    def _require_clock(self) -> None:
        if not self.store.clock.trusted:
            jump_s = (self.store.clock.jump_ms or 0) / 1_000
            raise StoreUnavailableError(f"the store's clock is not to be trusted: it is {jump_s:+.1f} s from where it should be")

    def forget(self, org: Org) -> None:
        """Reads the org anew the next time."""
        if self._known.get(org.id) is org:
            del self._known[org.id]

    def _org(self, reply: Reply) -> Org:
        _, _, generation, profile, api_keys, settings, write_back = reply
        told = orjson.loads(text(profile))
        kept = {id_: orjson.loads(value) for id_, value in flat_hash(api_keys).items()}
        return Org(
            OrgProfile(told["id"], told["name"], told["time_zone"], told["phone_region"], told["sandbox"], int(told["created_at"])),
            text(generation),
            {
                id_: ApiKey(id_, key["name"], tuple(key["scopes"]), key["created_at"], key["sha256"])
                for id_, key in sorted(kept.items(), key=lambda pair: (pair[1]["created_at"], pair[0]))
            },
            {name: _setting(value) for name, value in zip(self.integrations, items(settings), strict=True)},
            {name: write_back_of(value) for name, value in zip(self.integrations, items(write_back), strict=True)},
        )


def _setting(kept: object) -> MultiRepDialing:
    if kept is None:
        return MultiRepDialing()
    told = orjson.loads(text(kept))
    timeout = told["reservation_timeout"]
    if timeout["unit"] not in get_args(Unit):
        raise StoreFaultError(f"a setting has the unit {timeout['unit']!r}")
    return MultiRepDialing(
        told["enabled"], ReservationTimeout(timeout["unit"], timeout["duration"]), told["switched_on"], told["updated_at"], told["updated_by"]
    )


def write_back_of(kept: object) -> WriteBack:
    """The setting as it is kept; the default where there is none."""
    if kept is None:
        return WriteBack()
    told = orjson.loads(text(kept))
    dispositions = {outcome: Mapped(mapped["fields"], mapped["remove"], mapped["call_outcome"]) for outcome, mapped in told["dispositions"].items()}
    return WriteBack(told["log_calls"], dispositions, told["updated_at"], told["updated_by"])
