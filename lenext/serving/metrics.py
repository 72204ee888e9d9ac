"""What a server has done, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lenext.serving.batching import Line

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # seconds
OTHER = "other"  # what a path that there is not is counted as


class Metrics:
    """Counters of requests and images, and how long answers took."""

    def __init__(self, line: Line) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lenext_requests_total", "Requests that were answered", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "lenext_request_seconds",
            "From the first byte to the answer",
            ["path"],
            buckets=BOUNDS,
            registry=self.registry,
        )
        self.images = Counter(
            "lenext_images_total", "Images by what came of them", ["model", "outcome"], registry=self.registry
        )
        waiting = Gauge("lenext_images_waiting", "Images that wait for their turn", registry=self.registry)
        waiting.set_function(lambda: len(line))

    def page(self) -> Response:
        """Return all figures as Prometheus reads them."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class Measured:
    """An application whose requests are counted, under the path of the route that answered them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            path = getattr(scope.get("route"), "path", OTHER)
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - began)
