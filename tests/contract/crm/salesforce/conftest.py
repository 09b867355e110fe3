"""A Salesforce org on loopback, and the real client's connection with it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from reservoir.config import SalesforceClientCredentials, SalesforceConfig
from reservoir.integrations.salesforce import connect
from reservoir.integrations.source import Pace, Source
from tests.support.pace import RecordedPace
from tests.support.salesforce.server import SalesforceOrg, salesforce_org

Connect = Callable[..., Source]


@pytest.fixture(scope="module")
def served() -> Iterator[SalesforceOrg]:
    """One server for a module."""
    with salesforce_org() as org:
        yield org


@pytest.fixture
def org(served: SalesforceOrg) -> SalesforceOrg:
    """An org with nobody in it and no fault."""
    served.__dict__.update({name: value for name, value in SalesforceOrg().__dict__.items() if name not in ("url", "credentials", "_closing")})
    return served


@pytest.fixture
def pace() -> RecordedPace:
    return RecordedPace()


@pytest.fixture
def config(org: SalesforceOrg) -> SalesforceConfig:
    """The usual way to log in."""
    known = org.credentials
    return SalesforceClientCredentials(
        endpoint=org.url, domain="acme.my", consumer_key=SecretStr(known.consumer_key), consumer_secret=SecretStr(known.consumer_secret)
    )


@pytest.fixture
def source(config: SalesforceConfig, pace: Pace) -> Iterator[Source]:
    """The source that tests read unless they say otherwise."""
    made = connect(config, pace)
    yield made
    made.close()


def soql(query: str, **columns: Any) -> dict[str, Any]:
    """A list's source."""
    return {"kind": "soql", "id": None, "query": query, "columns": columns or None}
