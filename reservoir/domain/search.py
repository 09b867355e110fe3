"""What a search finds people by: the words of a name and the numbers, as they are written down for it and as a question asks for them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reservoir.domain.prospects import Member, Phone, ProspectId

WORDS_MOST = 12
NUMBERS_MOST = 8
WORD_LETTERS_MOST = 32
"""How much of a name is written down: its first words, as long as that. Of a longer word the rest is held against the member's own data."""

LETTERS_LEAST = 2

_APOSTROPHES = {ord(character): None for character in "'\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`"}
_UNACCENTED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"})
"""Letters that people write without their stroke or as two, though Unicode has no decomposition for them."""

_ACCENT = re.compile("[\N{COMBINING GRAVE ACCENT}-\N{COMBINING LATIN SMALL LETTER X}]")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """The words of a text, each once, in their order, without case and accents: letters and digits, whatever stands between them. O'Brien is one word."""
    if text.isascii():
        return list(dict.fromkeys(_ASCII_WORD.findall(text.lower().replace("'", "").replace("`", ""))))
    bare = _ACCENT.sub("", unicodedata.normalize("NFKD", text.translate(_APOSTROPHES))).casefold().translate(_UNACCENTED)
    plain = unicodedata.normalize("NFKC", bare)
    return list(dict.fromkeys("".join(one if unicodedata.category(one)[0] in "LMN" else " " for one in plain).split()))


def terms(name: str | None, numbers: Iterable[str]) -> list[str]:
    """What a search finds somebody by: the first words of the name, and the numbers, in E.164. No term has a space in it."""
    named = [word[:WORD_LETTERS_MOST] for word in words(name)[:WORDS_MOST]] if name else []
    return [*dict.fromkeys(named), *list(dict.fromkeys(numbers))[:NUMBERS_MOST]]


def terms_of(member: Member) -> list[str]:
    """What a search finds a member by."""
    return terms(member.name, [phone.number for phone in member.phones])


def terms_of_data(data: Mapping[str, Any]) -> list[str]:
    """The same, of a member's data as a list keeps it."""
    return terms(data.get("name"), [phone["number"] for phone in data.get("phones", ())])


@dataclass(frozen=True, slots=True)
class Question:
    """Whom somebody looks for: any of the ids, whoever has the number, or in whose name each of the beginnings begins a word."""

    ids: tuple[ProspectId, ...]
    number: Phone | None
    beginnings: tuple[str, ...]

    def has_number(self, data: Mapping[str, Any]) -> bool:
        """Whether a member's data has the number; with its extension, if one was asked for."""
        wanted = self.number
        return wanted is not None and any(
            phone["number"] == wanted.number and wanted.extension in {None, phone["extension"]} for phone in data.get("phones", ())
        )

    def has_name(self, data: Mapping[str, Any]) -> bool:
        """Whether each of the beginnings begins a word of the name."""
        named = words(data.get("name") or "")
        return bool(self.beginnings) and all(any(word.startswith(beginning) for word in named) for beginning in self.beginnings)


def enough(text: str) -> bool:
    """Whether a text says enough to look for anybody: two letters or digits at least."""
    return sum(unicodedata.category(one)[0] in "LN" for one in text) >= LETTERS_LEAST
