"""Log records: one place for their form."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request under way, for every log record of it."""
