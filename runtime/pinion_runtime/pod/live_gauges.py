"""Gauges whose value is asked for at each scrape: what something else knows already is not kept a second time."""

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class LiveGauges(Collector):
    """Collects what a function returns."""

    def __init__(self, collect: Callable[[], Iterable[GaugeMetricFamily]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges as they are now."""
        return self._collect()
