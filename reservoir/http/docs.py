"""The API as a page to read and to try, from the assets of a dependency's wheel: nothing is fetched from anywhere else."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

from reservoir.http.problems import ProblemError

OWN = frozenset({"start.js", "page.css"})
SWAGGER = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
"""What the page is made of: what is written here, and what it needs of Swagger UI."""

HERE = Path(__file__).with_name("docs_page")

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def read_docs(_: web.Request) -> web.StreamResponse:
    """The page."""
    return web.FileResponse(HERE / "index.html", headers=SECURITY)


async def read_docs_asset(request: web.Request) -> web.StreamResponse:
    """What the page is made of. **Raises**: ProblemError for anything else."""
    name = request.match_info["asset"]
    if name in OWN:
        return web.FileResponse(HERE / name, headers=SECURITY)
    if name in SWAGGER:
        return web.FileResponse(_swagger() / name, headers=SECURITY)
    raise ProblemError("not-found", "The page has no such part.")


@cache
def _swagger() -> Path:
    """Where the wheel has its assets. It is not imported: its code is for other frameworks."""
    found = find_spec("swagger_ui")
    if found is None or found.origin is None:
        raise RuntimeError("swagger-ui-py is not installed")
    return Path(found.origin).with_name("static")
