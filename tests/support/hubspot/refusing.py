"""The refusals of HubSpot, in its own form."""

from typing import Any

from aiohttp import web


class RefusalError(Exception):
    """A request that the portal does not serve."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.told = {"status": "error", "message": message, "correlationId": "00000000-0000-4000-8000-000000000000", "category": category, **more}

    def answer(self) -> web.Response:
        return web.json_response(self.told, status=self.status)


def invalid(message: str) -> RefusalError:
    """400, as for every request that is not in its form."""
    return RefusalError(400, "VALIDATION_ERROR", message)


def expect(holds: object, message: str) -> None:
    """Refuses what is not in its form."""
    if not holds:
        raise invalid(message)


def missing_scopes(*scopes: str) -> RefusalError:
    """403, as for a call that the app was not allowed."""
    errors = [{"message": "One or more of the following scopes are required.", "context": {"requiredGranularScopes": list(scopes)}}]
    return RefusalError(403, "MISSING_SCOPES", "This app hasn't been granted all required scopes to make this call.", errors=errors)


def not_found(message: str = "resource not found") -> RefusalError:
    """404."""
    return RefusalError(404, "OBJECT_NOT_FOUND", message)
