"""Every query of the dashboard and every alert names metrics, and labels, that the code exports; every alert has a runbook."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pinion_ipfs.backends.breaker import CircuitState
from pinion_operator.metrics import Metrics as OperatorMetrics
from pinion_runtime.pod.metrics import Metrics as RuntimeMetrics
from tests.support.dashboards import ALERTS, QUERIES, SCRAPED, metrics_of
from tests.support.promql import QueryError, read

ROOT = Path(__file__).resolve().parents[3]
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def exported() -> dict[str, set[str]]:
    """Return every sample name with its labels."""
    runtime = RuntimeMetrics()
    runtime.watch_queue(lambda: (0, 0))
    runtime.generation.watch(lambda: (0, 0), 1)
    runtime.watch_circuits(lambda: {"ipfs": CircuitState.CLOSED})
    samples: dict[str, set[str]] = {}
    for registry in (runtime.registry, OperatorMetrics().registry):
        assert isinstance(registry, CollectorRegistry)
        for collector in list(registry._collector_to_names):  # the registry tells no labels of families without samples
            for family in collector.describe() if hasattr(collector, "describe") else collector.collect():
                labels = set(getattr(collector, "_labelnames", ())) or {
                    name for sample in family.samples for name in sample.labels
                }
                for suffix in SUFFIXES[family.type]:
                    samples[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return samples


EXPORTED = exported()


@pytest.mark.parametrize("expression", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_names_what_is_exported(expression: str) -> None:
    query = read(expression)
    metrics = metrics_of(query.metrics)
    assert metrics, expression
    for name, labels in metrics.items():
        assert name in EXPORTED, f"nothing exports {name}"
        assert labels <= EXPORTED[name] | SCRAPED, f"{name} has the labels {sorted(EXPORTED[name])}, not {sorted(labels)}"
    known = set().union(*(EXPORTED[name] for name in metrics)) | SCRAPED
    assert query.grouped <= known, f"grouped by {sorted(query.grouped - known)}, which none of {sorted(metrics)} has"


def test_a_query_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(QueryError):
        read("sum(a) ; drop")
    assert read('rate(nothing_exports_this{a="b"}[5m])').metrics == {"nothing_exports_this": {"a"}}


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_an_alert_has_a_runbook(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (\S+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_every_runbook_is_of_an_alert() -> None:
    headings = re.findall(r"^## (\S+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    assert set(headings) == {rule["alert"] for rule in ALERTS}
