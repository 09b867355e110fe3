"""The search: how long a rare and a very common question take, what a member costs the store for it, and what an import's page costs.

``python -m benchmarks.search [--members 100000]``
"""

import argparse
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import uvloop

from benchmarks.claims import store
from benchmarks.filling import LIST, current
from benchmarks.scripts import slowest
from reservoir.config import load
from reservoir.domain.lists import ListDefinition
from reservoir.domain.prospects import Member, Phone, ProspectId
from reservoir.domain.search import Question, words
from reservoir.domain.settings import OrgProfile
from reservoir.storage.syncs import PAGE_MOST
from reservoir.wiring import Services, services

TIMES = 20
FIRST = ("Maria", "Marta", "Martin", "Mark", "Dana", "John", "Lee", "Olga", "Wei", "Zoë")
RARE = 77_777


def people(members: int) -> Iterator[Member]:
    """Members of typical size: two words and a number each; every other first name begins with Ma. One is called Quixote."""
    draw = random.Random(1)  # noqa: S311 - the same people in every run
    for number in range(members):
        first = FIRST[draw.randrange(4) if number % 2 else draw.randrange(4, 10)]
        last = "".join(draw.choice(("ba", "den", "ros", "ti", "mel", "ka", "son", "vi")) for _ in range(3)).title()
        name = f"{first} {'Quixote' if number == min(RARE, members - 1) else last}"
        phones = (Phone("mobile", f"+1415{2_000_000 + draw.randrange(7_999_999)}"),)
        yield Member("csv", f"00Q5e{number:010d}EAV", name, phones, "Northwind Traders", "Head of Operations", "lee@acme.example")


async def fill(opened: Services, members: int) -> None:
    """Brings the people in, page by page, and prints what a page took in the store."""
    await opened.orgs.create(OrgProfile("bench", "Bench"))
    org = await current(opened)
    await opened.lists.create(org, ListDefinition(LIST, LIST, "csv", None, {}, 0), exact=True, by="bench")
    sync = await opened.syncs.begin(org, LIST)
    if not isinstance(sync, str):
        raise TypeError(sync.detail)
    page: list[tuple[int, Member]] = []
    number = 0
    for line, member in enumerate(people(members), 1):
        page.append((line, member))
        if len(page) == PAGE_MOST or line == members:
            number += 1
            await opened.syncs.page(org, LIST, sync, number, page, [], 0)
            page = []
    await opened.syncs.finish(org, LIST, sync)


async def timed(name: str, ask: Callable[[], Awaitable[Sequence[object]]]) -> None:
    """Prints the median of some questions in ms, and how many the answer has."""
    taken = []
    found: Sequence[object] = []
    for _ in range(TIMES):
        began = time.perf_counter()
        found = await ask()
        taken.append(time.perf_counter() - began)
    print(f"  {name:44} median {sorted(taken)[TIMES // 2] * 1_000:7.1f} ms  longest {max(taken) * 1_000:7.1f} ms  {len(found):3} found", flush=True)


async def measure(port: int, members: int) -> None:
    """All figures of one size."""
    print(f"{members:,} members")
    async with services(load(None, {"RESERVOIR_REDIS__ALLOW_UNSAFE": "true"}), f"redis://127.0.0.1:{port}/0") as opened:
        await slowest(opened, f"an import, in pages of {PAGE_MOST}", lambda: fill(opened, members), 1)
        org = await current(opened)
        size = await opened.store.command("MEMORY", "USAGE", f"{org.prefix}search:csv", "SAMPLES", "1000")
        print(f"  the search costs the store {int(str(size)) / members:.0f} bytes a member", flush=True)
        some = next(people(1))
        for name, question in (
            ("an id", Question((ProspectId("csv", some.id),), None, ())),
            ("a number", Question((), some.phones[0], ())),
            ("a name that one has", Question((), None, tuple(words("quix")))),
            ("a beginning that half of all have", Question((), None, tuple(words("ma")))),
            ("two common beginnings", Question((), None, tuple(words("ma de")))),
            ("two common beginnings that nobody has", Question((), None, tuple(words("ma da")))),
            ("a rare one and a common one", Question((), None, tuple(words("quix ma")))),
        ):
            await timed(name, lambda question=question: opened.prospects.search(org, question))  # type: ignore[misc]


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[100_000])
    options = parser.parse_args()
    for members in options.members:
        with store(durable=False) as port:
            uvloop.run(measure(port, members))


if __name__ == "__main__":
    main()
