"""The watch over the store's clock: what it believes, and what becomes of claims while a real server's clock is not where it should be (R14, R19)."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reservoir.domain.refusals import Refused
from reservoir.domain.times import DAY_MS, HOUR_MS
from reservoir.storage import clock as clock_module
from reservoir.storage.claims import RequestKey, Taker
from reservoir.storage.clock import PROMPT_MS, TOLERANCE_MS, WORD_GOOD_MS, ClockWord, HostTime, StoreClock
from reservoir.storage.lists import ListStore
from reservoir.storage.redis import StoreUnavailableError, open_store
from reservoir.storage.settings import SettingsStore
from reservoir.storage.settling import Settling
from tests.contract.test_lane import Dialer, dialer
from tests.support.commands import Commands
from tests.support.keyspace import snapshot
from tests.support.leaping import LeapingServer, compiler
from tests.support.waiting import await_until

NOON = 1_800_000_000_000
"""What the host's wall clock says at the beginning, in ms; its other clock says 0."""


class Watched:
    """A store's clock and a host's, which a test moves by hand."""

    def __init__(self) -> None:
        self.clock = StoreClock()
        self.monotonic = 0.0
        self.wall = float(NOON)
        self.store = NOON + 5_000

    def host(self) -> HostTime:
        return HostTime(self.monotonic, self.wall)

    @property
    def jump_ms(self) -> int | None:
        return self.clock.jump_ms

    def later(self, ms: int, *, store: int | None = None, wall: int | None = None) -> None:
        """So much goes by, on each of the three clocks unless it is told otherwise."""
        self.monotonic += ms
        self.store += ms if store is None else store
        self.wall += ms if wall is None else wall

    def told(self, took_ms: int = 0, *, at_ms: int = 0) -> bool:
        """The store is asked for its time: the reply takes so long, and its clock was read so long after the question."""
        sent, store_ms = self.host(), self.store + at_ms
        self.later(took_ms)
        return self.clock.observe(store_ms, sent, self.host())

    @property
    def error_ms(self) -> float:
        """How far the prediction is from the store's clock."""
        return self.clock.predict(self.host()) - self.store


def watched() -> Watched:
    """Clocks of which the store's was read once."""
    clocks = Watched()
    assert clocks.told()
    return clocks


# What is believed


def test_a_clock_that_was_never_read_is_not_trusted() -> None:
    """And nothing is predicted from it."""
    clock = StoreClock()
    assert not clock.trusted
    with pytest.raises(RuntimeError):
        clock.predict(HostTime(0.0, 0.0))


def test_the_first_reading_is_the_reference() -> None:
    """However far the store is from the host: no correctness rests on two hosts agreeing."""
    clocks = watched()
    assert clocks.clock.trusted
    clocks.later(DAY_MS)
    assert clocks.error_ms == 0


@pytest.mark.parametrize("off_ms", [-TOLERANCE_MS, -1_500, -1, 0, 1, 1_500, TOLERANCE_MS])
def test_what_is_within_the_tolerance_is_followed(off_ms: int) -> None:
    """A step of NTP's, a drift: believed from the next prompt reply on."""
    clocks = watched()
    clocks.later(10_000, store=10_000 + off_ms)
    assert clocks.told()
    assert clocks.clock.trusted
    assert clocks.error_ms == 0


def test_a_slow_reply_corrects_nothing() -> None:
    """It says too little about when the store read its clock; yet it is no reason for distrust."""
    clocks = watched()
    clocks.later(10_000, store=11_000)
    assert clocks.told(PROMPT_MS + 1)
    assert clocks.error_ms == -1_000
    assert clocks.told(PROMPT_MS)
    assert abs(clocks.error_ms) <= PROMPT_MS / 2


@pytest.mark.parametrize("at_ms", [0, 15_000, 30_000])
def test_a_reply_that_took_long_is_held_against_all_of_its_time(at_ms: int) -> None:
    """Half a minute on the way: the store may have read its clock at any moment of it."""
    clocks = watched()
    assert clocks.told(30_000, at_ms=at_ms)
    assert clocks.clock.trusted


@pytest.mark.parametrize("leap_ms", [TOLERANCE_MS + 1, HOUR_MS, 10 * DAY_MS, -TOLERANCE_MS - 1, -HOUR_MS])
def test_a_leap_is_distrusted_until_the_clock_is_back(leap_ms: int) -> None:
    """It goes on by itself then, with the prediction that it had; until then, every reply says by how much it is off."""
    clocks = watched()
    clocks.later(1_000, store=1_000 + leap_ms)
    assert not clocks.told()
    for _ in range(5):
        clocks.later(60_000)
        assert not clocks.told()
        assert (clocks.clock.trusted, clocks.jump_ms) == (False, leap_ms)
        assert clocks.error_ms == -leap_ms
    clocks.later(1_000, store=1_000 - leap_ms)
    assert clocks.told()
    assert (clocks.clock.trusted, clocks.jump_ms, clocks.error_ms) == (True, None, 0)


@pytest.mark.parametrize("slept_ms", [TOLERANCE_MS + 1, 3 * DAY_MS])
def test_a_host_that_slept_with_its_store_is_believed(slept_ms: int) -> None:
    """The store and the host's wall clock went on together, while the host's monotonic clock stood still."""
    clocks = watched()
    clocks.later(0, store=slept_ms, wall=slept_ms)
    assert clocks.told()
    assert clocks.clock.trusted
    assert clocks.error_ms == 0


def test_a_hosts_wall_clock_alone_decides_nothing() -> None:
    """It may leap as it likes; and once it has, a leap of the store's is still seen."""
    clocks = watched()
    clocks.later(1_000, wall=HOUR_MS)
    assert clocks.told()
    clocks.later(1_000, store=1_000 + HOUR_MS)
    assert not clocks.told()


def test_a_wall_clock_that_follows_makes_the_two_agree_again() -> None:
    """The store leapt first, the host's wall clock was put right after it: the difference between them is what it was."""
    clocks = watched()
    clocks.later(1_000, store=HOUR_MS)
    assert not clocks.told()
    clocks.later(1_000, wall=HOUR_MS)
    assert clocks.told()


def test_a_slow_drift_is_followed_for_ever() -> None:
    """Days of 200 parts in a million, seen every ten seconds."""
    clocks = watched()
    for _ in range(20_000):
        clocks.later(10_000, store=10_002)
        assert clocks.told(1)
    assert abs(clocks.error_ms) <= 3


def test_an_operator_accepts_it_as_it_is() -> None:
    """From the next reply on; until that comes, nothing is granted."""
    clocks = watched()
    clocks.later(1_000, store=HOUR_MS)
    assert not clocks.told()
    clocks.clock.accept()
    assert (clocks.clock.trusted, clocks.jump_ms) == (False, None)
    assert clocks.told()
    assert (clocks.clock.trusted, clocks.error_ms) == (True, 0)


@pytest.mark.parametrize(
    ("said_ms", "heeded"), [(0, True), (-WORD_GOOD_MS, True), (-WORD_GOOD_MS - 1, False), (1, False), (-HOUR_MS, False)], ids=lambda value: str(value)
)
def test_a_word_is_about_the_clock_as_it_is_now(said_ms: int, heeded: bool) -> None:
    """One that was given before a leap says nothing of the clock after it."""
    clocks = watched()
    clocks.later(1_000, store=HOUR_MS)
    assert not clocks.told()
    assert clocks.clock.heed(ClockWord(clocks.store + said_ms, 0), clocks.store) is heeded
    assert clocks.jump_ms == (None if heeded else HOUR_MS - 1_000)


def test_a_word_is_heeded_once() -> None:
    """The next leap needs another; and what is no word is none."""
    clocks = watched()
    clocks.later(1_000, store=HOUR_MS)
    word = ClockWord.of(ClockWord(clocks.store, 5).text.encode())
    assert word == ClockWord(clocks.store, 5)
    assert clocks.clock.heed(word, clocks.store)
    assert clocks.told()
    clocks.later(1_000, store=5_000)
    assert not clocks.told()
    assert not clocks.clock.heed(word, clocks.store)
    for kept in (None, b"", b"7", b"{}", b'{"at_ms": "x", "ahead_ms": 0}', b"\xff"):
        assert ClockWord.of(kept) is None
    assert not clocks.clock.heed(None, clocks.store)


# A real server whose clock leaps

needs_compiler = pytest.mark.skipif(
    compiler() is None or not Path("/proc/self").exists(), reason="the server's clock is moved by a C library: no compiler here"
)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leaping")


@pytest.fixture
def leaping(workshop: Path) -> Iterator[LeapingServer]:
    with LeapingServer(workshop) as server:
        yield server


@pytest.fixture
async def ana(leaping: LeapingServer) -> AsyncIterator[Dialer]:
    async with dialer(leaping.url, members=20) as ana:
        yield ana


@pytest.fixture
def behind(leaping: LeapingServer) -> Iterator[Commands]:
    with Commands(leaping.port) as client:
        yield client


async def look(ana: Dialer) -> None:
    """What the process does every half second."""
    await Settling(ana.orgs, ListStore(ana.orgs), SettingsStore(ana.orgs), 30).turn()


def trusted(ana: Dialer) -> bool:
    return ana.orgs.store.clock.trusted


def entries(behind: Commands) -> list[str]:
    return [entry["type"] for entry in snapshot(behind)["reservoir:{acme}:history"].value]


@needs_compiler
@pytest.mark.parametrize("leap_ms", [2 * HOUR_MS, 3 * DAY_MS, -2 * HOUR_MS])
async def test_claims_are_refused_while_the_stores_clock_is_off(leaping: LeapingServer, ana: Dialer, behind: Commands, leap_ms: int) -> None:
    """R14, R19: a leap frees nobody; the clock back, it goes on by itself, and whoever was reserved is, until the same instant."""
    (held,) = await ana.claim("ana", hold_seconds=60)
    (reserved,) = await ana.claim("bob")
    keys = {claim.prospect: f"reservoir:{{acme}}:reservation:csv:{claim.prospect}" for claim in (held, reserved)}
    ends = {prospect: behind("PEXPIRETIME", key) for prospect, key in keys.items()}
    before = snapshot(behind)["reservoir:{acme}:ends"], entries(behind)
    leaping.leap(leap_ms)
    if leap_ms > DAY_MS:
        await await_until(lambda: not any(behind("EXISTS", key) for key in keys.values()), "the server to have expired the keys", 60)
    for verb in (
        lambda: ana.claim("eve"),
        lambda: ana.claims.claim_one(ana.org, "csv", held.prospect, None, Taker("eve", "s", "power", None), RequestKey.of(None, "/", {})),
        lambda: ana.claims.attempt(ana.org, held.id),
        lambda: ana.claims.release(ana.org, held.id),
        lambda: ana.claims.extend(ana.org, held.id, 60),
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            await verb()
        assert "clock" in str(caught.value)
        assert not caught.value.unknown
    for _ in range(3):
        await look(ana)
    assert not trusted(ana)
    assert (snapshot(behind)["reservoir:{acme}:ends"], entries(behind)) == before
    leaping.leap(0)
    await look(ana)
    assert trusted(ana)
    for claim in (held, reserved):
        refused = await _claimed_by_id(ana, claim.prospect)
        assert isinstance(refused, Refused)
        assert refused.slug == "prospect-reserved"
        if leap_ms < DAY_MS or claim is reserved:  # a claim that was only held is known for a day after its end, and the store's clock has seen that pass
            assert behind("PEXPIRETIME", keys[claim.prospect]) == ends[claim.prospect]
    assert [claim.prospect for claim in await ana.claim("eve", count=2)] == ["p002", "p003"]


async def _claimed_by_id(ana: Dialer, prospect: str) -> Any:
    return await ana.claims.claim_one(ana.org, "csv", prospect, None, Taker("eve", "s", "power", None), RequestKey.of(None, "/", {}))


@needs_compiler
async def test_the_first_call_after_a_leap_does_nothing(leaping: LeapingServer, ana: Dialer, behind: Commands) -> None:
    """R19: before anybody has noticed, the script itself sees that its clock is not in the window that it was given."""
    await ana.claim("ana", hold_seconds=60)
    before = snapshot(behind)
    leaping.leap(HOUR_MS)
    assert trusted(ana)
    with pytest.raises(StoreUnavailableError):
        await ana.claim("bob")
    assert not trusted(ana)
    after = snapshot(behind)
    assert {key: entry for key, entry in before.items() if entry.expires_at_ms is None} == {
        key: entry for key, entry in after.items() if entry.expires_at_ms is None
    }


@needs_compiler
async def test_a_small_step_is_no_leap(leaping: LeapingServer, ana: Dialer) -> None:
    """Within the tolerance, claims go on."""
    for offset_ms in (1_500, 0, -1_500):
        leaping.leap(offset_ms)
        assert len(await ana.claim()) == 1


@needs_compiler
async def test_a_laptop_that_slept_goes_on_by_itself(leaping: LeapingServer, ana: Dialer, monkeypatch: pytest.MonkeyPatch, behind: Commands) -> None:
    """Store and host moved together: what was due meanwhile has ended, and claims go on within one look."""
    await ana.claim("ana", hold_seconds=60)
    leaping.leap(HOUR_MS)
    monkeypatch.setattr(clock_module, "time", SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + HOUR_MS / 1_000))
    await look(ana)
    assert trusted(ana)
    assert entries(behind)[-1] == "claim.lapsed"
    assert [claim.prospect for claim in await ana.claim()] == ["p000"]


@needs_compiler
async def test_an_operator_accepts_the_clock(leaping: LeapingServer, ana: Dialer) -> None:
    """Between the word and the next reading claims are refused still, and not with a defect."""
    leaping.leap(HOUR_MS)
    await look(ana)
    ana.orgs.store.clock.accept()
    with pytest.raises(StoreUnavailableError):
        await ana.claim()
    await look(ana)
    assert len(await ana.claim()) == 1


@needs_compiler
async def test_every_process_hears_an_operators_word(leaping: LeapingServer, ana: Dialer, behind: Commands) -> None:
    """Given by another process, to the store: claims go on within one look; the next leap is distrusted again, whatever was said before."""
    await ana.claim("ana", hold_seconds=60)
    leaping.leap(HOUR_MS)
    await look(ana)
    assert not trusted(ana)
    operator = await open_store(leaping.url)
    await operator.accept_clock()
    await operator.close()
    await look(ana)
    assert trusted(ana)
    assert entries(behind)[-1] == "claim.lapsed"
    assert [claim.prospect for claim in await ana.claim()] == ["p000"]
    leaping.leap(2 * HOUR_MS)
    await look(ana)
    assert not trusted(ana)
