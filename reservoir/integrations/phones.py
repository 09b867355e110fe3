"""Phone numbers as people write them, read into those that can be dialed."""

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat, ValidationResult

from reservoir.domain.prospects import Phone

_PUNCTUATION = b" -.()/"
_PLAIN_MAX = 40
_COUNTRY_CODES = {str(code): code for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}


def read(number: str, region: str, label: str) -> Phone | None:
    """The number in E.164 with its extension apart, or None if it cannot be a phone number.

    What can be one is libphonenumber's to say (``IS_POSSIBLE``); a number that works only inside its area, as 555-0100, cannot.
    ``region`` is how a number without a country code is read. One that is plainly written is read by a rule that gives what libphonenumber
    gives, in a fraction of the time.
    """
    plain = _read_plain(number, region)
    if plain is not None:
        return Phone(label, plain)
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        return None
    return Phone(label, phonenumbers.format_number(parsed, PhoneNumberFormat.E164), parsed.extension or None)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What libphonenumber knows of a region's numbers, as far as the rule for plain ones needs it."""

    country_code: str
    lengths: frozenset[int]
    international_prefix: re.Pattern[str] | None
    national_prefix: re.Pattern[str] | None
    prefix_rewrites: bool
    national_number: re.Pattern[str]


def _read_plain(number: str, region: str) -> str | None:
    """The E.164 form of a number of ASCII digits and punctuation, or None where the rule does not know: then libphonenumber must be asked.

    Punctuation means nothing to libphonenumber and no extension hides behind it, so the digits and a leading plus decide.
    """
    if len(number) > _PLAIN_MAX or not number.isascii():
        return None
    digits = number.encode().translate(None, _PUNCTUATION).decode()  # as bytes, for a table of characters costs as much as all the rest
    if digits[:1] == "+":
        digits = digits[1:]
        return _international(digits) if digits.isdigit() else None
    if not digits.isdigit() or region not in phonenumbers.SUPPORTED_REGIONS:
        return None
    return _national(digits, _plan_of_region(region))


def _international(digits: str) -> str | None:
    """Of digits that begin with a country code; what follows is left as it is unless it begins as the country's national prefix does."""
    for end in (1, 2, 3):
        if digits[:end] in _COUNTRY_CODES:
            plan = _plan_of_country_code(digits[:end])
            number = digits[end:]
            if len(number) in plan.lengths and not _begins(plan.national_prefix, number):
                return "+" + digits
            return None
    return None


def _national(digits: str, plan: _Plan) -> str | None:
    if _begins(plan.international_prefix, digits):
        return None
    if digits.startswith(plan.country_code):
        # Too long for a national number, so the country code is taken for one; a shorter one is a judgement that is not ours.
        too_long = len(digits) > max(plan.lengths) and not _begins(plan.national_prefix, digits[len(plan.country_code) :])
        return _international(digits) if too_long else None
    number = digits
    prefix = plan.national_prefix.match(digits) if plan.national_prefix is not None else None
    if prefix is not None:
        # Stripped, unless the country rewrites what follows, or what is left is worse than what was there.
        number = digits[prefix.end() :]
        if plan.prefix_rewrites or len(number) not in plan.lengths or plan.national_number.fullmatch(digits):
            return None
    if len(number) in _plan_of_country_code(plan.country_code).lengths:
        return f"+{plan.country_code}{number}"
    return None


def _begins(prefix: re.Pattern[str] | None, digits: str) -> bool:
    return prefix is not None and prefix.match(digits) is not None


@lru_cache(maxsize=512)
def _plan_of_country_code(country_code: str) -> _Plan:
    """The plan by which libphonenumber judges every number of a country code, whichever of its regions it belongs to."""
    code = _COUNTRY_CODES[country_code]
    return _plan(PhoneMetadata.metadata_for_region_or_calling_code(code, phonenumbers.region_code_for_country_code(code)))


@lru_cache(maxsize=512)
def _plan_of_region(region: str) -> _Plan:
    return _plan(PhoneMetadata.metadata_for_region(region))


def _plan(metadata: PhoneMetadata | None) -> _Plan:
    if metadata is None or metadata.general_desc is None or metadata.general_desc.national_number_pattern is None:
        raise AssertionError("libphonenumber knows every country code and region that it lists")
    return _Plan(
        country_code=str(metadata.country_code),
        lengths=frozenset(metadata.general_desc.possible_length),
        international_prefix=_compiled(metadata.international_prefix),
        national_prefix=_compiled(metadata.national_prefix_for_parsing),
        prefix_rewrites=metadata.national_prefix_transform_rule is not None,
        national_number=re.compile(metadata.general_desc.national_number_pattern),
    )


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None
