"""The queries of the chart's dashboard and alerts, by where they stand."""

import json
from typing import Any

import yaml

from devcluster.install import CHART

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


def metrics_of(named: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return those of a query's names that are metrics."""
    return {name: labels for name, labels in named.items() if name not in _NO_METRICS}
