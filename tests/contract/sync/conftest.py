"""A worker's desk."""

import pytest

from reservoir.storage.orgs import Org, OrgStore
from tests.support.commands import Commands
from tests.support.desk import Desk


@pytest.fixture
def desk(orgs: OrgStore, acme: Org, client: Commands) -> Desk:
    return Desk(orgs, acme, client)
