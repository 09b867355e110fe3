"""The client's own rules, without a service: its façade, its errors, what is the same request, and how long it pauses."""

import itertools
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, assert_type

import pytest

from reservoir import client
from reservoir.client import (
    Claim,
    ClaimLapsedError,
    Granted,
    InvalidRequestError,
    NotFoundError,
    ProspectId,
    RefusedError,
    Reservation,
    Reservoir,
    ReservoirError,
    Sync,
    errors,
    example,
)
from reservoir.client.asking import PAUSE_MOST_S, UNANSWERED_MOST, Unanswered, _pauses
from reservoir.client.sending import Asked, path
from reservoir.http.answers import PROBLEMS

CLAIM = {
    "id": "aaaaaaaaaaaaaaaa00", "state": "held", "reserved": False, "rep": "ana", "session": "s-1", "mode": "power", "list": None,
    "claimed_at": "2026-11-22T17:00:00.123Z", "attempted_at": None, "expires_at": "2026-11-22T17:01:00.123Z",
    "prospect": {
        "integration": "csv", "id": "p1", "name": None, "phones": [], "company": None, "title": None, "owner": None, "time_zone": None, "url": None,
        "fields": {}, "since_version_9": [],
    },
    "since_version_9": {},
}  # fmt: skip


def refusal(slug: str, status: int, **facts: object) -> RefusedError:
    return RefusedError.of({"type": f"/problems/{slug}", "title": "No", "status": status, "detail": "No.", **facts}, "r-1")


def asked(body: dict[str, object], list_: str = "west") -> Asked[Any]:
    return Asked("claim", "POST", path("lists", list_, "claims"), lambda told: told, body)


def test_the_facade_is_all_that_is_public() -> None:
    """What a dialer imports is named in one place, in order, and each name is there."""
    assert client.__all__ == sorted(client.__all__)
    assert all(hasattr(client, name) for name in client.__all__)
    raised = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, ReservoirError)}
    assert raised <= set(client.__all__)


def test_the_tree_of_errors_is_as_its_module_says() -> None:
    """The bullet list at the top of the module is the tree."""
    tree = [line for line in (errors.__doc__ or "").splitlines() if line.lstrip().startswith("- ")]
    above: list[type] = [Exception]
    told = set()
    for line in tree:
        name = line.strip().removeprefix("- ").partition(":")[0]
        depth = line.index("-") // 2 + 1
        found = getattr(errors, name)
        assert found.__bases__ == (above[depth - 1],), name
        above[depth:] = [found]
        told.add(name)
    assert told == {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, ReservoirError)}


@pytest.mark.parametrize("slug", [slug for slug, (status, _) in PROBLEMS.items() if status < 500])
def test_every_problem_of_the_service_is_a_refusal_of_some_kind(slug: str) -> None:
    """Each problem below 500 has its own kind, or that of its status; only what no dialer asks for is a plain refusal."""
    status, _ = PROBLEMS[slug]
    refused = refusal(slug, status)
    assert (refused.slug, refused.status, refused.detail, refused.request_id) == (slug, status, "No.", "r-1")
    of_admins = {"list-exists", "sync-running", "sync-lost", "precondition-failed", "method-not-allowed"}
    assert (type(refused) is RefusedError) == (slug in of_admins)


def test_what_a_refusal_knows() -> None:
    """A refusal tells what a dialer may act on, and a slug that this client has never heard of is one of its status."""
    assert isinstance(refusal("claim-lapsed", 409), ClaimLapsedError)
    assert isinstance(refusal("badge-not-found", 404), NotFoundError)
    invalid = refusal("invalid-request", 422, errors=[{"pointer": "/count", "detail": "too many"}])
    assert isinstance(invalid, InvalidRequestError)
    assert invalid.errors == ({"pointer": "/count", "detail": "too many"},)
    assert str(invalid) == "No. (invalid-request)"


def test_an_answer_of_a_newer_service_is_read() -> None:
    """Members that this client does not know are passed over; times are aware and exact."""
    claim = Claim.of(CLAIM)
    assert claim.claimed_at == datetime(2026, 11, 22, 17, 0, 0, 123_000, UTC)
    assert (claim.attempted_at, claim.prospect.phones, claim.disposition) == (None, (), None)
    granted = Granted.of({"claims": [CLAIM], "list": {"id": "west", "multi_rep_dialing": True, "available": 3, "next_available_at": None, "new": 1}})
    assert granted.claims == (claim,)


@pytest.mark.parametrize(
    ("url", "key", "how"),
    [
        ("reservoir.example.com", "rsv_k", {}),
        ("ftp://reservoir.example.com", "rsv_k", {}),
        ("http://", "rsv_k", {}),
        ("http://me:secret@reservoir.example.com", "rsv_k", {}),
        ("http://reservoir.example.com/?key=1", "rsv_k", {}),
        ("http://reservoir.example.com", "", {}),
        ("http://reservoir.example.com", "rsv_k\n", {}),
        ("http://reservoir.example.com", "rsv_ké", {}),
        ("http://reservoir.example.com", "rsv_k", {"timeout_s": 0}),
        ("http://reservoir.example.com", "rsv_k", {"retry_for_s": -1}),
    ],
)
def test_what_can_be_no_service_is_refused_at_once(url: str, key: str, how: dict[str, float]) -> None:
    """A wrong address, key or time is told when the client is made, not when the first rep dials."""
    with pytest.raises(ValueError, match="expected"):
        Reservoir(url, key, **how)


@pytest.mark.parametrize(
    ("part", "encoded"),
    [("q4-west", "q4-west"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("a.b", "a.b"), ("%2F", "%252F"), ("é", "%C3%A9"), ("a b+", "a%20b%2B")],
)
def test_a_part_of_a_path_is_one_part(part: str, encoded: str) -> None:
    """Nothing in an id is taken for the path's own."""
    assert path("sessions", part, "end") == f"/v1/sessions/{encoded}/end"


def test_pauses_grow_to_a_bound_and_differ() -> None:
    """Each pause is at most twice the one before, at least half of its own bound, and no two clients pause alike."""
    pauses = list(itertools.islice(_pauses(), 30))
    assert all(0.025 <= pause <= PAUSE_MOST_S for pause in pauses)
    assert pauses[0] <= 0.05
    assert min(pauses[-10:]) >= PAUSE_MOST_S / 2
    assert len(set(pauses)) > 20


def test_who_asks_the_same_is_given_the_oldest_unanswered_key() -> None:
    """The same is the same path and body, however the body is ordered; a key is given once."""
    unanswered = Unanswered()
    for key in ("k1", "k2"):
        unanswered.add(key, asked({"rep": "ana", "count": 1}))
    unanswered.add("k3", asked({"rep": "ben", "count": 1}))
    assert unanswered.take(asked({"rep": "ana", "count": 2})) is None
    assert unanswered.take(asked({"rep": "ana", "count": 1}, "east")) is None
    assert unanswered.take(asked({"count": 1, "rep": "ana"})) == "k1"
    assert unanswered.keys() == ("k2", "k3")
    assert unanswered.take(asked({"rep": "ana", "count": 1})) == "k2"
    assert unanswered.take(asked({"rep": "ana", "count": 1})) is None


def test_unanswered_keys_are_bounded() -> None:
    """Beyond the bound the oldest key is forgotten."""
    unanswered = Unanswered()
    for number in range(UNANSWERED_MOST + 5):
        unanswered.add(f"k{number}", asked({}))
    assert len(unanswered) == UNANSWERED_MOST
    assert unanswered.keys()[0] == "k5"


def test_the_client_can_be_imported_alone() -> None:
    """To import the client pulls in nothing of the service, nor what only the service needs."""
    code = """
import sys, reservoir.client.example
own = ("reservoir.client", "reservoir.domain")
service = {name for name in sys.modules if name.startswith("reservoir.") and not name.startswith(own)}
print(sorted(service | {"redis", "pydantic", "orjson", "click", "aiohttp.web"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("arguments", [[], ["http://127.0.0.1:1"], ["not-a-url", "rsv_k", "west"]])
def test_the_example_says_what_it_needs(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Called wrongly, the dialer says so in one line and ends with an error."""
    monkeypatch.setattr(sys, "argv", ["example", *arguments])
    assert example.main() in {1, 2}
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)


async def types_of(reservoir: Reservoir, claim: Claim) -> None:
    """Never run: the types that a dialer's own type checker sees."""
    assert_type(await reservoir.claim("west", rep="ana", session="s-1", mode="power"), Granted)
    assert_type(await reservoir.attempt(claim), Claim)
    assert_type(await reservoir.reservation(ProspectId("csv", "p1")), Reservation | None)
    assert_type(await reservoir.reset("west", "ana"), Sync | None)
    assert_type(await reservoir.end_session("s-1"), int)
    async with reservoir.session("ana") as session, reservoir.keep(claim) as kept:
        assert_type(kept.claim, Claim)
        async for one in session.claims("west", mode="power"):
            assert_type(one, Claim)
