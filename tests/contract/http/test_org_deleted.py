"""An org that is deleted: refused at once in every process, gone whole, and anew if it is made again."""

from reservoir.storage.keys import ACTIVE, ORGS
from reservoir.storage.scripts import script
from tests.support.commands import Commands
from tests.support.keyspace import snapshot
from tests.support.service import App, Caller


async def test_its_keys_are_refused_in_every_process(app: App, other_app: App, admin: Caller, client: Commands) -> None:
    """From the first step on, though both processes remember the org; what is left of it at the end is nothing."""
    await admin.make_list("West", ["p1", "p2"])
    await admin.take("west")
    await admin.at(other_app).take("west")
    assert (await app.services.store.run(script("delete_org"), "reservoir:{acme}:", ""))[0] == b"deleting"
    for one in (admin, admin.at(other_app)):
        (await one.get("/v1/org", 401)).refused(401, "unauthenticated")
        (await one.claim("west", expect=401)).refused(401, "unauthenticated")
    assert await app.services.orgs.delete("acme")
    for process in (app, other_app):
        await process.services.settings.write_used()
        await process.services.settling.turn()
    assert {key for key in snapshot(client) if key not in {ORGS, ACTIVE}} == set()
    assert await other_app.services.orgs.ids() == []
    assert not await app.services.orgs.delete("acme")


async def test_made_anew_it_remembers_nothing(app: App, admin: Caller) -> None:
    """No key of the old one is known, no list, no reservation."""
    await admin.make_list("West", ["p1"])
    await admin.take("west")
    assert await app.services.orgs.delete("acme")
    anew = await app.org("acme")
    (await admin.get("/v1/org", 401)).refused(401, "unauthenticated")
    assert await anew.pages("/v1/lists") == await anew.pages("/v1/reservations") == []
    await anew.enable()
    assert (await anew.claim_one("p1")).json["state"] == "reserved"
    assert await app.services.orgs.ids() == ["acme"]


async def test_one_that_was_cut_short_is_finished_before_another_of_its_id(app: App, admin: Caller, client: Commands) -> None:
    """Whoever creates an org of that id finishes the deletion first."""
    await admin.make_list("West", ["p1"])
    await app.services.store.run(script("delete_org"), "reservoir:{acme}:", "")
    anew = await app.org("acme")
    assert await anew.pages("/v1/lists") == []
    assert client("EXISTS", "reservoir:{acme}:deleting") == 0


async def test_one_that_was_cut_short_is_finished_by_the_next_process_that_starts(app: App, other_app: App, admin: Caller, client: Commands) -> None:
    """Nobody's name stays because the one who deleted it was killed; an org that stands is not touched by that, and one of that id may be made anew."""
    globex = await app.org("globex")
    await globex.make_list("West", ["p1"])
    await admin.make_list("West", ["p1", "p2"])
    await admin.take("west")
    await app.services.store.run(script("delete_org"), "reservoir:{acme}:", "")
    assert [org.id for org in await other_app.services.orgs.all()] == ["globex"]
    await other_app.services.settling.everything()
    assert [key for key in snapshot(client) if "{acme}" in key] == []
    assert await other_app.services.orgs.ids() == ["globex"]
    assert [one["id"] for one in await globex.pages("/v1/lists")] == ["west"]
    anew = await app.org("acme")
    for _ in range(2):
        await other_app.services.settling.everything()
    assert await anew.pages("/v1/lists") == []


async def test_other_orgs_stay(app: App, admin: Caller) -> None:
    """R17."""
    globex = await app.org("globex")
    await globex.make_list("West", ["p1"])
    del admin
    assert await app.services.orgs.delete("acme")
    assert [one["id"] for one in await globex.pages("/v1/lists")] == ["west"]
