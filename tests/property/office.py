"""What admins, workers, operators and time itself do, in the state machine."""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from reservoir.domain.lists import ListDefinition
from reservoir.domain.prospects import ProspectId
from reservoir.domain.reservation_timeout import ReservationTimeout
from reservoir.domain.settings import MultiRepDialing, OrgProfile
from reservoir.storage.keys import ACTIVE, SYNCING, encoded, prefix
from reservoir.storage.orgs import Org, UnknownOrgError
from tests.property.acts import IDS, LISTS, ORGS, REPS, TIMEOUTS, ZONES, slug_of
from tests.property.processes import Process
from tests.property.working import SOURCED, Working
from tests.support import model
from tests.support.keyspace import names

first_rows = st.sampled_from([model.Row()] * 6 + [model.Row(1, "no-phone"), model.Row(1, "do-not-call")])


class Office(Working):
    """All that is not dialing."""

    @initialize(data=st.data(), zone=st.sampled_from(ZONES), sandbox=st.booleans(), enabled=st.sampled_from((True, True, False)))
    def begin(self, data: st.DataObject, zone: str, sandbox: bool, enabled: bool) -> None:
        """Two orgs with the same lists of the same prospects, who are in several of them."""
        for id_ in ORGS:
            self.open_org(data, id_, zone, sandbox=sandbox, enabled=enabled)
        self.acted = set(ORGS)

    def open_org(self, data: st.DataObject, id_: str, zone: str, *, sandbox: bool, enabled: bool) -> None:
        assert self.world.run(self.processes[0].orgs.create(OrgProfile(id_, id_, zone, "US", sandbox)))
        org = self.orgs[id_] = model.Org(id_, zone, sandbox, {name: model.Setting() for name in ("salesforce", "hubspot", "csv")})
        self.set_mode(org, "csv", enabled=enabled, unit="day", duration=1)
        for list_ in ("west", "east", "north"):
            self.make(org, list_, LISTS[list_])
            who = st.lists(st.tuples(st.sampled_from(IDS[LISTS[list_]]), first_rows), unique_by=lambda one: one[0], min_size=2, max_size=5)
            self.sync(org, list_, data.draw(who, f"{id_} {list_}"))

    # Admins

    @rule(
        data=st.data(),
        act=st.sampled_from(
            (
                "configure",
                "configure",
                "move house",
                "lists",
                "lists",
                "erase",
                "erase",
                "a month passes",
                "a hold while off runs out",
                "hand",
                "hand",
                "undo",
                "undo",
                "reset",
                "delete org",
            )
        ),
    )
    def rarely(self, data: st.DataObject, act: str) -> None:
        """What happens now and then."""
        org = self.draw_org(data)
        match act:
            case "configure":
                self.configure(data, org, data.draw(st.sampled_from(("csv", "csv", "hubspot")), "integration"))
            case "move house":
                self.move_house(org, data.draw(st.sampled_from(ZONES), "to"))
            case "lists":
                self.change_lists(data, org, data.draw(st.sampled_from(sorted(LISTS)), "list"))
            case "a month passes":
                self.a_month_passes_for_a_rep(org, self.draw_list(data, org), data.draw(st.sampled_from(REPS), "rep"))
            case "undo":
                self.undo_a_remove(data, org, self.draw_list(data, org), data.draw(st.sampled_from(REPS), "rep"))
            case "reset":
                self.reset(org, self.draw_list(data, org), data.draw(st.sampled_from(REPS), "rep"))
            case "erase":
                self.erase(data, org)
            case "delete org":
                self.delete_org(data, self.orgs[data.draw(st.sampled_from(ORGS), "which")])
            case "hand":
                self.a_hand_deletes_a_key(data, org)
            case _:
                self.a_hold_while_off_runs_out(data, org)

    def configure(self, data: st.DataObject, org: model.Org, integration: str) -> None:
        """R7: what an admin sets is obeyed by the next claim of each process."""
        setting = org.settings[integration]
        unit, duration = data.draw(st.sampled_from(TIMEOUTS), "timeout")
        self.set_mode(org, integration, enabled=data.draw(st.sampled_from((setting.enabled, True, False)), "on"), unit=unit, duration=duration)

    def set_mode(self, org: model.Org, integration: str, *, enabled: bool, unit: str, duration: int) -> None:
        async def change(to: Process, known: Org) -> MultiRepDialing:
            timeout = ReservationTimeout("day" if unit == "day" else "hour", duration)
            return await to.settings.set_multi_rep_dialing(known, integration, replace(known.settings[integration], enabled=enabled, timeout=timeout), "a test")

        self.ask(org, change)
        setting = org.settings[integration]
        setting.switched_on += enabled and not setting.enabled
        setting.enabled, setting.unit, setting.duration = enabled, unit, duration
        org.expected.append({"type": "settings.changed", "integration": integration})

    def move_house(self, org: model.Org, zone: str) -> None:
        """The org is in another time zone from now on (R7)."""
        self.ask(org, lambda to, known: to.settings.set_profile(known, replace(known.profile, time_zone=zone), "a test"))
        org.zone = zone
        org.expected.append({"type": "settings.changed"})

    def change_lists(self, data: st.DataObject, org: model.Org, list_: str) -> None:
        """A list comes, or goes."""
        act = data.draw(st.integers(0, 3), "act")
        if list_ not in org.lists or act == 0:
            self.make(org, list_, data.draw(st.sampled_from(("csv", "csv", "hubspot")), "integration"))
        else:
            self.delete_list(org, list_, cut_short=act == 1)

    def delete_org(self, data: st.DataObject, org: model.Org) -> None:
        """R17: all that is an org's goes, live reservations too, and nothing of another's. Who makes it anew finds nothing of the old one."""
        self.world.run(self.process.orgs.delete(org.id))
        left = [key for key in names(self.world.commands) if key.startswith(prefix(org.id))]
        assert left == []
        assert not any(self.world.commands("ZSCORE", marked, org.id) for marked in (ACTIVE, SYNCING))
        for process in self.processes:
            with pytest.raises(UnknownOrgError):
                self.ask(org, lambda to, known: to.lists.page(known, 100, None), process)
        assert self.world.run(self.process.orgs.delete(org.id)) is False
        self.gone += org.claims
        self.told[org.id] = 0
        self.senders = [sender for sender in self.senders if sender.org != org.id]
        self.requests = {request: send for request, send in self.requests.items() if request[0] != org.id}
        self.torn = {one for one in self.torn if one[0] != org.id}
        self.unswept.discard(org.id)
        self.open_org(data, org.id, data.draw(st.sampled_from(ZONES), "zone"), sandbox=org.sandbox, enabled=data.draw(st.booleans(), "on"))

    def erase(self, data: st.DataObject, org: model.Org) -> None:
        """An admin forgets a person, whether anything is known of one or not."""
        integration = data.draw(st.sampled_from(("csv", "csv", "hubspot")), "integration")
        of = ProspectId(integration, data.draw(st.sampled_from(IDS[integration]), "prospect"))
        known = org.knows((of.integration, of.id), self.world.now_ms())
        told = self.ask(org, lambda to, at: to.prospects.erase(at, of, "a test"))
        assert told == (org.erase((of.integration, of.id)) if known else None)

    def make(self, org: model.Org, list_: str, integration: str) -> None:
        sourced = (list_, integration) == (SOURCED, "hubspot")
        wanted = ListDefinition(list_, list_.title(), integration, {"kind": "list", "id": "7"} if sourced else None, {}, 0)
        told = self.ask(org, lambda to, known: to.lists.create(known, wanted, exact=True, by="a test"))
        assert (slug_of(told) or told) == ("list-exists" if list_ in org.lists else list_)
        if list_ not in org.lists:
            org.lists[list_] = model.List(integration, sourced)
            org.expected.append({"type": "list.created", "integration": integration, "list": list_})

    def delete_list(self, org: model.Org, list_: str, *, cut_short: bool) -> None:
        """A list is deleted, by a process that may die before it has untied the members."""
        if cut_short:
            reply = self.ask(org, lambda to, known: to.orgs.write("delete_list", known, list_, '{"by":"a test"}'))
            assert (reply[0] == b"deleted") == (list_ in org.lists)
            self.unswept.add(org.id)
        else:
            assert slug_of(self.ask(org, lambda to, known: to.lists.delete(known, list_, "a test"))) == (None if list_ in org.lists else "list-not-found")
        if list_ in org.lists:
            gone = org.lists.pop(list_)
            if gone.run and gone.run.state == "running":
                org.expected.append({"type": "sync.finished", "integration": gone.integration, "list": list_})
            org.expected.append({"type": "list.deleted", "integration": gone.integration, "list": list_})

    def undo_a_remove(self, data: st.DataObject, org: model.Org, name: str, rep: str) -> None:
        """R10: an admin gives a rep back whom the rep removed, or had not removed."""
        list_ = org.lists.get(name)
        removed = list_.removed.get(rep, {}) if list_ else {}
        integration = list_.integration if list_ else "csv"
        who = data.draw(st.sampled_from((*removed, *removed, *removed, *IDS[integration])), "whom")
        told = self.ask(org, lambda to, known: to.removals.restore(known, name, rep, integration, who, "a test"))
        assert slug_of(told) == ("list-not-found" if list_ is None else None if who in removed else "removal-not-found")
        if told is None:
            org.restored(name, rep, who)

    def reset(self, org: model.Org, name: str, rep: str) -> None:
        """R9: a rep wants to start afresh."""
        told = self.ask(org, lambda to, known: to.places.reset(known, name, rep))
        assert slug_of(told) == (None if name in org.lists else "list-not-found")
        if told is None:
            org.lists[name].places.pop(rep, None)

    # Time, the settling of what is due, and the operators

    @precondition(lambda self: any(org.taken for org in self.orgs.values()))
    @rule(data=st.data(), past=st.sampled_from((1, 1, 1_000, 7_200_000)), partly=st.sampled_from((None, None, 0, 1, 2)))
    def time_passes(self, data: st.DataObject, past: int, partly: int | None) -> None:
        """A hold or a reservation lapses or expires, a millisecond ago or hours; or it comes nearer to that."""
        org, now_ms = self.orgs[data.draw(st.sampled_from([org.id for org in self.orgs.values() if org.taken]), "org")], self.world.now_ms()
        live = org.live(now_ms)
        if live:
            claim = data.draw(st.sampled_from(live), "whose")
            left_ms = (claim.ends_ms or 0) - now_ms
            self.acted = {org.id}
            self.older(org, claim, left_ms + past if partly is None else max(0, left_ms - 40_000) * partly // 2)

    def a_hold_while_off_runs_out(self, data: st.DataObject, org: model.Org) -> None:
        now_ms = self.world.now_ms()
        waiting = [claim for claim in org.claims.values() if claim.state == "unreserved" and claim.attempted_ms is None and not claim.recorded_end]
        if waiting:
            claim = data.draw(st.sampled_from(waiting), "whose")
            ms = (claim.ends_ms or 0) - now_ms + 1
            self.older(org, claim, ms)
            self.acted = {org.id}

    def a_month_passes_for_a_rep(self, org: model.Org, name: str, rep: str) -> None:
        """R9: a place is kept for 30 days after the rep's last claim, and no longer."""
        if name in org.lists and rep in org.lists[name].places:
            del org.lists[name].places[rep]
            key = f"reservoir:{{{org.id}}}:list:{name}:places"
            seen, _, rest = self.world.commands("HGET", key, rep).partition(" ")
            self.world.commands("HSET", key, rep, f"{int(seen) - 30 * 86_400_000 - 1} {rest}")
            self.acted = {org.id}

    @rule(started=st.booleans())
    def settle(self, started: bool) -> None:
        """What is due is settled in all orgs: by a process that has just started, or by the next turn of one that runs."""
        process = self.process
        self.world.run(process.settling.everything() if started else process.settling.turn())
        if started:
            self.unswept.clear()
        self.acted = set(ORGS)
        now_ms = self.world.now_ms()
        self.settled = {claim.id for org in self.orgs.values() for claim in org.due(now_ms)}

    def a_hand_deletes_a_key(self, data: st.DataObject, org: model.Org) -> None:
        """R6: an operator deletes a reservation, and frees nobody."""
        live = org.live(self.world.now_ms())
        if live:
            claim = data.draw(st.sampled_from(live), "whose")
            self.world.commands("DEL", f"reservoir:{{{org.id}}}:reservation:{claim.integration}:{encoded(claim.prospect)}")
            self.torn.add((org.id, f"{claim.integration}:{claim.prospect}"))
            self.acted = {org.id}
