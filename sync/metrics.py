"""What an operator acts on, as OpenMetrics: `/metrics` of the hooks process. Ids and ages; no names, no amounts."""

import hmac
import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from storage import gauges
from storage.gauges import Gauge
from sync.environment import Environment
from sync.qbo.limits import READS_A_MONTH

HERE = ("127.0.0.1", "::1")


class Collector:
    """Reads the database at each scrape."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def collect(self) -> Iterator[Metric]:
        with self._environment.database.read() as conn:
            found = list(gauges.all_of(conn, self._environment.clock.now(), READS_A_MONTH))
        for name in sorted({gauge.name for gauge in found}):
            yield _family([gauge for gauge in found if gauge.name == name])


def _family(gauges: list[Gauge]) -> Metric:
    first = gauges[0]
    family = GaugeMetricFamily(f"tieout_{first.name}", first.help, labels=[name for name, _ in first.labels])
    for gauge in gauges:
        family.add_metric([value for _, value in gauge.labels], gauge.value)
    return family


def answer(environment: Environment, request: Request) -> Response:
    """For this machine; for others only with the token of TIEOUT_METRICS_TOKEN."""
    if not _may(request):
        return PlainTextResponse("Set TIEOUT_METRICS_TOKEN and send it as a bearer token.\n", status_code=403)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(environment))
    body = generate_latest(registry)  # type: ignore[no-untyped-call]
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def _may(request: Request) -> bool:
    token = os.environ.get("TIEOUT_METRICS_TOKEN")
    if token:
        sent = request.headers.get("authorization", "")
        return hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())
    # Behind a reverse proxy everybody comes from this machine, and says so.
    is_forwarded = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    return request.client is not None and request.client.host in HERE and not is_forwarded
