"""What dialers do, in the state machine."""

import asyncio
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from reservoir.domain import claims as domain
from reservoir.domain.refusals import Refused
from reservoir.storage.claims import RequestKey, Taker
from reservoir.storage.keys import encoded, prefix
from tests.property.acts import IDS, KEYS, Acts, slug_of, takers
from tests.property.processes import Process
from tests.support import model
from tests.support.waiting import await_until


class Dialing(Acts):
    """Claims, and what becomes of them."""

    @rule(data=st.data(), taker=takers, count=st.integers(1, 4), key=st.sampled_from((None, None, *KEYS)))
    def claim_next(self, data: st.DataObject, taker: model.Taker, count: int, key: str | None) -> None:
        org = self.draw_org(data)
        list_ = self.draw_list(data, org)

        def send(process: Process) -> None:
            self.claim_on(org, list_, taker, count, key, process)

        if key:
            self.requests.setdefault((org.id, key), send)
        send(self.process)

    @rule(data=st.data(), taker=takers, count=st.sampled_from((1, 1, 2, 5)))
    def claim_some(self, data: st.DataObject, taker: model.Taker, count: int) -> None:
        """The same, as most dialers most often do it."""
        self.claim_on(self.orgs["acme"], data.draw(st.sampled_from(sorted(self.orgs["acme"].lists) or ["nowhere"]), "list"), taker, count, None, self.process)

    def claim_on(self, org: model.Org, list_: str, taker: model.Taker, count: int, key: str | None, process: Process) -> None:
        request = ("next", list_, taker, count)
        now_ms = self.world.now_ms()
        repeated = org.repeats(key, request, now_ms)
        told = self.ask(org, lambda to, known: to.claims.claim_next(known, list_, *self.request(taker, count, key, request)), process)
        if isinstance(repeated, str) or (repeated is None and list_ not in org.lists):
            assert slug_of(told) == (repeated or "list-not-found")
            return
        assert isinstance(told, domain.Granted)
        if repeated is not None:
            assert [claim.id for claim in told.claims] == [claim.id for claim in repeated]
            for again in repeated:
                self.met(org, again)
        else:
            self.granted_on(org, list_, taker, count, told.claims, now_ms)
            if key and told.claims:
                org.tokens[key] = request, [claim.id for claim in told.claims]
        for claim in told.claims:
            self.held_against(org, claim, org.claims[claim.id])
        if list_ in org.lists:
            self.figures(org, org.lists[list_], taker.rep, told)

    def granted_on(self, org: model.Org, list_: str, taker: model.Taker, count: int, told: tuple[domain.Claim, ...], now_ms: int) -> None:
        wanted = org.wanted(org.lists[list_], taker, count, now_ms)
        got = [claim.prospect for claim in told]
        assert got == wanted[: len(got)], f"granted {got}, not {wanted}"
        assert len(got) == len(wanted) or (self.tight and got), f"granted only {got} of {wanted}"
        integration = org.lists[list_].integration
        for claim in told:
            org.granted((integration, claim.prospect), list_, taker, claim.id, claim.claimed_at_ms)
        if got and not org.settings[integration].enabled:
            org.walked(org.lists[list_], taker.rep, got[-1])

    def figures(self, org: model.Org, list_: model.List, rep: str, told: domain.Granted) -> None:
        """What an answer says of its list is the rep's own view of it."""
        now_ms, enabled = self.world.now_ms(), org.settings[list_.integration].enabled
        assert told.multi_rep_dialing == enabled
        available, next_ms = len(org.free(list_, now_ms, rep) if enabled else list_.ahead(rep)), org.next_end(list_, now_ms, rep) if enabled else None
        if self.tight and len(list_.removed.get(rep, ())) > 2:
            assert told.available >= available
            assert told.claims or told.available == 0
            sooner = told.next_available_at_ms is not None  # than any who frees, where the rep removed more of those who are taken than one call looks at
            assert told.available or sooner or next_ms is None
            assert next_ms is None or (told.next_available_at_ms or 0) <= next_ms
            return
        assert told.available == available
        assert told.next_available_at_ms == next_ms

    def request(self, taker: model.Taker, count: int, key: str | None, request: object) -> tuple[Taker, int, RequestKey]:
        return self.taker(taker), count, RequestKey.of(key, "/v1/claims", repr(request))

    def taker(self, taker: model.Taker) -> Taker:
        return Taker(taker.rep, taker.session, "power" if taker.mode == "power" else "parallel", taker.hold_ms // 1_000 or None)

    @rule(data=st.data(), taker=takers, key=st.sampled_from((None, None, *KEYS)))
    def claim_by_id(self, data: st.DataObject, taker: model.Taker, key: str | None) -> None:
        org = self.draw_org(data)
        list_ = data.draw(st.none() | st.just(self.draw_list(data, org)), "of list")
        integration = data.draw(st.sampled_from(sorted(IDS)), "integration")
        of = integration, data.draw(st.sampled_from((*IDS[integration], "nobody knows me")), "prospect")

        def send(process: Process) -> None:
            self.claim_one(org, of, list_, taker, key, process)

        if key:
            self.requests.setdefault((org.id, key), send)
        send(self.process)

    def claim_one(self, org: model.Org, of: model.Prospect, list_: str | None, taker: model.Taker, key: str | None, process: Process) -> None:
        request = ("one", of, list_, taker)
        now_ms = self.world.now_ms()
        repeated = org.repeats(key, request, now_ms)
        holder = org.holder(of, now_ms) if org.settings[of[0]].enabled else None
        refused = repeated if isinstance(repeated, str) else None
        if repeated is None:
            refused = self.refuses_claim(org, of, list_, now_ms)
        asked, _, own = self.request(taker, 1, key, request)
        told = self.ask(org, lambda to, known: to.claims.claim_one(known, *of, list_, asked, own), process)
        assert slug_of(told) == refused
        if isinstance(told, Refused):
            if refused == "prospect-reserved" and holder:
                self.met(org, holder)
                assert told.facts["reservation"].claim == holder.id  # type: ignore[attr-defined]  # facts are of any kind
            return
        if repeated is None:
            org.granted(of, list_, taker, told.id, told.claimed_at_ms)
            if key:
                org.tokens[key] = request, [told.id]
        else:
            assert [told.id] == [claim.id for claim in repeated if not isinstance(claim, str)]
            self.met(org, org.claims[told.id])
        self.held_against(org, told, org.claims[told.id])

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Somebody who got no answer asks again, maybe another process."""
        self.requests[data.draw(st.sampled_from(sorted(self.requests)), "request")](self.process)

    @rule(data=st.data(), taker=takers)
    def click_to_call(self, data: st.DataObject, taker: model.Taker) -> None:
        org = self.draw_org(data)
        list_ = data.draw(st.none() | st.just(self.draw_list(data, org)), "of list")
        integration = data.draw(st.sampled_from(sorted(IDS)), "integration")
        of = integration, data.draw(st.sampled_from(IDS[integration]), "prospect")
        holder = org.holder(of, self.world.now_ms())
        told = self.ask(org, lambda to, known: to.claims.click_to_call(known, *of, list_, taker.rep, taker.session))
        assert slug_of(told) == self.unknown(org, of, list_)
        if isinstance(told, Refused):
            return
        assert told.do_not_call == org.flagged(of)
        assert (told.reservation and told.reservation.claim) == (holder and holder.id)
        facts: model.Facts = {"type": "click_to_call", "integration": of[0], "prospect": of[1], "rep": taker.rep, "session": taker.session}
        org.expected.append(facts | {"mode": "click_to_call"} | ({"list": list_} if list_ else {}))

    @precondition(lambda self: any(org.claims for org in self.orgs.values()))
    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        """A rep dials."""
        self.attempt(*self.draw_claim(data, lambda claim: claim.state == "held" or claim.attempted_ms is None))

    @precondition(lambda self: any(org.claims for org in self.orgs.values()))
    @rule(
        data=st.data(),
        outcome=st.sampled_from(("no_answer", "connected")),
        remove=st.sampled_from((True, True, False)),
        note=st.sampled_from((None, "", "called back")),
    )
    def hang_up(self, data: st.DataObject, outcome: str, remove: bool, note: str | None) -> None:
        """A rep says how a call ended, and looks at what is known of the claim."""
        org, claim = self.draw_claim(data, lambda claim: claim.attempted_ms is not None)
        self.dispose(org, claim, outcome, remove=remove, note=note)
        self.look_up(org, claim)

    @precondition(lambda self: any(org.claims for org in self.orgs.values()))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """A dialer will not call after all."""
        self.release(*self.draw_claim(data, lambda claim: claim.state == "held"))

    @precondition(lambda self: any(org.claims for org in self.orgs.values()))
    @rule(data=st.data(), how=st.sampled_from(((60, 1), (600, 1), (3_600, 1), (3_600, 28))))
    def keep(self, data: st.DataObject, how: tuple[int, int]) -> None:
        """A call goes on, and on and on, and the dialer says so before each end."""
        self.extend(*self.draw_claim(data, lambda claim: claim.state in {"held", "reserved"}), *how)

    def attempt(self, org: model.Org, claim: model.Claim | None) -> None:
        refused = "claim-not-found" if claim is None else org.refuses_attempt(claim, self.world.now_ms())
        told = self.ask(org, lambda to, known: to.claims.attempt(known, claim.id if claim else self.stranger(org)))
        assert slug_of(told) == refused
        if claim and isinstance(told, domain.Claim):
            org.attempted(claim, told.attempted_at_ms or 0)
            self.met(org, claim)
            self.held_against(org, told, claim)

    @precondition(lambda self: any(claim.state == "held" for org in self.orgs.values() for claim in org.claims.values()))
    @rule(data=st.data())
    def hang_up_for_today(self, data: st.DataObject) -> None:
        """A session ends, and ends once more: what it held is given back, what was attempted stays (R6)."""
        org, claim = self.draw_claim(data, lambda claim: claim.state == "held")
        session = claim.taker.session if claim else "nobody's"
        held = org.held_by(session, self.world.now_ms())
        assert self.ask(org, lambda to, known: to.claims.end_session(known, session)) == len(held)
        assert self.ask(org, lambda to, known: to.claims.end_session(known, session)) == 0
        self.world.commands("DEL", f"{prefix(org.id)}session-end:{encoded(session)}")  # which goes by itself, at a time that is no act's
        for given in held:
            org.released(given, self.ended_ms(org, given))

    def release(self, org: model.Org, claim: model.Claim | None) -> None:
        refused = "claim-not-found" if claim is None else org.refuses_release(claim, self.world.now_ms())
        told = self.ask(org, lambda to, known: to.claims.release(known, claim.id if claim else self.stranger(org)))
        assert slug_of(told) == refused
        if claim and told is None and claim.state == "held":
            org.released(claim, self.ended_ms(org, claim))

    def ended_ms(self, org: model.Org, claim: model.Claim) -> int:
        """When a claim ended, as the service has it."""
        told = self.ask(org, lambda to, known: to.claims.get(known, claim.id))
        assert isinstance(told, domain.Claim)
        return told.expires_at_ms or 0

    def extend(self, org: model.Org, claim: model.Claim | None, seconds: int, times: int) -> None:
        if claim is None:
            assert slug_of(self.ask(org, lambda to, known: to.claims.extend(known, self.stranger(org), seconds))) == "claim-not-found"
            return
        for again in range(times):
            if again and not self.nearly_over(org, claim):
                break
            before_ms = self.world.now_ms()
            told = self.ask(org, lambda to, known: to.claims.extend(known, claim.id, seconds))
            after_ms = self.world.now_ms()
            refusals = {org.refuses_extension(claim, at_ms + seconds * 1_000, at_ms) for at_ms in (before_ms, after_ms)}
            assert slug_of(told) in refusals
            if isinstance(told, domain.Claim):
                until_ms = told.expires_at_ms or 0
                assert until_ms == claim.ends_ms or before_ms <= until_ms - seconds * 1_000 <= after_ms
                org.extended(claim, until_ms)
                self.met(org, claim)
                assert until_ms == claim.ends_ms
                self.held_against(org, told, claim)

    def nearly_over(self, org: model.Org, claim: model.Claim) -> bool:
        """Lets a claim come near its end, if it has one."""
        now_ms = self.world.now_ms()
        if claim.state == "unreserved" or not org.stands(claim, now_ms):
            return False
        self.older(org, claim, (claim.ends_ms or 0) - now_ms - 50_000)
        return True

    def dispose(self, org: model.Org, claim: model.Claim | None, outcome: str, *, remove: bool, note: str | None) -> None:
        refused = "claim-not-found" if claim is None else org.refuses_disposition(claim, remove=remove)
        id_ = claim.id if claim else self.stranger(org)
        told = self.ask(org, lambda to, known: to.claims.dispose(known, id_, outcome, remove=remove, note=note))
        assert slug_of(told) == refused
        if claim and refused is None:
            org.disposed(claim, outcome, remove=remove, note=note)

    def look_up(self, org: model.Org, claim: model.Claim | None) -> None:
        told = self.ask(org, lambda to, known: to.claims.get(known, claim.id if claim else self.stranger(org)))
        if claim is None:
            assert slug_of(told) == "claim-not-found"
            return
        assert isinstance(told, domain.Claim)
        self.held_against(org, told, claim)
        recorded = told.disposition
        assert (recorded and (recorded.outcome, recorded.remove, recorded.note)) == claim.disposition

    @rule(data=st.data(), taker=takers, counts=st.lists(st.integers(1, 2), min_size=2, max_size=4), same_key=st.booleans())
    def race(self, data: st.DataObject, taker: model.Taker, counts: list[int], same_key: bool) -> None:
        """Several sessions of one rep claim at once, through both processes (R1); two of the requests may be one, sent twice."""
        org = self.draw_org(data)
        list_ = data.draw(st.sampled_from(sorted(org.lists) or ["nowhere"]), "list")
        if list_ not in org.lists or not org.settings[org.lists[list_].integration].enabled:
            return
        free = org.wanted(org.lists[list_], taker, sum(counts), self.world.now_ms())
        asked = [(replace(taker, session=f"race {number}"), count, f"race {self.turn} {number}") for number, count in enumerate(counts)]
        told = self.world.run(self.at_once(org, list_, asked + asked[:1] * same_key))
        assert all(isinstance(one, domain.Granted) for one in told), told
        grants = [one.claims for one in told if isinstance(one, domain.Granted)]
        if same_key:
            assert [claim.id for claim in grants.pop()] == [claim.id for claim in grants[0]]
        taken = sorted(zip(asked, grants, strict=True), key=lambda one: [free.index(claim.prospect) for claim in one[1]] or [len(free)])
        got = [claim.prospect for _, claims in taken for claim in claims]
        assert got == free[: len(got)], f"granted {got}, not {free}"
        assert self.tight or len(got) == len(free), f"granted only {got} of {free}"
        for (racer, count, key), claims in taken:
            if claims:
                org.tokens[key] = ("next", list_, racer, count), [claim.id for claim in claims]
            for claim in claims:
                self.held_against(org, claim, org.granted((claim.integration, claim.prospect), list_, racer, claim.id, claim.claimed_at_ms))

    async def at_once(self, org: model.Org, list_: str, asked: list[tuple[model.Taker, int, str]]) -> list[domain.Granted | Refused]:
        self.acted = {org.id}

        async def claim(number: int, taker: model.Taker, count: int, key: str) -> domain.Granted | Refused:
            process = self.processes[number % 2]
            own = self.request(taker, count, key, ("next", list_, taker, count))
            return await process.orgs.ask(org.id, lambda known: process.claims.claim_next(known, list_, *own))

        return list(await asyncio.gather(*(claim(number, *one) for number, one in enumerate(asked))))

    @rule(data=st.data(), taker=takers, count=st.integers(1, 2))
    def wait(self, data: st.DataObject, taker: model.Taker, count: int) -> None:
        """A list has nobody for a rep, who waits by one process; somebody gives one back by the other, and it is that one whom the rep is granted (R13)."""
        org = self.draw_org(data)
        list_ = data.draw(st.sampled_from(sorted(org.lists) or ["nowhere"]), "list")
        if list_ not in org.lists or not org.settings[org.lists[list_].integration].enabled:
            return
        now_ms = self.world.now_ms()
        held = [claim for claim in org.taken_in(org.lists[list_], now_ms, taker.rep) if claim.state == "held"]
        if not held or org.free(org.lists[list_], now_ms, taker.rep):
            return
        given = data.draw(st.sampled_from(held), "given back")
        told = self.world.run(self.wait_for(org, list_, taker, count, given.id))
        assert isinstance(told, domain.Granted)
        assert [claim.prospect for claim in told.claims] == [given.prospect]
        org.released(given, self.ended_ms(org, given))
        self.granted_on(org, list_, taker, count, told.claims, now_ms)
        self.figures(org, org.lists[list_], taker.rep, told)

    async def wait_for(self, org: model.Org, list_: str, taker: model.Taker, count: int, given: str) -> domain.Granted | Refused:
        self.acted = {org.id}
        one, other = self.process, self.process
        wait = one.claims.waiting.begin(20)
        own = self.request(taker, count, None, ("wait", self.turn))
        waiting = asyncio.create_task(one.orgs.ask(org.id, lambda known: one.claims.claim_next(known, list_, *own, wait)))
        start = prefix(org.id)
        await await_until(lambda: self.world.commands("ZCARD", f"{start}list:{list_}:waiting") or waiting.done(), "it waits")
        assert await other.orgs.ask(org.id, lambda known: other.claims.release(known, given)) is None
        told = await waiting
        await one.claims.waiting.close()
        self.world.commands("DEL", f"{start}waiting-processes")  # which goes by itself, at a time that is no act's
        return told
