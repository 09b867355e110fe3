"""R1 to R17 as a whole: whatever is done, in whatever order, the store and a plain model of the rules agree on all that is to be seen."""

import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from reservoir.domain.times import DAY_MS
from reservoir.storage import scripts, syncs
from tests.property.asking import Asking
from tests.property.checks import Checks
from tests.property.dialing import Dialing
from tests.property.office import Office
from tests.property.processes import World
from tests.support.engine import EngineProcess

EXAMPLES = int(os.environ.get("RESERVOIR_TEST_EXAMPLES", "60"))
STEPS = int(os.environ.get("RESERVOIR_TEST_STEPS", "40"))
"""How many orders of acts are tried, and how long each is. More than CI has time for: RESERVOIR_TEST_EXAMPLES=2000."""

PROFILE = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

TINY = {
    "SETTLE_PROSPECTS": 2,
    "SETTLE_MOVES": 3,
    "CANDIDATES": 2,
    "GRANT_MOVES": 3,
    "LEAVING": 2,
    "RELEASED_MOST": 2,
    "LOOKED": 2,
    "SPARE": 1,
    "SKIP_FROM": 1,
    "EARLY_MOST": 1,
    "CAME_KEPT": 3,
}
"""The scripts' bounds, so small that a list of five meets all of them."""


class Machine(Dialing, Asking, Office, Checks):
    """All acts and all checks."""


@pytest.fixture
def world(server: EngineProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world, in which a run falls silent only where an act says so, however slow the machine is."""
    for lease in ("LEASE_MS", "FILE_LEASE_MS", "HOLD_MS"):
        monkeypatch.setattr(syncs, lease, DAY_MS)
    with World(server) as opened:
        yield opened
    server.flush()


@pytest.fixture
def tiny_bounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real scripts with tiny bounds."""
    whole = scripts._text
    left = set(TINY)

    def bounded(name: str) -> str:
        text = whole(name)
        for bound, value in TINY.items():
            text, found = re.subn(rf"^local {bound} = \d+$", f"local {bound} = {value}", text, flags=re.MULTILINE)
            left.difference_update({bound} if found else ())
        return text

    monkeypatch.setattr(scripts, "_text", bounded)
    for cached in (scripts.script, scripts._chunks):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (scripts.script, scripts._chunks):
        cached.cache_clear()
    assert not left, f"no script has the bounds {left} any more"


def machine(world: World, *, tight: bool) -> type[Machine]:
    """The machine on that server."""

    class Here(Machine):
        pass

    Here.world, Here.tight = world, tight
    Here.TestCase.settings = PROFILE
    return Here


@pytest.mark.timeout(0)
def test_the_store_and_the_rules_agree_whatever_is_done(world: World) -> None:
    """R1-R4, R6, R7, R9, R10, R12, R13, R15-R17: after every act, who is granted, counted, shown, kept and remembered is what the rules say."""
    run_state_machine_as_test(machine(world, tight=False), settings=PROFILE)


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("tiny_bounds")
def test_the_bounds_of_the_scripts_change_nothing_of_that(world: World) -> None:
    """R1-R17 hold where an act is too big for one call: a claim may then get fewer, but in order, nobody twice, nobody lost."""
    run_state_machine_as_test(machine(world, tight=True), settings=PROFILE)
