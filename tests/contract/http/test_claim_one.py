"""POST /v1/claims: one particular prospect."""

from typing import Any

import pytest

from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.service import ANA, BEN, Caller, ids_of, kept, lasts_ms

SALESFORCE_15, SALESFORCE_18 = "00Q5e00000AbCdE", "00Q5e00000AbCdEEAV"


async def test_a_prospect_in_no_list_can_be_claimed(admin: Caller) -> None:
    """What is not known of the prospect is null, its phones and fields are empty."""
    told = await admin.claim_one("c-1")
    claim = told.json
    assert claim == {
        "id": claim["id"], "state": "reserved", "reserved": True, **ANA, "mode": "power", "list": None,
        "claimed_at": claim["claimed_at"], "attempted_at": claim["claimed_at"], "expires_at": claim["expires_at"],
        "prospect": {
            "integration": "csv", "id": "c-1", "name": None, "phones": [], "company": None, "title": None, "owner": None, "time_zone": None, "url": None,
            "fields": {},
        },
    }  # fmt: skip


async def test_a_prospect_of_a_list_comes_with_what_the_list_knows(admin: Caller) -> None:
    """Claimed from a list or from none, a member's data is told; the list is that of the claim, or null."""
    west = await admin.make_list("West", [{"id": "p1", "name": "Dana"}, {"id": "p2", "name": "Kim"}])
    one, two = (await admin.claim_one("p1", list=west)).json, (await admin.claim_one("p2")).json
    assert (one["list"], one["prospect"]["name"]) == (west, "Dana")
    assert (two["list"], two["prospect"]["name"]) == (None, "Kim")
    assert (await admin.counts(west))["reserved"] == 2


@pytest.mark.parametrize("hold", [None, 600])
async def test_somebody_elses_or_ones_own_is_refused_with_who_has_it(admin: Caller, hold: int | None) -> None:
    """409 prospect-reserved tells the RESERVATION, be it a hold, and be it one's own."""
    claim = (await admin.claim_one("c-1", hold_seconds=hold)).json
    for who in (ANA, BEN):
        told = (await admin.claim_one("c-1", expect=409, **who)).refused(409, "prospect-reserved")
        assert told.json["reservation"] == {
            "prospect": {"integration": "csv", "id": "c-1"}, "state": claim["state"], **ANA, "mode": "power", "list": None, "claim": claim["id"],
            "claimed_at": claim["claimed_at"], "attempted_at": claim["attempted_at"], "expires_at": claim["expires_at"],
        }  # fmt: skip


async def test_do_not_call_is_refused_and_no_phone_is_not(admin: Caller) -> None:
    """A member that the CRM flags is 409 do-not-call in power and parallel; a prospect without a phone can be claimed by id."""
    west = await admin.make_list("West", [{"id": "p1", "do_not_call": "true"}, {"id": "p2"}])
    for mode in ("power", "parallel"):
        (await admin.claim_one("p1", expect=409, mode=mode)).refused(409, "do-not-call")
    (await admin.claim_one("p1", expect=409, list=west)).refused(409, "do-not-call")
    await admin.claim_one("p3-with-no-phone")


async def test_r3_click_to_call_never_reserves_and_is_never_blocked(admin: Caller, client: Commands) -> None:
    """R3: it is allowed on a free, a held and a reserved prospect, is told who has them, and leaves them as they were."""
    await admin.make_list("West", ["p1", "p2"])
    before = kept(client)
    free = await admin.claim_one("p1", expect=200, mode="click_to_call")
    assert free.json == {"allowed": True, "reserved": False, "do_not_call": False, "reservation": None}
    assert {key for key, entry in kept(client).items() if before.get(key) != entry} == {"reservoir:{acme}:history"}
    for hold in (600, None):
        prospect = f"c-{hold}"
        claim = (await admin.claim_one(prospect, hold_seconds=hold)).json
        told = await admin.claim_one(prospect, expect=200, mode="click_to_call", **BEN)
        assert (told.json["allowed"], told.json["reserved"], told.json["reservation"]["claim"]) == (True, False, claim["id"])
        assert (await admin.get(f"/v1/claims/{claim['id']}")).json["expires_at"] == claim["expires_at"]
    await admin.claim_one("p1")


async def test_click_to_call_tells_of_the_flag(admin: Caller) -> None:
    """The CRM's Do Not Call flag forbids no click to call, and is told."""
    west = await admin.make_list("West", [{"id": "p1", "do_not_call": "x"}, {"id": "p2"}])
    told = await admin.claim_one("p1", expect=200, mode="click_to_call", list=west)
    assert (told.json["allowed"], told.json["do_not_call"]) == (True, True)


@pytest.mark.parametrize("mode", ["power", "click_to_call"])
async def test_with_a_list_the_prospect_must_be_its_member(admin: Caller, mode: str) -> None:
    """404 not-a-member for who is not in the list, or is in another integration's; 404 list-not-found for a list that is not there."""
    west = await admin.make_list("West", ["p1"])
    (await admin.claim_one("p9", expect=404, list=west, mode=mode)).refused(404, "not-a-member")
    (await admin.claim_one("1", "hubspot", expect=404, list=west, mode=mode)).refused(404, "not-a-member")
    (await admin.claim_one("p1", expect=404, list="nowhere", mode=mode)).refused(404, "list-not-found")
    assert (await admin.counts(west))["available"] == 1


async def test_r18_a_salesforce_record_is_one_prospect_however_its_id_is_written(admin: Caller) -> None:
    """R18: 15 and 18 characters, and 18 whose case some tool lost, are one prospect: in claims, look-ups and paths."""
    await admin.enable("salesforce")
    claim = (await admin.claim_one(SALESFORCE_15, "salesforce")).json
    assert claim["prospect"]["id"] == SALESFORCE_18
    for written in (SALESFORCE_15, SALESFORCE_18, SALESFORCE_18.upper(), SALESFORCE_18.lower()):
        told = (await admin.claim_one(written, "salesforce", expect=409)).refused(409, "prospect-reserved")
        assert told.json["reservation"]["claim"] == claim["id"]
        assert (await admin.get(f"/v1/reservations/salesforce/{written}")).json["claim"] == claim["id"]
        looked_up = await admin.post("/v1/reservations/lookup", {"prospects": [{"integration": "salesforce", "id": written}]}, 200)
        assert looked_up.json["reservations"][0]["claim"] == claim["id"]


@pytest.mark.parametrize("written", ["00Q5e00000AbCd", "00Q5e00000AbCdEEAW", "00Q5e00000AbCdEE", "00Q5e00000AbCd-", " 00Q5e00000AbCdE", ""])
async def test_r18_what_is_no_salesforce_id_is_refused(admin: Caller, written: str) -> None:
    """R18: a wrong length, letter or suffix is a 422 that points at the id."""
    (await admin.claim_one(written, "salesforce", expect=422)).invalid("/prospect/id")


@pytest.mark.parametrize("written", ["0", "07", "1.5", "-1", "a", "", "1" * 21])
async def test_a_hubspot_id_is_decimal_without_leading_zeros(admin: Caller, written: str) -> None:
    """What is no HubSpot id is a 422 that points at it."""
    (await admin.claim_one(written, "hubspot", expect=422)).invalid("/prospect/id")


async def test_a_csv_id_is_trimmed_and_composed(admin: Caller) -> None:
    """Space around a csv id and the way in which its accents are composed make no other prospect."""
    claim = (await admin.claim_one("  Zoe\u0308 ")).json
    assert claim["prospect"]["id"] == "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"
    (await admin.claim_one("Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}", expect=409)).refused(409, "prospect-reserved")


async def test_a_reservation_that_expired_makes_room(admin: Caller, client: Commands) -> None:
    """The instant after its expiry a prospect can be claimed by id again."""
    claim = (await admin.claim_one("c-1")).json
    age(client, "acme", "csv:c-1", lasts_ms(claim) + 1)
    assert (await admin.claim_one("c-1", **BEN)).json["id"] != claim["id"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"prospect": {"integration": "csv"}}, "/prospect/id"),
        ({"prospect": {"integration": "pipedrive", "id": "1"}}, "/prospect/integration"),
        ({"prospect": {"integration": "csv", "id": "a\0b"}}, "/prospect/id"),
        ({"prospect": {"integration": "csv", "id": "x" * 256}}, "/prospect/id"),
        ({"prospect": {"integration": "csv", "id": "p1", "name": "x"}}, "/prospect/name"),
        ({"prospect": "csv:p1"}, "/prospect"),
        ({"prospect": None}, "/prospect"),
        ({"list": "Not A List"}, "/list"),
        ({"mode": "click_to_call", "hold_seconds": 60}, "/hold_seconds"),
        ({"hold_seconds": 4}, "/hold_seconds"),
        ({"count": 1}, "/count"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_taken(admin: Caller, client: Commands, change: dict[str, Any], where: str) -> None:
    """Each wrong field is a 422 that points at it, and nobody is taken."""
    before = kept(client)
    body = {"prospect": {"integration": "csv", "id": "p1"}, **ANA, "mode": "power"} | change
    (await admin.post("/v1/claims", body)).invalid(where)
    assert kept(client) == before


async def test_a_claim_by_id_moves_the_prospect_in_all_its_lists(admin: Caller) -> None:
    """R2: claimed by id, it is handed out by no list any more."""
    west = await admin.make_list("West", ["p1", "p2"])
    await admin.claim_one("p1")
    assert ids_of((await admin.claim(west, 5)).json["claims"]) == ["p2"]
