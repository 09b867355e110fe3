"""What `reservoir reservations ls --watch` says to programs: a line when something has changed, and none when nothing has."""

import json

import pytest

from reservoir.cli.watching import _JsonLines


def test_a_look_that_finds_the_same_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """However often it looks."""
    show = _JsonLines()
    for _ in range(3):
        show([])
    assert json.loads(capsys.readouterr().out) == {"items": []}
