"""The pod of a managed Kubo: what it gets from the operator's settings, and that it stays as it is without any."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinion_operator.reconcile.backend.children import pending_children
from pinion_operator.resources.platform import PLAIN, Platform

GOLDEN = json.loads((Path(__file__).parents[2] / "data/golden/kubo-statefulsets.json").read_text())
SPECS: dict[str, dict[str, Any]] = {
    "nothing said": {},
    "everything that could be said": {
        "image": "kubo:2",
        "storage": {"type": "EmptyDir", "size": "2Gi"},
        "resources": {"requests": {"cpu": 1}, "limits": {"memory": "2Gi"}},
    },
}
SECRETS = Platform(image_pull_secrets=("registry",))


def statefulset(backends: Any, managed: dict[str, Any], platform: Platform = PLAIN) -> dict[str, Any]:
    seen = backends.observed(backends.make(managed=managed), platform=platform)
    return next(dict(child) for child in pending_children(seen, seen.backend).apply if child["kind"] == "StatefulSet")


def pod(backends: Any, managed: dict[str, Any], platform: Platform = PLAIN) -> dict[str, Any]:
    spec: dict[str, Any] = statefulset(backends, managed, platform)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("name", SPECS)
def test_an_upgrade_restarts_no_daemon(backends: Any, name: str) -> None:
    """Byte for byte what the operator rendered before it had these settings and fields."""
    assert json.dumps(statefulset(backends, SPECS[name])) == json.dumps(GOLDEN[name])


def test_secrets_of_a_registry(backends: Any) -> None:
    mine = {"imagePullSecrets": [{"name": "mine"}]}
    assert pod(backends, {}, SECRETS)["imagePullSecrets"] == [{"name": "registry"}]
    assert pod(backends, mine, SECRETS)["imagePullSecrets"] == [{"name": "mine"}]
    assert pod(backends, mine)["imagePullSecrets"] == [{"name": "mine"}]
