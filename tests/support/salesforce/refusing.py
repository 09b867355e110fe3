"""Refusals in the form that Salesforce's REST API has."""

from typing import Any


class SalesforceRefusalError(Exception):
    """An answer of 400 and more."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = [{"errorCode": code, "message": message, **more}]
