"""What is to be written back, at the store: made of the history, taken by workers, kept until it is done, and what the CRM refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from reservoir.domain.history import Entry
from reservoir.domain.lists import Backlog
from reservoir.domain.times import HOUR_MS, MINUTE_MS
from reservoir.storage import replies
from reservoir.storage.history import HistoryStore
from reservoir.storage.orgs import Org, OrgStore

FOLLOWED_MOST = 200
CAUGHT_UP_MOST = 5
TAKEN_MOST = 50
LEASE_MS = 5 * MINUTE_MS
"""For how long what was taken is one worker's. Longer than a batch takes at a CRM that is slow to answer."""

LOGGED_AFTER_MS = HOUR_MS
"""How long a call waits for its disposition before it is logged without one."""

_ATTEMPTS = {"claim.reserved": False, "claim.attempted": False, "claim.unreserved": True}
"""The entries that say that a call began; True: only if the claim was taken without a hold, which the entry does not say."""

_OFF: Mapping[str, Any] = {"log_calls": False, "dispositions": {}}


@dataclass(frozen=True, slots=True)
class Job:
    """Something to write: its id, and all that is known of it, as it is kept."""

    id: str
    told: Mapping[str, Any]


class WriteBackStore:
    """The steps of write-back, for every org."""

    def __init__(self, orgs: OrgStore, history: HistoryStore) -> None:
        self._orgs = orgs
        self._history = history

    async def followed(self, org: Org) -> list[str]:
        """The integrations of the org for which the history is followed, or that have something to be written still."""
        readers_key = f"{org.prefix}history-readers"
        if not await self._orgs.store.command("EXISTS", readers_key, *(f"{_base(org, name)}due" for name in self._orgs.integrations)):
            return []
        readers = replies.flat_hash(await self._orgs.store.command("HGETALL", readers_key))
        return [name for name in self._orgs.integrations if f"write-back:{name}" in readers or await self._pending(org, name)]

    async def follow(self, org: Org, integration: str) -> bool:
        """Makes of the next entries of the history what is to be written. True: there may be more of them.

        Where nothing is to be written any more, and nothing more can come, the history is followed no longer.
        """
        place = await self._orgs.store.command("HGET", f"{org.prefix}history-readers", f"write-back:{integration}")
        if not isinstance(place, bytes):
            return False
        kept = await self._orgs.store.command("HGET", f"{_base(org, integration)}state", "followed")
        setting: Mapping[str, Any] = orjson.loads(kept) if isinstance(kept, bytes) else _OFF
        chunk = await self._history.read(org, place.decode(), FOLLOWED_MOST)
        told: list[bytes] = []
        for entry in chunk.entries:
            if entry.integration == integration:
                if entry.type == "settings.changed" and entry.detail.get("setting") == "write-back":
                    setting = _mapping(entry.detail["after"])
                elif counted := _counted(entry, setting):
                    told.append(orjson.dumps(counted))
        reached = chunk.entries[-1].id if chunk.entries else place.decode()
        ends = not chunk.entries and _is_off(setting)
        if chunk.entries or ends:
            await self._orgs.write("follow_write_back", org, integration, place, "" if ends else reached, orjson.dumps(setting), *told)
        return chunk.more

    async def catch_up(self, org: Org) -> None:
        """Follows what was called a moment ago, for who wants to know what is left: it may be that no worker is there to do so. At most some steps of it."""
        for integration in (name for name, setting in org.write_back.items() if setting.writes):
            for _ in range(CAUGHT_UP_MOST):
                if not await self.follow(org, integration):
                    break

    async def take(self, org: Org, integration: str) -> tuple[list[Job], int]:
        """What is due, for this worker alone for a while; and how often the CRM could not be reached since it was last."""
        reply = await self._orgs.write("take_write_back", org, integration, LEASE_MS, TAKEN_MOST)
        if reply[0] != b"taken":
            return [], 0
        ids, jobs = replies.items(reply[2]), replies.items(reply[3])
        return [Job(replies.text(id_), orjson.loads(replies.text(told))) for id_, told in zip(ids, jobs, strict=True)], replies.integer(reply[4])

    async def settle(self, org: Org, integration: str, outcomes: Sequence[tuple[Job, str, str | bytes]], pause_ms: int, tries: int) -> None:
        """Says what became of jobs: each ``done`` with the CRM's id of a call, ``failed`` with an error (JSON), or ``again``; and how long to pause."""
        words: list[str | bytes | int] = []
        for job, outcome, more in outcomes:
            words += (job.id, int(job.told["rev"]), outcome, more)
        await self._orgs.write("settle_write_back", org, integration, pause_ms, tries, *words)

    async def retry(self, org: Org, integration: str) -> int:
        """Makes all that the CRM refused due again, ends a pause, and returns how many there are."""
        count = 0
        while True:
            reply = await self._orgs.write("retry_write_back", org, integration)
            count += replies.integer(reply[2])
            if not replies.integer(reply[3]):
                return count

    async def backlog(self, org: Org, integration: str) -> Backlog:
        """How much is still to be written, of what was followed (`catch_up`)."""
        return (await self._read(org, integration, 0, None))[0]

    async def failures(self, org: Org, integration: str, limit: int, after: tuple[int, str] | None) -> tuple[list[Job], bool]:
        """What the CRM refused, in the order of its refusal, up to 500 a page; and whether there is more."""
        _, jobs, more = await self._read(org, integration, min(limit, 500), after)
        return jobs, more

    async def _read(self, org: Org, integration: str, limit: int, after: tuple[int, str] | None) -> tuple[Backlog, list[Job], bool]:
        at, id_ = ("", "") if after is None else (str(after[0]), after[1])
        reply = await self._orgs.read("read_write_back", org, integration, at, id_, limit)
        _, _, pending, oldest, failed, ids, jobs, more = reply
        found = [Job(replies.text(job), orjson.loads(replies.text(told))) for job, told in zip(replies.items(ids), replies.items(jobs), strict=True)]
        return Backlog(replies.integer(pending), replies.optional_integer(oldest), replies.integer(failed)), found, replies.integer(more) == 1

    async def _pending(self, org: Org, integration: str) -> int:
        return replies.integer(await self._orgs.store.command("ZCARD", f"{_base(org, integration)}due"))


def _base(org: Org, integration: str) -> str:
    return f"{org.prefix}write-back:{integration}:"


def _mapping(told: object) -> Mapping[str, Any]:
    return told if isinstance(told, dict) else _OFF


def _is_off(setting: Mapping[str, Any]) -> bool:
    return not setting["log_calls"] and not any(mapped["fields"] for mapped in setting["dispositions"].values())


def _counted(entry: Entry, setting: Mapping[str, Any]) -> dict[str, object] | None:
    """What the script makes a job of, or None where the entry is of no account under the setting that there was when it was recorded."""
    job = {"claim": entry.claim, "what": "call", "prospect": entry.prospect, "rep": entry.rep, "at": str(entry.at_ms), "rev": 0, "sent": 0}
    job |= {"list": entry.list} if entry.list else {}
    if entry.type in _ATTEMPTS and setting["log_calls"]:
        return {"kind": "attempt", "job": job, "due": str(entry.at_ms + LOGGED_AFTER_MS), "unsure": _ATTEMPTS[entry.type]}
    if entry.type != "disposition.recorded":
        return None
    outcome = str(entry.detail["outcome"])
    mapped = setting["dispositions"].get(outcome, {})
    told: dict[str, object] = {"kind": "outcome", "job": job, "outcome": outcome, "log": setting["log_calls"]}
    told |= {"call_outcome": mapped["call_outcome"]} if mapped.get("call_outcome") else {}
    return told | ({"fields": mapped["fields"]} if mapped.get("fields") else {})
