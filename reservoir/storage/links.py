"""The ways to a store, for callers that do not care which one it is: a lane of our own, or a client of the library's."""

from typing import Protocol

import hiredis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError, ResponseError

from reservoir.storage.lane import LaneBrokenError

Argument = bytes | str | int | float


class Link(Protocol):
    """A way to the store: a lane, or a cluster's client."""

    async def call(self, *command: Argument) -> object:
        """The reply to a command; an error that the store replies is returned."""

    async def ask(self, *command: Argument) -> object:
        """The same, of a command whose reply does not tell by itself that it is its own."""

    def drop(self, reason: str) -> None:
        """Gives the connection up."""

    async def close(self) -> None:
        """Closes what is open."""


_FOR_THE_CLIENT = ("COMMAND", "CLUSTER")
"""Commands whose replies the client itself reads, to find its nodes."""


_OF_TWO_WORDS = frozenset({"SCRIPT", "CONFIG"})
"""Commands that the client knows, and sends to the right nodes, by two words in one."""


class ClientLink:
    """A client of redis-py as a link: for a cluster, where each key has its node, and for tests of the Python around the store."""

    def __init__(self, client: "RedisCluster | SupportsCommands") -> None:
        self._client = client
        parsed: dict[str, object] = getattr(client, "response_callbacks", {})
        for command in [name for name in parsed if not name.upper().startswith(_FOR_THE_CLIENT)]:
            parsed.pop(command)  # the raw replies are what the callers read

    async def call(self, *command: Argument) -> object:
        """The reply as the store gave it."""
        if command[0] in _OF_TWO_WORDS:
            command = (" ".join(map(str, command[:2])), *command[2:])
        try:
            return await self._client.execute_command(*command)
        except ResponseError as error:
            return hiredis.ReplyError(f"{_code_of(error)}{error}")
        except (RedisError, OSError, TimeoutError) as error:
            raise LaneBrokenError(str(error) or type(error).__name__, sent=True) from error

    async def ask(self, *command: Argument) -> object:
        """The reply as the store gave it: each command has a connection of the client's own for as long as it lasts."""
        return await self.call(*command)

    def drop(self, reason: str) -> None:
        """Nothing: the client keeps its own connections."""

    async def close(self) -> None:
        """Closes the client."""
        await self._client.aclose()


class SupportsCommands(Protocol):
    """What `ClientLink` needs of a client."""

    async def execute_command(self, *command: Argument) -> object:
        """Runs one command."""

    async def aclose(self) -> None:
        """Closes it."""


def _code_of(error: ResponseError) -> str:
    """The leading code that redis-py takes off some errors' text as it makes them classes of their own."""
    codes = {"NoScriptError": "NOSCRIPT ", "ReadOnlyError": "READONLY ", "OutOfMemoryError": "OOM ", "BusyLoadingError": "LOADING "}
    return codes.get(type(error).__name__, "")
