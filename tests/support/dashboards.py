"""The queries of the chart's dashboard and alerts, by where they stand."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from devcluster.install import CHART
from pinion_contract import metric_names as names

_DASHBOARD = json.loads((CHART / "dashboards" / "pinion.json").read_text())
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((CHART / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
VARIABLES: dict[str, str] = {
    f"variable {variable['name']}": variable["query"]["query"]
    for variable in _DASHBOARD["templating"]["list"]
    if variable["type"] == "query"
}
PANELS: dict[str, str] = {
    f"{panel['title']} {target['refId']}": target["expr"] for panel in _DASHBOARD["panels"] for target in panel["targets"]
}
QUERIES: dict[str, str] = PANELS | VARIABLES | {f"alert {rule['alert']}": rule["expr"] for rule in ALERTS}
SCRAPED = {"namespace", "pod"}  # labels that every target of a PodMonitor has
_NO_METRICS = SCRAPED | {"model"}  # what `label_values(metric, label)` names besides


_OF_GENERATED_TEXT = (  # families that a model has which generates text, and no other
    names.TIME_TO_FIRST_TOKEN_SECONDS,
    names.INTER_TOKEN_LATENCY_SECONDS,
    names.SEQUENCES_RUNNING,
    names.KV_CACHE_TOKENS,
    names.PREFIX_TOKENS_TOTAL,
    names.ANSWERS_TOTAL,
)


def is_of_generated_text(metric: str) -> bool:
    """Tell whether a metric, or the count of one, is exported where text is generated alone."""
    return metric.startswith(_OF_GENERATED_TEXT)


def exported(texts: Iterable[str]) -> dict[str, set[str]]:
    """Return each sample's name that these expositions hold, with its labels."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def missing(asked: Mapping[str, Mapping[str, set[str]]], live: Mapping[str, set[str]]) -> list[str]:
    """Return what queries ask for, by where they stand, and nothing exports, with the labels that they select."""
    wanted = [(where, name, labels) for where, metrics in asked.items() for name, labels in metrics.items()]
    return [
        f"{where}: {name} {sorted(labels)}"
        for where, name, labels in wanted
        if name not in live or not labels <= live[name] | SCRAPED
    ]


def metrics_of(named: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return those of a query's names that are metrics."""
    return {name: labels for name, labels in named.items() if name not in _NO_METRICS}
