"""How each integration names its prospects (R18), and which integrations there are."""

import string
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservoir.domain.refusals import InvalidError
from reservoir.integrations import csv, hubspot, salesforce
from reservoir.integrations.base import Integration, integrations

ID_15S = st.text(string.ascii_letters + string.digits, min_size=15, max_size=15)


@pytest.mark.parametrize(
    ("id_15", "suffix"),
    [
        ("00Q5e00000AbCdE", "EAV"),
        ("000000000000000", "AAA"),
        ("abcdeabcdeabcde", "AAA"),
        ("ABCDEABCDEABCDE", "555"),
        ("Abcdeabcdeabcde", "BAA"),
        ("abcdEabcdeabcde", "QAA"),
        ("abcdeabcdeabcdE", "AAQ"),
        ("001D000000IRFma", "IAH"),
        ("0015000000Gv7qJ", "AAR"),
    ],
)
def test_r18_fifteen_characters_become_eighteen(id_15: str, suffix: str) -> None:
    """R18: the 15-character form of a record's id and its 18-character form are the same prospect."""
    assert salesforce.prospect_id(id_15) == id_15 + suffix
    assert salesforce.prospect_id(id_15 + suffix) == id_15 + suffix


@given(ID_15S)
def test_r18_an_id_in_one_case_gets_its_letters_back(id_15: str) -> None:
    """R18: an 18-character id that was put all in lower or all in upper case is still the same prospect."""
    canonical = salesforce.prospect_id(id_15)
    assert canonical[:15] == id_15
    assert salesforce.prospect_id(canonical.lower()) == canonical
    assert salesforce.prospect_id(canonical.upper()) == canonical
    assert salesforce.prospect_id(canonical) == canonical


@pytest.mark.parametrize("suffix", ["EAV", "eav", "eAv"])
def test_r18_the_suffix_is_read_in_any_case_where_the_rest_is_repaired(suffix: str) -> None:
    """R18: where the first fifteen are in one case, the suffix may be in any."""
    assert salesforce.prospect_id("00q5e00000abcde" + suffix) == "00Q5e00000AbCdEEAV"
    assert salesforce.prospect_id("00Q5E00000ABCDE" + suffix) == "00Q5e00000AbCdEEAV"


@pytest.mark.parametrize(
    "text",
    [
        "00Q5e00000AbCdEEAW",  # mixed case, and the suffix does not fit
        "00Q5e00000AbCdEeav",  # mixed case, and the suffix is not as it is written
        "00q5e00000abcdeBAA",  # demands an upper-case digit
        "00q5e00000abcde9AA",  # 9 is in no suffix
        "00Q5e00000AbCd",
        "00Q5e00000AbCdEE",
        "00Q5e00000AbCdEEAVA",
        " 00Q5e00000AbCdE",
        "00Q5e00000AbCdE\n",
        "00Q5e00000AbCd-",
        "00Q5e00000AbCd\u0130",
        "00Q5e00000AbCd\u0663",
        "",
    ],
)
def test_r18_anything_else_is_no_salesforce_id(text: str) -> None:
    """R18: a suffix that does not fit, another length or another character makes it no Salesforce id."""
    with pytest.raises(InvalidError, match="Salesforce id"):
        salesforce.prospect_id(text)


@pytest.mark.parametrize("text", ["1", "51", "90210", "9" * 20])
def test_a_hubspot_id_is_kept(text: str) -> None:
    """A decimal number is a HubSpot id as it stands."""
    assert hubspot.prospect_id(text) == text


@pytest.mark.parametrize("text", ["", "0", "007", "-1", "1.0", "1e3", " 1", "1\n", "\u0661", "9" * 21])
def test_what_is_no_decimal_number_is_no_hubspot_id(text: str) -> None:
    """Leading zeros, signs, spaces, other digits and absurd lengths are refused, so that one contact has one id."""
    with pytest.raises(InvalidError, match="HubSpot id"):
        hubspot.prospect_id(text)


def test_a_csv_id_is_trimmed_and_composed() -> None:
    """A CSV id is the same prospect whether its accents came composed or not, and with whatever space around it."""
    assert csv.prospect_id("  Zoe\u0308 {:}* ") == "Zoë {:}*"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60))
def test_a_canonical_csv_id_stays_as_it_is(text: str) -> None:
    """Reading a canonical id again changes nothing."""
    try:
        canonical = csv.prospect_id(text)
    except InvalidError:
        assert not text.strip()
        return
    assert csv.prospect_id(canonical) == canonical == unicodedata.normalize("NFC", canonical)


@pytest.mark.parametrize("text", ["", "   ", "a\0b", "a\x1bb", "x" * 256, "ä" * 128, "\ud800"])
def test_what_cannot_be_kept_is_no_csv_id(text: str) -> None:
    """Nothing, control characters, over 255 bytes and half characters are refused."""
    with pytest.raises(InvalidError):
        csv.prospect_id(text)


def test_the_integrations_that_there_are() -> None:
    """Salesforce and HubSpot can be synced from; a CSV list is put in."""
    assert {name: found.has_source for name, found in integrations().items() if name in ("salesforce", "hubspot", "csv")} == {
        "salesforce": True,
        "hubspot": True,
        "csv": False,
    }
    assert integrations()["salesforce"].prospect_id("00Q5e00000AbCdE") == "00Q5e00000AbCdEEAV"


@pytest.fixture
def offering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path that holds an installed package whose entry point is ``offered:OFFER``."""
    packaged = tmp_path / "offered-1.dist-info"
    packaged.mkdir()
    (packaged / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1\n")
    (packaged / "entry_points.txt").write_text("[reservoir.integrations]\noffered = offered:OFFER\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "offered", raising=False)
    integrations.cache_clear()
    yield tmp_path / "offered.py"
    integrations.cache_clear()


def test_an_installed_package_offers_an_integration(offering: Path) -> None:
    """An Integration that another package offers is one like our own."""
    offering.write_text("from reservoir.integrations.base import Integration\nOFFER = Integration('pipedrive', str.upper)\n")
    found = integrations()["pipedrive"]
    assert isinstance(found, Integration)
    assert found.prospect_id("a1") == "A1"
    assert integrations() is integrations()


@pytest.mark.parametrize(
    ("offer", "error", "sentence"),
    [
        ("'pipedrive'", TypeError, "is no Integration"),
        ("Integration('csv', str)", ValueError, "'csv' exists already"),
        ("Integration('Pipe Drive', str)", ValueError, "is no name"),
    ],
)
def test_a_package_that_offers_something_else_is_named(offering: Path, offer: str, error: type[Exception], sentence: str) -> None:
    """What is no integration, has no proper name or would take the place of another stops the start, and the message says where it comes from."""
    offering.write_text(f"from reservoir.integrations.base import Integration\nOFFER = {offer}\n")
    with pytest.raises(error, match=sentence) as raised:
        integrations()
    assert "offered:OFFER" in str(raised.value)
