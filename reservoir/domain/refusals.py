"""Refusals: the expected outcomes that are not what was asked for.

A refusal is a value. It knows its slug, which is the last part of a problem's ``type``, and a sentence for a person; it knows no HTTP status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked for cannot be had, and why.

    **Shape**: ``slug`` is one of the problem types of the HTTP contract; ``detail`` one plain sentence; ``facts`` what a caller may act on,
    such as ``expires_at`` (already in the form in which it is answered).
    """

    slug: str
    detail: str
    facts: Mapping[str, object] = field(default_factory=dict)


class InvalidError(ValueError):
    """A value that no rule allows. Its message is a sentence for the person who sent it: what was expected, and what came."""
