"""GET /metrics: the service for everybody, an org's lists for its own keys, and no org's data otherwise (R17). GET /docs: the API as a page."""

import re
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reservoir import metrics
from reservoir.http.docs import OWN, SWAGGER
from tests.support.engine import EngineProcess
from tests.support.service import App, Caller, running
from tests.support.waiting import await_until

Numbers = Mapping[str, float]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process counts from nothing."""
    monkeypatch.setattr(metrics, "_board", metrics.Board(1))


async def scraped(caller: Caller) -> Numbers:
    """All samples of a scrape, by their names with their labels, as the format's own parser reads them."""
    told = await caller.get("/metrics")
    assert told.headers["Content-Type"].startswith("text/plain; version=")
    found = {}
    for family in text_string_to_metric_families(told.text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


async def test_what_was_asked_granted_and_refused_is_counted(app: App, admin: Caller) -> None:
    """Requests by route and status, claims by mode and state, refusals by type; a repeat grants nothing more."""
    list_ = await admin.make_list("West", [f"p{number}" for number in range(9)])
    await admin.claim(list_, 2, key="k")
    await admin.claim(list_, 2, key="k")
    await admin.claim(list_, 3, hold_seconds=60)
    await admin.claim_one("p9")
    await admin.enable(enabled=False)
    await admin.claim(list_, mode="power")
    await admin.claim("nowhere", expect=404)
    await app.caller().get("/v1/lists", 401)
    await app.caller().get("/nowhere", 404)
    told = await scraped(app.caller())
    assert {name: number for name, number in told.items() if name.startswith("reservoir_claims_total")} == {
        "reservoir_claims_total{mode=parallel,state=reserved}": 2,
        "reservoir_claims_total{mode=parallel,state=held}": 3,
        "reservoir_claims_total{mode=power,state=reserved}": 1,
        "reservoir_claims_total{mode=power,state=unreserved}": 1,
    }
    assert {name: number for name, number in told.items() if name.startswith("reservoir_refusals_total")} == {
        "reservoir_refusals_total{type=list-not-found}": 1,
        "reservoir_refusals_total{type=unauthenticated}": 1,
        "reservoir_refusals_total{type=not-found}": 1,
    }
    route = "method=POST,route=/v1/lists/{list}/claims"
    assert told[f"reservoir_http_request_seconds_count{{{route},status=201}}"] == 4
    assert told[f"reservoir_http_request_seconds_count{{{route},status=404}}"] == 1
    assert told["reservoir_http_request_seconds_count{method=-,route=-,status=404}"] == 1
    assert told[f"reservoir_http_request_seconds_bucket{{le=+Inf,{route},status=201}}"] == 4
    assert 0 < told[f"reservoir_http_request_seconds_sum{{{route},status=201}}"] < 60
    assert told["reservoir_store_call_seconds_count{verb=claim}"] >= 5


async def test_without_a_key_no_org_is_shown_and_with_one_its_own_alone(app: App, admin: Caller) -> None:
    """R17: nothing of any org for a caller without a key; with a key of any scope that reads, its org's lists as GET tells of them, and no other's."""
    other = await app.org("other")
    await other.make_list("Zebra", ["z1"])
    list_ = await admin.make_list("West", ["p1", "p2", "p3", {"id": "p4", "phone": "none"}, {"id": "p5", "do_not_call": "yes"}])
    await admin.claim(list_)
    await admin.claim(list_, hold_seconds=60)
    open_ = await app.caller().get("/metrics")
    for word in ("acme", "other", "west", "zebra"):
        assert word not in open_.text.lower()
    for caller in (admin, await app.member_of("acme", "read")):
        told = await scraped(caller)
        assert not [name for name in told if "zebra" in name or "other" in name]
        counts = await admin.counts(list_)
        assert {name: told[f"reservoir_list_members{{list=west,org=acme,state={name}}}"] for name in counts if name != "members"} == {
            name: count for name, count in counts.items() if name != "members"
        }
        state = (await admin.get(f"/v1/lists/{list_}")).json
        assert told["reservoir_list_clogged{list=west,org=acme}"] == pytest.approx(state["clogged"])
        assert told["reservoir_list_fetched{list=west,org=acme}"] == state["fetched"]
        assert told["reservoir_org_taken{org=acme}"] == 2
        assert told["reservoir_org_lists{org=acme}"] == 1
        assert 0 <= told["reservoir_list_sync_age_seconds{list=west,org=acme}"] < 300
        assert told["reservoir_list_sync_failed{list=west,org=acme}"] == 0


async def test_a_key_that_is_not_known_is_refused(app: App, other_app: App, admin: Caller) -> None:
    """A scrape whose key was revoked fails at once, in every process, in place of losing its org's series without a word."""
    made = (await admin.post("/v1/api-keys", {"name": "prometheus", "scopes": ["read"]}, 201)).json
    prometheus = app.caller(made["key"])
    for one in (app, other_app):
        await scraped(prometheus.at(one))
    await admin("DELETE", f"/v1/api-keys/{made['id']}", expect=204)
    for one in (other_app, app):
        (await prometheus.at(one).get("/metrics", 401)).refused(401, "unauthenticated")


async def test_a_store_that_is_away_takes_only_the_orgs_series_with_it() -> None:
    """The service's own are told, with the key and without: that is when they are wanted. Connections that come again are counted."""
    with EngineProcess(durable=True) as engine:
        async with running(engine.url) as app:
            acme = await app.org("acme")
            await acme.make_list("West", ["p1"])
            assert "reservoir_org_lists{org=acme}" in await scraped(acme)
            engine.kill9()
            stranger = app.caller(f"rsv_zebra_{'a' * 12}_{'a' * 52}")
            for caller in (acme, stranger):
                assert "reservoir_org" not in str(await scraped(caller))
            told = await scraped(app.caller())
            assert told["reservoir_store_reconnects_total{}"] == 0
            engine.restart()

            async def there_again() -> bool:
                return "reservoir_org_lists{org=acme}" in await scraped(acme)

            await await_until(there_again, "the org's series to be there again")
            assert (await scraped(acme))["reservoir_store_reconnects_total{}"] >= 1


async def test_settling_tells_how_late_it_was(app: App, admin: Caller) -> None:
    """A hold that lapses is settled, and how long after its end is counted; the look itself says when it was."""
    list_ = await admin.make_list("West", ["p1"])
    await admin.claim(list_, hold_seconds=60)
    settling = app.services.settling
    await settling.turn()
    settling._next_ms["acme"] -= 61_000
    await settling.turn()
    told = await scraped(app.caller())
    assert told["reservoir_settle_lag_seconds_count{}"] == 1
    assert told["reservoir_settle_lag_seconds_sum{}"] == pytest.approx(1, abs=1)
    assert told["reservoir_settled_timestamp_seconds{}"] > 1.7e9
    assert told["reservoir_store_clock_off_seconds{}"] == 0


async def test_the_docs_are_a_page_of_our_own_assets(app: App) -> None:
    """No key, no other host: everything that the page names is served here, and nothing else is."""
    page = await app.caller().get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {name.removeprefix("docs/") for name in named if name.startswith("docs/")} == OWN | SWAGGER
    assert [name for name in named if not name.startswith("docs/")] == ["openapi.json"]
    for name in sorted(OWN | SWAGGER):
        async with app.http.get(f"{app.root}/docs/{name}") as asset:
            assert asset.status == 200, name
            assert len(await asset.read()) > 100
            assert asset.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("index.html", "swagger-editor.js", "..%2Fdocs.py", "%2Fetc%2Fpasswd"):
        assert (await app.caller().get(f"/docs/{name}", None)).status == 404
