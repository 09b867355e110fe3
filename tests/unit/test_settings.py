"""An org's settings: what holds until an admin says otherwise, and whom an API key reaches."""

from zoneinfo import ZoneInfo

import pytest

from reservoir.domain.reservation_timeout import ReservationTimeout
from reservoir.domain.settings import SCOPES, ApiKey, MultiRepDialing, OrgProfile, Scope


def key(*scopes: Scope) -> ApiKey:
    return ApiKey("aaaaaaaaaaaa", "dialer", scopes, 0, "00")


def test_multi_rep_dialing_is_off_until_it_is_set() -> None:
    """Nobody's calls change before an admin asks for it: off, and one day if it comes on."""
    assert MultiRepDialing() == MultiRepDialing(enabled=False, timeout=ReservationTimeout("day", 1), switched_on=0, updated_at_ms=None, updated_by=None)


def test_an_orgs_days_are_utc_days_until_it_says_where_it_is() -> None:
    """R5: the time zone's default is UTC."""
    assert OrgProfile("acme", "Acme").zone == ZoneInfo("UTC")


def test_an_org_counts_days_in_its_own_zone() -> None:
    """R5: the zone is the org's own."""
    assert OrgProfile("acme", "Acme", time_zone="Australia/Lord_Howe").zone.key == "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("scopes", "reached"),
    [
        ((), ()),
        (("read",), ("read",)),
        (("dial",), ("read", "dial")),
        (("admin",), ("read", "dial", "admin")),
        (("read", "admin"), ("read", "dial", "admin")),
        (("dial", "read"), ("read", "dial")),
    ],
)
def test_a_scope_reaches_all_that_the_lesser_ones_reach(scopes: tuple[Scope, ...], reached: tuple[Scope, ...]) -> None:
    """``dial`` is all of ``read`` and more, ``admin`` all of ``dial`` and more; no scope is no access."""
    assert tuple(scope for scope in SCOPES if key(*scopes).reaches(scope)) == reached
