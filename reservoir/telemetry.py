"""What a process says of itself: one line for each thing, on stderr, as JSON for machines and in plain words on a terminal.

Never a prospect's personal data. Who logs gives ids, and of an exception only the kind and the way to it are told: its text may quote what was sent.
The text is told of our own exceptions and of the system's, which quote nothing, and of all where RESERVOIR_DEBUG is set.
"""

import asyncio
import json
import logging
import os
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from reservoir.domain.times import milliseconds, rfc3339

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being served, which every line carries that is logged meanwhile."""

DEBUG_VARIABLE = "RESERVOIR_DEBUG"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id"}
Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

log = logging.getLogger(__name__)


def debugging() -> bool:
    """Whether the operator wants to see everything: tracebacks in place of sentences, and what is not fit for a log that is kept."""
    return os.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}


def log_to(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Whatever is logged in this process from now on goes to the stream, stderr if none is given. **Again**: only to the newer one."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.addFilter(with_request_id)
    handler.setFormatter(PlainWords() if stream.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debugging() else level)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a log that nobody reads any more must not become a traceback on stderr


def log_nothing() -> None:
    """Nothing is logged: for commands that end with a sentence of their own."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]


def log_loop_fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for event loops: what nobody awaited is logged, without the values that asyncio's own handler shows."""
    log.error("%s", context.get("message") or "a fault that nobody awaited", exc_info=context.get("exception"))


class JsonLines(logging.Formatter):
    """A line of JSON for each record: ``at``, ``level``, ``logger``, ``message``, ``pid``, ``request_id`` if there is one, and what was given as ``extra``."""

    @property
    def whole(self) -> bool:
        """Whether an exception's text is told, whatever it quotes."""
        return debugging()

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        told: dict[str, object] = {
            "at": rfc3339(_at_ms(record)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if (id_ := getattr(record, "request_id", None)) is not None:
            told["request_id"] = id_
        told |= _extra(record)
        if record.exc_info:
            told["exception"] = "".join(_lines(record.exc_info, whole=self.whole)).rstrip()
        return json.dumps(told, default=str)  # and not orjson: a path may hold bytes that are no text, and a log line must not fail


class JsonForKeeping(JsonLines):
    """The same for a file that may be handed on: what others logged is told without its values, and no exception quotes anything, debugging or not."""

    whole = False

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        ours = record.name.partition(".")[0] == "reservoir"
        return super().format(record if ours else logging.makeLogRecord({**vars(record), "msg": str(record.msg), "args": ()}))


class PlainWords(logging.Formatter):
    """The same for a person at a terminal, in local time."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback's lines behind it."""
        at = datetime.fromtimestamp(record.created, tz=UTC).astimezone()
        told = f"{at:%H:%M:%S} {record.levelname.lower()}: {record.getMessage()}"
        extra = _extra(record)
        if (id_ := getattr(record, "request_id", None)) is not None:
            extra["request"] = id_
        if extra:
            told += f" ({', '.join(f'{name} {value}' for name, value in extra.items())})"
        return told + ("\n" + "".join(_lines(record.exc_info, whole=debugging())).rstrip() if record.exc_info else "")


def with_request_id(record: logging.LogRecord) -> bool:
    """A filter that lets everything through, and notes the request that is being served."""
    if not hasattr(record, "request_id"):
        record.request_id = request_id.get()
    return True


def _at_ms(record: logging.LogRecord) -> int:
    return milliseconds(datetime.fromtimestamp(record.created, tz=UTC))


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _lines(raised: Raised, *, whole: bool) -> list[str]:
    """The traceback, as Python writes it, but for the text of an exception that may quote what was sent."""
    kind, error, trace = raised
    if error is None or whole:
        return traceback.format_exception(kind, error, trace)
    lines: list[str] = []
    if (before := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        lines += [*_lines((type(before), before, before.__traceback__), whole=False), "\nand then\n\n"]
    return [*lines, *traceback.format_tb(trace), _named(error)]


def _named(error: BaseException) -> str:
    module, name = type(error).__module__, type(error).__qualname__
    if isinstance(error, OSError):
        return f"{name}: {error.strerror or 'no reason given'}\n"
    return f"{module}.{name}: {error}\n" if module.partition(".")[0] == "reservoir" else f"{module}.{name}\n".removeprefix("builtins.")
