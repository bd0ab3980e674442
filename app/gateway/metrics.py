"""`/metrics` for Prometheus: what the database says at the moment of asking, and what this process counted."""

import time
from collections.abc import Iterable, Iterator
from threading import Lock

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.responses import Response

from app.edge.addresses import header, host_name
from app.gateway.bearer import UNKNOWN
from core.domains.users import service as users
from core.errors import NotAllowed, OpsError
from core.kit import db
from core.kit.db import STAFF
from core.runtime.agents.queries import cost_today
from core.runtime.runs import heartbeats
from core.runtime.runs.measures import Measures, measures

FRESH_S = 1.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "testclient"})
PROXY_HEADERS = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via")


class DatabaseMeters(Collector):
    """Read from the database at each scrape, at most once a second however many ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._read_at = 0.0
        self._last: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                self._last = list(_read())
                self._read_at = time.monotonic()
            yield from self._last


def _read() -> Iterator[Metric]:
    try:
        with db.transaction(STAFF) as session:
            ledger, beats, cost = measures(session), heartbeats.beats(session), cost_today(session)
    except OpsError:
        yield GaugeMetricFamily("ops_database_up", "Whether the database answers.", value=0)
        return
    yield GaugeMetricFamily("ops_database_up", "Whether the database answers.", value=1)
    yield from _of_ledger(ledger)
    yield _gauge("ops_heartbeat_age_seconds", "Time since a process last said it is alive.", "process", [
        (b.process, b.age_s) for b in beats
    ])  # fmt: skip
    yield GaugeMetricFamily("ops_model_cost_today_usd", "What the model cost since midnight, in US dollars.", value=cost / 1e6)


def _of_ledger(ledger: Measures) -> Iterator[Metric]:
    yield _gauge("ops_runs", "Runs by state.", "state", ledger.by_state.items())
    yield _gauge("ops_queue_depth", "Runs that could start now and wait for a worker.", "queue", ledger.runnable.items())
    yield GaugeMetricFamily(
        "ops_oldest_runnable_seconds", "For how long the oldest of them has waited.", value=ledger.oldest_runnable_s
    )
    took = GaugeMetricFamily(
        "ops_run_duration_seconds", "How long runs took that ended within the last hour.", labels=("kind", "quantile")
    )
    for d in ledger.durations:
        for quantile, value in (("0.5", d.p50_s), ("0.95", d.p95_s), ("1", d.max_s)):
            took.add_metric((d.kind, quantile), value)
    yield took
    yield _gauge("ops_runs_ended_last_hour", "Runs that ended within the last hour.", "kind", [
        (d.kind, d.count) for d in ledger.durations
    ])  # fmt: skip


def _gauge(name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    made = GaugeMetricFamily(name, help_text, labels=(label,))
    for key, value in values:
        made.add_metric((key,), value)
    return made


def _from_this_machine(request: Request) -> bool:
    """Whether a program on this very machine asks, and not a proxy here for somebody elsewhere."""
    if request.client is None or request.client.host not in LOOPBACK:
        return False
    if any(header(request.scope, name) for name in PROXY_HEADERS):
        return False
    return host_name(header(request.scope, b"host")) in ("localhost", "127.0.0.1", "::1", "testserver")


def _allow(request: Request) -> None:
    if _from_this_machine(request):
        return
    kind, _, presented = (header(request.scope, b"authorization") or "").partition(" ")
    with db.transaction(STAFF) as session:
        known = users.authenticate_key(session, presented.strip()[:200] if kind.lower() == "bearer" else "")
    if known is None:
        raise UNKNOWN
    if "metrics:read" not in known.scopes:
        raise NotAllowed("This key may not read metrics.", "Make one that may: `ops keys create NAME --scope metrics:read`.")


def install(app: FastAPI, registry: CollectorRegistry) -> None:
    """Add `/metrics`: open to programs on this machine, elsewhere with a key of the scope metrics:read."""
    registry.register(DatabaseMeters())

    @app.get("/metrics", include_in_schema=False)
    def metrics_page(request: Request) -> Response:
        _allow(request)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST, headers={"cache-control": "no-store"})
