"""The physical lines of an upload that comes in chunks."""

from collections.abc import Iterator

_BOM = b"\xef\xbb\xbf"


class NeedsMoreError(Exception):
    """The next line is not there yet: feed a chunk, or say that it was the last."""


class Lines(Iterator[str]):
    """Complete lines, each with its end, one after the other; a reader may go back to any that it has not forgotten.

    **Shape**: ``at`` is the line that comes next, counted from the first that is kept. ``flaw`` says what keeps a line
    since ``begin`` from being text; the line is given all the same, so that its end and its delimiters count. Lines end with LF, CR LF or CR.
    """

    def __init__(self, line_max_bytes: int) -> None:
        self.at = 0
        self.flaw: str | None = None
        self.ended = False
        self._line_max_bytes = line_max_bytes
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._forgotten = 0
        self._open: list[bytes] = []
        self._open_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take what came next. Of a line that is longer than ``line_max_bytes`` no more is kept than shows that it is."""
        ends = bool(self._open) and self._open[-1].endswith(b"\r")
        if ends or b"\n" in chunk or b"\r" in chunk:
            lines = b"".join((*self._open, chunk)).splitlines(keepends=True)
            # A last line that ends with CR is kept open, for LF may be on its way.
            self._open = [] if lines[-1].endswith(b"\n") else [lines.pop()]
            self._open_bytes = sum(map(len, self._open))
            self._keep(lines)
        elif self._open_bytes <= self._line_max_bytes:
            self._open.append(chunk)
            self._open_bytes += len(chunk)

    def end(self) -> None:
        """Nothing more will come: what there is, is the last line."""
        lines = b"".join(self._open).splitlines(keepends=True)
        self._open = []
        self._keep(lines)
        self.ended = True

    def begin(self) -> int:
        """A row begins here: its ``at``."""
        self.flaw = None
        return self.at

    def __next__(self) -> str:
        if self.at == len(self._kept):
            if self.ended:
                raise StopIteration
            raise NeedsMoreError
        line = self._kept[self.at]
        self.at += 1
        if b"\0" in line:
            self.flaw = "a NUL byte is in it"
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.flaw = "it is not UTF-8"
            return line.decode(errors="surrogateescape")

    @property
    def kept_bytes(self) -> int:
        """How much is kept, the line that is still open aside."""
        return self._kept_bytes

    def number(self, at: int) -> int:
        """The physical line's number in the whole upload, from 1."""
        return self._forgotten + at + 1

    def size_bytes(self, start: int) -> int:
        """How long the lines from ``start`` to the one before ``at`` are together."""
        if self.at - start == 1:
            return len(self._kept[start])
        return sum(map(len, self._kept[start : self.at]))

    def forget(self) -> None:
        """Keep no line before ``at``."""
        del self._kept[: self.at]
        self._forgotten += self.at
        self._kept_bytes = sum(map(len, self._kept))
        self.at = 0

    def _keep(self, lines: list[bytes]) -> None:
        if lines and not self._kept and not self._forgotten:
            lines[0] = lines[0].removeprefix(_BOM)
        self._kept += lines
        self._kept_bytes += sum(map(len, lines))
