"""Ids: what may name an org, a list, an integration, a rep, a session, a prospect."""

import re
import unicodedata

from reservoir.domain.refusals import InvalidError

ORG_ID = re.compile(r"[a-z][a-z0-9]{0,31}")
LIST_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LIST_ID_MAX = 64
INTEGRATION = re.compile(r"[a-z][a-z0-9_]{0,31}")
CLAIM_ID = re.compile(r"[a-z2-7]{16}[0-9]{2}")
API_KEY_ID = re.compile(r"[a-z2-7]{12}")
NAME_MAX_BYTES = 255
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")
"""Unicode's category Cc."""


def org_id(text: str) -> str:
    """The org id itself, if it is one.

    **Raises**: InvalidError.
    """
    if not ORG_ID.fullmatch(text):
        raise InvalidError(f"an org id is a lower-case letter and up to 31 letters or digits, not {text!r}")
    return text


def list_id(text: str) -> str:
    """The list id itself, if it is one.

    **Raises**: InvalidError.
    """
    if len(text) > LIST_ID_MAX or not LIST_ID.fullmatch(text):
        raise InvalidError("a list id is at most 64 lower-case letters, digits and single hyphens between them")
    return text


def opaque(text: str) -> str:
    """A rep, a session or a prospect id: 1 to 255 bytes of UTF-8 without control characters, kept byte by byte as it came.

    **Raises**: InvalidError.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidError("expected text that UTF-8 can carry, found a lone surrogate") from None
    if not 1 <= size <= NAME_MAX_BYTES:
        raise InvalidError(f"expected 1 to {NAME_MAX_BYTES} bytes of UTF-8, found {size}")
    if _CONTROL.search(text):
        raise InvalidError("control characters are not allowed")
    return text


def slug(name: str) -> str:
    """A list id made from a list's name: its letters and digits without accents, in lower case, joined by hyphens; ``list`` if none is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:LIST_ID_MAX].strip("-") or "list"
