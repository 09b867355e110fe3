"""A plain client for tests: one connection, one command at a time, replies as the server gave them. It shares nothing with the code under test."""

import socket
from types import TracebackType
from typing import Any, Self

import hiredis

Word = str | bytes | int


class Commands:
    """A connection to the server on a loopback port. Text comes back as ``str``; bytes that are no UTF-8 survive a round trip."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")

    def __call__(self, *words: Word) -> Any:
        """The reply to a command. **Raises**: hiredis.ReplyError, if the server replies an error."""
        (reply,) = self.all([words])
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def all(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        """The replies to commands that are sent together; an error is returned as one of them."""
        self._socket.sendall(b"".join(_packed(words) for words in commands))
        return [self._reply() for _ in commands]

    def next(self) -> Any:
        """What the server says next, after a command that makes it say more than one thing."""
        return self._reply()

    def close(self) -> None:
        """The connection is closed. **Again**: nothing."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._reader.feed(data)
        return reply


def _packed(words: tuple[Word, ...]) -> bytes:
    raw = [word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape") for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in raw)
