"""The client before the service, with a network between them that can be told to fail."""

from collections.abc import AsyncIterator

import pytest

from reservoir.client import Reservoir
from tests.contract.http.conftest import admin as admin
from tests.contract.http.conftest import app as app
from tests.contract.http.conftest import dialer as dialer
from tests.support.http_proxy import Proxy, proxied
from tests.support.service import App, Caller

PATIENT_S = 60.0
"""Longer than anything takes on a machine that is slow: no test that uses it ends by its running out."""


@pytest.fixture
async def proxy(app: App) -> AsyncIterator[Proxy]:
    """The network before the service; all gets through until a test decides otherwise."""
    async with proxied(app.root) as between:
        yield between


@pytest.fixture
async def reservoir(proxy: Proxy, dialer: Caller) -> AsyncIterator[Reservoir]:
    """A patient client with a dialer's key."""
    async with Reservoir(proxy.url, str(dialer.key), timeout_s=PATIENT_S, retry_for_s=PATIENT_S) as client:
        yield client
