"""What processes count side by side in shared memory, and what they are together."""

import os

import pytest

from reservoir import metrics
from reservoir.metrics import SHEET_BYTES, Board, Metric

CALLS = Metric("counter", "calls", "Calls.", ("mode",))
OFF = Metric("gauge", "off", "How far off.")
TOOK = Metric("histogram", "took", "How long.", (), (1.0, 2.0))


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_board", Board(1))


def test_a_number_is_what_was_added() -> None:
    """By name and labels, each for itself."""
    CALLS.add(2, "power")
    CALLS.add(0.5, "power")
    CALLS.add(1, "parallel")
    OFF.set(3.5)
    OFF.set(1.5)
    assert CALLS.totals() == {("power",): 2.5, ("parallel",): 1}
    assert OFF.totals() == {(): 1.5}


def test_a_value_is_counted_in_its_bucket() -> None:
    """The bound belongs to the bucket below it; what is beyond all of them is in the last."""
    for value in (0.5, 1.0, 1.1, 2.0, 9.0):
        TOOK.observe(value)
    counted = {TOOK.bucket(series): number for series, number in TOOK.totals().items()}
    assert counted == {0: 2, 1: 2, 2: 1, None: pytest.approx(13.6)}


def test_processes_count_together_and_one_goes_on_for_another() -> None:
    """Forked from one that made room: their counts add up, of a gauge the largest is told, and a successor at a seat never falls behind."""
    metrics.share(2)
    for number, amount in ((0, 3), (1, 4), (1, 5)):
        pid = os.fork()
        if pid == 0:
            metrics.sit(number)
            CALLS.add(amount, "power")
            OFF.set(float(amount))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    assert CALLS.totals() == {("power",): 12}
    assert OFF.totals() == {(): 5}


def test_what_finds_no_room_is_not_counted_and_breaks_nothing() -> None:
    """A sheet that is full keeps what it has, and its neighbour's is whole."""
    metrics.share(2)
    metrics.sit(1)
    CALLS.add(7, "neighbour")
    metrics.sit(0)
    wide = "x" * 10_000
    for number in range(SHEET_BYTES // 10_000 + 2):
        CALLS.add(1, f"{wide}{number}")
    CALLS.add(1, f"{wide}0")
    totals = CALLS.totals()
    assert totals["neighbour",] == 7
    assert totals[f"{wide}0",] == 2
    assert SHEET_BYTES // 10_000 - 3 < len(totals) <= SHEET_BYTES // 10_000 + 1


def test_every_name_is_one_that_prometheus_takes() -> None:
    """In one table, each once, with its unit where it has one."""
    names = [metric.name for metric in metrics.METRICS]
    assert len(names) == len(set(names))
    for metric in metrics.METRICS:
        assert metric.name.startswith("reservoir_")
        assert metric.about.endswith(".")
        assert list(metric.bounds) == sorted(metric.bounds)
        assert bool(metric.bounds) == (metric.kind == "histogram")
        assert len(metric.bounds) < 32
