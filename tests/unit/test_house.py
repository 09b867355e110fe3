"""The house keeps its own laws: imports point one way, each library stays in its room, no file outgrows its reader."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reservoir

PACKAGE = Path(reservoir.__file__).parent

LEVELS = {
    "domain": 0,
    "metrics": 0,
    "client": 1,
    "config": 1,
    "telemetry": 1,
    "last_errors": 2,
    "storage": 1,
    "integrations": 1,
    "sync": 2,
    "wiring": 3,
    "http": 4,
    "demo": 4,
    "cli": 5,
}
"""A room may import its own level's neighbours only where they are named in NEIGHBOURS, and everything below."""

NEIGHBOURS = {("config", "telemetry"), ("integrations", "config")}

ONLY_IN = {"redis": {"storage"}, "hiredis": {"storage"}, "aiohttp.web": {"http", "cli"}, "click": {"cli"}, "rich": {"cli"}, "prometheus_client": {"http"}}

LONGEST_MODULE = 330
"""Lines. What is longer wants to be two."""

ALLOWED_IN_CLIENT = {"aiohttp", "yarl", "reservoir", *sys.stdlib_module_names}
"""yarl has aiohttp's own URLs, and comes with it."""

ALLOWED_IN_DOMAIN = {"reservoir", "pydantic", *sys.stdlib_module_names}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(dotted: str) -> str:
    return dotted.split(".")[0]


def test_imports_point_one_way() -> None:
    """No module imports from a room at its own height or above."""
    backward = [
        f"{name} imports {imported}"
        for name, path in modules()
        for imported in imports(path)
        if imported.startswith("reservoir.")
        and (target := room(imported.removeprefix("reservoir."))) in LEVELS
        and room(name) in LEVELS
        and target != room(name)
        and LEVELS[target] >= LEVELS[room(name)]
        and (room(name), target) not in NEIGHBOURS
    ]
    assert backward == []


def test_each_library_stays_in_its_room() -> None:
    """Only storage speaks to the store, only http and cli serve."""
    astray = [
        f"{name} imports {imported}"
        for name, path in modules()
        for imported in imports(path)
        for library, rooms in ONLY_IN.items()
        if (imported == library or imported.startswith(f"{library}.")) and room(name) not in rooms
    ]
    assert astray == []


def test_the_domain_is_pure() -> None:
    """The domain imports the standard library and pydantic at most, and reads no clock."""
    impure = [
        f"{name} imports {imported}"
        for name, path in modules()
        if room(name) == "domain"
        for imported in imports(path)
        if imported.split(".")[0] not in ALLOWED_IN_DOMAIN or imported.split(".")[0] in {"time", "logging", "asyncio", "socket", "os"}
    ]
    assert impure == []


def test_the_client_needs_nothing_of_the_service() -> None:
    """A dialer's client imports the standard library, aiohttp and the words of the domain."""
    foreign = [
        f"{name} imports {imported}"
        for name, path in modules()
        if room(name) == "client"
        for imported in imports(path)
        if imported.split(".")[0] not in ALLOWED_IN_CLIENT
        or (imported.startswith("reservoir.") and room(imported.removeprefix("reservoir.")) not in {"client", "domain"})
    ]
    assert foreign == []


def test_no_module_outgrows_its_reader() -> None:
    """Every module stays short enough to be read in one sitting."""
    long = {name: lines for name, path in modules() if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE}
    assert long == {}


@pytest.mark.parametrize("name", [name for _, name, _ in pkgutil.walk_packages(reservoir.__path__, "reservoir.") if "__main__" not in name])
def test_every_module_can_be_imported(name: str) -> None:
    """Each module has what it needs."""
    assert importlib.import_module(name).__doc__


def test_the_domain_can_be_imported_alone() -> None:
    """To import the domain pulls in neither the store's client nor the server."""
    code = "import sys, reservoir.domain.claims, reservoir.domain.lists; print(sorted({'redis', 'aiohttp', 'phonenumbers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_clients_of_the_crms_are_imported_by_those_who_need_them() -> None:
    """To know which integrations there are costs no CRM's client library: half a second and 37 MB, which the processes that answer claims need not bear."""
    code = (
        "import sys, reservoir.http.app, reservoir.integrations.base as base; base.integrations(); print({'simple_salesforce', 'requests'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
