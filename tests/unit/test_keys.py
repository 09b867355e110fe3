"""Key names: a contract with whoever reads the store by hand."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reservoir.domain.ids import opaque
from reservoir.domain.refusals import InvalidError
from reservoir.storage import keys
from reservoir.storage.keys import KEYS, decoded, encoded, kind_of, prefix

LUA = Path(keys.__file__).with_name("lua")


def ids() -> st.SearchStrategy[str]:
    """What a rep, a session or a prospect may be called."""

    def allowed(text: str) -> bool:
        try:
            return opaque(text) == text
        except InvalidError:
            return False

    return st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=80).filter(allowed)


@settings(deadline=None)
@given(ids())
def test_decoding_gives_the_id_back(id_: str) -> None:
    """And what stands in the key is plain ASCII, of which no part separates or globs."""
    part = encoded(id_)
    assert decoded(part) == id_
    assert re.fullmatch(r"([A-Za-z0-9\-._~@+]|%[0-9A-F]{2})+", part)


@settings(deadline=None)
@given(ids(), ids())
def test_two_ids_are_two_keys(one: str, other: str) -> None:
    """No id can be written so that it is taken for another."""
    assert (encoded(one) == encoded(other)) == (one == other)


@settings(deadline=None)
@given(ids())
def test_a_live_reservation_is_found_by_its_pattern_and_nothing_else_is(id_: str) -> None:
    """Whatever a prospect, a session or a rep is called, only a reservation's key begins as one."""
    part = encoded(id_)
    start = f"{prefix('acme')}reservation:"
    kind = kind_of(f"{start}salesforce:{part}")
    assert kind is not None
    assert kind.pattern == "reservoir:{<org>}:reservation:<integration>:<prospect>"
    for other in (f"session:{part}", f"claim:{part}", f"idempotency:{part}", f"list:west:removed:{part}"):
        name = prefix("acme") + other
        assert not name.startswith(start)
        found = kind_of(name)
        assert found is not None
        assert found.pattern.split(":")[2] == other.split(":")[0]


def test_the_names_that_operators_were_told() -> None:
    """These are in the contract: they stay what they are, and so do their types and whether the store ends them."""
    told = {
        "reservoir:{acme}:reservation:salesforce:00Q5e00000AbCdEEAV": ("string", True),
        "reservoir:{acme}:list:q4-west": ("hash", False),
        "reservoir:{acme}:list:q4-west:members": ("hash", False),
        "reservoir:{acme}:list:q4-west:order": ("zset", False),
        "reservoir:{acme}:list:q4-west:available": ("zset", False),
        "reservoir:{acme}:list:q4-west:held": ("zset", False),
        "reservoir:{acme}:list:q4-west:reserved": ("zset", False),
        "reservoir:{acme}:lists-of:salesforce": ("hash", False),
        "reservoir:{acme}:claim:abcdefghijklmnop00": ("hash", True),
        "reservoir:{acme}:ends": ("zset", False),
        "reservoir:{acme}:unreserved-ends": ("zset", False),
        "reservoir:{acme}:settings:salesforce": ("string", False),
        "reservoir:{acme}:history": ("stream", False),
    }
    for name, wanted in told.items():
        kind = kind_of(name)
        assert kind is not None, name
        assert (kind.type, kind.ttl) == wanted


@pytest.mark.parametrize(
    "name",
    [
        "reservoir:{acme}:",
        "reservoir:{acme}:reservation:csv",
        "reservoir:{acme}:reservation:csv:a:b",
        "reservoir:acme:org",
        "xreservoir:{acme}:org",
        "reservoir:{acme}:org:x",
        "reservoir:{acme}:list:q4:place",
        "reservoir:{a:b}:org",
        "reservoir:orgs:x",
        "other",
        "",
    ],
)
def test_what_is_no_key_of_the_service(name: str) -> None:
    """Neither more nor less than a declared pattern."""
    assert kind_of(name) is None


def test_every_key_is_of_one_kind() -> None:
    """No two patterns match one name, each begins with ``reservoir:``, and each says what it is and when it goes."""
    for key in KEYS:
        name = re.sub(r"<(\w+)>", r"\1", key.pattern)
        assert [other.pattern for other in KEYS if other.matches(name)] == [key.pattern]
        assert name.startswith("reservoir:")
        assert key.what
        assert key.goes


def test_an_orgs_keys_share_one_hash_tag() -> None:
    """So that its scripts run on a cluster: the braces hold the org's id and nothing else."""
    assert prefix("acme") == "reservoir:{acme}:"
    for key in KEYS:
        if "<org>" in key.pattern:
            assert key.pattern.startswith("reservoir:{<org>}:")


def test_the_scripts_make_no_other_keys() -> None:
    """Every key that a script names, behind the prefix or behind a list's base, is declared."""
    known = {key.pattern.removeprefix("reservoir:{<org>}:").split(":")[0] for key in KEYS}
    of_lists = {
        key.pattern.removeprefix("reservoir:{<org>}:list:<list>:").split(":")[0] for key in KEYS if key.pattern.startswith("reservoir:{<org>}:list:<list>:")
    }
    named = {(file.name, name) for file in LUA.glob("*.lua") for name in re.findall(r"prefix \.\. '([a-z-]+)", file.read_text())}
    named_of_lists = {(file.name, name) for file in LUA.glob("*.lua") for name in re.findall(r"base \.\. ':([a-z-]+)", file.read_text())}
    assert len(named) > 20
    assert len(named_of_lists) > 20
    assert {(file, name) for file, name in named if name not in known} == set()
    assert {(file, name) for file, name in named_of_lists if name not in of_lists} == set()
