"""What a search finds people by: words without case and accents, numbers, and how a question is held against a member."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservoir.domain.prospects import Member, Phone
from reservoir.domain.search import NUMBERS_MOST, WORD_LETTERS_MOST, WORDS_MOST, Question, enough, terms, terms_of, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dana Ito", ["dana", "ito"]),
        ("  dana   ITO ", ["dana", "ito"]),
        ("Zoë Núñez-Brûlé", ["zoe", "nunez", "brule"]),
        ("ZOE\N{COMBINING DIAERESIS}", ["zoe"]),
        ("Sean O'Brien", ["sean", "obrien"]),
        ("Sean O\N{RIGHT SINGLE QUOTATION MARK}Brien", ["sean", "obrien"]),
        ("Søren Łukasz Æbelø", ["soren", "lukasz", "aebelo"]),
        ("Weiß STRASSE Straße", ["weiss", "strasse"]),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}pek", ["ipek"]),
        ("山田 太郎", ["山田", "太郎"]),
        ("Ｄａｎａ", ["dana"]),
        ("한국", ["한국"]),
        ("がく", ["がく"]),
        ("हिन्दी", ["हिन्दी"]),
        ("Ελένη Άννα", ["ελενη", "αννα"]),
        ("Ann Ann ann", ["ann"]),
        ("Area 51 (x)", ["area", "51", "x"]),
        ("", []),
        ("—…!?", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    """The same, however they are written."""
    assert words(text) == expected


@given(st.text(max_size=60))
def test_a_word_is_a_word_of_itself_and_no_term_has_a_space(text: str) -> None:
    """So that what is written down is what is asked for, and an entry can be read."""
    for word in words(text):
        assert words(word) == [word]
    assert all(term and not any(character.isspace() for character in term) for term in terms(text, []))


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_plain_text_has_the_same_words_by_either_way(text: str) -> None:
    """The quick way of plain text gives what the other would."""
    assert words(text) == words(text + " é")[: len(words(text))]


def test_terms_are_bounded() -> None:
    """The first words, the first letters of each, the first numbers; each once."""
    long = "x" * (WORD_LETTERS_MOST + 9)
    assert terms(f"{long} {long}y b", ["+1", "+1"]) == ["x" * WORD_LETTERS_MOST, "b", "+1"]
    assert len(terms(" ".join(f"w{number}" for number in range(99)), map(str, range(99)))) == WORDS_MOST + NUMBERS_MOST
    assert terms(None, []) == []


def test_terms_of_a_member() -> None:
    """Words of the name, and every number."""
    member = Member("csv", "p1", name="Zoë Ito", phones=(Phone("mobile", "+14155550100"), Phone("work", "+14155550101", "7")))
    assert terms_of(member) == ["zoe", "ito", "+14155550100", "+14155550101"]


DANA = {"name": "Dana Núñez", "phones": [{"number": "+14155550100", "extension": None}, {"number": "+14155550101", "extension": "7"}]}


@pytest.mark.parametrize(
    ("text", "found"),
    [("da", True), ("dana nu", True), ("NUN da", True), ("nunez dana", True), ("ana", False), ("da x", False), ("danaa", False), ("", False)],
)
def test_each_beginning_begins_a_word(text: str, found: bool) -> None:
    """In any order."""
    assert Question((), None, tuple(words(text))).has_name(DANA) is found


@pytest.mark.parametrize(
    ("number", "extension", "found"),
    [
        ("+14155550100", None, True),
        ("+14155550101", None, True),
        ("+14155550101", "7", True),
        ("+14155550101", "8", False),
        ("+14155550100", "7", False),
        ("+1415555010", None, False),
    ],
)
def test_a_number_is_the_whole_number(number: str, extension: str | None, found: bool) -> None:
    """With its extension, if one is asked for."""
    assert Question((), Phone("", number, extension), ()).has_number(DANA) is found


@pytest.mark.parametrize(
    ("text", "said"),
    [("", False), ("a", False), ("é", False), ("e\N{COMBINING ACUTE ACCENT}", False), (" - a.", False), ("ab", True), ("7 1", True), ("a b", True)],
)
def test_two_letters_are_enough(text: str, said: bool) -> None:
    """Digits count, marks and what stands between do not."""
    assert enough(text) is said
