"""The settling of what falls due, in whichever org, by whichever process is there."""

from dataclasses import replace

import pytest

from reservoir.domain.claims import Granted
from reservoir.domain.lists import ListDefinition
from reservoir.domain.prospects import Member, Phone
from reservoir.domain.settings import OrgProfile
from reservoir.storage.claims import ClaimStore, RequestKey, Taker
from reservoir.storage.keys import prefix
from reservoir.storage.lists import ListStore
from reservoir.storage.orgs import Org, OrgStore
from reservoir.storage.replies import integer
from reservoir.storage.settings import SettingsStore
from reservoir.storage.settling import Settling
from reservoir.storage.syncs import SyncStore
from tests.conftest import INTEGRATIONS, known
from tests.support.builders import age
from tests.support.commands import Commands
from tests.support.keyspace import snapshot

DAYS = 30

BROKEN = ("ends", "unreserved-ends", "claim-of", "history", "lists-of:csv", "generation", "org", "org=not JSON", "settings:csv={}", "sweep", "broken")
"""Keys of an org that somebody's hand spoils."""


def settling(orgs: OrgStore) -> Settling:
    return Settling(orgs, ListStore(orgs), SettingsStore(orgs), DAYS)


async def an_org(orgs: OrgStore, org_id: str) -> Org:
    """An org with a list of three, multi-rep dialing on."""
    await orgs.create(OrgProfile(org_id, org_id))
    org = await known(orgs, org_id)
    await SettingsStore(orgs).set_multi_rep_dialing(org, "csv", replace(org.settings["csv"], enabled=True), "a test")
    org = await known(orgs, org_id)
    await ListStore(orgs).create(org, ListDefinition("west", "West", "csv", None, {}, 0), exact=True, by="a test")
    syncs = SyncStore(orgs)
    run = await syncs.begin(org, "west")
    assert isinstance(run, str)
    members = [(line, Member("csv", f"p{line}", phones=(Phone("mobile", "+14155550100"),))) for line in range(3)]
    assert await syncs.page(org, "west", run, 0, members, [], 0) is None
    assert await syncs.finish(org, "west", run) is None
    return org


async def hold(orgs: OrgStore, org: Org, seconds: int = 30) -> None:
    """Holds the list's next prospect."""
    granted = await ClaimStore(orgs).claim_next(org, "west", Taker("ana", "s-1", "power", seconds), 1, RequestKey.of(None, "/", {}))
    assert isinstance(granted, Granted)
    assert granted.claims


def lapses(client: Commands, org_id: str) -> int:
    """How many lapses the org's history has."""
    return sum(entry["type"] == "claim.lapsed" for entry in snapshot(client)[f"{prefix(org_id)}history"].value)


async def test_what_falls_due_is_settled_in_every_org_once(orgs: OrgStore, client: Commands) -> None:
    """R13: nobody need claim for it; a second look, and another process's, find nothing more."""
    for org_id in ("acme", "zeta"):
        org = await an_org(orgs, org_id)
        await hold(orgs, org)
        age(client, org_id, "csv:p0", 31_000)
    await settling(orgs).turn()
    assert [lapses(client, org_id) for org_id in ("acme", "zeta")] == [1, 1]
    await settling(orgs).turn()
    await settling(OrgStore(orgs.store, INTEGRATIONS)).turn()
    assert [lapses(client, org_id) for org_id in ("acme", "zeta")] == [1, 1]


async def test_what_is_known_to_end_is_settled_though_the_org_is_quiet(orgs: OrgStore, client: Commands) -> None:
    """R13: long after anything was taken, when no mark says that the org is active."""
    org = await an_org(orgs, "acme")
    await hold(orgs, org, seconds=3_600)
    process = settling(orgs)
    await process.turn()
    client("DEL", "reservoir:active")
    process._next_ms["acme"] -= 3_600_001
    age(client, "acme", "csv:p0", 3_600_001)
    await process.turn()
    assert lapses(client, "acme") == 1


async def test_what_was_taken_while_a_process_stood_still_is_settled_by_it(orgs: OrgStore, client: Commands) -> None:
    """R13: a laptop that slept, a process that was stopped for minutes: it looks back to when it last looked, not only at what is recent."""
    org = await an_org(orgs, "acme")
    process = settling(orgs)
    await process.turn()
    await hold(orgs, org)
    process._looked_ms -= 600_000
    client("ZINCRBY", "reservoir:active", -600_000, "acme")
    age(client, "acme", "csv:p0", 31_000)
    await process.turn()
    assert lapses(client, "acme") == 1


async def test_a_process_that_starts_settles_all_orgs(orgs: OrgStore, client: Commands) -> None:
    """R13: marked active or not, before it says that it is ready."""
    org = await an_org(orgs, "acme")
    await hold(orgs, org)
    client("DEL", "reservoir:active")
    age(client, "acme", "csv:p0", 31_000)
    await settling(orgs).everything()
    assert lapses(client, "acme") == 1


async def test_a_setting_that_changed_is_no_obstacle(orgs: OrgStore, client: Commands) -> None:
    """R7: whoever settles reads the org anew."""
    org = await an_org(orgs, "acme")
    await hold(orgs, org)
    age(client, "acme", "csv:p0", 31_000)
    await SettingsStore(OrgStore(orgs.store, INTEGRATIONS)).set_multi_rep_dialing(org, "csv", org.settings["csv"], "another process")
    await settling(orgs).turn()
    assert lapses(client, "acme") == 1


@pytest.mark.leaves("keys of the wrong type")
@pytest.mark.parametrize("broken", BROKEN)
async def test_what_is_wrong_in_one_org_keeps_no_other_waiting(orgs: OrgStore, client: Commands, broken: str) -> None:
    """R17: whichever of its keys somebody's hand has spoilt, the others are settled, by a process that starts too."""
    process = settling(orgs)
    for org_id in ("acme", "beta", "zeta"):
        org = await an_org(orgs, org_id)
        await hold(orgs, org)
        await process.turn()
        age(client, org_id, "csv:p0", 31_000)
    key, _, text = broken.partition("=")
    client("DEL", f"{prefix('beta')}{key}")
    client(*(("SET", f"{prefix('beta')}{key}", text) if text else ("RPUSH", f"{prefix('beta')}{key}", "of the wrong type")))
    await process.turn()
    assert [lapses(client, org_id) for org_id in ("acme", "zeta")] == [1, 1]
    fresh = OrgStore(orgs.store, INTEGRATIONS)
    for org_id in ("acme", "zeta"):
        await hold(fresh, await known(fresh, org_id))
        age(client, org_id, "csv:p0", 31_000)
    await settling(fresh).everything()
    assert [lapses(client, org_id) for org_id in ("acme", "zeta")] == [2, 2]


async def test_a_broken_index_is_mended_by_whoever_settles(orgs: OrgStore, client: Commands) -> None:
    """What a grant stepped over is whole again at the next look."""
    org = await an_org(orgs, "acme")
    await ListStore(orgs).create(org, ListDefinition("east", "East", "csv", None, {}, 0), exact=True, by="a test")
    client("SET", f"{prefix('acme')}list:east:held", "not an index")
    syncs = SyncStore(orgs)
    client("DEL", f"{prefix('acme')}list:east:held")
    run = await syncs.begin(org, "east")
    assert isinstance(run, str)
    assert await syncs.page(org, "east", run, 0, [(0, Member("csv", "p0", phones=(Phone("mobile", "+14155550100"),)))], [], 0) is None
    assert await syncs.finish(org, "east", run) is None
    client("SET", f"{prefix('acme')}list:east:held", "not an index")
    await hold(orgs, org)
    assert snapshot(client)[f"{prefix('acme')}broken"].value == {"east"}
    await settling(orgs).turn()
    state = snapshot(client)
    assert f"{prefix('acme')}broken" not in state
    assert state[f"{prefix('acme')}list:east:held"].value == state[f"{prefix('acme')}list:west:held"].value


async def test_a_deletion_that_was_cut_short_is_finished(orgs: OrgStore, client: Commands) -> None:
    """By a process that starts, and by one that has been running."""
    for starting in (True, False):
        org = await an_org(orgs, "acme") if starting else await known(orgs, "acme")
        if not starting:
            await ListStore(orgs).create(org, ListDefinition("west", "West", "csv", None, {}, 0), exact=True, by="a test")
        else:
            await hold(orgs, org)
        reply = await orgs.write("delete_list", org, "west", "{}")
        assert reply[0] == b"deleted"
        process = settling(orgs)
        await (process.everything() if starting else process.turn())
        assert not [key for key in snapshot(client) if key.startswith(f"{prefix('acme')}sweep")]


async def test_a_list_is_deleted_though_a_setting_changes_meanwhile(orgs: OrgStore, client: Commands) -> None:
    """The deletion is done once, is told as done, and its members are untied under whatever generation it is by then."""
    org = await an_org(orgs, "acme")
    elsewhere = OrgStore(orgs.store, INTEGRATIONS)
    write = orgs.write

    async def deleting(verb: str, *rest: object) -> object:
        reply = await write(verb, *rest)  # type: ignore[arg-type]
        if verb == "delete_list":
            await SettingsStore(elsewhere).set_multi_rep_dialing(await known(elsewhere, "acme"), "csv", org.settings["csv"], "another process")
        return reply

    orgs.write = deleting  # type: ignore[method-assign, assignment]
    assert await ListStore(orgs).delete(org, "west", "a test") is None
    assert not [key for key in snapshot(client) if "sweep:" in key or "lists-of" in key]


async def test_history_past_its_retention_is_let_go(orgs: OrgStore, client: Commands) -> None:
    """To the entry; what is young stays."""
    org = await an_org(orgs, "acme")
    await hold(orgs, org)
    history = f"{prefix('acme')}history"
    young = client("XLEN", history)
    client("RENAME", history, f"{history}-kept")
    for number in range(1, 1_001):
        client("XADD", history, number, "type", "list.created", "at", number)
    for _, fields in client("XRANGE", f"{history}-kept", "-", "+"):
        client("XADD", history, "*", *fields)
    client("DEL", f"{history}-kept")
    await settling(orgs).turn()
    left = snapshot(client)[history].value
    assert len(left) == young
    assert left[-1]["type"] == "claim.held"


def grow_old(client: Commands, org_id: str, count: int) -> str:
    """Replaces the history by so many old entries, an hour apart, that end two days ago. The stream's key."""
    history = f"{prefix(org_id)}history"
    client("DEL", history)
    ends = (int(client("TIME")[0]) - 2 * 86_400) * 1_000
    for number in range(count):
        client("XADD", history, ends - (count - 1 - number) * 3_600_000, "type", "list.created", "at", number)
    return history


async def test_history_is_kept_for_its_days_in_quiet_orgs_too(orgs: OrgStore, client: Commands) -> None:
    """Thirty days to the hour, though nobody claimed in the org for long; once an hour of a process's life."""
    await an_org(orgs, "acme")
    assert client("ZSCORE", "reservoir:active", "acme") is None
    history = grow_old(client, "acme", 30 * 24)
    process = settling(orgs)
    await process.turn()
    assert client("XLEN", history) == 28 * 24
    history = grow_old(client, "acme", 30 * 24)
    await process.turn()
    assert client("XLEN", history) == 30 * 24


async def test_history_that_a_reader_has_yet_to_come_to_is_kept(orgs: OrgStore, client: Commands) -> None:
    """However old it is; the reader who is furthest behind decides, and once all have come so far it goes."""
    await an_org(orgs, "acme")
    history = grow_old(client, "acme", 35 * 24)
    first, behind, ahead = (client("XRANGE", history, "-", "+")[number][0] for number in (0, 50, 100))
    readers = f"{prefix('acme')}history-readers"
    client("HSET", readers, "write-back:salesforce", behind, "write-back:hubspot", ahead)
    await settling(orgs).turn()
    left = client("XRANGE", history, "-", "+")
    assert left[0][0] == behind != first
    client("HSET", readers, "write-back:salesforce", ahead)
    await settling(orgs).turn()
    assert client("XRANGE", history, "-", "+", "COUNT", 1)[0][0] == ahead
    client("DEL", readers)
    await settling(orgs).turn()
    assert client("XLEN", history) == 28 * 24


async def test_much_history_goes_in_bounded_steps(orgs: OrgStore, client: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """No one call lets go of more than its bound, and together they let go of all."""
    await an_org(orgs, "acme")
    history = grow_old(client, "acme", 60 * 24)
    monkeypatch.setattr("reservoir.storage.history.TRIM_MOST", 100)
    command = orgs.store.command
    trimmed: list[int] = []

    async def watched(*words: str | int) -> object:
        reply = await command(*words)
        if words[0] == "XTRIM":
            trimmed.append(integer(reply))
        return reply

    monkeypatch.setattr(type(orgs.store), "command", staticmethod(watched))
    await settling(orgs).turn()
    assert client("XLEN", history) == 28 * 24
    assert max(trimmed) == 100
    assert len(trimmed) >= 8
