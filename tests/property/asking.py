"""What people ask about, in the state machine: why somebody can not be dialed now."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from reservoir.domain.claims import Mode
from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import Refused
from reservoir.domain.why import Why
from reservoir.storage.why import Asked
from tests.property.acts import IDS, REPS, Acts, slug_of
from tests.support import model

MODES: tuple[Mode | None, ...] = (None, None, "power", "parallel", "click_to_call")


class Asking(Acts):
    """Questions. They change nothing."""

    @rule(data=st.data(), asked=st.lists(st.tuples(st.sampled_from((None, *REPS)), st.sampled_from(MODES)), min_size=2, max_size=5))
    def why(self, data: st.DataObject, asked: list[tuple[str | None, Mode | None]]) -> None:
        """Every reason, and no other, for some prospects, and for how much of a list; and it is what a claim would be told."""
        org = self.draw_org(data)
        for rep, mode in asked:
            list_, rep_, of = self.draw_question(data, org, rep)
            self.why_of_one(org, of, list_, rep_, mode)
            self.why_of_list(org, list_ or "west", rep_, mode)

    def draw_question(self, data: st.DataObject, org: model.Org, rep: str | None) -> tuple[str | None, str | None, model.Prospect]:
        """A list, a rep and a prospect who have something to do with each other, if there are any, as often as not."""
        removed = [(name, whose, who) for name, list_ in org.lists.items() for whose, them in list_.removed.items() for who in them]
        walked = [(name, whose, who) for name, list_ in org.lists.items() for whose in list_.places for who in list_.order]
        close = [choice for choice in (removed, walked) if choice]
        near: bool = data.draw(st.booleans(), "close")
        if close and near:
            list_, whose, who = data.draw(st.one_of([st.sampled_from(choice) for choice in close]), "whom of which list")
            return list_, whose, (org.lists[list_].integration, who)
        name = data.draw(st.none() | st.just(self.draw_list(data, org)), "of list")
        known = org.lists.get(name or "")
        integration = data.draw(st.sampled_from((*[known.integration] * 4, *IDS) if known else sorted(IDS)), "integration")
        taken = [of[1] for of in org.taken if of[0] == integration]
        return name, rep, (integration, data.draw(st.sampled_from((*IDS[integration], "nobody knows me", *taken)), "prospect"))

    def why_of_one(self, org: model.Org, of: model.Prospect, list_: str | None, rep: str | None, mode: Mode | None) -> None:
        told = self.ask(org, lambda to, known: to.why.one(known, ProspectId(*of), Asked(list_, rep if list_ else None, mode)))
        if list_ is not None and list_ not in org.lists:
            assert slug_of(told) == "list-not-found"
            return
        assert isinstance(told, Why)
        now_ms = self.world.now_ms()
        assert [reason.rule for reason in told.reasons] == org.against(of, list_, rep if list_ else None, mode, now_ms)
        assert told.dialable == (not told.reasons)
        assert told.notes == (() if org.settings[of[0]].enabled else ("multi-rep-dialing-off",))
        holder = org.holder(of, now_ms)
        for reason in told.reasons:
            if holder and reason.rule == holder.state:
                since_ms = holder.claimed_ms if holder.state == "held" else holder.attempted_ms
                assert (reason.rep, reason.since_ms, reason.until_ms) == (holder.taker.rep, since_ms, holder.ends_ms)
        if list_ is None and mode != "click_to_call":
            assert told.dialable == (self.refuses_claim(org, of, None, now_ms) is None)

    def why_of_list(self, org: model.Org, name: str, rep: str | None, mode: Mode | None) -> None:
        told: Why | Refused = self.ask(org, lambda to, known: to.why.of_list(known, name, Asked(name, rep, mode)))
        list_ = org.lists.get(name)
        if list_ is None:
            assert slug_of(told) == "list-not-found"
            return
        assert isinstance(told, Why)
        if mode == "click_to_call":
            assert (told.dialable, told.reasons) == (bool(list_.order), ())
            return
        now_ms, on = self.world.now_ms(), org.settings[list_.integration].enabled
        assert {reason.rule: reason.count for reason in told.reasons} == org.against_all(list_, rep, now_ms)
        assert told.dialable == bool(org.free(list_, now_ms, rep) if on else list_.ahead(rep or ""))
        for reason in told.reasons:
            ends = [claim.ends_ms or 0 for claim in org.taken_in(list_, now_ms) if claim.state == reason.rule]
            assert reason.until_ms == min(ends, default=None)
