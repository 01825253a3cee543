"""What a bare cluster lacks: names of Services, volumes, and rights of what decides about connections."""

import json
from pathlib import Path

from .. import manifests
from ..api import CLUSTER_DOMAIN
from ..kubectl import Kubectl
from .layout import DNS_ADDRESS, NODE, Layout

_VOLUMES = 40
_VOLUME_SIZE = "50Gi"  # a number for the scheduler alone: a volume is a folder


def apply_addons(layout: Layout, kubectl: Kubectl, coredns_image: str) -> None:
    """Apply CoreDNS, the storage class and its volumes, and the rights of kube-network-policies."""
    kubectl("apply", "--filename=-", input=manifests.render("policies.yaml"))
    kubectl("apply", "--filename=-", input=manifests.render("storage.yaml"))
    kubectl("apply", "--filename=-", input=json.dumps(_volumes(layout.state / "volumes")))
    dns = manifests.render("coredns.yaml", image=coredns_image, address=DNS_ADDRESS, domain=CLUSTER_DOMAIN)
    kubectl("apply", "--filename=-", input=dns)


def _volumes(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [_volume(folder / f"{number:02}") for number in range(1, _VOLUMES + 1)],
    }


def _volume(path: Path) -> dict[str, object]:
    path.mkdir(parents=True, exist_ok=True)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"local-{path.name}"},
        "spec": {
            "capacity": {"storage": _VOLUME_SIZE},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "local",
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
