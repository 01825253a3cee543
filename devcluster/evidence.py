"""What a failure leaves for the person who looks into it: one folder of objects, events and logs."""

import json
import time
from pathlib import Path

from .commands import CommandError
from .kubectl import KubectlError
from .paths import cache_dir, make_private
from .provider import Cluster

_KINDS = ("modeldeployments.pinion.dev", "ipfsbackends.pinion.dev", "pods", "deployments", "statefulsets", "events")


def collect(cluster: Cluster, title: str) -> Path:
    """Write objects, events and pod logs of all namespaces into a new folder and return it."""
    folder = make_private(cache_dir() / "evidence" / f"{time.strftime('%Y%m%d-%H%M%S')}-{title}")
    for kind in _KINDS:
        _save(cluster, folder / f"{kind.partition('.')[0]}.yaml", "get", kind, "--all-namespaces", "--output=yaml")
    try:
        pods = json.loads(cluster.kubectl("get", "pods", "--all-namespaces", "--output=json"))["items"]
    except (KubectlError, CommandError):
        return folder
    for pod in pods:
        where = (pod["metadata"]["name"], f"--namespace={pod['metadata']['namespace']}")
        name = f"{pod['metadata']['namespace']}.{pod['metadata']['name']}"
        _save(cluster, folder / f"{name}.log", "logs", *where, "--all-containers", "--prefix", "--tail=2000")
        if any(status.get("restartCount") for status in pod.get("status", {}).get("containerStatuses") or ()):
            _save(cluster, folder / f"{name}.previous.log", "logs", *where, "--previous", "--prefix", "--tail=2000")
    return folder


def _save(cluster: Cluster, path: Path, *arguments: str) -> None:
    try:
        path.write_text(cluster.kubectl(*arguments))
    except KubectlError as error:  # a kind that is not installed, a container that has not started: evidence as well
        path.write_text(f"{error}\n")
