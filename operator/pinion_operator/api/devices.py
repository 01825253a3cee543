"""Accelerators by claims of Dynamic Resource Allocation (resource.k8s.io); by resource name they are limits like any other."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .base import ApiModel, Name, list_map, rules
from .quantities import Resources
from .references import ObjectName

SOURCE_RULES = rules(
    (
        "has(self.resourceClaimName) != has(self.resourceClaimTemplateName)",
        "give one of resourceClaimName, which all pods share, and resourceClaimTemplateName, of which each pod gets one",
    )
)
CLAIM_RULE = (
    "!has(self.runtime.resources.claims) || self.runtime.resources.claims.all(claim, "
    "has(self.pod.resourceClaims) && self.pod.resourceClaims.exists(one, one.name == claim.name))",
    "each of runtime.resources.claims must name one of pod.resourceClaims",
)

USED_RULE = (
    "!has(self.pod.resourceClaims) || self.pod.resourceClaims.all(one, has(self.runtime.resources.claims) && "
    "self.runtime.resources.claims.exists(claim, claim.name == one.name))",
    "each of pod.resourceClaims must be named in runtime.resources.claims: its devices would be taken, and used by nobody",
)


class PodResourceClaim(ApiModel):
    """Devices that a pod is given."""

    model_config = ConfigDict(json_schema_extra=SOURCE_RULES)

    name: Name
    """The name that runtime.resources.claims uses."""
    resource_claim_name: ObjectName | None = None
    """A ResourceClaim of this namespace: all pods share its devices."""
    resource_claim_template_name: ObjectName | None = None
    """A ResourceClaimTemplate of this namespace: each pod gets a claim of its own."""


class ContainerClaim(ApiModel):
    """One of the pod's claims, for the serving container."""

    name: Name
    """Name of one of pod.resourceClaims."""
    request: Annotated[str, Field(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = None
    """One of the claim's requests. Absent: all of them."""


PodResourceClaims = Annotated[tuple[PodResourceClaim, ...], Field(max_length=8, json_schema_extra=list_map("name"))]


class RuntimeResources(Resources):
    """Compute resources of the serving container."""

    claims: Annotated[tuple[ContainerClaim, ...], Field(max_length=8, json_schema_extra=list_map("name"))] = ()
    """Devices that it uses, of the pod's claims. Kubernetes 1.34 or later."""
