"""Whatever the network does, and whoever is cancelled when: every granted claim is known to the client, or to a key that it can ask with."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reservoir.client import Claim, KeyRefusedError, ProspectReservedError, Reservoir, UnavailableError
from reservoir.domain.prospects import ProspectId
from tests.contract.client.conftest import PATIENT_S
from tests.support.http_proxy import Fate, Proxy, Says, in_turn, problem
from tests.support.service import Caller
from tests.support.waiting import await_until

SHORT_S = 0.25
"""For one sending. A machine that takes longer only adds faults."""

MEMBERS = 25
REP = "ana@acme.com"
NUMBERS = itertools.count()

FATES: tuple[Fate | Says, ...] = (
    *Fate,
    problem(503, "store-unavailable", {"Retry-After": "0"}),
    problem(503, "store-unavailable", {"Retry-After": "0"}, idempotency_key="k"),
    problem(401, "unauthenticated"),
    Says(502, ""),
)


@dataclass(frozen=True)
class Claiming:
    """One asking: by whom, for how many (0: one particular prospect), held or reserved, and whether the caller is cancelled half-way."""

    session: str
    count: int
    hold_seconds: int | None
    cancelled: bool


CLAIMINGS = st.builds(Claiming, st.sampled_from(["a", "b"]), st.integers(0, 3), st.sampled_from([None, 600]), st.booleans())
ACTS = st.lists(st.tuples(CLAIMINGS, st.lists(st.sampled_from(FATES), max_size=3), st.booleans()), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(acts=ACTS)
async def test_every_granted_claim_is_known_or_can_be_asked_for(proxy: Proxy, admin: Caller, dialer: Caller, acts: Any) -> None:
    """No claim is handed out twice, and none that the service granted is out of reach, once the client has asked again what was never answered."""
    run = next(NUMBERS)
    west = await admin.make_list(f"West {run}", [f"{run}-{number}" for number in range(MEMBERS)])
    known: list[Claim] = []

    async def ask(client: Reservoir, asked: Claiming) -> None:
        how: Any = {"rep": REP, "session": f"{run}-{asked.session}", "hold_seconds": asked.hold_seconds}
        try:
            if asked.count == 0:
                known.append(await client.claim_prospect(ProspectId("csv", f"{run}-{MEMBERS - 1}"), mode="power", **how))
            else:
                known.extend((await client.claim(west, mode="parallel", count=asked.count, **how)).claims)
        except (UnavailableError, ProspectReservedError, KeyRefusedError):
            pass

    async with Reservoir(proxy.url, str(dialer.key), timeout_s=SHORT_S, retry_for_s=SHORT_S) as client:
        for asked, fates, late in acts:
            proxy.decide = in_turn(*fates)
            before = len(proxy.seen)
            asking = asyncio.create_task(ask(client, asked))
            if asked.cancelled:
                await await_until(lambda before=before, asking=asking: len(proxy.seen) > before or asking.done(), "a sending")  # type: ignore[misc]
                asking.cancel()
            await asyncio.wait([asking])
            assert asking.cancelled() or asking.exception() is None, asking.exception()
            if late:
                await proxy.deliver()
        proxy.decide = in_turn()
        await proxy.deliver()
        client._line.timeout_s = PATIENT_S
        for asked, _, _ in acts:
            await ask(client, asked)
    await await_until(lambda: proxy.connections == 0, "all that was sent has been answered")
    ids = [claim.id for claim in known]
    assert len(set(ids)) == len(ids)
    assert len({claim.prospect.id for claim in known}) == len(known)
    granted = {one["claim"] for who in ("a", "b") for one in await admin.pages("/v1/reservations", session=f"{run}-{who}")}
    assert granted == set(ids)
