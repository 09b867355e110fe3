"""What scripts must change in the keyspace, said once, by the contract and not by the scripts: pieces for the tests to put together."""

from collections.abc import Iterable
from typing import Any

from reservoir.domain.times import DAY_MS
from reservoir.storage.keys import encoded
from tests.support.builders import ROOM, TTL_MS, Row, data, found_by, reservation
from tests.support.keyspace import GONE

Changes = dict[str, Any]


def place(index: int, run: int = 1) -> int:
    """The place of the member that a list's first (second, …) run brought as the first (0), second (1), …"""
    return index - run * ROOM


def moved(prospect: str, lists: Iterable[str], out_of: str, into: str, score: int | None = None) -> Changes:
    """A prospect leaves one index of these lists for another; back to available it goes to its ``score``, its place."""
    found: Changes = {}
    for list_ in lists:
        found |= {f"list:{list_}:{out_of}[{prospect}]": GONE, f"list:{list_}:{into}[{prospect}]": score}
    return found


def granted(
    id_: str,
    prospect: str,
    now: int,
    ends: int,
    *,
    state: str = "reserved",
    lists: Iterable[str] = ("west",),
    integration: str = "csv",
    rep: str = "ana",
    session: str = "s-1",
    mode: str = "parallel",
    list_: str | None = "west",
) -> Changes:
    """All that a grant of an available prospect changes, but for the history and the token."""
    key, claim, member = f"reservation:{integration}:{encoded(prospect)}", f"claim:{id_}", f"{integration}:{prospect}"
    fields = {
        "integration": integration,
        "prospect": prospect,
        "rep": rep,
        "session": session,
        "mode": mode,
        "state": state,
        "claimed_at": now,
        "expires_at": ends,
    }
    fields |= {"list": list_} if list_ else {}
    fields |= {"attempted_at": now} if state == "reserved" else {}
    found = {f"{claim}[{name}]": value for name, value in fields.items()}
    found |= {f"{claim} ttl": ends + TTL_MS[state], f"ends[{member}]": ends, f"claim-of[{member}]": id_}
    found |= {key: reservation(id_, now, ends, state=state, rep=rep, session=session, mode=mode, list_=list_), f"{key} ttl": ends}
    found |= moved(prospect, lists, "available", state, ends)
    if state == "held":
        found |= {f"session:{encoded(session)}[{id_}]": ends, f"session:{encoded(session)} ttl": now + DAY_MS}
    return found


def searched(prospect: str, integration: str = "csv", score: object = 0) -> Changes:
    """What the search has of a member of tests."""
    return {f"search:{integration}[{term} {prospect}]": score for term in found_by(prospect).split()}


def aside(*prospects: str, integration: str = "csv", version: int = 1) -> Changes:
    """What the search may have yet of data that is gone."""
    return {f"search-due[{integration} {data(prospect, version)}]": True for prospect in prospects}


def freed(id_: str, prospect: str, at: int, *, state: str = "reserved", lists: Iterable[str] = ("west",), session: str = "s-1", last: bool = True) -> Changes:
    """All that the settling of a past hold or reservation changes, its key gone before, but for the history. ``at`` is its place in these lists; ``last``:
    whether it was the session's only hold."""
    found = {f"ends[csv:{prospect}]": GONE, f"claim-of[csv:{prospect}]": GONE} | moved(prospect, lists, state, "available", at)
    if state == "held":
        found |= {f"session:{session}[{id_}]": GONE} | ({f"session:{session} ttl": GONE} if last else {})
    return found


def token(key: str, now: int, *ids: str, digest: str = "digest", kept_ms: int = DAY_MS) -> Changes:
    """What a request leaves for its repeats."""
    return {f"idempotency:{key}": " ".join((digest, *ids)), f"idempotency:{key} ttl": now + kept_ms}


def entry(type_: str, at: int, claim: str | None, prospect: str, /, **more: Any) -> dict[str, Any]:
    """An entry of the history about a prospect; ``None`` takes a field out."""
    fields = {"integration": "csv", "prospect": prospect, "rep": "ana", "session": "s-1", "mode": "parallel", "list": "west", "claim": claim} | more
    return {"type": type_, "at": at} | {name: value for name, value in fields.items() if value is not None}


def row(
    id_: str, prospect: str, now: int, ends: int | None, *, state: str = "reserved", attempted: int | None = None, member: str | None = None, **more: Any
) -> Row:
    """A claim's row as it is replied. ``attempted`` None: with the claim, unless it is held."""
    at = attempted if attempted is not None else (now if state != "held" else None)
    fields: dict[str, Any] = {"integration": "csv", "rep": "ana", "session": "s-1", "mode": "parallel", "list": "west", "disposition": None} | more
    return Row(
        id=id_,
        prospect=prospect,
        state=state,
        claimed_at=now,
        attempted_at=at,
        expires_at=ends,
        member=member,
        **fields,
    )


def rows(reply: list[Any]) -> list[Row]:
    """The rows of a reply that has them behind its time."""
    return [Row.of(told) for told in reply[2]]
