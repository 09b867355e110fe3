"""A whole dialer, to be copied: it calls a list from its first prospect to its last, alone or beside any number of others.

python -m reservoir.client.example http://127.0.0.1:8080 rsv_… q4-west
"""

import asyncio
import random
import sys

from reservoir.client import ClaimLapsedError, Prospect, Reservoir, ReservoirError

REP = "ana@acme.com"


async def call(prospect: Prospect) -> str:
    """Puts the call through and returns its outcome; here is where your telephony goes."""
    print(f"calling {prospect.name or prospect.id} at {prospect.phones[0].number}")
    await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311  # a toy's chance, nobody's secret
    return random.choice(("connected", "voicemail", "no_answer"))  # noqa: S311


async def dial(url: str, api_key: str, list_id: str) -> None:
    """Calls until nobody has been available for five seconds."""
    async with Reservoir(url, api_key) as reservoir, reservoir.session(REP) as session:
        async for claim in session.claims(list_id, mode="power", hold_seconds=30, wait_seconds=5):
            try:
                await reservoir.attempt(claim)
            except ClaimLapsedError:
                continue  # somebody else may have this person by now: do not dial
            async with reservoir.keep(claim):
                outcome = await call(claim.prospect)
            await reservoir.record_disposition(claim, outcome)
            print(f"  {outcome}")


def main() -> int:
    """Runs the dialer, and says in one sentence why it could not."""
    if len(sys.argv) != 4:
        print("usage: python -m reservoir.client.example URL KEY LIST", file=sys.stderr)
        return 2
    try:
        asyncio.run(dial(*sys.argv[1:]))
    except (ReservoirError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
