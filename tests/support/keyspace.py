"""The whole keyspace of a server as a value: taken, compared, restored, and held against what must always be true of it."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reservoir.domain.search import terms_of_data
from reservoir.storage.keys import decoded, encoded, kind_of, prefix
from tests.support.commands import Commands

Value = Any
"""A string as text, a hash as a dict, a set as a frozenset, a sorted set as a dict of scores, a stream as a list of fields; see ``_told``."""


@dataclass(frozen=True)
class Entry:
    """One key. **Units**: ``expires_at_ms`` is the store's clock; None: never."""

    type: str
    value: Value
    expires_at_ms: int | None


Snapshot = Mapping[str, Entry]


class _Gone:
    """What stands for a value that is not there any more."""

    def __repr__(self) -> str:
        return "GONE"


GONE = _Gone()

_READ: dict[str, tuple[str | int, ...]] = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    "stream": ("XRANGE", "-", "+"),
    "list": ("LRANGE", 0, -1),
}


def names(server: Commands) -> list[str]:
    """All keys, in order."""
    cursor, found = "0", set[str]()
    while True:
        cursor, some = server("SCAN", cursor, "COUNT", 1_000)
        found |= set(some)
        if cursor == "0":
            return sorted(found)


def snapshot(server: Commands) -> Snapshot:
    """Every key with its type, its value and when it expires, at one instant."""
    found: dict[str, Entry] = {}
    keys = names(server)
    types = server.all([("TYPE", key) for key in keys])
    commands = [(_READ[type_][0], key, *_READ[type_][1:]) for key, type_ in zip(keys, types, strict=True) if type_ != "none"]
    replies = server.all([("MULTI",), *commands, *(("PEXPIRETIME", key) for key in keys), ("EXEC",)])[-1]
    values, times = replies[: len(commands)], replies[len(commands) :]
    living = [(key, type_, at) for key, type_, at in zip(keys, types, times, strict=True) if type_ != "none"]
    for (key, type_, at), value in zip(living, values, strict=True):
        if at != -2:
            found[key] = Entry(type_, _value(type_, value), None if at == -1 else at)
    return found


def _value(type_: str, raw: Any) -> Value:
    match type_:
        case "string":
            return _told(raw)
        case "hash":
            return {name: _told(value) for name, value in zip(raw[::2], raw[1::2], strict=True)}
        case "set":
            return frozenset(raw)
        case "zset":
            return {member: int(float(score)) for member, score in zip(raw[::2], raw[1::2], strict=True)}
        case "stream":
            return [{name: _told(value) for name, value in zip(fields[::2], fields[1::2], strict=True)} for _, fields in raw]
        case _:
            return raw


def _told(text: str) -> Value:
    """A value in the form in which a test writes it: a number as one, JSON as what it says."""
    if re.fullmatch(r"-?(0|[1-9]\d{0,17})", text):
        return int(text)
    try:
        return json.loads(text) if text[:1] in {"{", "["} else text
    except ValueError:
        return text


def changes(before: Snapshot, after: Snapshot, org: str = "acme") -> dict[str, Value]:
    """What is different afterwards, one entry for each value: ``key`` of a string, ``key[field]``, ``key[member]`` of a set (True) or sorted set (score),
    ``key+`` for the entries that a stream got, ``key ttl`` for when a key expires. `GONE` is what went. Keys are told without the org's prefix."""
    old, new = dict(_flat(before)), dict(_flat(after))
    found = {path: new.get(path, GONE) for path in old.keys() | new.keys() if path not in old or path not in new or old[path] != new[path]}
    for path in [path for path, value in found.items() if isinstance(value, list) and path.endswith("+")]:
        was = old.get(path, [])
        if new[path][: len(was)] == was:
            found[path] = new[path][len(was) :]
    return {path.removeprefix(prefix(org)): found[path] for path in sorted(found)}


def _flat(state: Snapshot) -> Iterator[tuple[str, Value]]:
    for key, entry in state.items():
        match entry.type:
            case "hash" | "zset":
                yield from ((f"{key}[{part}]", value) for part, value in entry.value.items())
            case "set":
                yield from ((f"{key}[{part}]", True) for part in entry.value)
            case "stream":
                yield f"{key}+", entry.value
            case _:
                yield key, entry.value
        if entry.expires_at_ms is not None:
            yield f"{key} ttl", entry.expires_at_ms


Saved = list[tuple[str, int, str]]


def save(server: Commands) -> Saved:
    """All keys as the server itself writes them down, for `restore`."""
    keys = names(server)
    dumps, times = server.all([("DUMP", key) for key in keys]), server.all([("PEXPIRETIME", key) for key in keys])
    return [(key, max(at, 0), dump) for key, at, dump in zip(keys, times, dumps, strict=True) if dump is not None]


def restore(server: Commands, saved: Saved) -> None:
    """Exactly those keys are there again, and no others."""
    replies = server.all([("FLUSHALL",), *(("RESTORE", key, at, dump, "ABSTTL") for key, at, dump in saved)])
    assert set(replies) <= {"OK"}, replies


def strays(state: Snapshot) -> list[str]:
    """What is there that `reservoir.storage.keys.KEYS` does not declare so: a key of no kind, of another type, without its TTL, or with one."""
    found = []
    for key, entry in state.items():
        kind = kind_of(key)
        if kind is None:
            found.append(f"{key} is no key of the service")
        elif kind.type != entry.type:
            found.append(f"{key} is a {entry.type}, declared as {kind.type}")
        elif kind.ttl != (entry.expires_at_ms is not None):
            found.append(f"{key} has {'no TTL, and' if kind.ttl else 'a TTL, and'} is declared {'to have one' if kind.ttl else 'permanent'}")
    return found


def contradictions(state: Snapshot, org: str, now_ms: int) -> list[str]:
    """What is there that cannot all be true: lists whose indexes do not add up, or disagree with the witness `ends`, the keys or the claims."""
    return list(_Reading(state, org, now_ms).contradictions())


class _Reading:
    """An org's keys, read as the contract says that they are to be read."""

    def __init__(self, state: Snapshot, org: str, now_ms: int) -> None:
        start = prefix(org)
        self.keys = {key.removeprefix(start): entry.value for key, entry in state.items() if key.startswith(start)}
        self.times = {key.removeprefix(start): entry.expires_at_ms for key, entry in state.items() if key.startswith(start)}
        self.now_ms = now_ms
        self.ends: dict[str, int] = self.keys.get("ends", {})
        self.owners: dict[str, str] = self.keys.get("claim-of", {})
        self.lists: dict[str, str] = {list_: self.keys[f"list:{list_}"]["integration"] for list_ in self.keys.get("lists", {})}

    def contradictions(self) -> Iterator[str]:
        for list_, integration in self.lists.items():
            yield from self._list(list_, integration)
        yield from self._ties()
        yield from self._search()
        if self.ends.keys() != self.owners.keys():
            yield f"ends and claim-of differ: {self.ends.keys() ^ self.owners.keys()}"
        for member, ends in self.ends.items():
            yield from self._taken(member, ends)
        for id_, ends in self.keys.get("unreserved-ends", {}).items():
            claim = self.keys.get(f"claim:{id_}", {})
            if (claim.get("state"), claim.get("expires_at"), claim.get("attempted_at")) != ("unreserved", ends, None):
                yield f"unreserved-ends has {id_} until {ends}, which is {claim}"
        for session, held in self.keys.items():
            if session.startswith("session:"):
                yield from (f"{session} has {id_}, which is not held" for id_ in held if self.keys.get(f"claim:{id_}", {}).get("state") != "held")

    def _list(self, list_: str, integration: str) -> Iterator[str]:
        order, *indexes = (self.keys.get(f"list:{list_}:{name}", {}) for name in ("order", "available", "held", "reserved", "undialable"))
        available, held, reserved, undialable = indexes
        counted = Counter(prospect for index in indexes for prospect in index)
        if twice := [prospect for prospect, count in counted.items() if count > 1]:
            yield f"{list_}: in two indexes: {twice}"
        if counted.keys() != order.keys():
            yield f"{list_}: members {order.keys() - counted.keys()} are in no index, {counted.keys() - order.keys()} are no members"
        if self.keys.get(f"list:{list_}:members", {}).keys() != order.keys():
            yield f"{list_}: members and order differ"
        for prospect, place in (available | undialable).items():
            if order.get(prospect) != place:
                yield f"{list_}: {prospect} is not at its place"
        for state, index in (("held", held), ("reserved", reserved)):
            for prospect, ends in index.items():
                yield from self._index(list_, f"{integration}:{prospect}", state, ends)
        yield from self._skips(list_, available)
        for prospect in available:
            if self.ends.get(f"{integration}:{prospect}", 0) >= self.now_ms:
                yield f"{list_}: {prospect} is available and taken"

    def _skips(self, list_: str, available: Mapping[str, int]) -> Iterator[str]:
        """R10: what is remembered of a rep's walk costs that rep nobody."""
        came = self.keys.get(f"list:{list_}:came", {})
        for rep, text in self.keys.get(f"list:{list_}:skips", {}).items():
            read, place, *early = text.split("\n")
            if "" in came and came[""] <= int(read):
                met = {*self.keys.get(f"list:{list_}:removed:{encoded(rep)}", {}), *early, *(who for who, number in came.items() if number > int(read))}
                if lost := {who for who, at in available.items() if at <= int(place)} - met:
                    yield f"{list_}: {rep} would not meet {lost}"

    def _index(self, list_: str, member: str, state: str, ends: int) -> Iterator[str]:
        if member in self.ends:
            claim = self.keys.get(f"claim:{self.owners.get(member)}", {})
            if (self.ends[member], claim.get("state", state)) != (ends, state):
                yield f"{list_}: {member} is {state} until {ends}, but {claim.get('state')} until {self.ends[member]}"
        elif self._key(member) not in self.keys:
            yield f"{list_}: {member} is {state}, and nobody has it"

    def _ties(self) -> Iterator[str]:
        unswept = {(prospect, key.split(":")[1]) for key, members in self.keys.items() if key.startswith("sweep:") for prospect in members}
        for integration in {*self.lists.values()}:
            told = {(prospect, mark) for prospect, marks in self.keys.get(f"lists-of:{integration}", {}).items() for mark in str(marks).split()}
            true = {
                (prospect, f"!{list_}" if prospect in self.keys.get(f"list:{list_}:undialable", {}) else list_)
                for list_, of in self.lists.items()
                if of == integration
                for prospect in self.keys.get(f"list:{list_}:order", {})
            }
            if wrong := {(prospect, mark) for prospect, mark in told ^ true if (prospect, mark.lstrip("!")) not in unswept}:
                yield f"lists-of:{integration} is wrong about {wrong}"

    def _search(self) -> Iterator[str]:
        """The search finds whoever is in a list by all that the list knows, and nobody by anything else but what is yet to be tidied."""
        aside = [told.split(" ", 1) for told in self.keys.get("search-due", ())]
        gone = [(integration, json.loads(data)) for integration, data in aside]
        gone += [(of, data) for key, rows in self.keys.items() if key.startswith("sweep-members:") for data in rows.values() for of in ALL]
        for integration in ALL:
            known = [data for list_, of in self.lists.items() if of == integration for data in self.keys.get(f"list:{list_}:members", {}).values()]
            true = {entry for data in known for entry in _entries(data)}
            told = self.keys.get(f"search:{integration}", {}).keys()
            past = {entry for of, data in gone if of == integration for entry in _entries(data)}
            if true - told or told - true - past:
                yield f"search:{integration} lacks {true - told} and has {told - true - past}"

    def _taken(self, member: str, ends: int) -> Iterator[str]:
        claim = self.keys.get(f"claim:{self.owners.get(member)}")
        if claim is None:
            yield f"{member}: its claim is unknown"
        elif claim["state"] not in {"held", "reserved"} or claim["expires_at"] != ends or f"{claim['integration']}:{claim['prospect']}" != member:
            yield f"{member}: ends at {ends}, its claim says {claim}"
        if ends >= self.now_ms and self.times.get(self._key(member)) != ends:
            yield f"{member}: ends at {ends}, its key at {self.times.get(self._key(member), 'no time, it is gone')}"

    def _key(self, member: str) -> str:
        integration, _, prospect = member.partition(":")
        return next((key for key in self.keys if key.startswith("reservation:") and _names(key, integration, prospect)), "")


ALL = ("salesforce", "hubspot", "csv")


def _entries(data: Value) -> set[str]:
    """What the search must have of a member's data."""
    return {f"{term} {data['id']}" for term in terms_of_data(data)}


def _names(key: str, integration: str, prospect: str) -> bool:
    _, of, part = key.split(":")
    return of == integration and decoded(part) == prospect
