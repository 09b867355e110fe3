"""The log: lines that a machine can read, with the request's id, and with nobody's data."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from reservoir import telemetry
from reservoir.storage.redis import StoreFaultError

log = logging.getLogger("a test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where this process logs to, until the end of the test."""
    yield from logged_to(io.StringIO())


@pytest.fixture
def terminal() -> Iterator[io.StringIO]:
    yield from logged_to(Terminal())


def logged_to(stream: io.StringIO) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    telemetry.log_to(stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_line_has_the_request_and_what_was_given_with_it(stream: io.StringIO) -> None:
    """Each record is one line of JSON, whatever is in it, with the id of the request that is being served."""
    token = telemetry.request_id.set("r-1")
    log.warning("the store is %s", "away\nfor now", extra={"took_ms": 3})
    telemetry.request_id.reset(token)
    log.info("served")
    log.debug("not told")
    first, second = lines(stream)
    assert (first["level"], first["logger"], first["message"], first["request_id"], first["took_ms"]) == (
        "warning",
        "a test",
        "the store is away\nfor now",
        "r-1",
        3,
    )
    assert "request_id" not in second


def test_what_is_no_text_does_not_fail_a_line() -> None:
    """A path may hold bytes that are no text, and is told all the same."""
    record = logging.makeLogRecord({"msg": "no such file: %s", "args": ("\udcff",)})
    assert json.loads(telemetry.JsonLines().format(record))["message"] == "no such file: \udcff"


def test_an_exception_is_told_without_what_it_quotes(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback shows where and what kind; the text of an exception, and of the one before it, may quote a person and is left out."""
    monkeypatch.delenv(telemetry.DEBUG_VARIABLE, raising=False)
    try:
        try:
            fail("Dana Ito, +14155550100")
        except ValueError as error:
            raise KeyError("dana@acme.com") from error
    except KeyError:
        log.exception("a request failed")
    (line,) = lines(stream)
    told = line["exception"]
    assert "in fail" in told
    assert "ValueError" in told
    assert "KeyError" in told
    assert "Dana" not in told.replace('fail("Dana Ito, +14155550100")', "")
    assert "dana@acme.com" not in told.replace('KeyError("dana@acme.com")', "")


def test_our_own_exceptions_and_the_systems_are_told_with_their_text(stream: io.StringIO) -> None:
    """What quotes nobody is told whole."""
    for error in (StoreFaultError("claim: WRONGTYPE"), FileNotFoundError(2, "No such file", "dana@acme.com")):
        log.error("failed", exc_info=error)
    fault, system = lines(stream)
    assert "StoreFaultError: claim: WRONGTYPE" in fault["exception"]
    assert "FileNotFoundError: No such file" in system["exception"]
    assert "dana" not in system["exception"]


def test_debugging_shows_it_all(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """RESERVOIR_DEBUG is an operator's wish to see everything."""
    monkeypatch.setenv(telemetry.DEBUG_VARIABLE, "1")
    log.error("failed", exc_info=ValueError("Dana"))
    assert "Dana" in lines(stream)[0]["exception"]


async def test_a_task_that_nobody_awaited_is_logged_without_its_values(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the event loop is one line, in which the exception's text is not."""
    monkeypatch.delenv(telemetry.DEBUG_VARIABLE, raising=False)
    asyncio.get_running_loop().set_exception_handler(telemetry.log_loop_fault)
    asyncio.get_running_loop().call_exception_handler({"message": "Task exception was never retrieved", "exception": ValueError("Dana"), "task": "Dana"})
    (line,) = lines(stream)
    assert line["message"] == "Task exception was never retrieved"
    assert "ValueError" in line["exception"]
    assert "Dana" not in stream.getvalue()


def test_a_terminal_gets_plain_words(terminal: io.StringIO) -> None:
    """A person reads the time, the level and the sentence, and what goes with it in brackets."""
    token = telemetry.request_id.set("r-1")
    log.warning("the store is away", extra={"took_ms": 3})
    telemetry.request_id.reset(token)
    assert terminal.getvalue()[8:] == " warning: the store is away (took_ms 3, request r-1)\n"
