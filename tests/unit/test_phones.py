"""Which numbers can be dialed, and that the rule for plain ones says what libphonenumber says."""

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberFormat, ValidationResult

from reservoir.domain.prospects import Phone
from reservoir.integrations import phones

REGIONS = ("US", "CA", "GB", "DE", "AU", "FR", "IT", "BR", "AR", "MX", "IM", "BS", "SG", "NZ")


def as_libphonenumber_reads(number: str, region: str, label: str) -> Phone | None:
    """The same promise, kept by libphonenumber alone."""
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None
    return Phone(label, phonenumbers.format_number(parsed, PhoneNumberFormat.E164), parsed.extension or None)


@pytest.mark.parametrize(
    ("number", "region", "e164"),
    [
        ("+14155550100", "US", "+14155550100"),
        ("+1 415 555 0100", "DE", "+14155550100"),
        ("415-555-0100", "US", "+14155550100"),
        ("(415) 555-0100", "US", "+14155550100"),
        ("415.555.0100", "US", "+14155550100"),
        ("4155550100", "CA", "+14155550100"),
        ("1 (415) 555-0100", "US", "+14155550100"),
        ("tel:+1-415-555-0100", "GB", "+14155550100"),
        ("415 555 0100", "US", "+14155550100"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("442079460018", "GB", "+442079460018"),
        ("011 44 20 7946 0018", "US", "+442079460018"),
        ("+44 (0) 20 7946 0018", "US", "+442079460018"),
        ("030/901820", "DE", "+4930901820"),
        ("06 1234 5678", "IT", "+390612345678"),
        ("１２３-456-7890", "US", "+11234567890"),
        ("1-800-FLOWERS", "US", "+18003569377"),
    ],
)
def test_a_number_is_read_into_e164(number: str, region: str, e164: str) -> None:
    """A number is read as people write it, in the org's region where it has no country code."""
    assert phones.read(number, region, "mobile") == Phone("mobile", e164)


@pytest.mark.parametrize(
    ("number", "extension"),
    [
        ("415-555-0100 x123", "123"),
        ("+14155550100;ext=0042", "0042"),
        ("(415) 555-0100 ext. 7", "7"),
        ("415 555 0100, extension 123", "123"),
        ("4155550100#99", "99"),
    ],
)
def test_an_extension_is_kept_apart(number: str, extension: str) -> None:
    """An extension is no part of the number that is dialed, and is not lost."""
    assert phones.read(number, "US", "phone_work") == Phone("phone_work", "+14155550100", extension)


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("555-0100", "US"),
        ("+1 555 0100", "US"),
        ("415-555-010", "US"),
        ("415-555-01000", "US"),
        ("12", "US"),
        ("", "US"),
        ("   ", "US"),
        ("n/a", "US"),
        ("ask Dana", "US"),
        ("+999 123 456 789", "US"),
        ("415-555-0100 / 415-555-0101", "US"),
        ("4155550100" * 30, "US"),
        ("\0", "US"),
        ("7946 0018", "GB"),
    ],
)
def test_what_cannot_be_a_phone_number_is_none(number: str, region: str) -> None:
    """Too short, too long, without its area code, or no number at all."""
    assert phones.read(number, region, "mobile") is None


PUNCTUATION = st.sampled_from(["", "", "", " ", "-", ".", "(", ")", "/", ") ", " ("])
ODDITIES = st.sampled_from(["x", "+", ",", ";", "#", "*", "~", "\t", "\n", "\u00a0", "\u2013", "\u200b", "٣", "２", "²", "e", "ext", " x1", "_"])
PREFIXES = st.sampled_from(
    ["", "", "+", "++", "0", "00", "1", "011", "0011", "+0", "+1", "1 1", "+44", "44", "+44 0", "+49", "49", "+61", "61", "+390", "+54 9", "+800"]
)


@st.composite
def near_misses(draw: st.DrawFn) -> str:
    """Strings that are, or all but are, plain phone numbers."""
    digits = draw(st.text("0123456789", max_size=16))
    spaced = "".join(draw(PUNCTUATION) + digit for digit in digits)
    text = draw(PREFIXES) + spaced + draw(PUNCTUATION)
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(ODDITIES) + text[at:]
    return text


@settings(max_examples=1_000)
@given(near_misses(), st.sampled_from(REGIONS))
@example("+14155550100", "US")
@example("415-555-0100", "US")
@example("14155550100", "CA")
@example("5550100", "CA")
@example("+1 1 415 555 0100", "US")
@example("0 415 555 0100", "US")
@example("020 7946 0018", "GB")
@example("000000000", "DE")
@example("18002001234567", "GB")
@example("491701234567", "DE")
@example("0011 1 415 555 0100", "AU")
@example("1831 2 1234 5678", "AU")
@example("011 15 2345 6789", "AR")
@example("011 15 23456789 01", "AR")
@example("859 30 25", "BY")
@example("345 6789", "BS")
@example("+1４155550100", "US")
@example("+1415555010²", "US")
@example("４155550100", "US")
@example("+800 1234 5678", "US")
@example("+210 123 4567", "US")
def test_the_rule_for_plain_numbers_agrees_with_libphonenumber(number: str, region: str) -> None:
    """Whatever is read without asking libphonenumber is what libphonenumber would have said."""
    assert phones.read(number, region, "mobile") == as_libphonenumber_reads(number, region, "mobile")


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.text("0123456789", min_size=2, max_size=17), st.data())
def test_the_rule_agrees_in_every_region(region: str, digits: str, data: st.DataObject) -> None:
    """The same, for every region that libphonenumber knows, with its own country code and prefixes before the number."""
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    code, trunk = str(metadata.country_code), metadata.national_prefix or ""
    number = data.draw(st.sampled_from(["", trunk, code, "+" + code, "+" + code + trunk, code + trunk])) + digits
    assert phones.read(number, region, "phone") == as_libphonenumber_reads(number, region, "phone")


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+14155550100", "US"),
        ("415-555-0100", "US"),
        ("(415) 555-0100", "US"),
        ("1.415.555.0100", "US"),
        ("020 7946 0018", "GB"),
        ("+49 30 901820", "US"),
        ("(02) 5550 0123", "AU"),
    ],
)
def test_common_numbers_do_not_cost_a_reading_by_libphonenumber(number: str, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of which lists are full are read by the rule alone."""
    expected = as_libphonenumber_reads(number, region, "mobile")

    def refuse(*_: object) -> None:
        raise AssertionError("libphonenumber was asked")

    monkeypatch.setattr(phonenumbers, "parse", refuse)
    assert phones.read(number, region, "mobile") == expected
    assert expected is not None


def test_a_region_that_there_is_not_reads_only_numbers_with_a_country_code() -> None:
    """Without a region a number must bring its country code."""
    assert phones.read("415-555-0100", "ZZ", "mobile") is None
    assert phones.read("+1 415 555 0100", "ZZ", "mobile") == Phone("mobile", "+14155550100")
