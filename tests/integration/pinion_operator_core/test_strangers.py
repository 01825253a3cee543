"""Others in the same cluster: what they put on our objects stays, and what they run does not concern us."""

import json
import time

import pytest

from tests.support.definitions import wait_established
from tests.support.operator_process import OperatorProcess
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


def is_watched(operator: OperatorProcess, plural: str) -> bool:
    """Whether a watch of this kind has been opened: a change before that is no event."""
    asked = list(operator.proxy.asked)
    return any(one.path.endswith(f"/{plural}") and "watch=true" in one.query and one.status == 200 for one in asked)


def test_labels_and_annotations_of_others_stay_on_our_children_and_cost_no_write(small: Small) -> None:
    operator = small.leader(PINION_RELIST_SECONDS="1")
    small.apply("one", 1)
    small.wait_ready("one")
    operator.wait_quiet(1)
    before = len(operator.writes())
    wait_until(lambda: is_watched(operator, "configmaps"), "the watch of ConfigMaps is open")
    for number in range(5):
        small.kubectl("label", "--overwrite", "configmap", "one-small", f"others.test/round=n{number}")
        small.kubectl("annotate", "--overwrite", "configmap", "one-small", f"others.test/note=n{number}")
        small.kubectl("label", "--overwrite", "ipfsbackend", "one", f"others.test/round=n{number}")
    events = operator.metric("pinion_operator_watch_events_total", kind="ConfigMap", type="MODIFIED")
    wait_until(
        lambda: operator.metric("pinion_operator_watch_events_total", kind="ConfigMap", type="MODIFIED") >= 10, f"{events}"
    )
    operator.wait_quiet(1)
    assert operator.writes()[before:] == []
    small.apply("one", 2)
    wait_until(lambda: small.get("configmap", "one-small")["data"] == {"priority": "2"}, "our own change comes through")
    meta = small.get("configmap", "one-small")["metadata"]
    assert (meta["labels"]["others.test/round"], meta["annotations"]["others.test/note"]) == ("n4", "n4")
    assert small.get("ipfsbackend", "one")["metadata"]["labels"]["others.test/round"] == "n4"


PEERING = "clusterkopfpeerings.kopf.dev"


def test_another_operators_peering_does_not_freeze_us(small: Small) -> None:
    plane = small.operators.control_plane
    names = {"kind": "ClusterKopfPeering", "plural": "clusterkopfpeerings", "singular": "clusterkopfpeering"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": PEERING},
        "spec": {"group": "kopf.dev", "scope": "Cluster", "names": names, "versions": [version]},
    }
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    peer = {"priority": 1000, "lastseen": now, "lifetime": 3600, "namespace": None}
    peering = {"apiVersion": "kopf.dev/v1", "kind": "ClusterKopfPeering", "metadata": {"name": "default"}}
    plane.kubectl("apply", "-f", "-", input=json.dumps(crd))
    try:
        wait_established(plane, f"crd/{PEERING}")
        plane.kubectl("apply", "-f", "-", input=json.dumps({**peering, "status": {"another-operator": peer}}))
        operator = small.leader()
        small.apply("one", 1)
        small.wait_ready("one")
        assert not [one for one in operator.proxy.asked if "peerings" in one.path]
        assert not [line for line in operator.lines() if "peer" in line["message"].lower()]
    finally:
        plane.kubectl("delete", "crd", PEERING, "--timeout=60s")
