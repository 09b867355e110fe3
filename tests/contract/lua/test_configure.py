"""create_org, configure: what every process remembers of an org."""

import json

import pytest

from tests.support.builders import Bench
from tests.support.keyspace import GONE


def test_creates_an_org(bench: Bench) -> None:
    """Its profile and its generation, which starts at the store's time; again, nothing changes."""
    other = Bench(bench.server, "zeta")
    profile = {"id": "zeta", "name": 'Zeta "é"', "time_zone": "America/New_York", "phone_region": "US", "sandbox": True}
    before = bench.snapshot()
    reply = other.call("create_org", json.dumps(profile), nonce="made")
    now = reply[1]
    assert reply[0] == "created"
    assert other.changes(before) == {"generation": now, "configured": "made", "org": {**profile, "created_at": str(now)}}
    before = bench.snapshot()
    assert other.call("create_org", json.dumps({**profile, "name": "other"}))[0] == "exists"
    assert other.call("create_org", json.dumps(profile), nonce="made")[0] == "created", "the same call, its reply lost, sent again"
    assert other.changes(before) == {}


def test_a_reader_follows_the_history_from_the_change_on(bench: Bench) -> None:
    """From the entry before it; one that follows already stays where it is."""
    bench.claim()
    newest = bench.server("XREVRANGE", bench.key("history"), "+", "-", "COUNT", 1)[0][0]
    for value in ('{"a":1}', '{"a":2}'):
        bench.generation = bench.server("GET", bench.key("generation"))
        assert bench.call("configure", "SET", "write-back:csv", "", value, "settings.changed", "csv", "{}", "write-back:csv")[0] == "configured"
        assert bench.server("HGETALL", bench.key("history-readers")) == ["write-back:csv", newest]
        assert bench.server("GET", bench.key("write-back:csv")) == value


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (("SET", "settings:csv", "", '{"enabled":true}', "settings.changed", "csv"), {"settings:csv": {"enabled": True}}),
        (("SET", "org", "", '{"id":"acme"}', "settings.changed", ""), None),
        (("HSET", "keys", "k2", '{"name":"n"}', "key.created", ""), {"keys[k2]": {"name": "n"}}),
        (("HDEL", "keys", "k1", "", "key.revoked", ""), {"keys[k1]": GONE}),
    ],
)
def test_configures(bench: Bench, words: tuple[str, ...], changed: dict[str, object] | None) -> None:
    """One value, one entry in the history, and the generation moves on, so that every process reads anew."""
    bench.call("configure", "HSET", "keys", "k1", '{"name":"first"}', "key.created", "", "{}")
    bench.generation = bench.server("GET", bench.key("generation"))
    before = bench.snapshot()
    reply = bench.call("configure", *words, '{"by":"ada"}', nonce="call")
    now, generation = reply[1], int(bench.generation) + 1
    assert reply == ["configured", now, generation]
    expected = changed or {"org": {"id": "acme"}}
    told = {"type": words[4], "at": now, "detail": {"by": "ada"}} | ({"integration": words[5]} if words[5] else {})
    assert bench.changes(before) == {**expected, "generation": generation, "configured": "call", "history+": [told]}
    before = bench.snapshot()
    again = bench.call("configure", *words, '{"by":"ada"}', nonce="call")
    assert again[::2] == ["configured", generation], "the same call, its reply lost, sent again"
    assert bench.changes(before) == {}


def test_a_change_under_another_generation_is_refused(bench: Bench) -> None:
    """The same again is stale, and so is whatever else was read before: two admins at once never undo each other unseen."""
    words = ("SET", "settings:csv", "", '{"enabled":true}', "settings.changed", "csv", "{}")
    assert bench.call("configure", *words)[0] == "configured"
    before = bench.snapshot()
    assert bench.call("configure", *words)[0] == "stale"
    assert bench.changes(before) == {}


def test_every_script_obeys_a_change_at_once(bench: Bench) -> None:
    """R7: what was true when a call was made up is not done after it changed."""
    got = bench.take(hold_ms=30_000)
    bench.call("configure", "HDEL", "keys", "k1", "", "key.revoked", "", "{}")
    before = bench.snapshot()
    assert bench.claim()[0] == "stale"
    assert bench.call("attempt", got.id)[0] == "stale"
    assert bench.call("read_lists", "west")[0] == "stale"
    assert bench.changes(before) == {}
