"""ModelDeployments in a real API server, for tests: make one, read it, wait for what it says."""

import json
from dataclasses import dataclass
from typing import Any

from devcluster.control import ControlPlane
from tests.support import administrator
from tests.support.waiting import wait_until

CHILDREN = "deployments,services,configmaps,serviceaccounts,controllerrevisions,pods"
MINE = "pinion.dev/deployment"


@dataclass
class Models:
    """The ModelDeployments of one namespace."""

    control_plane: ControlPlane
    namespace: str

    def apply(self, name: str, repo: str, **spec: Any) -> None:
        """Apply a ModelDeployment of a repository; `spec` is the rest of it."""
        model = {**spec.pop("model", {}), "source": {"huggingFace": {"repo": repo, **spec.pop("source", {})}}}
        self.apply_object(
            {
                "apiVersion": "pinion.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": name},
                "spec": {"model": model, **spec},
            }
        )

    def apply_object(self, obj: dict[str, Any]) -> None:
        """Apply any object to the namespace."""
        self.kubectl("apply", "-f", "-", input=json.dumps(obj))

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """Run kubectl in the namespace."""
        return self.control_plane.kubectl("-n", self.namespace, *arguments, **options)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return one object."""
        return administrator.get(self.control_plane.kubeconfig, kind, name, self.namespace)

    def children(self, name: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what carries the deployment's label, by kind and name."""
        found = administrator.get_all(self.control_plane.kubeconfig, CHILDREN, self.namespace, f"{MINE}={name}")
        return {(child["kind"], child["metadata"]["name"]): child for child in found}

    def mounted(self, name: str, volume: str) -> str:
        """Return the ConfigMap or Secret that the pods of a deployment mount as this volume."""
        volumes = self.get("deployment", name)["spec"]["template"]["spec"]["volumes"]
        found = next(one for one in volumes if one["name"] == volume)
        return str(found["configMap"]["name"] if "configMap" in found else found["secret"]["secretName"])

    def status(self, name: str) -> dict[str, Any]:
        """Return the status."""
        status: dict[str, Any] = self.get("mdep", name)["status"]
        return status

    def conditions(self, name: str) -> dict[str, str]:
        """Return `status/reason` by condition type."""
        return {c["type"]: f"{c['status']}/{c['reason']}" for c in self.status(name).get("conditions", [])}

    def message(self, name: str, type_: str) -> str:
        """Return the message of a condition; "" when it is not there."""
        return next((str(c["message"]) for c in self.status(name).get("conditions", []) if c["type"] == type_), "")

    def wait_for(self, name: str, timeout: float = 90.0, **wanted: str) -> None:
        """Wait until the status speaks of the newest generation and these conditions are `status/reason`."""

        def holds() -> bool:
            obj = self.get("mdep", name)
            status = obj["status"]
            said = {c["type"]: f"{c['status']}/{c['reason']}" for c in status.get("conditions", [])}
            last.update(said=said)
            return status["observedGeneration"] == obj["metadata"]["generation"] and wanted.items() <= said.items()

        last: dict[str, Any] = {}
        try:
            wait_until(holds, f"{name}: {wanted}", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; said: {last.get('said')}") from None
