"""Where and how pods run: a closed list of a pod's fields, none of which takes away what makes it Pinion's."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import ApiModel, list_map, qualified_keys, rules, with_rules
from .devices import PodResourceClaims
from .placement import (
    Affinity,
    PriorityClassName,
    Selector,
    SpreadConstraints,
    Tolerations,
    Value,
)
from .references import ObjectName, OptionalName
from .security_context import ContainerSecurityContext, PodSecurityContext, RunAs
from .volumes import VolumeMounts, Volumes

ANNOTATION_CHARACTERS = 2048  # a whole object must fit into the annotation in which `kubectl apply` keeps it
_OURS = "!key.startsWith('pinion.dev/') && !key.startsWith('app.kubernetes.io/') && !key.startsWith('kubectl.kubernetes.io/')"
LABEL_RULES = with_rules(
    qualified_keys("labels"),
    (
        f"self.all(key, {_OURS} && key != 'pod-template-hash')",
        "pinion.dev/*, app.kubernetes.io/*, kubectl.kubernetes.io/* and pod-template-hash are not a user's to set",
    ),
)
ANNOTATION_RULES = with_rules(
    qualified_keys("annotations"),
    (f"self.all(key, {_OURS})", "pinion.dev/*, app.kubernetes.io/* and kubectl.kubernetes.io/* are not a user's to set"),
    (
        "self.all(key, !key.startsWith('container.apparmor.security.beta.kubernetes.io/'))",
        "AppArmor is told by securityContext.appArmorProfile, not by an annotation",
    ),
    (
        f"self.map(key, size(self[key])).sum() <= {ANNOTATION_CHARACTERS}",
        f"the values of annotations must have at most {ANNOTATION_CHARACTERS} characters together",
    ),
)
MOUNT_RULES = rules(
    (
        "!has(self.volumeMounts) || self.volumeMounts.all(mount, has(self.volumes) && "
        "self.volumes.exists(volume, volume.name == mount.name))",
        "each of volumeMounts must name one of spec.pod.volumes",
    ),
    (
        "!has(self.volumeMounts) || self.volumeMounts.all(mount, "
        "self.volumeMounts.all(other, !other.mountPath.startsWith(mount.mountPath + '/')))",
        "volumeMounts must not lie inside one another",
    ),
)

Labels = Annotated[dict[Annotated[str, Field(max_length=317)], Value], Field(max_length=16, json_schema_extra=LABEL_RULES)]
AnnotationValue = Annotated[str, Field(max_length=ANNOTATION_CHARACTERS)]
Annotations = Annotated[
    dict[Annotated[str, Field(max_length=317)], AnnotationValue], Field(max_length=16, json_schema_extra=ANNOTATION_RULES)
]


class ImagePullSecret(ApiModel):
    """A Secret of the same namespace with the credentials of a registry."""

    name: ObjectName
    """Name of the Secret, of type kubernetes.io/dockerconfigjson."""


ImagePullSecrets = Annotated[tuple[ImagePullSecret, ...], Field(max_length=16, json_schema_extra=list_map("name"))]


class Pod(ApiModel):
    """Where and how pods run, as far as it is not Pinion's own. A change makes a new revision, so pods replace each other."""

    model_config = ConfigDict(json_schema_extra=MOUNT_RULES)

    labels: Labels = Field(default_factory=dict)
    """Labels of the pods, beside Pinion's own. A change replaces the pods."""
    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the pods, with values of at most 2048 characters together. A change replaces the pods.

    Those of programs that put code or credentials into pods (meshes, agents of vaults and clouds) only where the chart's value
    runtime.customImages.allow says so.
    """
    node_selector: Selector = Field(default_factory=dict)
    """Labels that a node must have. A change replaces the pods."""
    tolerations: Tolerations = ()
    """Taints of nodes that pods tolerate, as in a pod. A change replaces the pods."""
    affinity: Affinity = Field(default_factory=dict)
    """Which nodes pods are drawn to, and which other pods, as in a pod. A change replaces the pods."""
    topology_spread_constraints: SpreadConstraints = ()
    """How evenly pods are spread over nodes, zones and the like. A change replaces the pods."""
    priority_class_name: PriorityClassName = ""
    """PriorityClass of the pods. A change replaces the pods."""
    runtime_class_name: OptionalName = ""
    """RuntimeClass of the pods. A change replaces the pods."""
    scheduler_name: OptionalName = ""
    """Scheduler that gives the pods their nodes. Empty: the cluster's default. A change replaces the pods."""
    service_account_name: OptionalName = ""
    """ServiceAccount of the pods. Empty: one without rights that is made for them. A change replaces the pods.

    Only where the chart's value runtime.customImages.allow says so. Its token is never mounted by itself.
    """
    run_as: RunAs = ""
    """Fixed: user and group 65532. Cluster: the pod asks for none, and the cluster gives them, as OpenShift does.

    Empty: as the chart's value podSecurity.runAs says when the revision is made. A change replaces the pods.
    """
    security_context: PodSecurityContext = PodSecurityContext()
    """User, groups and profiles of the pod. A change replaces the pods."""
    container_security_context: ContainerSecurityContext = ContainerSecurityContext()
    """The same for the serving container alone. A change replaces the pods."""
    volumes: Volumes = ()
    """Volumes of the pods, beside Pinion's own. A change replaces the pods."""
    volume_mounts: VolumeMounts = ()
    """Where these volumes are seen in the serving container. A change replaces the pods."""
    resource_claims: PodResourceClaims = ()
    """Devices that each pod is given, by claims of Dynamic Resource Allocation. Kubernetes 1.34 or later.

    A change replaces the pods.
    """
    image_pull_secrets: ImagePullSecrets = ()
    """Secrets of this namespace with which nodes pull the image. Empty: those that the operator was installed with, by name.

    A change replaces the pods.
    """
