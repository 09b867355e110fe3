"""CSV: lists that are put in as a file or as NDJSON, row by row, however long they are."""

import asyncio
import csv
import json
import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Literal

from reservoir.domain.lists import Rejection
from reservoir.integrations.csv_columns import Columns, InvalidCsvError, Row, prospect_id, recognised
from reservoir.integrations.csv_lines import Lines, NeedsMoreError

__all__ = ["ROW_MAX_BYTES", "VALUE_MAX_BYTES", "ContentType", "InvalidCsvError", "Row", "prospect_id", "rows"]

ContentType = Literal["text/csv", "application/x-ndjson"]

ROW_MAX_BYTES = 1024 * 1024
VALUE_MAX_BYTES = 64 * 1024
REREAD_MAX_BYTES = 16 * 1024 * 1024
"""How much of a file is read a second time for its broken quotes; beyond, a row with such quotes takes along what it spans."""

_IMPATIENT_BYTES = 4_096
_LAYOUTS_MAX = 64
_DELIMITERS = ",;\t"
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_ROW_TOO_LONG = f"longer than {ROW_MAX_BYTES:,} bytes"
_VALUE_TOO_LONG = f"a value is longer than {VALUE_MAX_BYTES:,} bytes"
_QUOTES = "broken quotes: a quote is never closed, or something follows it"


async def rows(chunks: AsyncIterable[bytes], content: ContentType, region: str) -> AsyncGenerator[Iterator[Row | Rejection], None]:
    """The rows of a CSV file, or of an NDJSON stream whose keys are a CSV's columns, each as soon as it is there, in memory that no file outgrows.

    **Shape**: with each chunk, the rows that are there by it, to be read before the next chunk is asked for; with an empty chunk none. A row's line is the
    physical one on which it begins, from 1; blank ones are counted and skipped. A row that is no member is a Rejection. One whose quotes are broken ends with
    its first line, for its true end is anybody's guess, and the next line begins another.

    **Raises**: InvalidCsvError, before the first row; and what ``chunks`` raises, once the complete rows that came have been given.
    """
    reader = _CsvReader(region) if content == "text/csv" else _NdjsonReader(region)
    async for chunk in chunks:
        if chunk:
            reader.lines.feed(chunk)
        yield reader.read()
        await asyncio.sleep(0)  # claims wait for their turn, and chunks that are there already would never give them one
    reader.lines.end()
    yield reader.read()


class _CsvReader:
    """Rows out of lines of CSV. A row that is not complete stays with the lines until it is."""

    def __init__(self, region: str) -> None:
        self.lines = Lines(ROW_MAX_BYTES)
        self._region = region
        self._columns: Columns | None = None
        self._delimiter: str | None = None
        self._awaited_bytes = 0
        self._reread_bytes = 0

    def read(self) -> Iterator[Row | Rejection]:
        if self.lines.kept_bytes < self._awaited_bytes and not self.lines.ended:
            return
        if self._delimiter is None:
            self._delimiter = self._find_delimiter()
        if self._delimiter is not None:
            for line, values in self._records(self._delimiter):
                if self._columns is None:
                    self._columns = self._header(values)
                elif isinstance(values, str):
                    yield Rejection(line, values)
                else:
                    yield self._columns.row(line, values)
        if self.lines.ended and self._columns is None:
            raise InvalidCsvError("the file is empty: it has no header")

    def _records(self, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
        """Every complete record that is not blank, and the line on which it begins: its values, or why it has none."""
        lines = self.lines
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            start = lines.begin()
            record: list[str] | str
            try:
                record = next(reader)
            except StopIteration:
                break
            except NeedsMoreError:
                if lines.size_bytes(start) <= ROW_MAX_BYTES:
                    self._await_rest(start)
                    break
                record = _ROW_TOO_LONG
            except csv.Error as error:
                record = _VALUE_TOO_LONG if "field limit" in str(error) else _QUOTES
            number = lines.number(start)
            if len(record) > 1 or "".join(record).strip():
                yield number, self._judged(start, record)
        lines.forget()

    def _judged(self, start: int, record: list[str] | str) -> list[str] | str:
        size_bytes = self.lines.size_bytes(start)
        if size_bytes > ROW_MAX_BYTES:
            record = _ROW_TOO_LONG
        if isinstance(record, str):
            self._go_back(start, size_bytes)
            return record
        if self.lines.flaw is not None:
            return self.lines.flaw
        return _VALUE_TOO_LONG if size_bytes > VALUE_MAX_BYTES and _too_long(record) else record

    def _await_rest(self, start: int) -> None:
        """A long record is looked at again only when it has about doubled, so that many small chunks do not make many long readings."""
        size_bytes = self.lines.size_bytes(start)
        self._awaited_bytes = min(2 * size_bytes - _IMPATIENT_BYTES, ROW_MAX_BYTES + 1)
        self.lines.at = start

    def _go_back(self, start: int, size_bytes: int) -> None:
        """To the line after the one on which the record began."""
        self._reread_bytes += size_bytes
        if self._reread_bytes <= REREAD_MAX_BYTES:
            self.lines.at = start + 1

    def _find_delimiter(self) -> str | None:
        """The one by which the first line that is not blank has most names that are known, and then most names; None while there is no such line."""
        try:
            text = next(line for line in self.lines if line.strip())
        except (StopIteration, NeedsMoreError):
            self.lines.forget()
            return None
        if self.lines.flaw is not None:
            raise InvalidCsvError(f"the file is no text that can be read: in its first line, {self.lines.flaw}")
        self.lines.at -= 1
        return max(_DELIMITERS, key=lambda delimiter: _promise(text, delimiter))

    def _header(self, values: list[str] | str) -> Columns:
        if isinstance(values, str):
            raise InvalidCsvError(f"the header cannot be read: {values}")
        return Columns(values, self._region)


class _NdjsonReader:
    """Rows out of lines of JSON. Rows that have the same keys share what is known of their columns."""

    def __init__(self, region: str) -> None:
        self.lines = Lines(ROW_MAX_BYTES)
        self._region = region
        self._layouts: dict[tuple[str, ...], Columns] = {}

    def read(self) -> Iterator[Row | Rejection]:
        lines = self.lines
        while True:
            start = lines.begin()
            try:
                text = next(lines)
            except (StopIteration, NeedsMoreError):
                break
            if text.strip():
                number = lines.number(start)
                size_bytes = lines.size_bytes(start)
                flaw = _ROW_TOO_LONG if size_bytes > ROW_MAX_BYTES else lines.flaw
                yield Rejection(number, flaw) if flaw is not None else self._row(number, text, size_bytes)
        lines.forget()

    def _row(self, number: int, text: str, size_bytes: int) -> Row | Rejection:
        try:
            pairs = _JSON.decode(text)
        except (ValueError, RecursionError):
            return Rejection(number, "it is not JSON")
        if not isinstance(pairs, tuple):
            return Rejection(number, "it is not a JSON object")
        keys = tuple(key for key, _ in pairs)
        if any(isinstance(value, (list, tuple)) for _, value in pairs):
            return Rejection(number, "a value is a list or an object")
        values = [_text(value) for _, value in pairs]
        if size_bytes > VALUE_MAX_BYTES and _too_long(values):
            return Rejection(number, _VALUE_TOO_LONG)
        if "\\u" in text and _NO_TEXT.search("\n".join((*keys, *values))):
            return Rejection(number, "a NUL or half a character is in it")
        try:
            return self._columns(keys).row(number, values)
        except InvalidCsvError as error:
            return Rejection(number, str(error))

    def _columns(self, keys: tuple[str, ...]) -> Columns:
        columns = self._layouts.get(keys)
        if columns is None:
            columns = Columns(keys, self._region)
            if len(self._layouts) == _LAYOUTS_MAX:
                self._layouts.clear()
            self._layouts[keys] = columns
        return columns


def _promise(line: str, delimiter: str) -> tuple[int, int]:
    try:
        names = next(csv.reader([line], delimiter=delimiter))
    except csv.Error:
        return 0, 0
    return sum(map(recognised, names)), len(names)


def _too_long(values: list[str]) -> bool:
    return any(len(value.encode(errors="surrogatepass")) > VALUE_MAX_BYTES for value in values)


def _text(value: str | bool | None) -> str:
    """A JSON value as a CSV has it. Numbers are as they were written, for they were never read."""
    if isinstance(value, str):
        return value
    return "" if value is None else str(value).lower()


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_JSON = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_refuse)
