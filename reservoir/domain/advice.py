"""What an admin is told to do about a list that reps find empty while people wait behind it (R11)."""

from reservoir.domain.lists import ListState
from reservoir.domain.times import rfc3339

CLOGGED = 0.5
"""From this share of reserved members on, a list is worth a word."""


def advice(state: ListState, unclog: str | None, past_the_cut: bool) -> str | None:
    """One text for the admin, or None where there is nothing to say.

    ``unclog`` says where and how the integration lets those leave a list who were called; ``past_the_cut``: whether the source is read on where the CRM cuts
    it off.
    """
    said: list[str] = []
    counts = state.counts
    if state.truncated:
        said.append(
            "The CRM cut the list off, and the rest of it is not read: "
            + ("it could not be read on." if past_the_cut else 'set sync.fetch to "all" to have it read past the cut.')
        )
    if counts.clogged >= CLOGGED:
        whole = counts.members - counts.undialable
        said.append(f"{counts.reserved:,} of the {whole:,} who can be dialed are reserved, for they were called.{'' if unclog is None else ' ' + unclog}")
        if unclog is not None and past_the_cut and not state.truncated:
            said.append("The list is read past what the CRM hands over in one go: those behind it are in already.")
    if counts.available == 0 and state.next_available_at_ms is not None:
        said.append(f"The next one frees at {rfc3339(state.next_available_at_ms)}.")
    if state.lacking:
        said.append(state.lacking)
    return " ".join(said) or None
