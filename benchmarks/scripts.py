"""Store time of the scripts, by the store's own count, at different sizes of a list: the longest and the mean of each, in one run.

``python -m benchmarks.scripts [--members 1000 100000] [--lists 3]``
"""

import argparse
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks.claims import store
from benchmarks.filling import LIST, current, fill
from reservoir.config import load
from reservoir.domain.claims import Granted
from reservoir.storage.claims import RequestKey, Taker
from reservoir.storage.reservations import Filter
from reservoir.wiring import Services, services

TIMES = 200


async def slowest(opened: Services, name: str, work: Callable[[], Awaitable[object]], times: int = TIMES) -> None:
    """Does the work so often and prints the mean and the longest of its scripts' store times in µs."""
    await opened.store.command("CONFIG", "SET", "slowlog-log-slower-than", "0")
    await opened.store.command("CONFIG", "SET", "slowlog-max-len", "100000")
    await opened.store.command("SLOWLOG", "RESET")
    for _ in range(times):
        await work()
    entries = await opened.store.command("SLOWLOG", "GET", "-1")
    if not isinstance(entries, list):
        raise TypeError("the slow log is a list")
    spent = sorted(entry[2] for entry in entries if entry[3][0].upper() == b"EVALSHA")
    mean, p99, longest = sum(spent) / len(spent), spent[len(spent) * 99 // 100], spent[-1]
    print(f"  {name:34} {len(spent):5} calls  mean {mean:7.0f} µs  p99 {p99:6} µs  longest {longest:6} µs", flush=True)


async def measure(port: int, members: int, lists: int) -> None:
    """All verbs on lists of one size."""
    print(f"{members:,} members in {lists} lists")
    async with services(load(None, {"RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}), f"redis://127.0.0.1:{port}/0") as opened:
        await opened.store.command("FLUSHALL")
        await slowest(opened, "import pages of 100", lambda: fill(opened, members, lists), 1)
        org = await current(opened)
        for count, hold in ((1, None), (10, None), (50, None), (1, 60)):
            taker = Taker("ana@acme.com", "s-81", "parallel", hold)
            times = min(TIMES, members // count // 8)
            await slowest(
                opened,
                f"claim {count}{' held' if hold else ''}",
                lambda taker=taker, count=count: opened.claims.claim_next(org, LIST, taker, count, RequestKey.of(None, "/", {})),  # type: ignore[misc]
                times,
            )

        async def attempt_one() -> None:
            granted = await opened.claims.claim_next(org, LIST, Taker("bo", "s", "power", 60), 1, RequestKey.of(None, "/", {}))
            if isinstance(granted, Granted) and granted.claims:
                await opened.claims.attempt(org, granted.claims[0].id)

        await slowest(opened, "claim held and attempt", attempt_one, 50)
        await slowest(opened, "a list's counts", lambda: opened.lists.get(org, LIST))
        await slowest(opened, "a page of 250 members", lambda: opened.lists.members(org, LIST, 250, None, "ana@acme.com"))
        await slowest(opened, "a page of 250 reservations", lambda: opened.reservations.page(org, Filter(), 250, None))
        await age_everything(opened)
        await slowest(opened, "settling 256 (or 512 moves)", lambda: opened.orgs.write("settle", org), 20)
        await slowest(opened, "deleting a list", lambda: opened.lists.delete(org, LIST, "bench"), 1)


async def age_everything(opened: Services) -> None:
    """Makes all that is taken due, in the witness and in the indexes, as if its time had passed."""
    lua = (
        "for _, name in ipairs(redis.call('KEYS', '*')) do "
        "if string.find(name, ':ends$') or string.find(name, ':held$') or string.find(name, ':reserved$') then "
        "for _, member in ipairs(redis.call('ZRANGE', name, 0, -1)) do redis.call('ZADD', name, 1, member) end "
        "elseif string.find(name, ':reservation:') then redis.call('DEL', name) end end"
    )
    await opened.store.command("EVAL", lua, "0")


def main() -> None:
    """Prints the figures for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--lists", type=int, default=3)
    options = parser.parse_args()
    with store(durable=False) as port:
        for members in options.members:
            uvloop.run(measure(port, members, options.lists))


if __name__ == "__main__":
    main()
