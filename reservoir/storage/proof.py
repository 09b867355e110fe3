"""The proof at the store: reads the history and what stands, at one instant each time, so that it can be had while the org is at work."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from reservoir.domain.proof import SLACK_MS, Replay, Standing, Verdict
from reservoir.domain.told import DialerRecord
from reservoir.storage import keys, replies
from reservoir.storage.history import entry_of
from reservoir.storage.links import ClientLink
from reservoir.storage.orgs import OrgStore, UnknownOrgError
from reservoir.storage.redis import Reply

CHUNK = 250
SCANNED = 1_000


async def verify(orgs: OrgStore, org_id: str, told: DialerRecord | None = None) -> Verdict:
    """Replays the history of an org, and holds it against what stands in the store and against what dialers were ``told``, if that is given.

    **Again**: reads anew; it changes nothing, and may be asked while claims go on.

    **Raises**: UnknownOrgError, StoreUnavailableError.
    """
    return await _Reading(orgs, org_id, told).verdict()


@dataclass(slots=True)
class _Place:
    """How far the reading has come."""

    entry: str = ""
    ends: str | bytes = ""
    member: str | bytes = ""


class _Reading:
    def __init__(self, orgs: OrgStore, org_id: str, told: DialerRecord | None) -> None:
        self._orgs = orgs
        self._org_id = org_id
        self._told = told
        self._replay = Replay(0, whole=True)
        self._place = _Place()
        self._began = False
        self._now_ms = 0

    async def verdict(self) -> Verdict:
        await self._read_standing()
        await self._read_named([member for member, taken in self._replay.taken.items() if not taken.confirmed])
        sought = not isinstance(self._orgs.store.commands, ClientLink)
        if sought:
            await self._read_keys()
        replay = self._replay
        states = [taken.state for taken in replay.taken.values() if taken.ends_ms >= self._now_ms]
        return Verdict(
            org=self._org_id,
            since_ms=replay.since_ms,
            until_ms=self._now_ms,
            whole=replay.whole,
            counts=replay.counts,
            held=states.count("held"),
            reserved=len(states) - states.count("held"),
            missing_keys=len(replay.missing_keys),
            foreign_keys=len(replay.foreign_keys),
            keys_sought=sought,
            findings=replay.findings,
        )

    async def _read_standing(self) -> None:
        """Everybody whom the witness has, whoever ends soonest first."""
        while True:
            reply = await self._caught_up()
            ends, member = reply[4:6]
            if ends is None:
                return
            self._place.ends, self._place.member = replies.text(ends), replies.text(member)

    async def _read_named(self, members: Sequence[str]) -> None:
        """Whom the history has and the witness did not, each once more by name: they may have been granted since."""
        for start in range(0, len(members), CHUNK):
            await self._caught_up(*members[start : start + CHUNK])

    async def _read_keys(self) -> None:
        """Keys of reservations that no index knows."""
        start = f"{keys.prefix(self._org_id)}reservation:"
        cursor = "0"
        while True:
            told, found = replies.items(await self._orgs.store.command("SCAN", cursor, "MATCH", f"{start}*", "COUNT", SCANNED))
            members = [_member(replies.text(key).removeprefix(start)) for key in replies.items(found)]
            await self._read_named([member for member in members if member not in self._replay.taken])
            cursor = replies.text(told)
            if cursor == "0":
                return

    async def _caught_up(self, *members: str) -> Reply:
        """Reads what was recorded until it comes with what stands at the same instant, and judges that."""
        while True:
            reply = await self._orgs.ask(
                self._org_id,
                lambda org: self._orgs.read("read_standing", org, self._place.entry, self._place.ends, self._place.member, CHUNK, *members),
            )
            self._now_ms = replies.integer(reply[1])
            await self._begin(reply)
            if replies.integer(reply[6]) > replies.integer(reply[7]):  # some was let go, perhaps since the reading began
                self._replay.begins_behind(int(self._place.entry.partition("-")[0] or 0))
            for told in replies.items(reply[2]):
                entry = entry_of(told)
                self._place.entry = entry.id
                self._replay.record(entry)
                if self._told is not None:
                    self._told.meet(entry)
            if reply[3] is not None:
                for row in replies.items(reply[3]):
                    self._replay.judge(_standing(row), self._now_ms)
                return reply

    async def _begin(self, reply: Reply) -> None:
        """Knows from the first reply from when on the history is there: from the org's beginning, or from its first entry if some was let go."""
        if self._began:
            return
        self._began = True
        org = await self._orgs.get(self._org_id)
        if org is None:
            raise UnknownOrgError(self._org_id)
        added, length, deleted = replies.integer(reply[6]), replies.integer(reply[7]), replies.text(reply[8])
        first = next((entry_of(told) for told in replies.items(reply[2])), None)
        whole = added == length
        self._replay = Replay(org.profile.created_at_ms if whole or first is None else first.written_ms + SLACK_MS, whole=whole)
        if first is not None and _order(deleted) >= _order(first.id):
            self._replay.findings.add("history-deleted", None, (), f"entries of the history were deleted by a hand, {deleted} the newest of them")


def _standing(row: object) -> Standing:
    member, ends, claim, text, key_ends, integration, prospect, state, expires_at, claimed_at = replies.items(row)
    record = None
    if integration is not None:
        record = {
            "member": f"{replies.text(integration)}:{replies.text(prospect)}",
            "state": replies.optional_text(state),
            "expires_at": replies.optional_integer(expires_at),
            "claimed_at": replies.optional_integer(claimed_at),
        }
    return Standing(
        prospect=replies.text(member),
        ends_ms=replies.optional_integer(ends),
        claim=replies.optional_text(claim),
        key_ends_ms=replies.integer(key_ends),
        key_claim=None if text is None else _claim_named(replies.text(text)),
        record=record,
    )


def _claim_named(text: str) -> str:
    """The claim that a reservation's key names; '' for a key that somebody's hand set."""
    try:
        named = orjson.loads(text)["claim"]
    except (ValueError, KeyError, TypeError):
        return ""
    return named if isinstance(named, str) else ""


def _member(part: str) -> str:
    integration, _, prospect = part.partition(":")
    return f"{integration}:{keys.decoded(prospect)}"


def _order(id_: str) -> tuple[int, ...]:
    return tuple(int(part) for part in id_.split("-"))
