"""What dialers were told, line by line in a file, and the verdict on it: was anybody granted twice, was anything lost, is anything held that nobody knows of.

No linearizability is needed for that. A claim is an interval, from when it was taken until when it ends, in the store's own time as the answers tell it; the
intervals of different claims of one prospect never overlap. The file outlives the processes that are killed, and can be judged again.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reservoir.domain.proof import Finding
from reservoir.storage.orgs import OrgStore
from reservoir.storage.proof import verify
from reservoir.storage.redis import open_store

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ms(told: str) -> int:
    """A time of an answer."""
    return (datetime.fromisoformat(told) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Taking:
    """A claim as its owner was told of it. ``until_ms`` is the last millisecond in which the prospect is theirs."""

    claim: str
    prospect: str
    owner: str
    from_ms: int
    until_ms: int

    def overlaps(self, other: "Taking") -> bool:
        return self.from_ms <= other.until_ms and other.from_ms <= self.until_ms

    def __str__(self) -> str:
        return f"{self.claim} of {self.owner} [{self.from_ms}, {self.until_ms}]"


class Record:
    """The file that dialers write into, each line as soon as its answer is there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")

    def granted(self, claims: Iterable[Mapping[str, Any]]) -> None:
        """Claims of an answer, as they are in it. **Again**: a claim that is told anew replaces what was told of it."""
        for claim in claims:
            if claim["state"] in {"held", "reserved"}:
                self._write(
                    {
                        "told": "granted",
                        "claim": claim["id"],
                        "prospect": f"{claim['prospect']['integration']}:{claim['prospect']['id']}",
                        "owner": f"{claim['rep']} {claim['session']}",
                        "from": instant_ms(claim["claimed_at"]),
                        "until": instant_ms(claim["expires_at"]),
                    }
                )

    def gives_back(self, claim: str, at_ms: int) -> None:
        """A release is about to be asked for: from then on the owner counts on nothing."""
        self._write({"told": "given back", "claim": claim, "at": at_ms})

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _write(self, line: Mapping[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def takings(path: Path) -> dict[str, Taking]:
    """All claims of a file by id, each as it was told last. What was given back ends then; never begun, if that is before it was claimed."""
    found: dict[str, Taking] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        known = found.get(told["claim"])
        if told["told"] == "granted":
            found[told["claim"]] = Taking(told["claim"], told["prospect"], told["owner"], told["from"], told["until"])
        elif known is not None:
            found[known.claim] = Taking(known.claim, known.prospect, known.owner, known.from_ms, min(known.until_ms, told["at"] - 1))
    return found


def double_dials(told: Iterable[Taking]) -> list[str]:
    """Every pair of claims of one prospect that stood at the same time, in words; none, if nobody was granted twice."""
    of: dict[str, list[Taking]] = defaultdict(list)
    for taking in told:
        if taking.from_ms <= taking.until_ms:
            of[taking.prospect].append(taking)
    found = []
    for prospect, claims in sorted(of.items()):
        claims.sort(key=lambda taking: (taking.from_ms, taking.until_ms))
        last = claims[0]
        for taking in claims[1:]:
            if taking.overlaps(last):
                found.append(f"{prospect} is granted twice: {last} and {taking}")
            last = max(last, taking, key=lambda one: one.until_ms)
    return found


def lost(told: Iterable[Taking], live: Iterable[Mapping[str, Any]], now_ms: int) -> list[str]:
    """Every claim that was acknowledged, should stand at ``now_ms``, and is not among the live reservations with its owner, or not until then."""
    standing = {reservation["claim"]: reservation for reservation in live}
    found = []
    for taking in told:
        kept = standing.get(taking.claim)
        if taking.until_ms < now_ms:
            continue
        if kept is None:
            found.append(f"{taking.prospect}: {taking} is gone")
        elif (_prospect(kept), _owner(kept), instant_ms(kept["expires_at"])) != (taking.prospect, taking.owner, taking.until_ms):
            found.append(f"{taking.prospect}: {taking} is another's: {kept}")
    return found


def leaked(told: Iterable[Taking], live: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every live reservation whose claim nobody was told of."""
    known = {taking.claim for taking in told}
    return [f"{_prospect(one)}: {one['claim']} of {_owner(one)} is known to nobody" for one in live if one["claim"] not in known]


async def refuted(url: str, org: str) -> list[Finding]:
    """What the product's own proof finds wrong in an org of the store at ``url``: a second opinion, by the history that the store itself keeps."""
    store = await open_store(url)
    try:
        return (await verify(OrgStore(store, ("salesforce", "hubspot", "csv")), org)).findings.shown
    finally:
        await store.close()


def _prospect(reservation: Mapping[str, Any]) -> str:
    return f"{reservation['prospect']['integration']}:{reservation['prospect']['id']}"


def _owner(reservation: Mapping[str, Any]) -> str:
    return f"{reservation['rep']} {reservation['session']}"
