"""The OpenAPI document: valid, and neither more nor less than what the service answers."""

import re
from collections import Counter

from openapi_spec_validator import OpenAPIV31SpecValidator

from reservoir.http.app import make_app
from reservoir.http.routes import ROUTES
from tests.support.service import DOCUMENT, App
from tests.support.walk import REQUESTS, name_of


async def test_the_document_is_what_the_service_publishes_and_is_valid(app: App) -> None:
    """GET /openapi.json needs no key and is OpenAPI 3.1 without a flaw."""
    told = await app.caller().get("/openapi.json")
    assert told.json == DOCUMENT
    assert told.json["openapi"].startswith("3.1")
    assert not list(OpenAPIV31SpecValidator(told.json).iter_errors())


async def test_every_route_of_the_router_is_in_the_document_and_no_other(app: App) -> None:
    """What can be asked and what the document tells of are the same methods on the same paths."""
    routed = {
        (route.method, re.sub(r"{(\w+)}", r"{\1}", route.resource.canonical)) for route in make_app(app.services).router.routes() if route.resource is not None
    }
    told = {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert routed == told


def test_operation_ids_are_unique() -> None:
    """No two operations share a name, so that a generated client has them all."""
    counted = Counter(operation["operationId"] for operations in DOCUMENT["paths"].values() for operation in operations.values())
    assert [name for name, times in counted.items() if times > 1] == []


def test_every_route_is_walked() -> None:
    """The walks of scopes, orgs and processes know a good request for every route, so that none escapes them."""
    assert REQUESTS.keys() == {name_of(route) for route in ROUTES}


def test_the_document_refuses_what_the_service_refuses() -> None:
    """The bodies' schemas are closed: an unknown field is against the document, too."""
    for route in ROUTES:
        if route.body is not None and not route.patch:
            assert DOCUMENT["components"]["schemas"][route.body.__name__]["additionalProperties"] is False, route.path


def test_every_problem_of_a_route_is_one_that_the_service_has() -> None:
    """A status of the document is the status that the problem is answered with."""
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                assert (int(status) >= 400) == ("application/problem+json" in response.get("content", {})), path
