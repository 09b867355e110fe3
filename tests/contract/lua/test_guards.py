"""What is true of every script: the guard before the first write, a store without memory, keys of the wrong type, and that no org is ever left."""

import json
import re
from collections.abc import Callable
from typing import Any, get_args

import hiredis
import pytest

from reservoir.domain.times import DAY_MS
from reservoir.storage.scripts import Verb, script
from tests.support.builders import BARE, READS, Bench, Terms, data
from tests.support.commands import Commands, Word
from tests.support.engine import EngineProcess
from tests.support.keyspace import Saved, Snapshot, changes, restore, save, snapshot

VERBS: tuple[Verb, ...] = get_args(Verb)
WRITES = tuple(verb for verb in VERBS if verb not in READS | BARE)


_SHA1_OF_NOTHING = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def attempt_told(claim: str) -> str:
    """An attempt, as the reader of the history tells it."""
    job = {"claim": claim, "what": "call", "prospect": "p1", "rep": "ana", "at": "1", "rev": 0, "sent": 0, "list": "west"}
    return json.dumps({"kind": "attempt", "job": job, "due": "1", "unsure": False})


class Full:
    """An org in which there is something for every verb to do."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.make_list("crm", ["p1", "p2"], "salesforce", source='{"kind":"report"}', sync='{"refill_below":5}')
        bench.create_list("leads", "salesforce", source='{"kind":"report"}')
        bench.ask("leads", "r2")
        bench.take_sync("t2")
        bench.create_list("asked", "salesforce", source='{"kind":"report"}')
        bench.ask("asked", "r3")
        self.held = bench.take("west", hold_ms=60_000)
        lapsed = bench.take("west", hold_ms=30_000)
        self.reserved = bench.take("east")
        self.expired = bench.take("east")
        self.removed = bench.take("west")
        bench.call("dispose", self.removed.id, "busy", 1, "note", 1)
        for got, ms in ((lapsed, 31_000), (self.expired, DAY_MS + 1), (self.removed, DAY_MS + 1)):
            bench.age(f"csv:{got.prospect}", ms)
        bench.server("HSET", bench.key("list:west:skips"), "ana", f"5\n{-1 << 40}\n")
        bench.server("ZADD", bench.key("list:west:came"), 5, "", 6, self.removed.prospect)
        for key in ("skips", "came"):
            bench.server("PEXPIRE", bench.key(f"list:west:{key}"), DAY_MS)
        bench.terms["csv"] = Terms(enabled=False)
        bench.take("west", rep="bob")
        bench.take("west", rep="bob", hold_ms=60_000)
        bench.terms["csv"] = Terms()
        bench.fill("crm", ["p1"])
        bench.make_list("old", ["p1", "o1"])
        self.aside = bench.call("delete_list", "old", "{}")[2]
        bench.create_list("new")
        bench.begin("new", "r1")
        bench.page("new", "r1", 0, ["n1", ("n2", "do-not-call")], rejected=[{"line": 2, "detail": "x"}])
        bench.call("configure", "HSET", "keys", "k1", "{}", "key.created", "", "{}")
        bench.generation = bench.server("GET", bench.key("generation"))
        bench.make_list("dry", [])
        bench.claim("dry", key="waits", waiting="wait process:1")
        bench.server("HSET", bench.key("history-readers"), "write-back:csv", "0-0")
        bench.call("follow_write_back", "csv", "0-0", "0-1", "{}", attempt_told("c1"), attempt_told("c2"))
        bench.call("settle_write_back", "csv", 0, 0, "c2:call", 0, "failed", '{"type":"x","detail":"d","status":403}')
        self.saved: Saved = save(bench.server)

    def again(self) -> None:
        """Everything is as it was when this was made."""
        restore(self.bench.server, self.saved)

    def words(self, verb: Verb) -> tuple[Word, ...]:
        """What a call of the verb that succeeds is given."""
        return {**self._claims(), **self._lists(), **self._orgs()}[verb]

    def _claims(self) -> dict[Verb, tuple[Word, ...]]:
        claim: tuple[Word, ...] = ("ana", "s-1", "parallel", 3, 9_000, "key", "digest", DAY_MS, "abcdefghijklmnop")
        return {
            "claim": ("west", *claim, "", ""),
            "claim_one": ("csv", "p4", "east", "ana", "s-1", "power", *claim[4:]),
            "click_to_call": ("csv", "p3", "west", "ana", "s-1"),
            "attempt": (self.held.id,),
            "release": (self.held.id,),
            "end_session": ("s-1",),
            "leave_waiting": ("dry", "process:1", "waits"),
            "tend_waiting": ("process", "1", "dry", "west"),
            "extend": (self.held.id, 120_000),
            "dispose": (self.reserved.id, "busy", 1, "note", 1),
            "read_claim": (self.reserved.id,),
            "read_taken": ("csv:p1", "csv:p2", "csv:p3"),
            "read_reservations": ("", "", 250),
            "read_history": ("", "+", 500),
            "read_standing": ("", "", "", 250),
        }

    def _lists(self) -> dict[Verb, tuple[Word, ...]]:
        return {
            "begin_sync": ("west", "r9", 60_000),
            "import_page": ("new", "r1", 60_000, 1, "[]", 0, "{}", 8_000, 3, 3, "p1", data("p1"), "", *self._more),
            "finish_sync": ("new", "r1", 60_000, 0, 1, 8_000),
            "ask_sync": ("crm", "r9"),
            "take_sync": ("t9", "r9", 60_000, 8_000),
            "hold_sync": ("leads", "r2 t2", 60_000, 8_000, "", ""),
            "fail_sync": ("new", "r1", '{"type":"x"}'),
            "read_why_one": ("csv", "p1", "west", "ana"),
            "follow_write_back": ("csv", "0-1", "0-2", "{}", attempt_told("c3")),
            "take_write_back": ("csv", 60_000, 50),
            "settle_write_back": ("csv", 0, 0, "c1:call", 0, "done", "77"),
            "retry_write_back": ("csv",),
            "read_write_back": ("csv", "", "", 100),
            "read_why_list": ("west", "ana", "0"),
            "erase_prospect": ("csv", "p1", "a test"),
            "read_prospects": ("csv", "p1", "p3", "p9"),
            "tidy_search": ("salesforce", f"salesforce {data('p2')}", "p2", _SHA1_OF_NOTHING, "name of p2"),
            "create_list": ("q4", "0", "Q4", "csv", "null", "{}", "{}"),
            "change_list": ("west", "West", "null", "{}", "Other", "null", "{}", "{}"),
            "delete_list": ("west", "{}"),
            "sweep_list": (self.aside,),
            "mend_list": ("west", ""),
            "read_lists": ("west", "east", "crm"),
            "read_members": ("west", "", 250, "ana"),
            "read_removals": ("west", "", "", 250),
            "restore": ("west", "ana", "csv", self.removed.prospect, '{"by":"a test"}'),
            "reset": ("west", "bob"),
        }

    _found: tuple[Word, ...] = (0, "n2 n2", 0, "n3 n3", 0, "name n2", 0, "name n3", 0, "of n2", 0, "of n3")
    _more: tuple[Word, ...] = (4, "n3", data("n3"), "no-phone", 5, "n2", data("n2", 2), "", *_found)

    def _orgs(self) -> dict[Verb, tuple[Word, ...]]:
        return {
            "settle": (),
            "spend": ("salesforce", "report_runs", 400, 3_600_000),
            "pace": ("salesforce", "report_runs", "left", 3, 60_000),
            "configure": ("SET", "settings:csv", "", "{}", "settings.changed", "csv", "{}"),
            "delete_org": ("",),
            "note_used": ("k1", 60_000),
            "create_org": (json.dumps({"id": "acme"}),),
            "read_org": ("csv",),
            "read_rights": ("TIME", f"GET {self.bench.key('org')}"),
        }

    def call(self, verb: Verb) -> list[Any]:
        return self.bench.call(verb, *self.words(verb), nonce="nonce")


@pytest.fixture
def full(bench: Bench) -> Full:
    return Full(bench)


def test_every_verb_is_here(full: Full) -> None:
    """A new script comes with its call."""
    assert {*full._claims(), *full._lists(), *full._orgs()} == {*VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_reads_is_declared_so(verb: Verb) -> None:
    """The first line makes the store itself refuse what a reading script must not do, and every script when there is no memory."""
    assert script(verb).source.splitlines()[0] == ("#!lua flags=no-writes" if verb.startswith("read_") else "#!lua")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in BARE])
def test_of_another_generation_nothing_is_done(full: Full, verb: Verb) -> None:
    """R7: what a process remembers of the org is not true any more."""
    before = full.bench.snapshot()
    full.bench.generation = "1"
    reply = full.call(verb)
    assert (reply[0], len(reply)) == ("stale", 2)
    assert full.bench.changes(before) == {}


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("window", [(-1, 0), (1, 2), (60_000, 1 << 52), (0, -60_000)])
def test_outside_the_window_nothing_is_done(full: Full, verb: Verb, window: tuple[int, int]) -> None:
    """The store's clock is before the first instant for which the arguments are right, or not before the last."""
    now = full.bench.call("settle")[1]
    full.again()
    before = full.bench.snapshot()
    low, high = window
    full.bench.window = (now + low if low > 2 else low, now + high if high < -1 else high)
    reply = full.call(verb)
    assert (reply[0], len(reply)) == ("clock", 2)
    assert full.bench.changes(before) == {}


def test_the_window_is_half_open(full: Full) -> None:
    """Its first instant is in it, its last is not."""
    said = {(after_from, before_until): 0 for after_from in (False, True) for before_until in (False, True)}
    for _ in range(200):
        edge = full.bench.call("read_taken")[1]
        for window in ((edge, edge + 1), (edge + 1, edge + 2)):
            full.bench.window = window
            reply = full.bench.call("settle")
            assert (reply[0] == "settled") == (window[0] <= reply[1] < window[1])
            said[window[0] <= reply[1], reply[1] < window[1]] += 1
    assert said[True, True]
    assert said[True, False] + said[False, True]


@pytest.mark.parametrize("verb", VERBS)
def test_a_store_without_memory_does_nothing_by_halves(full: Full, verb: Verb) -> None:
    """A script that would write is refused before its first write; one that reads goes on."""
    before = full.bench.snapshot()
    server = full.bench.server
    server("CONFIG", "SET", "maxmemory", "1")
    try:
        if verb.startswith("read_"):
            assert full.call(verb)[1]
        else:
            with pytest.raises(hiredis.ReplyError, match=r"^OOM"):
                full.call(verb)
    finally:
        server("CONFIG", "SET", "maxmemory", "0")
    assert full.bench.changes(before) == {}


@pytest.mark.leaves("keys of the wrong type")
@pytest.mark.parametrize(
    ("verb", "state"),
    [(verb, "something is due") for verb in VERBS] + [(verb, state) for verb in ("claim", "claim_one", "attempt") for state in ("nothing is due", "off")],
)
def test_a_key_of_the_wrong_type_is_found_before_the_first_write(full: Full, verb: Verb, state: str) -> None:
    """Whichever key of the org it is (but that of a claim that is only being made, whose id nobody can know): the script does its work without it, or fails
    and has changed nothing."""
    if state != "something is due":
        full.bench.call("settle")
        full.saved = save(full.bench.server)
    full.bench.terms["csv"].enabled = state != "off"
    full.call(verb)
    touched = sorted(key for key in {key for key, _, _ in full.saved} | set(full.bench.snapshot()) if "claim:abcdefghijklmnop" not in key)
    halves = []
    for key in touched:
        full.again()
        full.bench.server("DEL", key)
        full.bench.server("RPUSH", key, "of the wrong type")
        before = full.bench.snapshot()
        try:
            full.call(verb)
        except hiredis.ReplyError as error:
            if "WRONGTYPE" not in str(error) or full.bench.changes(before):
                halves.append((key, str(error)))
    assert halves == []


@pytest.mark.leaves("keys of the wrong type")
@pytest.mark.parametrize("verb", ["claim", "claim_one", "attempt", "release", "extend", "settle"])
@pytest.mark.parametrize("index", ["order", "available", "held", "reserved", "undialable", "members", "places", "removers", "sync", "do-not-call"])
def test_a_broken_key_of_another_list_stops_nobody(full: Full, verb: Verb, index: str) -> None:
    """What is wrong with one list is no reason to stop claims on others: the reply is what it is when nothing is wrong."""
    if (verb, index) == ("claim_one", "do-not-call"):
        pytest.skip("whether the CRM flags the prospect is not known then, and in doubt nobody is dialed")
    full.bench.make_list("other", ["p1", "p2", "p3", "p4", "p5"])
    full.saved = save(full.bench.server)
    intact = full.call(verb)
    full.again()
    full.bench.server("DEL", full.bench.key(f"list:other:{index}"))
    full.bench.server("RPUSH", full.bench.key(f"list:other:{index}"), "of the wrong type")
    broken = full.call(verb)
    assert _reply(verb, broken) == _reply(verb, intact)


def _reply(verb: Verb, told: list[Any]) -> Any:
    """What the caller goes by: not how many lists are to be mended, which is why some of these tests are here."""
    return _without_times(told[:4] if verb == "settle" else told)


def _without_times(told: Any) -> Any:
    if isinstance(told, list):
        return [_without_times(one) for one in told]
    return "a time" if isinstance(told, int) and told > 1 << 40 else told


@pytest.mark.parametrize("verb", VERBS)
def test_no_script_leaves_its_org(full: Full, verb: Verb, server: EngineProcess) -> None:
    """R17: every key that a script so much as looks at begins with the org's prefix."""
    with Commands(server.port) as watching:
        assert watching("MONITOR") == "OK"
        full.call(verb)
        full.bench.server("ECHO", "that was it")
        seen = []
        while "that was it" not in (line := watching.next()):
            if " lua] " in line:
                seen.append([word.strip('"') for word in line.split("] ", 1)[1].split(" ")])
    assert all(words[3] == "reservoir:{acme}:*" for words in seen if words[0].upper() == "SCAN")
    keys = [words[2 if words[0].upper() == "XINFO" else 1] for words in seen if words[0].upper() not in {"TIME", "SCAN"}]
    assert keys or verb == "read_rights"  # which asks of commands, and gives none
    assert [key for key in keys if not key.startswith("reservoir:{acme}:")] == []


REPEATED: tuple[Verb, ...] = (
    "ask_sync",
    "attempt",
    "begin_sync",
    "claim",
    "claim_one",
    "configure",
    "create_list",
    "delete_list",
    "dispose",
    "erase_prospect",
    "end_session",
    "extend",
    "fail_sync",
    "finish_sync",
    "hold_sync",
    "import_page",
    "release",
    "reset",
    "restore",
    "spend",
    "take_sync",
)


@pytest.mark.parametrize("verb", [*REPEATED, "attempt of an unreserved one", "create_org", "extend by nothing"])
def test_a_repeat_that_succeeds_writes_again(full: Full, verb: Any) -> None:
    """A store that waits for its replicas counts only what the call itself wrote: a repeat that wrote nothing would be told as confirmed when it is not."""
    bench = full.bench
    match verb:
        case "attempt of an unreserved one":
            bench.terms["csv"] = Terms(enabled=False)
            id_ = bench.take("west", hold_ms=60_000).id
            repeat: Callable[[], list[Any]] = lambda: bench.call("attempt", id_)  # noqa: E731 - three ways to repeat
        case "create_org":
            other = Bench(bench.server, "zeta")
            repeat = lambda: other.call("create_org", '{"id":"zeta"}', nonce="nonce")  # noqa: E731
        case "extend by nothing":
            repeat = lambda: bench.call("extend", full.held.id, 5_000)  # noqa: E731
        case _:
            repeat = lambda: full.call(verb)  # noqa: E731
    first = repeat()
    state = bench.snapshot()
    written = _written(bench.server)
    again = repeat()
    assert _written(bench.server) > written
    assert again[0] == {"claimed": "repeated"}.get(first[0], first[0])
    changed = [path for path in bench.changes(state) if not re.search(r"\[(lease|held)\]$|^due\[|^(taken-sync|spent):", path)]
    assert changed == [] or verb == "extend", "and changes nothing but until when what it did holds"


def _written(server: Commands) -> int:
    return int(server("INFO", "persistence").split("rdb_changes_since_last_save:")[1].split("\r\n")[0])


FIELDS = {"type", "at", "integration", "prospect", "list", "rep", "session", "mode", "claim", "expires_at", "detail"}
DETAILS = {"by", "lists", "sync", "state", "error", "fetched", "added", "updated", "left", "rejected", "outcome", "remove"}


def test_the_history_has_ids_only(full: Full) -> None:
    """Each entry has the fields of the contract and its own instant; no name, number, note or row's content is ever in it."""
    kinds: set[str] = set()
    for verb in VERBS:
        full.again()
        full.call(verb)
        for told in full.bench.history():
            kinds.add(told["type"])
            assert told.keys() <= FIELDS
            assert isinstance(told["at"], int)
            assert set(told.get("detail", {})) <= DETAILS
            assert "Name of" not in str(told)
            assert "note" not in str(told)
    assert len(kinds) > 14, kinds


def test_two_orgs_never_meet(full: Full) -> None:
    """R17: whatever is done in one org, not a value of the other's changes, though all ids are the same."""
    other = Bench(full.bench.server, "zeta").create()
    for list_, integration in (("west", "csv"), ("east", "csv"), ("crm", "salesforce"), ("new", "csv")):
        other.make_list(list_, [f"p{number}" for number in range(1, 6)], integration)
    other.taken("west", count=2, hold_ms=60_000, key="key")
    full.saved = save(full.bench.server)
    theirs = _of(snapshot(full.bench.server), "zeta")
    for verb in VERBS:
        full.again()
        full.call(verb)
        assert changes(theirs, _of(snapshot(full.bench.server), "zeta")) == {}


def _of(state: Snapshot, org: str) -> Snapshot:
    return {key: entry for key, entry in state.items() if f"{{{org}}}" in key}


def test_a_reply_ends_with_its_own_nonce(full: Full) -> None:
    """No reply is ever taken for another call's: what the caller gave is the last that it gets, whatever came of it."""
    words: Callable[[str], list[Word]] = lambda nonce: [*full.bench.arguments("read_taken", "csv:p1"), nonce]  # noqa: E731 - short
    for nonce in ("one", "two", "", "*"):
        assert full.bench.server("EVAL", script("read_taken").source, 1, full.bench.prefix, *words(nonce))[-1] == nonce
