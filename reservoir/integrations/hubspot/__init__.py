"""HubSpot: its contacts and its lists, which it calls segments."""

import re

from reservoir.config import HubspotConfig
from reservoir.domain.refusals import InvalidError
from reservoir.integrations.source import Pace, Source
from reservoir.integrations.writer import Writer

_ID = re.compile(r"[1-9][0-9]{0,19}")

UNCLOG = (
    'So that they leave by themselves, add to the list in HubSpot a filter such as "Last contacted is not today", or one on a lead status that a call changes.'
)


def prospect_id(text: str) -> str:
    """The contact's id itself, if it is one: a decimal number of at most 20 digits, written in the one way that there is.

    **Raises**: InvalidError.
    """
    if not _ID.fullmatch(text):
        raise InvalidError(f"a HubSpot id is 1 to 20 decimal digits without leading zeros, not {text[:40]!r}")
    return text


def connect(config: HubspotConfig, pace: Pace) -> Source:
    """A private app's connection to its portal. Nothing is asked yet."""
    from reservoir.integrations.hubspot.source import HubspotSource  # 0.3 s and 22 MB, for those who sync from HubSpot

    return HubspotSource(config, pace)


def connect_writer(config: HubspotConfig, pace: Pace) -> Writer:
    """The same connection, to write back."""
    from reservoir.integrations.hubspot.writer import HubspotWriter

    return HubspotWriter(config, pace)
