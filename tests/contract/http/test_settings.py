"""Settings: integrations, multi-rep dialing, the org."""

import asyncio
from typing import Any

import pytest

from reservoir.domain.times import DAY_MS, HOUR_MS
from tests.support.commands import Commands
from tests.support.service import App, Caller, at, kept, lasts_ms

SETTING = "/v1/integrations/csv/multi-rep-dialing"
DEFAULT = {"enabled": False, "reservation_timeout": {"unit": "day", "duration": 1}, "updated_at": None, "updated_by": None}


async def test_integrations_are_told(app: App) -> None:
    """Which there are, whether connected, and their settings, which are off and one day until an admin sets them."""
    acme = await app.org("acme")
    told = (await acme.get("/v1/integrations")).json
    assert told == {
        "items": [
            {"integration": "salesforce", "connected": False, "multi_rep_dialing": DEFAULT},
            {"integration": "hubspot", "connected": False, "multi_rep_dialing": DEFAULT},
            {"integration": "csv", "connected": True, "multi_rep_dialing": DEFAULT},
        ],
        "next_cursor": None,
    }
    for one in told["items"]:
        assert (await acme.get(f"/v1/integrations/{one['integration']}")).json == one
        assert (await acme.get(f"/v1/integrations/{one['integration']}/multi-rep-dialing")).json == DEFAULT


async def test_integrations_come_in_pages_too(admin: Caller) -> None:
    """As everything that has items and a next_cursor; they are few, so one page has them all unless it is asked otherwise."""
    everything = (await admin.get("/v1/integrations")).json
    assert everything["next_cursor"] is None
    assert await admin.pages("/v1/integrations", limit=1) == everything["items"]
    assert [one["integration"] for one in everything["items"]] == ["salesforce", "hubspot", "csv"]


async def test_an_unknown_integration(admin: Caller) -> None:
    """404 integration-not-found in a path, before anything else that is wrong."""
    for name in ("pipedrive", "CSV", "csv%20", "%7B%7D"):
        for path in (f"/v1/integrations/{name}", f"/v1/integrations/{name}/multi-rep-dialing"):
            (await admin.get(path, 404)).refused(404, "integration-not-found")
        (await admin.patch(f"/v1/integrations/{name}/multi-rep-dialing", {"enabled": 1})).refused(404, "integration-not-found")


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({}, (False, "day", 1)),
        ({"enabled": True}, (True, "day", 1)),
        ({"reservation_timeout": {"duration": 3}}, (False, "day", 3)),
        ({"reservation_timeout": {"unit": "hour"}}, (False, "hour", 1)),
        ({"reservation_timeout": {}}, (False, "day", 1)),
        ({"enabled": True, "reservation_timeout": {"unit": "hour", "duration": 8_760}}, (True, "hour", 8_760)),
        ({"reservation_timeout": {"unit": "day", "duration": 365}}, (False, "day", 365)),
    ],
)
@pytest.mark.parametrize("content", ["application/merge-patch+json", "application/json", "application/json; charset=utf-8"])
async def test_a_patch_is_merged(app: App, patch: Any, expected: tuple[bool, str, int], content: str) -> None:
    """What a patch names is changed and the rest stays, and who did it is told; GET tells the same."""
    acme = await app.org("acme")
    told = (await acme("PATCH", SETTING, patch, headers={"Content-Type": content}, expect=200)).json
    assert (told["enabled"], told["reservation_timeout"]["unit"], told["reservation_timeout"]["duration"]) == expected
    assert told["updated_at"] is not None
    assert told["updated_by"].startswith("a admin key (")
    assert (await acme.get(SETTING)).json == told


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"reservation_timeout": {"duration": 0}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": -1}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": 1.5}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": 1.0}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": 1e0}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": "1"}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": true}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": null}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": [1]}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": 366}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"unit": "day", "duration": 366}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"unit": "hour", "duration": 8761}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": 99999999999999999999}}', ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"duration": ' + "9" * 5_000 + "}}", ["/reservation_timeout/duration"]),
        ('{"reservation_timeout": {"unit": null}}', ["/reservation_timeout/unit"]),
        ('{"reservation_timeout": {"unit": "week"}}', ["/reservation_timeout/unit"]),
        ('{"reservation_timeout": {"unit": "days", "duration": 0, "x": 1}}', [f"/reservation_timeout/{name}" for name in ("unit", "duration", "x")]),
        ('{"reservation_timeout": null}', ["/reservation_timeout"]),
        ('{"reservation_timeout": 1}', ["/reservation_timeout"]),
        ('{"enabled": null}', ["/enabled"]),
        ('{"enabled": "true"}', ["/enabled"]),
        ('{"enabled": 1, "updated_by": "me"}', ["/enabled", "/updated_by"]),
        ("[]", [""]),
        ("null", [""]),
        ('"on"', [""]),
    ],
)
async def test_r8_a_bad_duration_is_refused_and_the_old_setting_stays(admin: Caller, text: str, where: list[str], client: Commands) -> None:
    """R8: what is no positive integer, or absurdly long, is a 422 that names the field and the reason; the setting and its ETag are as before."""
    await admin.enable(unit="day", duration=2)
    tag = (await admin.get(SETTING)).headers["ETag"]
    before = kept(client)
    told = await admin("PATCH", SETTING, data=text.encode(), headers={"Content-Type": "application/merge-patch+json"})
    told.invalid(*where)
    assert all(error["detail"] for error in told.json["errors"])
    assert len(told.text) < 2_000
    assert kept(client) == before
    assert (await admin.get(SETTING)).headers["ETag"] == tag


async def test_r8_a_patch_is_checked_as_a_whole(admin: Caller) -> None:
    """R8: the unit alone, over a duration that would be too long with it, is refused; hours and days have bounds of their own."""
    await admin.enable(unit="hour", duration=8_000)
    told = (await admin.patch(SETTING, {"reservation_timeout": {"unit": "day"}})).invalid("/reservation_timeout/duration")
    assert "365" in told.json["errors"][0]["detail"]
    assert (await admin.get(SETTING)).json["reservation_timeout"] == {"unit": "hour", "duration": 8_000}


async def test_r7_a_change_is_for_attempts_from_then_on(admin: Caller) -> None:
    """R7: reservations keep their expiry, a hold taken before is reserved by the setting at its attempt, and the next claim obeys."""
    before, hold = (await admin.claim_one("p1")).json, (await admin.claim_one("p2", hold_seconds=600)).json
    await admin.enable(unit="hour", duration=3)
    assert (await admin.get("/v1/reservations/csv/p1")).json["expires_at"] == before["expires_at"]
    assert (await admin.after(before, "attempt", expect=200)).json["expires_at"] == before["expires_at"]
    assert lasts_ms((await admin.after(hold, "attempt", expect=200)).json, "attempted_at") == 3 * HOUR_MS
    assert lasts_ms((await admin.claim_one("p3")).json) == 3 * HOUR_MS


async def test_r7_a_change_of_the_time_zone_is_for_attempts_from_then_on(admin: Caller) -> None:
    """R7: the zone of the attempt decides how long a day is; what was reserved before keeps its expiry."""
    await admin.enable(unit="day", duration=365)
    first = (await admin.claim_one("p1")).json
    await admin.patch("/v1/org", {"time_zone": "Pacific/Apia"}, 200)
    assert (await admin.get("/v1/reservations/csv/p1")).json["expires_at"] == first["expires_at"]
    assert lasts_ms(first) == 365 * DAY_MS
    second = (await admin.claim_one("p2")).json
    assert abs(lasts_ms(second) - 365 * DAY_MS) <= HOUR_MS


async def test_if_match(admin: Caller) -> None:
    """412 under an ETag that holds no longer, and nothing changed; the current one, one of several, and * hold; a weak one never does."""
    old = (await admin.get(SETTING)).headers["ETag"]
    new = (await admin.patch(SETTING, {"reservation_timeout": {"duration": 2}}, 200, if_match=old)).headers["ETag"]
    assert new != old
    for tag in (old, '"x"', "x", f"W/{new}", ""):
        (await admin.patch(SETTING, {"reservation_timeout": {"duration": 3}}, if_match=tag)).refused(412, "precondition-failed")
    assert (await admin.get(SETTING)).headers["ETag"] == new
    await admin.patch(SETTING, {"reservation_timeout": {"duration": 3}}, 200, if_match=f'"x", {new}')
    await admin.patch(SETTING, {"reservation_timeout": {"duration": 4}}, 200, if_match="*")


async def test_whatever_is_patched_has_a_tag(admin: Caller, client: Commands) -> None:
    """The ETag of what is read is that of the answer to the patch that made it; one that holds no longer is 412, and nothing is changed."""
    await admin.make_list("West")
    for path, patch in (
        (SETTING, {"reservation_timeout": {"duration": 9}}),
        ("/v1/integrations/csv/write-back", {"dispositions": {"busy": {"remove": True}}}),
        ("/v1/org", {"name": "Another"}),
        ("/v1/lists/west", {"name": "Another"}),
    ):
        old = (await admin.get(path)).headers["ETag"]
        told = await admin.patch(path, patch, 200, if_match=old)
        read = await admin.get(path)
        assert (read.json, read.headers["ETag"]) == (told.json, told.headers["ETag"])
        assert read.headers["ETag"] != old
        before = kept(client)
        (await admin.patch(path, {}, if_match=old)).refused(412, "precondition-failed")
        assert kept(client) == before, path


async def test_of_two_admins_under_one_tag_one_wins(admin: Caller) -> None:
    """Two patches at once with the same If-Match: one is 200, the other 412."""
    tag = (await admin.get(SETTING)).headers["ETag"]
    told = await asyncio.gather(*(admin.patch(SETTING, {"reservation_timeout": {"duration": days}}, if_match=tag) for days in (5, 6)))
    assert sorted(one.status for one in told) == [200, 412]
    (won,) = [one for one in told if one.status == 200]
    assert (await admin.get(SETTING)).json == won.json


async def test_two_admins_at_once_lose_no_update(admin: Caller, app: App, other_app: App) -> None:
    """Patches of different parts, integrations and the org at once, over two processes, are all there afterwards."""
    patches: list[tuple[str, dict[str, Any]]] = [
        (SETTING, {"enabled": False}),
        (SETTING, {"reservation_timeout": {"unit": "hour"}}),
        (SETTING, {"reservation_timeout": {"duration": 7}}),
        ("/v1/integrations/hubspot/multi-rep-dialing", {"enabled": True}),
        ("/v1/org", {"name": "Acme Corp"}),
        ("/v1/org", {"time_zone": "Europe/Berlin"}),
        ("/v1/org", {"phone_region": "DE"}),
    ]
    await asyncio.gather(*(admin.at((app, other_app)[number % 2]).patch(path, patch, 200) for number, (path, patch) in enumerate(patches)))
    for caller in (admin.at(app), admin.at(other_app)):
        told = (await caller.get(SETTING)).json
        assert (told["enabled"], told["reservation_timeout"]) == (False, {"unit": "hour", "duration": 7})
        assert (await caller.get("/v1/integrations/hubspot/multi-rep-dialing")).json["enabled"] is True
        assert (await caller.get("/v1/org")).json == {
            "id": "acme", "name": "Acme Corp", "time_zone": "Europe/Berlin", "phone_region": "DE", "sandbox": False,
        }  # fmt: skip


# The org


async def test_the_org_is_told_and_patched(admin: Caller) -> None:
    """GET and PATCH tell the whole org; what a patch does not name stays."""
    told = await admin.get("/v1/org")
    assert told.json == {"id": "acme", "name": "Acme", "time_zone": "UTC", "phone_region": "US", "sandbox": False}
    patched = await admin.patch("/v1/org", {"time_zone": "America/New_York"}, 200, if_match=told.headers["ETag"])
    assert patched.json == told.json | {"time_zone": "America/New_York"}
    assert (await admin.get("/v1/org")).headers["ETag"] == patched.headers["ETag"]
    (await admin.patch("/v1/org", {"name": "X"}, if_match=told.headers["ETag"])).refused(412, "precondition-failed")


async def test_what_was_read_can_be_sent_back(admin: Caller) -> None:
    """The whole org with one part changed is no change of the rest."""
    told = (await admin.get("/v1/org")).json
    assert (await admin.patch("/v1/org", told | {"name": "Acme Corp"}, 200)).json == told | {"name": "Acme Corp"}


@pytest.mark.parametrize(
    ("patch", "where"),
    [
        ({"time_zone": "Mars/Olympus"}, ["/time_zone"]),
        ({"time_zone": "utc+1"}, ["/time_zone"]),
        ({"time_zone": "../../etc/passwd"}, ["/time_zone"]),
        ({"time_zone": ""}, ["/time_zone"]),
        ({"time_zone": None}, ["/time_zone"]),
        ({"phone_region": "ZZ"}, ["/phone_region"]),
        ({"phone_region": "us"}, ["/phone_region"]),
        ({"phone_region": 1}, ["/phone_region"]),
        ({"id": "other"}, ["/id"]),
        ({"sandbox": True}, ["/sandbox"]),
        ({"sandbox": 0}, ["/sandbox"]),
        ({"sandbox": None}, ["/sandbox"]),
        ({"name": ""}, ["/name"]),
        ({"id": "other", "sandbox": True, "time_zone": "x", "phone_region": "x", "name": None, "colour": 1},
         ["/id", "/sandbox", "/time_zone", "/phone_region", "/name", "/colour"]),
        ([], [""]),
    ],
)  # fmt: skip
async def test_a_bad_org_changes_nothing(admin: Caller, patch: Any, where: list[str], client: Commands) -> None:
    """An unknown zone or region, and any change of id or sandbox, is a 422; every bad field is named, and the org is as before."""
    before = kept(client)
    (await admin.patch("/v1/org", patch)).invalid(*where)
    assert kept(client) == before


async def test_the_phone_region_is_how_numbers_are_read_from_then_on(admin: Caller) -> None:
    """A number without a country code is read in the org's region at the import."""
    await admin.patch("/v1/org", {"phone_region": "DE"}, 200)
    await admin.make_list("West", [{"id": "p1", "phone": "030 123456"}])
    assert (await admin.take("west"))["prospect"]["phones"][0]["number"] == "+4930123456"


async def test_times_are_rfc_3339_in_utc(admin: Caller) -> None:
    """With milliseconds and Z, whatever the org's time zone."""
    await admin.patch("/v1/org", {"time_zone": "Asia/Tokyo"}, 200)
    claim = (await admin.claim_one("p1")).json
    assert claim["claimed_at"].endswith("Z")
    assert at(claim["expires_at"]) > at(claim["claimed_at"])


@pytest.mark.parametrize("path", ["/v1/org", "/v1/lists/west", "/v1/integrations/csv/multi-rep-dialing", "/v1/integrations/salesforce/write-back"])
async def test_a_bad_patch_is_refused_before_what_it_was_read_from(admin: Caller, path: str) -> None:
    """The body comes before the state: an ``If-Match`` that no longer holds is 412 only for a patch that could be."""
    await admin.post("/v1/lists", {"id": "west", "name": "West", "integration": "csv"}, 201)
    (await admin.patch(path, {"colour": 1}, if_match='"stale"')).invalid("/colour")
    (await admin.patch(path, {}, if_match='"stale"')).refused(412, "precondition-failed")
