"""HubSpot: its contacts and its lists."""

import re

from reservoir.domain.refusals import InvalidError

_ID = re.compile(r"[1-9][0-9]{0,19}")


def prospect_id(text: str) -> str:
    """The contact's id itself, if it is one: a decimal number of at most 20 digits, written in the one way that there is.

    **Raises**: InvalidError.
    """
    if not _ID.fullmatch(text):
        raise InvalidError(f"a HubSpot id is 1 to 20 decimal digits without leading zeros, not {text[:40]!r}")
    return text
