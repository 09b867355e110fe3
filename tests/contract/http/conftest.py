"""The service on the shared server, and an org in it with an admin."""

from collections.abc import AsyncIterator

import pytest

from tests.support.engine import EngineProcess
from tests.support.service import App, Caller, running


@pytest.fixture
async def app(server: EngineProcess) -> AsyncIterator[App]:
    """One process of the service."""
    async with running(server.url) as one:
        yield one


@pytest.fixture
async def other_app(server: EngineProcess) -> AsyncIterator[App]:
    """Another process of the service, on the same store; it remembers for itself."""
    async with running(server.url) as another:
        yield another


@pytest.fixture
async def admin(app: App) -> Caller:
    """The admin of an org in which multi-rep dialing is on for csv, and off for the others."""
    acme = await app.org("acme")
    await acme.enable()
    return acme


@pytest.fixture
async def dialer(app: App, admin: Caller) -> Caller:
    """A dialer of that org: its key may claim, and no more."""
    del admin
    return await app.member_of("acme", "dial")
