"""verify: it finds whatever was planted in a real store, and finds nothing in an honest one."""

import asyncio
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reservoir.domain.claims import Claim, Granted
from reservoir.domain.proof import Verdict
from reservoir.domain.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from reservoir.storage.claims import ClaimStore, RequestKey, Taker
from reservoir.storage.keys import encoded
from reservoir.storage.orgs import Org, OrgStore, StaleError
from reservoir.storage.proof import verify
from reservoir.storage.redis import open_store
from reservoir.storage.settings import SettingsStore
from tests.conftest import INTEGRATIONS, known
from tests.support.builders import Bench, Row, Terms, reservation
from tests.support.commands import Commands
from tests.support.engine import EngineProcess
from tests.support.waiting import await_until

OTHER = "zzzzzzzzzzzzzzzz00"
"""A claim that nobody was ever granted."""


class Honest:
    """An org in which something of everything was done, and nothing wrong."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.make_list("west", [f"p{number}" for number in range(1, 9)])
        self.reserved = bench.take()
        self.held = bench.take(hold_ms=MINUTE_MS)
        self.lapsed = Row.of(bench.claim_one("x1", hold_ms=1)[2][0])
        self.expired = self._expired()
        self.extended = bench.take()
        bench.call("extend", self.extended.id, DAY_MS + HOUR_MS)
        bench.call("release", bench.take(hold_ms=MINUTE_MS).id)
        self.attempted = bench.take(hold_ms=MINUTE_MS)
        bench.call("attempt", self.attempted.id)
        bench.call("dispose", self.attempted.id, "busy", 1, "note", 1)
        bench.terms["csv"] = Terms(enabled=False)
        bench.take(rep="ben")
        bench.call("click_to_call", "csv", self.reserved.prospect, "west", "ben", "s-2")
        bench.terms["csv"] = Terms()
        while not {"claim.lapsed", "reservation.expired"} <= {entry["type"] for entry in bench.history()}:
            bench.call("settle")

    def _expired(self) -> Row:
        self.bench.terms["csv"] = Terms(length_ms=1)
        got = Row.of(self.bench.claim_one("x2")[2][0])
        self.bench.terms["csv"] = Terms()
        return got

    @property
    def now_ms(self) -> int:
        seconds, micros = map(int, self.bench.server("TIME"))
        return seconds * 1_000 + micros // 1_000

    def entry(self, type_: str, row: Row, *, claim: str | None = None, prospect: str | None = None, at: int | None = None, ends: int | None = None) -> None:
        """Plants an entry, at the end of the history, as if somebody had done that now."""
        facts = ["integration", "csv", "prospect", prospect or row.prospect, "rep", "ben", "session", "s-9", "mode", "power", "claim", claim or row.id]
        facts += [] if ends is None else ["expires_at", str(ends)]
        self.bench.server("XADD", self.bench.key("history"), "*", "type", type_, "at", at or self.now_ms, *facts)

    def key(self, prospect: str) -> str:
        return self.bench.key(f"reservation:csv:{encoded(prospect)}")

    def forget(self, row: Row) -> None:
        """Takes away all that keeps a prospect taken."""
        self.bench.server("ZREM", self.bench.key("ends"), f"csv:{row.prospect}")
        self.bench.server("HDEL", self.bench.key("claim-of"), f"csv:{row.prospect}")
        self.bench.server("DEL", self.key(row.prospect))

    def stand(self, prospect: str, claim: str, ends: int) -> None:
        """All that keeps a prospect taken, without a word of it in the history."""
        fields = {"integration": "csv", "prospect": prospect, "rep": "ben", "session": "s-9", "mode": "power", "state": "reserved"}
        times = {"claimed_at": self.now_ms, "attempted_at": self.now_ms, "expires_at": ends}
        self.bench.server("ZADD", self.bench.key("ends"), ends, f"csv:{prospect}")
        self.bench.server("HSET", self.bench.key("claim-of"), f"csv:{prospect}", claim)
        self.bench.server("HSET", self.bench.key(f"claim:{claim}"), *itertools.chain.from_iterable((fields | times).items()))
        self.bench.server("SET", self.key(prospect), json.dumps(reservation(claim, self.now_ms, ends)), "PXAT", ends)


Plant = Callable[[Honest], None]


def reserved_twice(at: Honest) -> None:
    at.entry("claim.reserved", at.reserved, claim=OTHER, ends=at.now_ms + DAY_MS)


def reserved_during_a_hold(at: Honest) -> None:
    at.entry("claim.reserved", at.held, claim=OTHER, ends=at.now_ms + DAY_MS)


def held_during_an_extension(at: Honest) -> None:
    at.entry("claim.held", at.extended, claim=OTHER, at=at.extended.ends + 1, ends=at.extended.ends + MINUTE_MS)


def granted_anew_before_its_end_was_over(at: Honest) -> None:
    at.entry("reservation.expired", at.reserved, at=at.reserved.ends)
    at.entry("claim.reserved", at.reserved, claim=OTHER, ends=at.now_ms + DAY_MS)
    at.forget(at.reserved)
    at.stand(at.reserved.prospect, OTHER, at.now_ms + DAY_MS)


def taken_without_history(at: Honest) -> None:
    at.stand("q1", OTHER, at.now_ms + DAY_MS)


def a_key_without_history(at: Honest) -> None:
    at.bench.server("SET", at.key("q1"), json.dumps(reservation(OTHER, at.now_ms, at.now_ms + DAY_MS)), "PX", DAY_MS)


def a_reservation_is_gone(at: Honest) -> None:
    at.forget(at.reserved)


def another_has_it(at: Honest) -> None:
    at.bench.server("HSET", at.bench.key("claim-of"), f"csv:{at.reserved.prospect}", at.held.id)


def its_record_is_gone(at: Honest) -> None:
    at.bench.server("DEL", at.bench.key(f"claim:{at.reserved.id}"))


def its_record_is_of_another(at: Honest) -> None:
    at.bench.server("HSET", at.bench.key(f"claim:{at.reserved.id}"), "prospect", "q1")


def shortened_everywhere(at: Honest) -> None:
    ends = at.reserved.ends - HOUR_MS
    at.bench.server("ZADD", at.bench.key("ends"), ends, f"csv:{at.reserved.prospect}")
    at.bench.server("HSET", at.bench.key(f"claim:{at.reserved.id}"), "expires_at", ends)
    at.bench.server("PEXPIREAT", at.key(at.reserved.prospect), ends)


def its_key_ends_sooner(at: Honest) -> None:
    at.bench.server("PEXPIREAT", at.key(at.held.prospect), at.held.ends - 10_000)


def one_claim_of_two(at: Honest) -> None:
    at.entry("claim.reserved", at.reserved, prospect="q1", ends=at.reserved.ends)
    at.stand("q1", at.reserved.id, at.reserved.ends)


def expired_before_its_instant(at: Honest) -> None:
    at.entry("reservation.expired", at.reserved, at=at.reserved.ends)
    at.forget(at.reserved)


def expired_too_early(at: Honest) -> None:
    at.entry("reservation.expired", at.reserved)
    at.forget(at.reserved)


def a_reservation_was_released(at: Honest) -> None:
    at.entry("claim.released", at.reserved)
    at.forget(at.reserved)


def attempted_after_it_lapsed(at: Honest) -> None:
    at.entry("claim.reserved", at.lapsed, ends=at.now_ms + DAY_MS)
    at.stand(at.lapsed.prospect, at.lapsed.id, at.now_ms + DAY_MS)


def lapsed_twice(at: Honest) -> None:
    at.entry("claim.lapsed", at.lapsed, at=at.lapsed.ends)


def a_hold_expired(at: Honest) -> None:
    at.entry("reservation.expired", at.held, at=at.held.ends)
    at.forget(at.held)


def extended_beyond_its_limit(at: Honest) -> None:
    at.entry("claim.extended", at.reserved, ends=at.reserved.ends + DAY_MS + 1)


def shortened_by_an_extension(at: Honest) -> None:
    at.entry("claim.extended", at.reserved, ends=at.reserved.ends - 1)


def an_entry_was_deleted(at: Honest) -> None:
    newest = at.bench.server("XREVRANGE", at.bench.key("history"), "+", "-", "COUNT", 1)[0][0]
    at.bench.server("XDEL", at.bench.key("history"), newest)


PLANTED: dict[Plant, str] = {
    reserved_twice: "double-dial",
    reserved_during_a_hold: "double-dial",
    held_during_an_extension: "double-dial",
    granted_anew_before_its_end_was_over: "double-dial",
    taken_without_history: "unknown",
    a_key_without_history: "unknown",
    a_reservation_is_gone: "lost",
    another_has_it: "lost",
    its_record_is_gone: "lost",
    its_record_is_of_another: "impossible",
    shortened_everywhere: "wrong-end",
    its_key_ends_sooner: "wrong-end",
    one_claim_of_two: "impossible",
    expired_before_its_instant: "early-end",
    expired_too_early: "early-end",
    a_reservation_was_released: "early-end",
    attempted_after_it_lapsed: "impossible",
    lapsed_twice: "impossible",
    a_hold_expired: "impossible",
    extended_beyond_its_limit: "wrong-end",
    shortened_by_an_extension: "wrong-end",
    an_entry_was_deleted: "history-deleted",
}


@pytest.fixture
def honest(client: Commands) -> Honest:
    return Honest(Bench(client).create())


@pytest.mark.leaves("what was planted")
@pytest.mark.parametrize(("plant", "kind"), PLANTED.items(), ids=lambda one: getattr(one, "__name__", one))
async def test_what_was_planted_is_found(orgs: OrgStore, honest: Honest, plant: Plant, kind: str) -> None:
    """R1, R2, R6: each in a store in which nothing else is wrong, and which was found to be so."""
    assert (await verify(orgs, "acme")).violations == 0
    plant(honest)
    verdict = await verify(orgs, "acme")
    assert verdict.findings.counts[kind] > 0, verdict.findings
    assert (verdict.double_dials > 0) == (kind == "double-dial")


async def test_what_is_told_of_an_honest_org(orgs: OrgStore, honest: Honest) -> None:
    """Entries by type, who stands, and that all of it is proved from the org's beginning to now."""
    verdict = await verify(orgs, "acme")
    counted = {type_.partition(".")[2] or type_: count for type_, count in verdict.counts.items() if "sync" not in type_ and "list" not in type_}
    assert counted == {
        "held": 4, "reserved": 4, "extended": 1, "lapsed": 1, "expired": 1, "unreserved": 1, "click_to_call": 1, "recorded": 1, "removed": 1,
        "released": 1,
    }  # fmt: skip
    assert (verdict.held, verdict.reserved, verdict.violations) == (1, 3, 0)
    org = await known(orgs, "acme")
    assert (verdict.whole, verdict.since_ms) == (True, org.profile.created_at_ms)
    assert honest.now_ms - verdict.until_ms < MINUTE_MS
    assert (verdict.missing_keys, verdict.foreign_keys, verdict.keys_sought) == (0, 0, True)


@pytest.mark.leaves("keys that a hand set and deleted")
async def test_an_operators_hand_is_no_violation(orgs: OrgStore, honest: Honest) -> None:
    """A key that a hand deleted frees nobody, one that it set is obeyed: both are told, and refute nothing."""
    honest.bench.server("DEL", honest.key(honest.reserved.prospect))
    honest.bench.server("SET", honest.key("q1"), "do not call, says Dana")
    honest.bench.server("SET", honest.key(honest.held.prospect), '{"why": "mine"}', "PX", DAY_MS)
    verdict = await verify(orgs, "acme")
    assert (verdict.missing_keys, verdict.foreign_keys, verdict.violations) == (1, 2, 0)


@pytest.mark.leaves("a history whose beginning was let go")
async def test_a_history_whose_beginning_was_let_go(orgs: OrgStore, honest: Honest) -> None:
    """It is proved from its first entry on. What stands from before, extended or not, is no violation; who was granted in its stead is."""
    stream = honest.bench.key("history")
    cut = next(id_ for id_, fields in honest.bench.server("XRANGE", stream, "-", "+") if "claim.extended" in fields)
    honest.bench.server("XTRIM", stream, "MINID", cut)
    verdict = await verify(orgs, "acme")
    assert verdict.findings.shown == []
    assert (verdict.whole, verdict.since_ms, verdict.violations) == (False, int(cut.split("-")[0]) + SECOND_MS, 0)
    honest.entry("claim.reserved", honest.reserved, claim=OTHER, ends=honest.now_ms + DAY_MS)
    assert (await verify(orgs, "acme")).violations > 0
    honest.entry("reservation.expired", honest.reserved, at=honest.now_ms)
    assert (await verify(orgs, "acme")).double_dials == 1


@pytest.mark.leaves("many that are planted")
async def test_all_is_read_in_chunks(orgs: OrgStore, client: Commands) -> None:
    """Thousands of entries and of prospects that stand, many of whom end in one millisecond: all are judged, and each violation among them is found."""
    bench = Bench(client).create()
    bench.make_list("long", [f"q{number:04d}" for number in range(1_200)])
    taken = [got for _ in range(24) for got in bench.taken("long", count=50)]
    for _ in range(700):
        bench.call("click_to_call", "csv", "x", "", "ana", "s-1")
    verdict = await verify(orgs, "acme")
    assert (verdict.reserved, verdict.violations, verdict.counts["click_to_call"]) == (1_200, 0, 700)
    for got in taken[::100]:
        client("ZREM", bench.key("ends"), f"csv:{got.prospect}")
    assert (await verify(orgs, "acme")).findings.counts["lost"] == 12


ACTS = ("claim", "claim", "hold", "hold", "one", "attempt", "attempt", "release", "extend", "settle", "off", "click", "drop key", "set key", "trim")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 7), st.sampled_from((1, 3, 60_000))), max_size=40))
@pytest.mark.leaves("keys that a hand set and deleted")
def test_an_honest_org_is_never_suspected(server: EngineProcess, client: Commands, acts: list[tuple[str, int, int]]) -> None:
    """R1-R9: whatever is done, with holds and reservations that end while it is done, settled or not: nothing is found."""
    server.flush()
    bench = Bench(client).create()
    bench.make_list("west", [f"p{number}" for number in range(8)])
    claims: list[str] = []
    for act, number, ms in acts:
        claims += [row[0] for row in _act(bench, act, number, ms, claims) or []]
    verdict = asyncio.run(_verified(server.url))
    assert verdict.findings.shown == []


def _act(bench: Bench, act: str, number: int, ms: int, claims: list[str]) -> list[Any] | None:
    """Does something, and returns the rows of what was granted."""
    claim, key = claims[number % len(claims)] if claims else OTHER, bench.key(f"reservation:csv:p{number}")
    bench.terms["csv"] = Terms(enabled=act != "off", length_ms=ms)
    if act in {"claim", "off", "hold"}:
        reply = bench.claim("west", count=1 + number % 3, hold_ms=ms if act == "hold" else 0)
        return list(reply[2]) if reply[0] == "claimed" else None
    if act == "one":
        reply = bench.claim_one(f"p{number}", hold_ms=ms * (number % 2))
        return list(reply[2]) if reply[0] == "claimed" else None
    others: dict[str, Callable[[], Any]] = {
        "attempt": lambda: bench.call("attempt", claim),
        "release": lambda: bench.call("release", claim),
        "extend": lambda: bench.call("extend", claim, ms * 100),
        "settle": lambda: bench.call("settle"),
        "click": lambda: bench.call("click_to_call", "csv", f"p{number}", "west", "ben", "s-2"),
        "drop key": lambda: bench.server("DEL", key),
        "set key": lambda: bench.server("SET", key, "a hand's", "NX", "PX", ms),
        "trim": lambda: bench.server("XTRIM", bench.key("history"), "MAXLEN", 30),
    }
    others[act]()
    return None


async def _verified(url: str) -> Verdict:
    store = await open_store(url)
    try:
        return await verify(OrgStore(store, INTEGRATIONS), "acme")
    finally:
        await store.close()


class Dialers:
    """Those who go on while somebody verifies, each at a setting that changes all the time."""

    def __init__(self, orgs: OrgStore) -> None:
        self._orgs = orgs
        self._claims = ClaimStore(orgs)
        self.stopped = asyncio.Event()
        self.done = 0

    async def dial(self, number: int) -> None:
        taker = Taker(f"rep-{number}", f"s-{number}", "parallel", 3_600)
        while not self.stopped.is_set():
            told = await self._orgs.ask("acme", lambda org: self._claims.claim_next(org, "west", taker, 4, RequestKey.of(None, "/", {})))
            assert isinstance(told, Granted)
            for turn, claim in enumerate(told.claims):
                await self._orgs.ask("acme", lambda org, id_=claim.id, turn=turn: self._go_on(org, id_, turn))  # type: ignore[misc]
            self.done += 1

    async def _go_on(self, org: Org, id_: str, turn: int) -> None:
        if turn == 0:
            assert isinstance(await self._claims.attempt(org, id_), Claim)
        elif turn == 1:
            assert isinstance(await self._claims.extend(org, id_, 3_600), Claim)
        else:
            assert await self._claims.release(org, id_) is None

    async def set_again(self) -> None:
        while not self.stopped.is_set():
            org = await known(self._orgs, "acme")
            with suppress(StaleError):
                await SettingsStore(self._orgs).set_multi_rep_dialing(org, "csv", org.settings["csv"], "a test")
            await await_until(lambda done=self.done: self.done > done or self.stopped.is_set(), "a claim under this setting")  # type: ignore[misc]


async def test_it_can_be_asked_while_claims_go_on(orgs: OrgStore, acme: Org, client: Commands) -> None:
    """What is recorded while it reads, and what changes then, makes no false alarm."""
    Bench(client, generation=acme.generation).make_list("west", [f"p{number}" for number in range(3_000)])
    dialers, reader = Dialers(orgs), OrgStore(orgs.store, INTEGRATIONS)
    async with asyncio.TaskGroup() as working:
        for number in range(8):
            working.create_task(dialers.dial(number))
        working.create_task(dialers.set_again())
        for turn in range(6):
            await await_until(lambda turn=turn: dialers.done > 30 * (turn + 1), "claims that go on", timeout_s=60)  # type: ignore[misc]
            assert (await verify(reader, "acme")).findings.shown == []
        dialers.stopped.set()
    verdict = await verify(reader, "acme")
    assert (verdict.violations, verdict.reserved > 20, verdict.held > 20) == (0, True, True)
