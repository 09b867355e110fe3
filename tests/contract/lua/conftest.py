"""Each script alone, on both servers."""

from collections.abc import Iterator

import pytest

from tests.conftest import Engines, look_over, redis_server
from tests.support.builders import Bench
from tests.support.commands import Commands
from tests.support.engine import EngineProcess, wheel_binary


@pytest.fixture(params=["valkey", "redis"])
def server(engines: Engines, request: pytest.FixtureRequest) -> Iterator[EngineProcess]:
    """The embedded engine's server, and Debian's. It is empty."""
    binary = wheel_binary() if request.param == "valkey" else redis_server()
    if binary is None:
        pytest.skip("there is no redis-server here, 7.0 or newer, to run the scripts on a second kind of server")
    engine = engines(binary)
    engine.flush()
    yield engine
    look_over(engine, request)


@pytest.fixture
def bench(client: Commands) -> Bench:
    """An org with a list "west": p1 to p5, and "east": p3, p4, p5, p6, in which p6 has no phone."""
    bench = Bench(client).create()
    bench.make_list("west", [f"p{number}" for number in range(1, 6)])
    bench.make_list("east", ["p3", "p4", "p5", ("p6", "no-phone")])
    return bench
