"""What of a pod is the user's to say."""

from typing import Annotated

from pydantic import Field

from .base import ApiModel, list_map
from .devices import PodResourceClaims


class ImagePullSecret(ApiModel):
    """A Secret of the same namespace with the credentials of a registry."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    """Name of the Secret, of type kubernetes.io/dockerconfigjson."""


ImagePullSecrets = Annotated[tuple[ImagePullSecret, ...], Field(max_length=16, json_schema_extra=list_map("name"))]


class Pod(ApiModel):
    """What shapes the pods beside the runtime. A change makes a new revision."""

    resource_claims: PodResourceClaims = ()
    """Devices that each pod is given, by claims of Dynamic Resource Allocation. Kubernetes 1.34 or later."""
    image_pull_secrets: ImagePullSecrets = ()
    """Secrets of this namespace with which nodes pull the image. Empty: those that the operator was installed with, by name."""
