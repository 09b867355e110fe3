"""erase_prospect: out of every list, the search and the claims' notes, and nothing of what keeps everybody from a double dial."""

from typing import Any

from reservoir.domain.times import DAY_MS
from tests.contract.lua.expected import Changes, aside
from tests.support.builders import Bench, Row
from tests.support.keyspace import GONE


def erase(bench: Bench, prospect: str, integration: str = "csv", nonce: str | None = None) -> list[Any]:
    return bench.call("erase_prospect", integration, prospect, "ada", nonce=nonce)


def erased(now: int, lists: int, prospect: str, *indexes: tuple[str, str], nonce: str) -> Changes:
    """All that the erasing of a prospect changes; ``indexes``: where it stood in each list."""
    found: Changes = {f"lists-of:csv[{prospect}]": GONE, f"erased:{nonce}": lists, f"erased:{nonce} ttl": now + 900_000, **aside(prospect)}
    for list_, index in indexes:
        found |= {f"list:{list_}:{part}[{prospect}]": GONE for part in ("order", "members", index)}
    entry = {"type": "prospect.erased", "at": now, "integration": "csv", "prospect": prospect, "detail": {"by": "ada", "lists": lists}}
    return found | {"history+": [entry]}


def test_out_of_every_list(bench: Bench) -> None:
    """Its data, place, index, flag and ties go from all its lists; what it was found by is put aside."""
    before = bench.snapshot()
    reply = erase(bench, "p3", nonce="n")
    assert reply == ["erased", reply[1], 2]
    assert bench.changes(before) == erased(reply[1], 2, "p3", ("west", "available"), ("east", "available"), nonce="n")
    before = bench.snapshot()
    assert erase(bench, "p3", nonce="n")[::2] == ["erased", 2], "the same call, its reply lost, sent again"
    assert erase(bench, "p3")[0] == "not-found"
    assert bench.changes(before) == {}


def test_a_flagged_one(bench: Bench) -> None:
    """Who must not be called can be forgotten."""
    bench.make_list("new", [("x", "do-not-call")])
    before = bench.snapshot()
    reply = erase(bench, "x", nonce="n")
    assert bench.changes(before) == erased(reply[1], 1, "x", ("new", "undialable"), nonce="n") | {"list:new:do-not-call[x]": GONE}


def test_a_live_reservation_stays_until_it_expires(bench: Bench) -> None:
    """R6: it keeps blocking, in no list, and in every list that the prospect returns to; then it expires as it would have."""
    got = bench.take("west", rep="ana")
    before = bench.snapshot()
    reply = erase(bench, "p1", nonce="n")
    assert bench.changes(before) == erased(reply[1], 1, "p1", ("west", "reserved"), nonce="n")
    assert erase(bench, "p1")[::2] == ["erased", 0], "there is somebody to erase as long as somebody has them"
    assert bench.claim_one("p1")[0] == "prospect-reserved"
    bench.fill("west", ["p1", "p2"])
    assert [row.prospect for row in bench.taken("west", count=5)] == ["p2"]
    bench.age("csv:p1", DAY_MS + 1)
    assert bench.take("west").prospect == "p1"
    assert [told["claim"] for told in bench.history() if told["type"] == "reservation.expired"] == [got.id]


def test_the_notes_of_all_its_claims(bench: Bench) -> None:
    """A hundred a call, then the rest and the lists; the outcomes stay, other people's notes too."""
    bench.terms["csv"].enabled = False
    claims = [Row.of(bench.claim_one("p1", rep=f"rep {number}")[2][0]) for number in range(120)]
    other = Row.of(bench.claim_one("p2")[2][0])
    for claim in (*claims, other):
        bench.call("dispose", claim.id, "busy", 0, "spoke to Dana", 1)
    assert erase(bench, "p1")[0] == "erasing"
    assert bench.server("ZSCORE", bench.key("list:west:order"), "p1") is not None
    assert erase(bench, "p1")[::2] == ["erased", 1]
    state = bench.snapshot()
    told = [state[bench.key(f"claim:{claim.id}")].value["disposition"] for claim in claims]
    assert [(one["outcome"], one["remove"], one["note"]) for one in told] == [("busy", False, None)] * 120
    assert state[bench.key(f"claim:{other.id}")].value["disposition"]["note"] == "spoke to Dana"
    assert bench.key("notes:csv:p1") not in state
    assert "spoke to Dana" not in str([entry for key, entry in state.items() if other.id not in key])
    assert erase(bench, "p1")[0] == "not-found"


def test_notes_of_one_who_left(bench: Bench) -> None:
    """Who is in no list and whom nobody has is erased as long as a note is left."""
    got = bench.take("west")
    bench.call("dispose", got.id, "busy", 0, "spoke to Dana", 1)
    bench.fill("west", ["p2"])
    bench.age("csv:p1", DAY_MS + 1)
    bench.call("settle")
    assert erase(bench, "p1")[::2] == ["erased", 0]
    assert erase(bench, "p1")[0] == "not-found"


def test_reps_places_stay_where_they_were(bench: Bench) -> None:
    """R9: who was last handed the erased one goes on behind them; who stood at a rank behind, at the same people."""
    bench.terms["csv"].enabled = False
    bench.taken("west", rep="ana", count=2)
    bench.taken("west", rep="bob", count=4)
    erase(bench, "p4")
    erase(bench, "p2")
    erase(bench, "p1")
    assert [row.prospect for row in bench.taken("west", rep="ana", count=5)] == ["p3", "p5"]
    assert [row.prospect for row in bench.taken("west", rep="bob", count=5)] == ["p5"]


def test_removals_stay(bench: Bench) -> None:
    """R10: ids only, and they last though the prospect leave and return."""
    got = bench.take("west")
    bench.call("dispose", got.id, "busy", 1, "", 0)
    bench.age("csv:p1", DAY_MS + 1)
    bench.call("settle")
    erase(bench, "p1")
    bench.fill("west", ["p1"])
    assert bench.taken("west", rep="ana") == []
    assert bench.take("west", rep="eve").prospect == "p1"


def test_another_integrations_stays(bench: Bench) -> None:
    """The same record id elsewhere is somebody else."""
    bench.make_list("crm", ["p1"], "hubspot")
    assert erase(bench, "p1")[2] == 1
    assert bench.server("ZCARD", bench.key("list:crm:order")) == 1
    assert erase(bench, "p1", "hubspot")[2] == 1
    assert erase(bench, "nobody")[0] == "not-found"
