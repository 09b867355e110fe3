"""A sandbox org: all is the same, but reservations end 1,000 times sooner."""

from datetime import timedelta

from tests.support.service import App, at, ids_of, lasts_ms
from tests.support.waiting import await_until


async def test_a_reservation_of_an_hour_expires_while_one_watches(app: App) -> None:
    """3.6 s after the attempt, by the store's clock and with nobody sweeping, the prospect can be claimed again; a day is a thousandth of a day."""
    admin = await app.org("acme", sandbox=True)
    assert (await admin.get("/v1/org")).json["sandbox"] is True
    await admin.enable(unit="day", duration=1)
    assert lasts_ms((await admin.claim_one("c-1")).json) == 86_400
    await admin.enable(unit="hour", duration=1)
    await admin.make_list("West", ["p1"])
    held = await admin.take("west", hold_seconds=600)
    assert lasts_ms(held) == 600_000, "holds are no reservations, and last as long as anywhere"
    first = (await admin.after(held, "attempt", expect=200)).json
    assert lasts_ms(first, "attempted_at") == 3_600
    assert (await admin.claim("west", expect=200)).json["list"]["next_available_at"] == first["expires_at"]

    async def freed() -> bool:
        return bool((await admin.counts("west"))["available"])

    await await_until(freed, "the reservation to expire")
    assert (await admin.get(f"/v1/claims/{first['id']}")).json["state"] == "expired"
    (await admin.after(first, "attempt")).refused(409, "claim-lapsed")
    assert "p1" not in ids_of(await admin.pages("/v1/reservations"))
    second = await admin.take("west")
    assert at(second["claimed_at"]) - at(first["attempted_at"]) > timedelta(milliseconds=3_600)
