"""Problems: every error of the service in one form.

**Source**: RFC 9457 (problem details for HTTP APIs), sections 3 and 4.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict, TypeVar

import orjson
from aiohttp import web

from reservoir import metrics
from reservoir.domain.claims import Reservation
from reservoir.domain.refusals import Refused
from reservoir.http import answers

CONTENT_TYPE = "application/problem+json"

Wanted = TypeVar("Wanted")


class FieldError(TypedDict, total=False):
    """A bad field: ``pointer`` into the body (RFC 6901), or ``parameter`` of query or header; ``detail``: what was expected and what came."""

    pointer: str
    parameter: str
    detail: str


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, slug: str, detail: str, *, headers: Mapping[str, str] | None = None, **facts: object) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.headers = headers or {}
        self.facts = facts

    @classmethod
    def of(cls, refused: Refused) -> "ProblemError":
        """A refusal as the problem that it is at this height."""
        facts = {name: answers.reservation(fact) if isinstance(fact, Reservation) else fact for name, fact in refused.facts.items()}
        return cls(refused.slug, refused.detail, headers=None, **facts)

    @classmethod
    def invalid(cls, errors: Sequence[FieldError]) -> "ProblemError":
        """A request with these bad fields."""
        detail = "; ".join(f"{error.get('pointer') or error.get('parameter') or 'the body'}: {error['detail']}" for error in errors[:3])
        more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
        return cls("invalid-request", f"{detail}{more}", headers=None, errors=list(errors))

    def told(self) -> dict[str, object]:
        """The problem as its members."""
        return answers.problem(self.slug, self.detail, **self.facts)

    def response(self) -> web.Response:
        """The problem as an answer."""
        status, _ = answers.PROBLEMS[self.slug]
        metrics.REFUSALS.add(1, self.slug)
        headers = {"WWW-Authenticate": "Bearer", **self.headers} if status == 401 else dict(self.headers)
        return web.Response(body=orjson.dumps(self.told()), status=status, content_type=CONTENT_TYPE, headers=headers)


def required(value: Wanted | Refused) -> Wanted:
    """The value itself, unless it is a refusal, which ends the request.

    **Raises**: ProblemError.
    """
    if isinstance(value, Refused):
        raise ProblemError.of(value)
    return value
