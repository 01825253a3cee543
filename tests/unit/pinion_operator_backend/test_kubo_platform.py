"""The pod of a managed Kubo: what it gets from the operator's settings, and that it stays as it is without any."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinion_operator.reconcile.backend.children import pending_children
from pinion_operator.resources.extra_env import parse_extra_env
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


def test_variables_and_authorities(backends: Any) -> None:
    team = {"name": "TEAM", "value": "nlp"}
    spec = pod(backends, {}, Platform(env=(team,), authorities="PEM"))
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "authorities"]
    assert volume["configMap"] == {"name": "b-kubo", "items": [{"key": "ca.crt", "path": "ca.crt"}], "optional": True}
    for container in (*spec["initContainers"], *spec["containers"]):
        assert team in container["env"]
        assert {"name": "SSL_CERT_DIR", "value": "/etc/ssl/certs:/etc/pinion/authorities"} in container["env"]
        mounts = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "authorities"]
        assert mounts == ["/etc/pinion/authorities"]


def test_other_authorities_restart_no_daemon(backends: Any) -> None:
    one, other = Platform(authorities="one"), Platform(authorities="other")
    assert statefulset(backends, {}, one) == statefulset(backends, {}, other)
    for platform in (PLAIN, one, other):
        seen = backends.observed(backends.make(), platform=platform)
        (data,) = [child["data"] for child in pending_children(seen, seen.backend).apply if child["kind"] == "ConfigMap"]
        assert data.get("ca.crt", "") == platform.authorities
        assert "configure.sh" in data


def test_no_variable_of_the_daemon_can_be_given_to_every_container(backends: Any) -> None:
    spec = pod(backends, {}, Platform(authorities="PEM"))
    for entry in (entry for container in (*spec["initContainers"], *spec["containers"]) for entry in container["env"]):
        with pytest.raises(ValueError, match=entry["name"]):
            parse_extra_env(json.dumps([{"name": entry["name"], "value": "x"}]))


def test_a_daemon_with_much_to_migrate_gets_more_time(backends: Any) -> None:
    daemon = pod(backends, {"probes": {"startup": {"failureThreshold": 3600}}})["containers"][0]
    assert daemon["startupProbe"]["failureThreshold"] == 3600
    assert daemon["startupProbe"]["timeoutSeconds"] == 3
    assert (daemon["livenessProbe"]["periodSeconds"], daemon["livenessProbe"]["timeoutSeconds"]) == (20, 10)
