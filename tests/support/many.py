"""A hundred ModelDeployments and a hundred IpfsBackends, brought to where they can go without a node."""

import json
from collections import Counter
from typing import Any

from devcluster.control import ControlPlane
from pinion_operator.resources.names import kubo_claim
from tests.support.audit import Written, writes
from tests.support.operator_process import OperatorProcess
from tests.support.waiting import wait_until

EACH = 100
CHILDREN = "configmaps,secrets,services,serviceaccounts,deployments,statefulsets,controllerrevisions,networkpolicies"
OWN = "mdep,ipfsb"


class Many:
    """The objects, and what became of them."""

    def __init__(self, control_plane: ControlPlane, namespace: str, repo: str) -> None:
        self._control_plane, self._namespace, self._repo = control_plane, namespace, repo

    def make(self, operator: OperatorProcess) -> None:
        """Apply all, and wait until the operator has nothing more to do."""
        source = {"huggingFace": {"repo": self._repo}}
        models = [_make("ModelDeployment", f"m-{n:03}", model={"source": source}, suspend=True) for n in range(EACH)]
        backends = [_make("IpfsBackend", f"b-{n:03}", type="Kubo", managed={}) for n in range(EACH)]
        self._kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": models + backends}))
        wait_until(lambda: self._ready("mdep")["True/Suspended"] == EACH, "all models are as asked for", 240)
        wait_until(lambda: len(self.seen("statefulsets")) == EACH, "all backends have their children", 240)
        wait_until(self._at_rest, "other controllers have done what they can without a node, and each backend says so", 240)
        # Events are posted one after the other, and may be behind what they tell.
        operator.wait_quiet(3, 240, events=True)

    def seen(self, kinds: str) -> dict[str, tuple[str, str]]:
        """Return uid and resourceVersion by kind and name."""
        items = json.loads(self._kubectl("get", kinds, "-o", "json"))["items"]
        return {f"{i['kind']}/{i['metadata']['name']}": (i["metadata"]["uid"], i["metadata"]["resourceVersion"]) for i in items}

    def written(self) -> list[Written]:
        """Return what operators have written here, Events with it, by the audit log."""
        found = writes(self._control_plane.audit_log, self._namespace, all_resources=True)
        return [one for one in found if one.resource != "leases"]

    def _at_rest(self) -> bool:
        """Tell whether workloads have the status that they keep, and backends speak of their claims: that comes later."""
        workloads = json.loads(self._kubectl("get", "deployments,statefulsets", "-o", "json"))["items"]
        backends = json.loads(self._kubectl("get", "ipfsb", "-o", "json"))["items"]
        return all(map(_has_settled, workloads)) and all(map(_knows_its_claim, backends))

    def _ready(self, what: str) -> Counter[str]:
        items = json.loads(self._kubectl("get", what, "-o", "json"))["items"]
        conditions = (c for i in items for c in i.get("status", {}).get("conditions", []) if c["type"] == "Ready")
        return Counter(f"{c['status']}/{c['reason']}" for c in conditions)

    def _kubectl(self, *arguments: str, input: str | None = None) -> str:
        return self._control_plane.kubectl("-n", self._namespace, *arguments, input=input, timeout=120)


def _has_settled(workload: dict[str, Any]) -> bool:
    status = workload.get("status", {})
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas")}
    return status.get("observedGeneration") == workload["metadata"]["generation"] and counts == {workload["spec"]["replicas"]}


def _knows_its_claim(backend: dict[str, Any]) -> bool:
    waits = f"its claim {kubo_claim(backend['metadata']['name'])} waits for a volume"
    return any(waits in one["message"] for one in backend.get("status", {}).get("conditions", ()) if one["type"] == "Ready")


def _make(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "pinion.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
