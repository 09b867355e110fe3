"""The application: the routes, served in one way."""

from aiohttp import web

from reservoir.http import openapi
from reservoir.http.docs import read_docs, read_docs_asset
from reservoir.http.health import healthz, readyz
from reservoir.http.metrics import read_metrics
from reservoir.http.routes import ROUTES
from reservoir.http.serving import BODY_MOST_BYTES, SERVICES, everything, served
from reservoir.wiring import Services


def make_app(services: Services) -> web.Application:
    """The service as an aiohttp application, on services that its caller opens and closes."""
    app = web.Application(middlewares=[everything], client_max_size=BODY_MOST_BYTES)
    app[SERVICES] = services
    for route in ROUTES:
        path = route.path.replace("}", ":[^/]+}")  # aiohttp's own pattern for a part matches no braces, and ids may have them
        if route.method == "GET":
            app.router.add_get(path, served(route), allow_head=False)
        else:
            app.router.add_route(route.method, path, served(route))
    document = openapi.text()

    async def openapi_json(_: web.Request) -> web.StreamResponse:
        """The contract."""
        return web.Response(body=document, content_type="application/json")

    handlers = {"/healthz": healthz, "/readyz": readyz, "/openapi.json": openapi_json, "/metrics": read_metrics, "/docs": read_docs}
    for path, handler in {**handlers, "/docs/{asset}": read_docs_asset}.items():
        app.router.add_get(path, handler, allow_head=False)
    return app
