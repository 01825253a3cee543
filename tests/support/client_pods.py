"""Pods of the tests' own inside the cluster, as `restricted` allows them, from the operator's image, which has a Python."""

from typing import Any

from tests.support.cluster import Cluster


def client_pod(cluster: Cluster, name: str, command: list[str], labels: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a pod that runs one command and ends a second after it is told to."""
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "client",
                    "image": cluster.kubectl("get", "deploy", "-n", "pinion-system", "pinion-operator", "-o", image),
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
