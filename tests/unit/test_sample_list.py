"""The list that ships with the package, on which ``reservoir demo`` runs."""

import csv as standard_csv
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from zoneinfo import available_timezones

import phonenumbers

from reservoir.domain.prospects import Member
from reservoir.integrations.csv import Row, rows

PEOPLE = files("reservoir.demo") / "people.csv"
FICTIONAL = re.compile(r"\+1([2-9][0-9]{2})55501[0-9]{2}")


async def people() -> list[Member]:
    """Everybody on the list; nobody is rejected, and no number is dropped."""

    async def body() -> AsyncIterator[bytes]:
        yield PEOPLE.read_bytes()

    found = [row async for some in rows(body(), "text/csv", "US") for row in some]
    assert all(isinstance(row, Row) and not row.rejections for row in found)
    return [row.member for row in found if isinstance(row, Row)]


async def test_a_thousand_people_are_members() -> None:
    """Each of the thousand is somebody else, with all that a rep wants to see."""
    found = await people()
    assert len({member.id for member in found}) == len({member.name for member in found}) == len(found) == 1_000
    assert all(member.name and member.company and member.title and member.owner for member in found)
    assert {member.time_zone for member in found} <= available_timezones()
    assert all(str(member.fields["email"]).endswith(".example") for member in found)  # RFC 2606: nobody's
    assert 0 < sum(member.do_not_call for member in found) < 30


async def test_every_number_is_from_the_range_that_is_nobodys() -> None:
    """Numbers are 555-0100 to 555-0199 in many real area codes, none given twice: the demo cannot ring a real telephone."""
    numbers = [phone.number for member in await people() for phone in member.phones]
    areas = {match[1] for match in map(FICTIONAL.fullmatch, numbers) if match}
    assert all(FICTIONAL.fullmatch(number) for number in numbers)
    assert len(set(numbers)) == len(numbers) > 1_300
    assert len(areas) > 100
    assert all(phonenumbers.is_valid_number_for_region(phonenumbers.parse(f"+1{area}5550100"), "US") for area in areas)


async def test_the_list_looks_like_one_that_people_made() -> None:
    """Mobile first, some with a second number or an extension, written in many ways."""
    found = await people()
    assert all(member.phones[0].label == "mobile" for member in found)
    assert 200 < sum(len(member.phones) == 2 for member in found) < 600
    assert any(phone.extension for member in found for phone in member.phones)
    file = standard_csv.DictReader(PEOPLE.read_text(encoding="utf-8").splitlines())
    forms = {re.sub("[0-9]", "9", row["mobile"]) for row in file}
    assert len(forms) >= 10
    assert {"+99999999999", "999-999-9999", "(999) 999-9999", "9999999999"} <= forms
