"""The source with the real client, against a portal on loopback."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from reservoir.config import HubspotConfig
from reservoir.domain.prospects import Member
from reservoir.integrations import hubspot
from reservoir.integrations.source import Cursor, Page, Source, Wanted
from tests.support.hubspot.records import TOKEN, Portal
from tests.support.hubspot.server import Server, serving
from tests.support.pace import RecordedPace


@pytest.fixture
def portal() -> Portal:
    """A portal with a list "42" of 600 contacts, 1001 to 1600."""
    portal = Portal()
    portal.make_list("42", range(1001, 1601))
    return portal


@pytest.fixture
def server(portal: Portal) -> Iterator[Server]:
    """The portal's address."""
    with serving(portal) as server:
        yield server


@pytest.fixture
def pace() -> RecordedPace:
    """What the source says of the org's budget."""
    return RecordedPace()


Connect = Callable[..., Source]


@pytest.fixture
def connect(server: Server, pace: RecordedPace) -> Iterator[Connect]:
    """Connects with the token of the tests, or another one."""
    opened = []

    def connected(token: str = TOKEN) -> Source:
        source = hubspot.connect(HubspotConfig(access_token=SecretStr(token), endpoint=server.url), pace)
        opened.append(source)
        return source

    yield connected
    for source in opened:
        source.close()


@pytest.fixture
def source(connect: Connect) -> Source:
    """The connection that most tests need."""
    return connect()


def wanted(list_id: str = "42", region: str = "US", **columns: Any) -> Wanted:
    """A list of HubSpot's, as an admin names it."""
    source: dict[str, object] = {"kind": "list", "id": list_id}
    return Wanted(source | ({"columns": columns} if columns else {}), "all", region)


def pages(source: Source, list_id: str = "42", cursor: Cursor | None = None, **how: Any) -> list[Page]:
    """All pages of a list, from the cursor on."""
    return list(source.pages(wanted(list_id, **how), cursor))


def members(source: Source, list_id: str = "42", **how: Any) -> dict[str, Member]:
    """Everybody on a list, by id, in its order."""
    return {member.id: member for page in pages(source, list_id, **how) for member in page.members}
