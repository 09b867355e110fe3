"""Connections: what no route ever sees, because the client's bytes are no request, or end before the request does."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from reservoir.http.problems import ProblemError
from reservoir.storage.names import random_name

_UNREADABLE = "this is no HTTP request that can be read, its head is too long, or its body is packed in another way than gzip or deflate"


class Connection(RequestHandler):
    """A client's connection, on which an error has the form of every error, and a body that breaks off ends instead of being waited for.

    A client that stops sending in the middle of a body may still listen: it is kept until it has its answer.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.broken_off: StreamReader | None = None
        self.when_lost: set[Callable[[], None]] = set()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        for told in tuple(self.when_lost):
            told()

    def data_received(self, data: bytes) -> None:
        """Takes what came. What cannot be read as the rest of a body ends it."""
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            message = self._messages.pop()
            if not self._break_off():
                self._messages.append(message)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks it whether to keep the connection; aiohttp says that it never does
        """The client sends nothing more. True if it is still owed the answer to a body that it did not finish."""
        return self._break_off()

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None) -> web.StreamResponse:
        """The answer to what is no request."""
        if status >= 500:
            self.log_exception("A request failed outside the routes", exc_info=exc)
            problem = ProblemError("internal-error", "This is a defect of the service.")
        else:
            self.log_debug("No request from %s: %s", request.remote, message)
            problem = ProblemError.invalid([{"parameter": "request", "detail": _UNREADABLE}])
        return _last_answer(problem)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """A defect. That a body cannot be unpacked is none: its client has been answered, and what is left of it is thrown away."""
        if isinstance(kw.get("exc_info"), web.RequestPayloadError):
            self.log_debug("The rest of a body cannot be read")
        else:
            super().log_exception(*args, **kw)

    async def finish_response(self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None) -> tuple[web.StreamResponse, bool]:
        """Writes the answer. The only one that comes from aiohttp itself is to an expectation that nobody can meet."""
        if isinstance(resp, web.HTTPException):
            resp = _last_answer(ProblemError.invalid([{"parameter": "Expect", "detail": "expected 100-continue, or nothing"}]))
        return await super().finish_response(request, resp, start_time)

    def _break_off(self) -> bool:
        """Ends the body that is under way, with what came of it. False if none is."""
        body = self._messages[-1][1] if self._messages else self._current_request and self._current_request.content
        if not isinstance(body, StreamReader) or body.is_eof():
            return False
        self.broken_off = body
        body.feed_eof()
        self.close()
        return True


class Connections(web.Server):
    """All connections of one process."""

    def __call__(self) -> Connection:
        """A new connection."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)


class Runner(web.AppRunner):
    """Runs the application on `Connections`; in all else it is aiohttp's own."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        options = made._kwargs  # noqa: SLF001 - the application added its own to the runner's, and they are kept nowhere else
        return Connections(made.request_handler, request_factory=made.request_factory, handler_cancellation=made.handler_cancellation, **options)


def _last_answer(problem: ProblemError) -> web.Response:
    response = problem.response()
    response.headers["X-Request-Id"] = random_name(16)
    response.force_close()
    return response


@contextmanager
def when_gone(request: web.Request, told: Callable[[], None]) -> Iterator[None]:
    """Within, it is told if the client goes, or is gone already."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        raise TypeError("a request came on no connection of ours")
    if connection.transport is None:
        told()
    connection.when_lost.add(told)
    try:
        yield
    finally:
        connection.when_lost.discard(told)


def broke_off(request: web.Request) -> bool:
    """Whether the request's body ended before its end."""
    return isinstance(request.protocol, Connection) and request.protocol.broken_off is request.content
