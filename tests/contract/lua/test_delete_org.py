"""delete_org, note_used: an org goes with all its keys, step by step, and nothing of it is remembered; nothing writes a key of one that is gone."""

import json
from typing import Any

from reservoir.storage.keys import prefix
from tests.support.builders import Bench
from tests.support.keyspace import Snapshot


def of(state: Snapshot, org: str) -> list[str]:
    """An org's keys."""
    return [key for key in state if key.startswith(prefix(org))]


def delete(bench: Bench) -> list[Any]:
    """All steps."""
    replies = [bench.call("delete_org", "")]
    while replies[-1][0] == "deleting":
        replies.append(bench.call("delete_org", str(replies[-1][2])))
    return replies


def test_all_of_an_org_goes_and_nothing_of_another(bench: Bench) -> None:
    """Lists, claims, tokens, history, live holds and reservations; an org whose id begins alike keeps all of its own."""
    other = Bench(bench.server, "acmes").create()
    other.make_list("west", ["p1", "p2"])
    other.take("west")
    theirs = {key: entry for key, entry in bench.snapshot().items() if key.startswith(other.prefix)}
    bench.take("west", key="a-key")
    bench.take("west", hold_ms=60_000)
    bench.call("delete_list", "east", "{}")
    assert delete(bench)[-1][0] == "deleted"
    assert bench.snapshot() == theirs


def test_from_the_first_step_on_nothing_is_done_in_it(bench: Bench) -> None:
    """Every verb is told that what its caller knows of the org is not so any more; an org of that id can not be made until all is gone."""
    got = bench.take("west")
    assert bench.call("delete_org", "")[::2] == ["deleting", 0]
    before = bench.snapshot()
    assert bench.claim("west")[0] == bench.call("read_claim", got.id)[0] == bench.call("note_used", "k", 1)[0] == bench.call("settle")[0] == "stale"
    assert bench.call("create_org", '{"id":"acme"}')[0] == "deleting"
    assert bench.call("read_org", "csv")[0] == "none"
    assert bench.changes(before) == {}
    assert bench.call("delete_org", "")[::2] == ["deleting", 0], "begun again by somebody else"
    delete(bench)
    assert of(bench.snapshot(), "acme") == []


def test_many_keys_go_a_chunk_at_a_time(bench: Bench) -> None:
    """Cut short anywhere, another goes on; a step after the last does nothing."""
    for number in range(3_000):
        bench.server("SET", bench.key(f"idempotency:{number}"), "x", "EX", 600)
    replies = [bench.call("delete_org", "")]
    replies.append(bench.call("delete_org", "0"))
    assert replies[1][0] == "deleting"
    assert 2_000 < len(of(bench.snapshot(), "acme")) < 3_000
    assert len(delete(bench)) > 3
    assert bench.snapshot() == {}
    assert bench.call("delete_org", str(replies[1][2]))[0] == "deleted"
    assert bench.call("delete_org", "")[0] == "none"


def test_made_anew_it_remembers_nothing(bench: Bench) -> None:
    """Not a list, not a reservation, not a token; and what a process knew of the old one is not so of the new one."""
    old = bench.generation
    bench.take("west", key="a-key")
    delete(bench)
    bench.create()
    assert bench.generation != old
    assert json.loads(json.dumps(bench.snapshot()[bench.key("org")].value))["name"] == "Acme"
    assert {key.removeprefix(bench.prefix) for key in bench.snapshot()} == {"org", "configured", "generation"}
    bench.make_list("west", ["p1"])
    assert bench.take("west", key="a-key").prospect == "p1"


def test_notes_a_use(bench: Bench) -> None:
    """And nothing else."""
    before = bench.snapshot()
    assert bench.call("note_used", "k1", 60_000)[0] == "noted"
    assert bench.changes(before) == {"keys-used[k1]": 60_000}
