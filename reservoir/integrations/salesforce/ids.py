"""Salesforce: its leads and contacts, and the lists that are made of them."""

import re

from reservoir.domain.refusals import InvalidError

_ID_15 = re.compile(r"[A-Za-z0-9]{15}")
_ID_18 = re.compile(r"[A-Za-z0-9]{18}")
_SUFFIX_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def prospect_id(text: str) -> str:
    """The 18-character form of a record's id, which is one however the id is written (R18).

    An 18-character id that some tool wrote in one case all over gets the case of its letters back from its suffix.

    **Raises**: InvalidError for what is no Salesforce id, one whose suffix does not fit included.
    """
    if _ID_15.fullmatch(text):
        return text + _suffix(text)
    if not _ID_18.fullmatch(text):
        raise InvalidError(f"a Salesforce id is 15 or 18 letters and digits, not {text[:40]!r}")
    id_15, suffix = text[:15], text[15:]
    if suffix == _suffix(id_15):
        return text
    if id_15 in (id_15.upper(), id_15.lower()):
        return _repaired(id_15, suffix.upper())
    raise InvalidError(f"the last three characters of the Salesforce id {text!r} do not fit the first fifteen")


def _suffix(id_15: str) -> str:
    return "".join(_suffix_letter(id_15[start : start + 5]) for start in (0, 5, 10))


def _suffix_letter(five: str) -> str:
    """It says which of five characters are upper case, the first in the lowest bit."""
    return _SUFFIX_LETTERS[sum(1 << bit for bit, character in enumerate(five) if "A" <= character <= "Z")]


def _repaired(id_15: str, suffix: str) -> str:
    upper = [bool(_SUFFIX_LETTERS.find(letter) >> bit & 1) for letter in suffix for bit in range(5)]
    cased = "".join(character.upper() if up else character.lower() for character, up in zip(id_15, upper, strict=True))
    if _suffix(cased) != suffix:  # a bit set at a digit, or a letter that no suffix has
        raise InvalidError(f"the last three characters of the Salesforce id {id_15 + suffix!r} fit no case of the first fifteen")
    return cased + suffix
