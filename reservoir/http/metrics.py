"""What Prometheus reads: how the service is, for everybody; and with an org's key, how that org's lists are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from reservoir import __version__, metrics
from reservoir.domain.lists import ListState
from reservoir.domain.times import SECOND_MS
from reservoir.http.serving import STALE_MOST, visit_of
from reservoir.http.visit import Visit
from reservoir.storage.clock import HostTime
from reservoir.storage.orgs import StaleError
from reservoir.storage.redis import StoreUnavailableError
from reservoir.storage.replies import integer

LISTS_MOST = 1_000
"""Of so many lists of an org, by id, the series are told: a scrape is not to be as long as an org is large."""
PAGE = 100


class _Told(Collector):
    """Families that were found beforehand, for the library to write."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """What was found."""
        return self._families


async def read_metrics(request: web.Request) -> web.StreamResponse:
    """The service's own series, over all its processes, and those of the key's org if there is one.

    A store that is away takes the org's with it, and not the rest: that is when they are wanted.
    """
    families = list(_service())
    for _ in range(STALE_MOST):
        try:
            visit = await visit_of(request)
            families += [] if visit is None else await _org(visit)
        except StaleError:
            continue
        except StoreUnavailableError:
            pass
        break
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(families))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def _service() -> Iterator[Metric]:
    yield InfoMetricFamily("reservoir_build", "The version that runs.", {"version": __version__})
    for metric in metrics.METRICS:
        totals = metric.totals()
        if metric.kind == "histogram":
            yield _histogram(metric, totals.items())
            continue
        made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = made(metric.name, metric.about, labels=metric.labels)
        if not metric.labels and not totals:
            family.add_metric((), 0.0)
        for series, number in sorted(totals.items()):
            family.add_metric(series, number)
        yield family


def _histogram(metric: metrics.Metric, numbers: Iterable[tuple[metrics.Series, float]]) -> Metric:
    counts: dict[metrics.Series, list[float]] = defaultdict(lambda: [0.0] * (len(metric.bounds) + 1))
    sums: dict[metrics.Series, float] = defaultdict(float)
    for series, number in numbers:
        bucket = metric.bucket(series)
        if bucket is None:
            sums[series[:-1]] = number
        else:
            counts[series[:-1]][bucket] = number
    family = HistogramMetricFamily(metric.name, metric.about, labels=metric.labels)
    for labels, found in sorted(counts.items()):
        below, so_far = [], 0.0
        for bound, count in zip((*map(str, metric.bounds), "+Inf"), found, strict=True):
            so_far += count
            below.append((bound, so_far))
        family.add_metric(labels, below, sums[labels])
    return family


async def _org(visit: Visit) -> list[Metric]:
    """The org's series. **Raises**: StaleError, StoreUnavailableError."""
    services, org = visit.services, visit.org
    await services.orgs.read("read_taken", org)  # nothing but whether the key that asks still stands
    states: list[ListState] = []
    after: str | None = None
    while len(states) < LISTS_MOST:
        page, after = await services.lists.page(org, PAGE, after)
        states += page
        if after is None:
            break
    now_ms = services.store.clock.predict(HostTime.read())
    taken = integer(await services.store.command("ZCOUNT", f"{org.prefix}ends", now_ms, "+inf"))
    lists = integer(await services.store.command("ZCARD", f"{org.prefix}lists"))
    return [
        _gauge("reservoir_org_taken", "Prospects that are held or reserved now.", ("org",), [((org.id,), taken)]),
        _gauge("reservoir_org_lists", "Lists of the org.", ("org",), [((org.id,), lists)]),
        *_lists(org.id, states, now_ms),
    ]


def _lists(org_id: str, states: list[ListState], now_ms: int) -> Iterator[Metric]:
    labels = ("org", "list")
    counted = [
        ((org_id, state.definition.id, name), getattr(state.counts, name)) for state in states for name in ("available", "held", "reserved", "undialable")
    ]
    yield _gauge("reservoir_list_members", "Members of a list, by how they stand.", (*labels, "state"), counted)
    by_list = [((org_id, state.definition.id), state) for state in states]
    yield _gauge(
        "reservoir_list_clogged", "The reserved part of who can be dialed, from 0 to 1.", labels, [(key, state.counts.clogged) for key, state in by_list]
    )
    yield _gauge("reservoir_list_fetched", "Members that the last sync fetched.", labels, [(key, state.fetched) for key, state in by_list])
    yield _gauge("reservoir_list_truncated", "1: the CRM cut the list and it was not read on.", labels, [(key, state.truncated) for key, state in by_list])
    synced = [(key, state.last_sync) for key, state in by_list if state.last_sync is not None]
    ages = [(key, (now_ms - (sync.finished_at_ms or sync.started_at_ms)) / SECOND_MS) for key, sync in synced]
    yield _gauge("reservoir_list_sync_age_seconds", "Since the newest sync ended, or began if it still runs.", labels, ages)
    failed = [(key, sync.state == "failed") for key, sync in synced]
    yield _gauge("reservoir_list_sync_failed", "1: the newest sync failed.", labels, failed)


def _gauge(name: str, about: str, labels: tuple[str, ...], numbers: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for series, number in numbers:
        family.add_metric(series, float(number))
    return family
