"""What workers and senders of files do, in the state machine: runs that fill the lists."""

from dataclasses import dataclass

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import rule

from reservoir.domain.lists import Sync
from reservoir.domain.prospects import Member, Phone
from reservoir.domain.refusals import Refused
from reservoir.storage.keys import prefix
from reservoir.storage.orgs import Org
from reservoir.storage.syncs import NothingDue, TakenRun
from tests.property.acts import IDS, Acts, slug_of
from tests.property.processes import Process
from tests.support import model

ANNS = ("", "Anna", "Anne", "Bo")
"""What people are called, by the version of their row."""

SOURCED = "north"
"""The list that has a source, while it is of the CRM."""

WAIT_MS = 3_600_000

ACTS = (
    "begin",
    "begin",
    "ask",
    "take",
    "take",
    *("page",) * 3,
    "page again",
    "finish",
    "fail",
    "hold",
    "leave",
    "die",
    "die",
    "wait",
    "an hour passes",
    "fall silent",
)
"""What workers do, in about that measure."""

rows = st.builds(model.Row, st.integers(1, 3), st.sampled_from([None, None, None, None, "no-phone", "do-not-call"]))


def member_of(integration: str, who: str, row: model.Row) -> Member:
    """A member that a source brings, of that version."""
    phones = () if row.reason == "no-phone" else (Phone("mobile", "+14155550100"),)
    return Member(integration, who, name=f"{ANNS[row.version]} {who}", phones=phones, fields={"version": row.version}, do_not_call=row.reason == "do-not-call")


@dataclass(frozen=True)
class Sender:
    """Who believes that a run is theirs: who sent the file, or the worker that took it."""

    org: str
    list: str
    run: model.Run
    name: str
    taken: TakenRun | None = None


class Working(Acts):
    """Runs: of a file, which are one sender's, and of a CRM, which a worker takes, holds, and leaves to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.senders: list[Sender] = []

    def draw_rows(self, data: st.DataObject, list_: model.List) -> list[tuple[str, model.Row]]:
        return data.draw(st.lists(st.tuples(st.sampled_from(IDS[list_.integration]), rows), max_size=6), "rows")

    def sync(self, org: model.Org, list_: str, found: list[tuple[str, model.Row]]) -> None:
        sender = self.begin_run(org, list_)
        if sender is not None:
            self.page(org, sender, found, again=False)
            self.finish(org, sender)

    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        """A source is read whole, or a run begins, or somebody goes on with one, who may have been given up long ago."""
        goes_on = [sender for sender in self.senders if self.lost(self.orgs[sender.org], sender) is None]
        acts = ("page", "page again", "finish", "fail", "fall silent") if self.senders else ()
        act = data.draw(st.sampled_from((*(acts * 2 if goes_on else acts), "whole", "whole", "begin", "begin")), "act")
        if act in {"whole", "begin"}:
            org = self.draw_org(data)
            list_ = self.draw_list(data, org)
            if act == "whole" and list_ in org.lists:
                self.sync(org, list_, self.draw_rows(data, org.lists[list_]))
            else:
                self.begin_run(org, list_)
            return
        self.go_on(data, data.draw(st.sampled_from(goes_on * 3 + self.senders[-3:]), "whose"), act)

    @rule(data=st.data(), acts=st.lists(st.sampled_from(ACTS), min_size=3, max_size=8))
    def work_in_shifts(self, data: st.DataObject, acts: list[str]) -> None:
        """Workers at the list of a CRM: each may believe that its run is its own still, and only one is right."""
        org = self.draw_org(data)
        for act in acts:
            senders = [sender for sender in self.senders if sender.org == org.id and sender.taken]
            if act == "ask":
                self.ask_for(org, data.draw(st.sampled_from((SOURCED, SOURCED, SOURCED, "west", "nowhere")), "list"))
            elif act == "begin":
                self.begin_run(org, SOURCED)
            elif act == "take":
                self.take(org)
            elif act == "an hour passes":
                self.an_hour_passes(org)
            elif senders:
                self.go_on(data, data.draw(st.sampled_from(senders[-1:] * 3 + senders[-3:]), "whose"), act)
                if act == "die":
                    self.take(org)

    def go_on(self, data: st.DataObject, sender: Sender, act: str) -> None:
        """Somebody does something for the run that they believe to be theirs."""
        org = self.orgs[sender.org]
        match act:
            case "finish":
                self.finish(org, sender, complete=data.draw(st.sampled_from((True, True, False)), "ready") or sender.taken is None)
            case "fail":
                self.fail(org, sender)
            case "fall silent":
                self.fall_silent(org, sender)
            case "page" | "page again":
                known = org.lists.get(sender.list)
                found = self.draw_rows(data, known) if known else [("p1", model.Row())]
                self.page(org, sender, found, again=act == "page again")
            case _:
                self.hold(org, sender, act)

    def lost(self, org: model.Org, sender: Sender) -> str | None:
        """Why they may write no more for the run, or None."""
        if sender.list not in org.lists:
            return "list-not-found"
        return None if self.is_whose(org, sender, "running") else "sync-lost"

    def is_whose(self, org: model.Org, sender: Sender, state: str) -> bool:
        """Whether it is the list's run in that state, and theirs."""
        list_ = org.lists.get(sender.list)
        return list_ is not None and list_.run is sender.run and (sender.run.state, sender.run.sender) == (state, sender.name)

    # How a run begins

    def begin_run(self, org: model.Org, name: str) -> Sender | None:
        list_ = org.lists.get(name)
        if list_ and list_.sourced:
            self.ask_for(org, name)
            return self.take(org)
        told = self.ask(org, lambda to, known: to.syncs.begin(known, name))
        if list_ is None or (list_.run and list_.run.state == "running" and not list_.run.silent):
            assert slug_of(told) == ("list-not-found" if list_ is None else "sync-running")
            return None
        assert isinstance(told, str)
        self.is_given_up(org, name)
        return self.has_begun(org, name, list_.begin(told), told)

    def has_begun(self, org: model.Org, name: str, run: model.Run, sender: str, taken: TakenRun | None = None) -> Sender:
        org.expected.append({"type": "sync.started", "integration": org.lists[name].integration, "list": name})
        return self.is_theirs(org, name, run, sender, taken)

    def is_theirs(self, org: model.Org, name: str, run: model.Run, sender: str, taken: TakenRun | None = None) -> Sender:
        run.state, run.due, run.silent, run.sender = "running", False, False, sender
        self.senders.append(Sender(org.id, name, run, sender, taken))
        return self.senders[-1]

    def is_given_up(self, org: model.Org, name: str) -> None:
        """A run of which nothing was heard for too long is lost as soon as somebody looks."""
        run = org.lists[name].run
        if run and run.state == "running" and run.silent:
            self.has_ended(org, name, run, "failed")

    def has_ended(self, org: model.Org, name: str, run: model.Run, state: str) -> None:
        run.state, run.due = state, False
        org.expected.append({"type": "sync.finished", "integration": org.lists[name].integration, "list": name})

    def ask_for(self, org: model.Org, name: str) -> None:
        """Somebody asks for a sync: the one that is under way, or a new one, for the next worker."""
        told, list_ = self.ask(org, lambda to, known: to.syncs.ask(known, name)), org.lists.get(name)
        if list_ is None or not list_.sourced:
            assert slug_of(told) == ("list-not-found" if list_ is None else "no-source")
            return
        assert isinstance(told, Sync)
        self.is_given_up(org, name)
        if list_.run and list_.run.state in {"queued", "waiting", "running"}:
            assert (told.id, told.state) == (list_.run.id, list_.run.state)
            list_.run.due = list_.run.due or list_.run.state == "waiting"
        else:
            assert told.id not in {sender.run.id for sender in self.senders}
            list_.run = model.Run(told.id, "queued", due=True)

    def take(self, org: model.Org) -> Sender | None:
        """A worker looks for something to do: what was asked for, has waited, or was left by another one, at the page to which that one had come."""
        told = self.ask(org, lambda to, known: to.syncs.take(known))
        list_ = org.lists.get(SOURCED)
        if list_ and list_.run and list_.run.due:
            self.is_given_up(org, SOURCED)
        run = list_.run if list_ and list_.run and list_.run.due else None
        if list_ is None or run is None:
            assert isinstance(told, NothingDue), f"nothing is due, and {told} was taken"
            return None
        assert isinstance(told, TakenRun), f"{run} is due, and was not taken"
        assert (told.list, told.id, told.cursor, told.page) == (SOURCED, run.id, (run.page and {"page": run.page}) or None, run.page or -1)
        if run.state == "queued":
            return self.has_begun(org, SOURCED, list_.begin(told.id), str(told), told)
        return self.is_theirs(org, SOURCED, run, str(told), told)

    # What is done for it

    def hold(self, org: model.Org, sender: Sender, act: str) -> None:
        """A worker says that it is at it, leaves the run to others, must wait for the CRM, or dies, and others take it over."""
        taken = sender.taken
        if taken is None:
            return
        lost, waits = self.lost(org, sender), act == "wait" and self.is_whose(org, sender, "waiting")

        async def say(to: Process, known: Org) -> Refused | None:
            if act == "wait":
                return await to.syncs.wait(known, taken, WAIT_MS, {"type": "budget-spent", "detail": "a test"})
            return await (to.syncs.leave(known, taken) if act == "leave" else to.syncs.hold(known, taken))

        if act == "die":
            if lost is None:
                self.write(org, sender, "held")
            return
        assert slug_of(self.ask(org, say)) == (None if waits else lost)
        if lost is None:
            sender.run.silent, sender.run.due = False, act == "leave"
            sender.run.state = "waiting" if act == "wait" else "running"

    def write(self, org: model.Org, sender: Sender, *until: str) -> None:
        """What a run has until some time is over by now."""
        past = self.world.now_ms() - 1
        for name in until:
            self.world.commands("HSET", f"{prefix(org.id)}list:{sender.list}:sync", name, past)
        if sender.taken:
            self.world.commands("ZADD", f"{prefix(org.id)}due", past, sender.list)
            sender.run.due = True
        self.acted = {org.id}

    def fall_silent(self, org: model.Org, sender: Sender) -> None:
        """R12: a run of which nothing was heard for too long keeps no other from beginning."""
        if self.lost(org, sender) is None:
            self.write(org, sender, *(("lease", "held") if sender.taken else ("lease",)))
            sender.run.silent = True

    def an_hour_passes(self, org: model.Org) -> None:
        """A run has waited for as long as the CRM said."""
        for sender in self.senders:
            if sender.org == org.id and self.is_whose(org, sender, "waiting"):
                self.write(org, sender, "resumes_at")

    def page(self, org: model.Org, sender: Sender, found: list[tuple[str, model.Row]], *, again: bool) -> None:
        """A page comes, or, ``again``, the sender got no answer and sends one that has the number of the last."""
        run, lost = sender.run, self.lost(org, sender)
        number = max(1, run.page) if again else run.page + 1
        integration = org.lists[sender.list].integration if sender.list in org.lists else "csv"
        sent = [(who if sender.taken else line, member_of(integration, who, row)) for line, (who, row) in enumerate(found, 2)]
        goes_on = {"cursor": orjson.dumps({"page": number}).decode()} if sender.taken else {}
        told = self.ask(org, lambda to, known: to.syncs.page(known, sender.list, sender.name, number, sent, [], 0, goes_on))
        assert slug_of(told) == lost
        if lost is None:
            run.due = False
            org.lists[sender.list].bring(run, number, found)

    def finish(self, org: model.Org, sender: Sender, *, complete: bool = True) -> None:
        """A source was read to its end; what a CRM has not ready is no reason for anybody to leave."""
        lost = None if self.is_whose(org, sender, "done") else self.lost(org, sender)

        async def end(to: Process, known: Org) -> Refused | bool:
            while (ended := await to.syncs.finish_some(known, sender.list, sender.name, complete=complete)) is False:
                pass
            return ended

        assert slug_of(self.ask(org, end)) == lost
        if self.lost(org, sender) is None:
            org.lists[sender.list].finish(sender.run, complete=complete)
            self.has_ended(org, sender.list, sender.run, "done")

    def fail(self, org: model.Org, sender: Sender) -> None:
        """A source broke off."""
        lost = None if self.is_whose(org, sender, "failed") else self.lost(org, sender)
        error = {"type": "body-incomplete", "detail": "a test"}
        assert slug_of(self.ask(org, lambda to, known: to.syncs.fail(known, sender.list, sender.name, error))) == lost
        if self.lost(org, sender) is None:
            self.has_ended(org, sender.list, sender.run, "failed")
