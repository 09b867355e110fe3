"""A replace by an import, while dialers claim through two processes: order and counts are exact throughout (R12), and one that dies half-way loses nobody."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientConnectionError

from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import App, Caller, csv_of, ids_of
from tests.support.waiting import await_until

OLD = [f"a{number:03d}" for number in range(700)]
SHARED = OLD[:400]
"""Whom the list east has, too."""

NEW = [*[f"n{number:03d}" for number in range(200)], *OLD[:299:-1], *OLD[:100]]
"""Others at the head, then some turned round, then some of the first: 200 leave."""

PAGE = 200


@dataclass
class Dialers:
    """Dialers at two processes, and whom the rules say they must get next: of west, what the run has brought, in its order, then the rest in the old one."""

    doors: tuple[Caller, Caller]
    brought: int = 0
    taken: set[str] = field(default_factory=set)
    claims: list[str] = field(default_factory=list)

    def order(self) -> list[str]:
        came = NEW[: self.brought]
        return came + [who for who in OLD if who not in came]

    def next(self, among: list[str]) -> list[str]:
        return [who for who in among if who not in self.taken]

    async def dial(self, list_: str, among: list[str], times: int, count: int = 1) -> None:
        """So many claims at once, by turns at both: together they get the next ones, nobody twice."""
        wanted = self.next(among)[: times * count]
        told = await asyncio.gather(*(self.doors[number % 2].claim(list_, count, session=f"s-{number}") for number in range(times)))
        got = [who for one in told for who in ids_of(one.json["claims"])]
        assert sorted(got) == sorted(wanted)
        self.taken |= {*got}
        self.claims += got

    async def add_up(self, list_: str, members: list[str]) -> None:
        for door in self.doors:
            counts = await door.counts(list_)
            reserved = len(self.taken & {*members})
            assert counts == {"members": len(members), "available": len(members) - reserved, "held": 0, "reserved": reserved, "undialable": 0}


@pytest.fixture
async def dialers(admin: Caller, other_app: App) -> Dialers:
    """An org with the lists west and east."""
    await admin.make_list("West", OLD)
    await admin.make_list("East", SHARED)
    return Dialers((admin, admin.at(other_app)))


async def upload(dialers: Dialers, client: Commands, until: int) -> AsyncIterator[bytes]:
    """The new file, page by page; between pages the dialers claim."""
    lines = csv_of(NEW).splitlines(keepends=True)
    yield lines[0]
    for start in range(0, until, PAGE):
        rows = lines[1 + start : 1 + min(start + PAGE, until)]
        yield b"".join(rows)
        if len(rows) < PAGE:
            return
        dialers.brought = start + PAGE
        await brought(dialers.doors[1], dialers.brought)
        await between_pages(dialers, client)


async def brought(door: Caller, rows: int) -> None:
    async def there() -> bool:
        told = (await door.get("/v1/lists/west/sync")).json
        return bool(told["state"] == "running" and told["fetched"] == rows)

    await await_until(there, f"the first {rows} rows to be in")


async def between_pages(dialers: Dialers, client: Commands) -> None:
    """Claims at both processes from both lists, a hold that lapses, a second import that is refused."""
    one, other = dialers.doors
    await dialers.dial("west", dialers.order(), 8)
    await dialers.dial("east", SHARED, 4)
    await dialers.add_up("west", dialers.order())
    await dialers.add_up("east", SHARED)
    first = dialers.next(dialers.order())[0]
    held = await other.take("west", hold_seconds=60)
    assert held["prospect"]["id"] == first
    age(client, "acme", f"csv:{first}", 60_001)
    await dialers.add_up("west", dialers.order())
    (await one.put("west", csv_of(["x"]))).refused(409, "sync-running")
    await dialers.dial("west", dialers.order(), 2, 5)
    assert first in dialers.claims[-10:], "back at its own place, so the next one"


async def members(door: Caller) -> list[str]:
    return ids_of(await door.pages("/v1/lists/west/members", limit=1_000))


async def test_r12_a_replace_moves_adds_and_lets_go_while_claims_go_on(dialers: Dialers, client: Commands) -> None:
    """R1, R12, R13: what the run has brought comes first, in its order, then the rest; at its end, who it did not bring has left, and reservations stand."""
    await dialers.dial("west", OLD, 6, 20)
    told = (await dialers.doors[0].put("west", upload(dialers, client, len(NEW)), expect=200)).json
    assert (told["fetched"], told["added"], told["left"]) == (len(NEW), 200, len(OLD) - (len(NEW) - 200))
    assert await members(dialers.doors[1]) == NEW
    dialers.brought = len(NEW)
    await dialers.add_up("west", NEW)
    await dialers.add_up("east", SHARED)
    await dialers.dial("west", NEW, 4, 10)
    assert len(dialers.claims) == len({*dialers.claims}), "nobody twice"
    assert {*ids_of(await dialers.doors[0].pages("/v1/reservations", limit=1_000))} == {*dialers.claims}


@pytest.mark.parametrize("dies", ["breaks off", "falls silent"])
async def test_r12_one_that_dies_half_way_loses_nobody_and_the_next_recovers(dialers: Dialers, client: Commands, dies: str) -> None:
    """R12: the mixed order stands, claims go on in it, and the next import makes the file the list, whoever was taken meanwhile."""

    async def half() -> AsyncIterator[bytes]:
        async for chunk in upload(dialers, client, 2 * PAGE):
            yield chunk
        if dies == "falls silent":  # as a process does that is killed: nobody tells the store, and a minute passes
            client("HSET", "reservoir:{acme}:list:west:sync", "lease", 1)
        raise ConnectionError("the sender is gone")

    with pytest.raises(ClientConnectionError):
        await dialers.doors[0].put("west", half())
    other = dialers.doors[1]
    await await_until(lambda: failed(other), "the sync to have failed")
    assert await members(other) == dialers.order()
    await dialers.add_up("west", dialers.order())
    await dialers.dial("west", dialers.order(), 6)
    await other.put("west", csv_of(NEW), expect=200)
    assert await members(dialers.doors[0]) == NEW
    await dialers.dial("west", NEW, 6)
    assert len(dialers.claims) == len({*dialers.claims})


async def failed(door: Caller) -> bool:
    return bool((await door.get("/v1/lists/west/sync")).json["state"] == "failed")
