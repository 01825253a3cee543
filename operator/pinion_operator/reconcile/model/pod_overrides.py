"""From spec.pod and spec.runtime to what is put on top of our pod template."""

from typing import Any

from ...api.base import ApiModel
from ...api.modeldeployment import ModelDeploymentSpec
from ...resources.pod_overrides import Overrides

CLUSTER = "Cluster"  # of runAs
_PLACEMENT = {
    "node_selector", "tolerations", "affinity", "topology_spread_constraints", "priority_class_name", "runtime_class_name",
    "scheduler_name", "service_account_name",
}  # fmt: skip


def overrides_of(spec: ModelDeploymentSpec, default_run_as: str) -> Overrides:
    """Return the overrides; `default_run_as` holds where the spec leaves it open."""
    pod, runtime = spec.pod, spec.runtime
    return Overrides(
        labels=pod.labels,
        annotations=pod.annotations,
        pod=pod.model_dump(mode="json", include=_PLACEMENT, exclude_defaults=True),
        pod_security=_said(pod.security_context),
        # Those that are never other than ours are not repeated.
        container_security=_said(pod.container_security_context, "capabilities", "privileged", "allowPrivilegeEscalation"),
        volumes=tuple(map(_said, pod.volumes)),
        volume_mounts=tuple(map(_said, pod.volume_mounts)),
        args=runtime.args,
        env=tuple(map(_said, runtime.env)),
        env_from=tuple(map(_said, runtime.env_from)),
        shm_size=runtime.shm_size,
        ids_from_cluster=(pod.run_as or default_run_as) == CLUSTER,
    )


def _said(part: ApiModel, *but: str) -> dict[str, Any]:
    dumped = part.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in dumped.items() if name not in but}
