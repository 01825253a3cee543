"""The pages say what is: every condition and reason, every metric, every link."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pinion_ipfs.backends.breaker import CircuitState
from pinion_operator.conditions import ConditionType, Reason
from pinion_operator.metrics import Metrics as OperatorMetrics
from pinion_runtime.pod.metrics import Metrics as RuntimeMetrics

ROOT = Path(__file__).resolve().parents[3]
STATUS = (ROOT / "docs/status-and-conditions.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
_CODE = set(re.findall(r"`([A-Za-z]+)`", STATUS))


@pytest.mark.parametrize("type_", list(ConditionType))
def test_a_condition_is_explained(type_: ConditionType) -> None:
    assert type_.value in _CODE


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_is_explained(reason: Reason) -> None:
    assert reason.value in _CODE


def test_nothing_is_explained_that_does_not_exist() -> None:
    rows = re.findall(r"^\| (`[A-Z][^|]*`) \|", STATUS, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([A-Za-z]+)`", row)}
    assert named <= {*ConditionType, *Reason}, named - {*ConditionType, *Reason}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_metric_is_in_its_page_with_its_labels_and_no_other_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    told = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    runtime = RuntimeMetrics()
    runtime.watch_queue(lambda: (0, 0))
    runtime.generation.watch(lambda: (0, 0), 1)
    runtime.watch_circuits(lambda: {"ipfs": CircuitState.CLOSED})
    there = exported(runtime.registry) | exported(OperatorMetrics().registry)
    assert told == {name: facts for name, facts in there.items() if name.startswith(("hf_server_", "pinion_"))}


def exported(registry: CollectorRegistry) -> dict[str, tuple[str, frozenset[str]]]:
    found = {}
    for collector in list(registry._collector_to_names):
        for family in collector.describe() if hasattr(collector, "describe") else collector.collect():
            sampled = {name for sample in family.samples for name in sample.labels}
            labels = frozenset(getattr(collector, "_labelnames", ())) or frozenset(sampled)
            found[family.name + ("_total" if family.type == "counter" else "")] = (family.type, labels)
    return found
