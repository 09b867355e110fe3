"""An org with a list to claim from, put in by the same steps as any import."""

import tempfile
from pathlib import Path

from reservoir.domain.lists import ListDefinition
from reservoir.domain.prospects import Member, Phone
from reservoir.domain.settings import MultiRepDialing, OrgProfile
from reservoir.storage.orgs import Org
from reservoir.storage.syncs import PAGE_MOST
from reservoir.wiring import Services

KEY_FILE = Path(tempfile.gettempdir()) / "reservoir-benchmark-key"
LIST = "bench"


def member(number: int) -> Member:
    """A member of typical size."""
    return Member(
        "csv",
        f"00Q5e{number:010d}EAV",
        name=f"Dana Ito {number}",
        phones=(Phone("mobile", "+14155550100"),),
        company="Northwind Traders",
        title="Head of Operations",
        owner="lee@acme.example",
        fields={"email": f"dana.{number}@northwind.example"},
    )


async def current(opened: Services, org_id: str = "bench") -> Org:
    """The org as it is."""
    org = await opened.orgs.get(org_id, fresh=True)
    if org is None:
        raise RuntimeError("there is no org to measure")
    return org


async def fill(opened: Services, members: int, lists: int = 1) -> str:
    """Makes the org, its key, and ``lists`` lists of the same members; returns the key."""
    await opened.orgs.create(OrgProfile("bench", "Bench"))
    _, key = await opened.settings.create_key(await current(opened), "bench", ("admin",), "bench")
    await opened.settings.set_multi_rep_dialing(await current(opened), "csv", MultiRepDialing(enabled=True), "bench")
    org = await current(opened)
    for number in range(lists):
        list_id = LIST if number == 0 else f"{LIST}-{number}"
        await opened.lists.create(org, ListDefinition(list_id, list_id, "csv", None, {}, 0), exact=True, by="bench")
        sync = await opened.syncs.begin(org, list_id)
        if not isinstance(sync, str):
            raise TypeError(sync.detail)
        for page, start in enumerate(range(0, members, PAGE_MOST), 1):
            rows = [(line, member(line)) for line in range(start, min(start + PAGE_MOST, members))]
            await opened.syncs.page(org, list_id, sync, page, rows, [], 0)
        await opened.syncs.finish(org, list_id, sync)
    return key
