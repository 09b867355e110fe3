"""What a dialer is told in place of what it asked for. Whichever it is: nobody is to be dialed on the strength of it.

- ReservoirError
  - RefusedError: the service says no, and why; to ask the same again changes nothing
    - ClaimLapsedError: the claim stands no more; do not dial
    - ProspectReservedError: somebody has this prospect; says who, and until when
    - DoNotCallError: the CRM flags this person as not to be called
    - ReservationNotRemovableError: a call was attempted, so there is nothing to release; says until when
    - ExtensionLimitError: the claim can not be kept so far
    - ClaimUnreservedError: multi-rep dialing was off, so there is nothing to release or to extend
    - ClaimNotAttemptedError: there was no call to record an outcome for
    - NotFoundError: there is no such list, claim, member, … in this org
    - InvalidRequestError: a defect of the caller; names every bad field
    - KeyRefusedError: the API key is unknown or revoked, or its scope does not reach
    - TooManyRequestsError: over a rate or a cap, for longer than the client was told to try
  - UnavailableError: no answer that counts, and nothing was done; ask again later
    - OutcomeUnknownError: no answer that counts, and it may have been done; only to ask the same again can tell
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reservoir.client.answers import Reservation, time


class ReservoirError(Exception):
    """All that this client raises of its own. **Shape**: ``request_id`` is what the service's log has it under, if it answered."""

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class RefusedError(ReservoirError):
    """The service refuses. **Shape**: ``slug`` is the kind of problem, ``problem`` all that was said (RFC 9457)."""

    def __init__(self, problem: Mapping[str, Any], request_id: str | None = None) -> None:
        self.problem = problem
        self.slug = str(problem["type"]).rpartition("/")[2]
        self.status = int(problem["status"])
        self.detail = str(problem["detail"])
        super().__init__(f"{self.detail} ({self.slug})", request_id)

    @staticmethod
    def of(problem: Mapping[str, Any], request_id: str | None = None) -> "RefusedError":
        """The refusal that a problem is, as the one of its kind."""
        slug = str(problem["type"]).rpartition("/")[2]
        kind = _KINDS.get(slug) or _BY_STATUS.get(int(problem["status"]), RefusedError)
        return kind(problem, request_id)


class ClaimLapsedError(RefusedError):
    """The claim stands no more: the hold ran out or was released, or the reservation expired. Somebody else may have this person: do not dial."""


class ProspectReservedError(RefusedError):
    """Somebody has this prospect; the caller's own hold or reservation counts, too."""

    @property
    def reservation(self) -> Reservation:
        """Who has them, and until when."""
        return Reservation.of(self.problem["reservation"])


class DoNotCallError(RefusedError):
    """The CRM flags this person as not to be called."""


class ReservationNotRemovableError(RefusedError):
    """A call was attempted, so the reservation stays until it expires."""

    @property
    def expires_at(self) -> datetime:
        """When the prospect frees."""
        return time(self.problem["expires_at"])


class ExtensionLimitError(RefusedError):
    """The claim can not be kept so far; it stays taken for as long as it was."""


class ClaimUnreservedError(RefusedError):
    """The claim was taken while multi-rep dialing was off: it keeps nobody away, so there is nothing to release or to extend."""


class ClaimNotAttemptedError(RefusedError):
    """No call was attempted with this claim, so there is no outcome to record."""


class NotFoundError(RefusedError):
    """There is no such thing in this org. ``slug`` says what is missing: ``list-not-found``, ``claim-not-found``, ``not-a-member``, …"""


class InvalidRequestError(RefusedError):
    """The request is not valid, which no repeat will change."""

    @property
    def errors(self) -> Sequence[Mapping[str, str]]:
        """Every bad field: its ``pointer`` or ``parameter``, and in ``detail`` what was expected."""
        return tuple(self.problem.get("errors", ()))


class KeyRefusedError(RefusedError):
    """The API key is unknown or revoked (401), or its scope does not reach this (403)."""


class TooManyRequestsError(RefusedError):
    """Over a rate or a cap, for longer than the client was told to try."""


class UnavailableError(ReservoirError):
    """There was no answer that counts in the time given, and nothing was done."""


class OutcomeUnknownError(UnavailableError):
    """It may have been done, and nobody here can know. To ask the same again takes nothing more, and tells.

    **Shape**: ``idempotency_key`` is what a claim was asked with; None where the service needs none to know a repeat.
    """

    def __init__(self, message: str, request_id: str | None = None, *, idempotency_key: str | None = None) -> None:
        super().__init__(message, request_id)
        self.idempotency_key = idempotency_key


_KINDS: Mapping[str, type[RefusedError]] = {
    "claim-lapsed": ClaimLapsedError,
    "prospect-reserved": ProspectReservedError,
    "do-not-call": DoNotCallError,
    "reservation-not-removable": ReservationNotRemovableError,
    "extension-limit": ExtensionLimitError,
    "claim-unreserved": ClaimUnreservedError,
    "claim-not-attempted": ClaimNotAttemptedError,
}

_BY_STATUS: Mapping[int, type[RefusedError]] = {
    400: InvalidRequestError,
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: NotFoundError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: TooManyRequestsError,
}
