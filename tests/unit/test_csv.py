"""How a CSV file, or an NDJSON stream, becomes members row by row."""

import asyncio
import csv as standard_csv
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reservoir.domain.lists import Rejection
from reservoir.domain.prospects import Member, Phone
from reservoir.integrations import csv
from reservoir.integrations.csv import ContentType, InvalidCsvError, Row, rows

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89"
NDJSON: ContentType = "application/x-ndjson"


async def streamed(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The chunks as a body brings them."""
    for chunk in chunks:
        yield chunk


async def read(body: bytes | str, content: ContentType = "text/csv", region: str = "US", chunk_bytes: int = 65_536) -> list[Row | Rejection]:
    """What ``rows`` makes of a whole body that comes in chunks of one size."""
    data = body.encode() if isinstance(body, str) else body
    chunks = (data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes))
    return [row async for some in rows(streamed(chunks), content, region) for row in some]


async def members(body: bytes | str, content: ContentType = "text/csv", region: str = "US") -> list[Member]:
    """The members of a body of which nothing is rejected."""
    found = await read(body, content, region)
    assert all(isinstance(row, Row) and not row.rejections for row in found), found
    return [row.member for row in found if isinstance(row, Row)]


def told(found: Iterable[Row | Rejection]) -> list[tuple[int, str]]:
    """Each row's line, with the member's id or the reason why it is none."""
    return [(row.line, row.member.id if isinstance(row, Row) else row.detail) for row in found]


async def test_a_row_becomes_a_member() -> None:
    """Every column that a list knows goes to its own place, and all others to the fields, under the name that they have."""
    body = (
        "ID,Email,Name,phone_work,Mobile,phone_fax,Company,Title,Owner,Time_Zone,URL,Do_Not_Call,Lead Score\n"
        ' 17 ,Dana@Example.com,Dana Ito,(212) 555-0101 x9,415-555-0100,212-555-0199,"Acme, Inc.",VP,ana@acme.com,Europe/Nowhere,https://a.example/17,YES, 9 \n'
    )
    assert await read(body) == [
        Row(
            2,
            Member(
                integration="csv",
                id="17",
                name="Dana Ito",
                phones=(Phone("Mobile", "+14155550100"), Phone("phone_work", "+12125550101", "9")),
                company="Acme, Inc.",
                title="VP",
                owner="ana@acme.com",
                time_zone="Europe/Nowhere",
                url="https://a.example/17",
                fields={"Email": "Dana@Example.com", "phone_fax": "212-555-0199", "Lead Score": " 9 "},
                do_not_call=True,
            ),
        ),
    ]


async def test_what_a_row_does_not_say_is_not_known() -> None:
    """An empty value is None, and empty columns leave no field."""
    (member,) = await members("id,phone,name,company,title,owner,time_zone,url,do_not_call,note,email\n1,4155550100,,, ,,,,,  ,\n")
    assert member == Member("csv", "1", phones=(Phone("phone", "+14155550100"),))


async def test_a_name_may_come_in_two() -> None:
    """The first and the last name make the name where there is no whole one."""
    found = await members("id,name,first_name,last_name,phone\n1,,Dana,Ito,4155550100\n2,D. Ito,Dana,Ito,4155550100\n3,,,Ito,4155550100\n4,,Dana,,4155550100\n")
    assert [member.name for member in found] == ["Dana Ito", "D. Ito", "Ito", "Dana"]
    assert found[0].fields == {}


async def test_mobile_comes_first_and_the_others_in_their_order() -> None:
    """Any number of phone columns, of one name too, each a phone under its column's name; a fax's and an assistant's number are none."""
    header = "id,phone_home,phone,phone,phone_assistant,phone_2,mobile,telephone"
    (member,) = await members(header + "\n1,2125550101,2125550102,2125550103,2125550104,2125550105,2125550106,2125550107\n")
    assert [(phone.label, phone.number[-1]) for phone in member.phones] == [
        ("mobile", "6"),
        ("phone_home", "1"),
        ("phone", "2"),
        ("phone", "3"),
        ("phone_2", "5"),
    ]
    assert member.fields == {"phone_assistant": "2125550104", "telephone": "2125550107"}


async def test_numbers_are_read_in_the_region_of_the_org() -> None:
    """A number without a country code is the region's."""
    (member,) = await members("id,phone\n1,020 7946 0018\n", region="GB")
    assert member.phones == (Phone("phone", "+442079460018"),)


@pytest.mark.parametrize(
    ("value", "flagged"), [("true", True), ("Yes", True), ("1", True), ("X", True), (" x ", True), ("no", False), ("0", False), ("", False), ("y", False)]
)
async def test_do_not_call(value: str, flagged: bool) -> None:
    """True, yes, 1 and x are the flag, in any case."""
    (member,) = await members(f"id,phone,do_not_call\n1,4155550100,{value}\n")
    assert member.do_not_call is flagged


async def test_an_id_is_derived_where_there_is_none() -> None:
    """The e-mail in lower case, else the first number; an empty id is as none, and what is no e-mail names nobody."""
    found = await members("id,email,phone,mobile\n,Dana@Example.COM,4155550100,\n  ,,4155550100,4155550101\n,n/a,4155550102,\n7,x@y.example,4155550103,\n")
    assert [member.id for member in found] == ["dana@example.com", "+14155550101", "+14155550102", "7"]
    assert [member.id for member in await members("email,phone\nB@x.example,4155550100\n")] == ["b@x.example"]
    assert [member.id for member in await members("mobile\n415-555-0100\n")] == ["+14155550100"]


async def test_ids_are_trimmed_and_composed() -> None:
    """The same name is the same id, however its accents are encoded."""
    assert [member.id for member in await members("id,phone\n Zoe\u0308 ,4155550100\n")] == ["Zoë"]


async def test_a_row_without_a_number_is_rejected() -> None:
    """No number at all, or none that can be one: then the row says which."""
    found = await read("id,phone,mobile\n1,,\n2,555-0100,call me\n3,4155550100,\n")
    assert told(found) == [(2, "no phone number"), (3, "mobile 'call me' cannot be a phone number; phone '555-0100' cannot be a phone number"), (4, "3")]
    assert not any(row.kept for row in found if isinstance(row, Rejection))


async def test_an_impossible_number_is_dropped_as_long_as_one_is_left() -> None:
    """The row is kept, and what it had to do without is told."""
    (row,) = await read("id,phone,mobile,phone_2\n1,4155550100,12,n/a\n")
    assert isinstance(row, Row)
    assert row.member.phones == (Phone("phone", "+14155550100"),)
    assert row.rejections == (
        Rejection(2, "mobile '12' cannot be a phone number", kept=True),
        Rejection(2, "phone_2 'n/a' cannot be a phone number", kept=True),
    )


async def test_an_id_that_cannot_be_one_is_rejected() -> None:
    """A control character in it, or more than 255 bytes."""
    found = await read(f"id,phone\na\x07b,4155550100\n{'x' * 256},4155550100\n3,4155550100\n")
    assert [(line, detail[:30]) for line, detail in told(found)] == [(2, "the id cannot be one: control "), (3, "the id cannot be one: expected"), (4, "3")]


async def test_a_repeated_id_comes_again_with_its_own_line() -> None:
    """Which of them counts is not the file's to say."""
    assert told(await read("id,phone\n1,4155550100\n2,4155550101\n1,4155550102\n")) == [(2, "1"), (3, "2"), (4, "1")]


async def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    """A file as a spreadsheet saves it, however it is cut into chunks."""
    body = b"\xef\xbb\xbfid,phone\r\n1,4155550100\r\n"
    assert told(await read(body)) == told(await read(body, chunk_bytes=1)) == [(2, "1")]
    assert told(await read(b'\xef\xbb\xbf"id","phone"\r\n1,4155550100\r\n')) == [(2, "1")]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("id;name;phone", '1;"Ito; Dana";4155550100'),
        ("id\tname\tphone", "1\tIto; Dana\t4155550100"),
        ("id,name,phone", '1,"Ito; Dana",4155550100'),
        ('id,name,phone,"a;b;c;d;e"', '1,"Ito; Dana",4155550100,'),
        ("id;name;phone;full, legal, name", "1;Ito, Dana;4155550100;"),
        ("full, legal, name;id;phone;name", ";1;4155550100;Ito, Dana"),
    ],
)
async def test_the_delimiter_is_the_one_that_makes_sense_of_the_header(header: str, row: str) -> None:
    """A comma, a semicolon or a tab, whatever else stands in the names."""
    (member,) = await members(f"{header}\n{row}\n")
    assert (member.id, member.phones[0].number) == ("1", "+14155550100")
    assert member.name in ("Ito; Dana", "Ito, Dana")


async def test_a_quoted_value_may_span_lines() -> None:
    """It stays as it is, and each row's line is the one on which it begins."""
    body = 'id,phone,note\r\n1,4155550100,"first\r\n\r\nthird ""line"""\r\n2,4155550101,\n3,,"a\nb"\n4,4155550103,x'
    found = await read(body)
    assert told(found) == [(2, "1"), (5, "2"), (6, "no phone number"), (8, "4")]
    assert isinstance(found[0], Row)
    assert found[0].member.fields == {"note": 'first\r\n\r\nthird "line"'}


async def test_a_quoted_name_of_a_column_may_span_lines() -> None:
    """The header is one row, however many lines it has."""
    (row,) = await read('id,phone,"note\non that"\n1,4155550100,x\n')
    assert isinstance(row, Row)
    assert (row.line, row.member.fields) == (3, {"note\non that": "x"})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_line_ends(end: str) -> None:
    """Any of the three that there are, blank lines counted but skipped, with or without one after the last row."""
    body = end.join(("", "id,phone", "", "1,4155550100", "   ", "2,4155550101"))
    expected = [(4, "1"), (6, "2")]
    assert told(await read(body)) == told(await read(body + end)) == told(await read(body, chunk_bytes=1)) == expected


async def test_too_few_values_are_empty_and_too_many_are_rejected() -> None:
    """A short row lacks its last columns; a long one fits none; delimiters alone at its end are nothing."""
    found = await read("id,phone,name\n1,4155550100\n2,4155550101,Ito,Dana\n3,4155550102,Dana,,\n4\n")
    assert told(found) == [(2, "1"), (3, "4 values, where the header has 3 columns"), (4, "3"), (5, "no phone number")]


async def test_a_row_that_is_not_utf_8_is_rejected_alone() -> None:
    """Its quoted lines go with it, and the row after it is read."""
    found = await read(b'id,phone,name\n1,4155550100,Zo\xeb\n2,4155550101,Zo\xc3\xab\n3,4155550102,"a\nZo\xeb\n"\n4,4155550103,\xed\xa0\x80\n5,4155550104,D\n')
    assert told(found) == [(2, "it is not UTF-8"), (3, "2"), (4, "it is not UTF-8"), (7, "it is not UTF-8"), (8, "5")]


async def test_a_row_with_a_nul_is_rejected_alone() -> None:
    """Other control characters stay as they came."""
    found = await read("id,phone,note\n1,4155550100,a\0b\n2,4155550101,a\x07b\n")
    assert told(found) == [(2, "a NUL byte is in it"), (3, "2")]
    assert isinstance(found[1], Row)
    assert found[1].member.fields == {"note": "a\x07b"}


BROKEN = "broken quotes: a quote is never closed, or something follows it"


@pytest.mark.parametrize(
    "rest",
    [
        "3,4155550102,C\n",  # no other quote until the end of the file
        '3,4155550102,"C"\n',  # one that would close it
        '3,4155550102,""\n',  # one that would be in it
        '3,4155550102,"C, D"\n',
    ],
)
async def test_a_broken_quote_costs_one_row(rest: str) -> None:
    """A quote that is never closed takes no other row along."""
    found = await read(f'id,phone,name\n1,4155550100,A\n2,4155550101,"B\n{rest}4,4155550103,D\n')
    assert told(found) == [(2, "1"), (3, BROKEN), (4, "3"), (5, "4")]


async def test_a_file_full_of_broken_quotes_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once so much has been read again, a broken row takes along what it spans, and the reading goes on after it."""
    monkeypatch.setattr(csv, "REREAD_MAX_BYTES", 40)
    broken = '{0},4155550100,"A\n{0}a,4155550100,"B"\n'
    found = await read("id,phone,name\n" + "".join(broken.format(number) for number in range(1, 4)) + "4,4155550100,D\n")
    assert told(found) == [(2, BROKEN), (3, "1a"), (4, BROKEN), (6, BROKEN), (8, "4")]


async def test_quotes_inside_a_value_that_is_not_quoted_are_its_own() -> None:
    """Only a quote at the beginning opens a quoted value, and only a delimiter may follow the one that closes it."""
    found = await read('id,phone,name\n1,4155550100,Dana "D" Ito\n2,4155550101,"D" Ito\n3,4155550102,6" pipe\n')
    assert told(found) == [(2, "1"), (3, BROKEN), (4, "3")]
    assert [row.member.name for row in found if isinstance(row, Row)] == ['Dana "D" Ito', '6" pipe']


async def test_a_broken_quote_in_a_long_file_costs_one_row() -> None:
    """It is given up before it has swallowed the rest of the file."""
    good = "".join(f"{number},4155550100,Dana Ito\n" for number in range(20_000))
    found = await read(f'id,phone,name\n0,4155550100,"Dana\n{good}')
    assert isinstance(found[0], Rejection)
    assert found[0].line == 2
    assert found[0].detail.startswith("a value is longer than")
    assert len(found) == 20_001
    assert all(isinstance(row, Row) for row in found[1:])
    assert found[-1].line == 20_002


@pytest.mark.parametrize("chunk_bytes", [1_000, 65_536, 8_000_000])
async def test_what_is_too_long_is_rejected_and_the_next_row_read(chunk_bytes: int) -> None:
    """A value over 64 KiB, a row over 1 MiB, in one line or in many, however the file comes in."""
    value, line = "v" * (csv.VALUE_MAX_BYTES + 1), "w" * 20_000
    wide = ",".join([line] * 60)
    folded = '"' + "\n".join(["é" * 100] * 500) + '"'
    parts = [f"1,4155550100,{value}", "2,4155550101,x", f"3,4155550102,{wide}", "4,4155550103,x", f"5,4155550104,{folded}", "6,4155550105," + value[:-1]]
    found = await read("id,phone,a" + ",b" * 59 + "\n" + "\n".join(parts), chunk_bytes=chunk_bytes)
    too_long = "a value is longer than 65,536 bytes"
    assert told(found) == [(2, too_long), (3, "2"), (4, "longer than 1,048,576 bytes"), (5, "4"), (6, too_long), (506, "6")]


async def test_a_file_without_a_line_end_is_not_kept() -> None:
    """Gigabytes that are one line cost no more memory than a row may."""
    chunk = b"x" * 65_536

    async def endless() -> AsyncIterator[bytes]:
        yield b"id,phone\n1,4155550100\n2,"
        for _ in range(1_000):
            yield chunk
        yield b"\n3,4155550102\n"

    tracemalloc.start()
    try:
        found = [row async for some in rows(endless(), "text/csv", "US") for row in some]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told(found) == [(2, "1"), (3, "longer than 1,048,576 bytes"), (4, "3")]
    assert peak < 8_000_000


@pytest.mark.parametrize("body", [b"", b"\n\n\r\n", b"\xef\xbb\xbf", b"   \n"])
async def test_an_empty_file_has_no_header(body: bytes) -> None:
    """Nothing, blank lines or a byte order mark alone."""
    with pytest.raises(InvalidCsvError, match="no header"):
        await read(body)


@pytest.mark.parametrize("body", [PNG, PNG * 20_000, b"PK\x03\x04\x14\0\x06\0", "id,phone\n1,2\n".encode("utf-16"), b"id,t\xe9l\xe9phone\n"])
async def test_what_is_no_text_is_no_csv(body: bytes) -> None:
    """A picture, a spreadsheet's own format, another encoding."""
    with pytest.raises(InvalidCsvError, match="no text"):
        await read(body)


@pytest.mark.parametrize("body", ["name,company\nDana,Acme\n", "17,Dana,+14155550100\n", "%PDF-1.7\n", "phone_fax\n1\n", "<html>\n"])
async def test_a_header_that_names_nobody_is_refused(body: str) -> None:
    """Without an id, an e-mail or a phone no row could be anybody."""
    with pytest.raises(InvalidCsvError, match="none of the columns is an id, an email, a phone or a mobile"):
        await read(body)


@pytest.mark.parametrize("header", ["id", "EMAIL", "phone", " Mobile ", "phone_x"])
async def test_a_header_that_names_somebody_is_one(header: str) -> None:
    """An id, an e-mail or a phone is enough, though without a phone no row will do."""
    assert told(await read(f"name,{header}\nDana,\n")) == [(2, "no phone number")]


async def test_a_header_that_names_one_thing_twice_is_refused() -> None:
    """Which of two e-mails is meant, nobody knows; of two phones both are."""
    with pytest.raises(InvalidCsvError, match="two columns are called 'email'"):
        await read("id,Email,phone,EMAIL \n1,a@b.example,4155550100,\n")


@pytest.mark.parametrize("body", ['id,"phone\n1,4155550100\n', 'id,"phone"x\n1,4155550100\n', "id," + "x" * 2_000_000 + "\n"])
async def test_a_broken_header_is_refused(body: str) -> None:
    """What the columns are cannot be guessed."""
    with pytest.raises(InvalidCsvError, match="the header cannot be read"):
        await read(body)


async def test_rows_without_any_header_name_of_their_own() -> None:
    """A column without a name has nowhere to go; of two columns with one name the first that says something counts."""
    found = await members("id,,phone,tag,tag\n1,0,4155550100,,b\n2,1,4155550101,a,b\n")
    assert [member.fields for member in found] == [{"tag": "b"}, {"tag": "a"}]


async def test_rows_come_as_soon_as_they_are_there() -> None:
    """Members can be claimed while the rest of the file is still on its way (R12), and what came stands when it breaks off."""

    async def broken_off() -> AsyncIterator[bytes]:
        yield b"id,phone\n1,4155550100\n2,41555"
        assert told(seen) == [(2, "1")]
        yield b"50101\n3,4155"
        assert told(seen) == [(2, "1"), (3, "2")]
        raise ConnectionResetError("gone")

    async def watch() -> None:
        async for some in rows(broken_off(), "text/csv", "US"):
            note(some)

    seen: list[Row | Rejection] = []
    note = seen.extend
    with pytest.raises(ConnectionResetError):
        await watch()
    assert told(seen) == [(2, "1"), (3, "2")]


async def test_others_have_their_turn_while_a_file_is_read() -> None:
    """A file that is there at once and has no row for anybody to wait on does not keep the process from its other work."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    assert await read("id,phone\n" + "\n" * 1_000, chunk_bytes=10) == []
    running.cancel()
    assert turns > 50


async def test_a_row_after_a_long_one_does_not_wait() -> None:
    """A long row is looked at ever more seldom while it comes in; once it is there, every row is given at once again."""
    seen: list[Row | Rejection] = []
    note = seen.extend

    async def body() -> AsyncIterator[bytes]:
        yield b'id,phone,note\n1,4155550100,"'
        for _ in range(1_000):
            yield b"a line of forty characters, all in all.\n"
        yield b'"\n2,4155550101,' + b"x" * 50_000 + b"\n"
        assert told(seen) == [(2, "1"), (1003, "2")]
        yield b"3,4155550102,\n"
        assert told(seen)[2:] == [(1004, "3")]

    async for some in rows(body(), "text/csv", "US"):
        note(some)
    assert len(seen) == 3


async def test_ndjson_rows_have_the_columns_as_keys() -> None:
    """Numbers are as they are written, true is the flag, null is empty, and everything else is as in a CSV."""
    body = (
        b'\xef\xbb\xbf{"ID": 12345678901234567890123, "Mobile": 4155550100, "phone_work": "12", "score": 1.50, "do_not_call": true, "name": null, "a": false}\n'
        b"\r\n"
        b'  {"phone": "415-555-0101 x7", "email": "Zo\\u00eb@x.example", "first_name": "Zo\xc3\xab"}\r\n'
        b'{"id": "3", "phone": "4155550102"}'
    )
    found = await read(body, NDJSON)
    assert told(found) == told(await read(body, NDJSON, chunk_bytes=1)) == [(1, "12345678901234567890123"), (3, "zoë@x.example"), (4, "3")]
    assert isinstance(found[0], Row)
    assert isinstance(found[1], Row)
    assert found[0].member == Member(
        "csv", "12345678901234567890123", phones=(Phone("Mobile", "+14155550100"),), fields={"score": "1.50", "a": "false"}, do_not_call=True
    )
    assert found[0].rejections == (Rejection(1, "phone_work '12' cannot be a phone number", kept=True),)
    assert found[1].member.name == "Zoë"
    assert found[1].member.phones == (Phone("phone", "+14155550101", "7"),)


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b'{"id": 1, "phone": "4155550100"', "it is not JSON"),
        (b'{"id": 1, "phone": "4155550100"} {}', "it is not JSON"),
        (b'{"id": NaN, "phone": "4155550100"}', "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"id,phone", "it is not JSON"),
        (b'["1", "4155550100"]', "it is not a JSON object"),
        (b'"4155550100"', "it is not a JSON object"),
        (b"null", "it is not a JSON object"),
        (b'{"id": 1, "phone": ["4155550100"]}', "a value is a list or an object"),
        (b'{"id": 1, "phone": "4155550100", "more": {}}', "a value is a list or an object"),
        (b'{"id": 1, "phone": "4155550100", "note": "\\ud800"}', "a NUL or half a character is in it"),
        (b'{"id": 1, "phone": "4155550100", "note\\u0000": "x"}', "a NUL or half a character is in it"),
        (b'{"id": 1, "phone": "4155550100", "note": "\xeb"}', "it is not UTF-8"),
        (b'{"id": 1, "ID": 2, "phone": "4155550100"}', "two columns are called 'id'"),
        (b'{"id": 1}', "no phone number"),
        (b"{}", "none of the columns is an id, an email, a phone or a mobile; the first are "),
        (b'{"name": "Dana"}', "none of the columns is an id, an email, a phone or a mobile; the first are 'name'"),
        (b'{"id": 1, "phone": "4155550100", "note": "' + b"v" * 65_537 + b'"}', "a value is longer than 65,536 bytes"),
        (b'{"id": 1, "phone": "4155550100", "note": "' + b"v" * 1_100_000 + b'"}', "longer than 1,048,576 bytes"),
    ],
)
async def test_a_bad_ndjson_row_is_rejected_alone(line: bytes, detail: str) -> None:
    """The rows around it are read."""
    found = await read(b'{"id": 1, "phone": "4155550100"}\n' + line + b'\n{"id": 3, "phone": "4155550100"}\n', NDJSON)
    assert told(found) == [(1, "1"), (2, detail), (3, "3")]


async def test_an_empty_ndjson_stream_has_no_rows() -> None:
    """It has no header that could be missing."""
    assert await read(b"", NDJSON) == await read(b"\n\n", NDJSON) == []


async def test_ndjson_rows_may_all_differ() -> None:
    """Any number of layouts."""
    body = "\n".join(json.dumps({"id": number, f"field {number}": "x", "phone": "4155550100"}) for number in range(200))
    assert [member.fields for member in await members(body, NDJSON)] == [{f"field {number}": "x"} for number in range(200)]


VALUES = st.text(st.sampled_from('ab ,;\t"\r\n\u2028\x0bé'), max_size=8)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=8), st.sampled_from(",;\t"), st.integers(1, 40))
async def test_what_a_csv_writer_wrote_is_read(notes: list[tuple[str, str]], delimiter: str, chunk_bytes: int) -> None:
    """Every value comes back as it was, and every row's line is right, whatever is in it and however the file is cut."""
    file = io.StringIO(newline="")
    writer = standard_csv.writer(file, delimiter=delimiter)
    writer.writerow(["id", "phone", "a", "b"])
    lines = []
    for number, (first, second) in enumerate(notes):
        lines.append(len(file.getvalue().encode().splitlines()) + 1)
        writer.writerow([f"#{number}", "4155550100", first, second])
    found = await read(file.getvalue(), chunk_bytes=chunk_bytes)
    assert told(found) == [(line, f"#{number}") for number, line in enumerate(lines)]
    kept = [{name: value for name, value in zip("ab", values, strict=True) if value.strip()} for values in notes]
    assert [row.member.fields for row in found if isinstance(row, Row)] == kept


@settings(max_examples=500)
@given(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"1,4155550100,", b'"', b",", b"x", b"\n", b"\r", b"\r\n", b'""', b"\xeb", b"\0"]), max_size=60),
    st.integers(1, 50),
)
@example(b"", [b'"', b"\n", b"1,4155550100,", b'"', b"x", b"\n"] * 8, 7)
@example(b"\0", [b"1,4155550100,"] * 4 + [b"\r"], 1)
async def test_how_a_file_is_cut_changes_nothing(noise: bytes, parts: list[bytes], chunk_bytes: int) -> None:
    """Bytes of any kind give the same rows in one piece as in many, with small bounds too, and no row is lost in a crash."""
    body = b"id,phone,note\n" + b"".join(parts) + noise
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv, "ROW_MAX_BYTES", 40)
        patch.setattr(csv, "VALUE_MAX_BYTES", 20)
        patch.setattr(csv, "_IMPATIENT_BYTES", 10)
        whole = await read(body, chunk_bytes=1_000)
        assert await read(body, chunk_bytes=chunk_bytes) == whole


def generated(count: int) -> Iterator[bytes]:
    """A file of so many rows, in chunks, none of which is kept."""
    yield b"id,name,mobile,email\n"
    for start in range(0, count, 500):
        yield b"".join(b"%d,Dana Ito,(415) 555-%04d,dana%d@example.com\n" % (number, number % 10_000, number) for number in range(start, start + 500))


async def test_a_long_file_takes_no_memory() -> None:
    """Tens of thousands of rows, megabytes of them, pass through a fraction of one."""
    count = 0
    tracemalloc.start()
    try:
        async for some in rows(streamed(generated(30_000)), "text/csv", "US"):
            count += sum(isinstance(row, Row) for row in some)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 30_000
    assert peak < 500_000
