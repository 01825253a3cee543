"""Where a managed Kubo runs, and as whom."""

from typing import Any

import pytest

from pinion_operator.reconcile.backend.children import pending_children

IDS = {"runAsUser", "runAsGroup", "fsGroup"}
PLACEMENT: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "storage", "operator": "Exists"}],
    "affinity": {"podAffinity": {}},
    "priorityClassName": "models",
}


def pod(backends: Any, run_as: str = "Fixed", **managed: Any) -> dict[str, Any]:
    seen = backends.observed(backends.make(managed=managed), run_as=run_as)
    (statefulset,) = [child for child in pending_children(seen, seen.backend).apply if child["kind"] == "StatefulSet"]
    return dict(statefulset["spec"]["template"]["spec"])


def test_it_runs_where_it_is_told_to(backends: Any) -> None:
    plain, told = pod(backends), pod(backends, **PLACEMENT)
    assert told == {**plain, **PLACEMENT}
    assert not PLACEMENT.keys() & plain.keys()


def test_what_is_not_said_changes_nothing(backends: Any) -> None:
    said = {"nodeSelector": {}, "tolerations": [], "affinity": {}, "priorityClassName": "", "runAs": ""}
    assert pod(backends, **said) == pod(backends), "an upgrade restarts no daemon"


@pytest.mark.parametrize(
    ("said", "default", "asked"),
    [("", "Fixed", True), ("", "Cluster", False), ("Fixed", "Cluster", True), ("Cluster", "Fixed", False)],
)
def test_user_and_group_are_ours_or_the_clusters(backends: Any, said: str, default: str, asked: bool) -> None:
    context = pod(backends, default, runAs=said)["securityContext"]
    assert IDS & context.keys() == (IDS if asked else set())
    assert context["runAsNonRoot"] is True
