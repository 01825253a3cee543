"""IpfsBackend: a place that keeps models pinned, for the ModelDeployments of its namespace."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .base import CHILD_NAME_RULES, ApiModel, Conditions, Count, Resource, Resources, Short, rules

SIZE_RULES = rules(
    (
        "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
        "size must be a Kubernetes quantity above zero, for example 50Gi",
    )
)
TYPE_RULES = rules(("self == oldSelf", "type is immutable: create another IpfsBackend"))
STORAGE_RULES = rules(("self == oldSelf", "storage is immutable: its volume exists already; create another IpfsBackend"))


class ManagedStorage(ApiModel):
    """The volume of a managed backend."""

    type: Literal["PVC", "EmptyDir"] = "PVC"
    """PVC: a volume of its own. EmptyDir: on the node's disk, lost with the pod."""
    size: Annotated[str, Field(min_length=1, max_length=32, json_schema_extra=SIZE_RULES)] = "50Gi"
    """Size of the volume; nine tenths of it are for blocks."""
    storage_class_name: Annotated[str, Field(max_length=253)] = ""
    """StorageClass of the volume. Empty: the cluster's default."""


class Swarm(ApiModel):
    """Which other IPFS nodes it talks to."""

    mode: Literal["Private"] = "Private"
    """Private: only nodes that hold the same generated key; nothing goes to the public network."""


class Managed(ApiModel):
    """A backend that the operator runs."""

    replicas: Annotated[int, Field(ge=1, le=1)] = 1
    """Number of nodes."""
    image: Annotated[str, Field(max_length=1024, pattern="^[^ ]*$")] = ""
    """Container image with `ipfs` and a shell. Empty: the operator's default."""
    storage: Annotated[ManagedStorage, Field(json_schema_extra=STORAGE_RULES)] = ManagedStorage()
    """The volume. Cannot be changed later."""
    swarm: Swarm = Swarm()
    """Which other IPFS nodes it talks to."""
    resources: Resources = Resources()
    """Compute resources of the container. What is not given: requests of 100m CPU and 256Mi, a limit of 1Gi memory."""


class HealthCheck(ApiModel):
    """A real round trip: add, cat, compare."""

    interval_seconds: Annotated[int, Field(ge=5, le=3600)] = 15
    """Time between two checks."""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    """A check that takes longer has failed."""
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3
    """Failed checks in a row until the backend counts as broken."""


class IpfsBackendSpec(ApiModel):
    """What the user wants."""

    type: Annotated[Literal["Kubo"], Field(json_schema_extra=TYPE_RULES)]
    """Kubo: the IPFS daemon of that name."""
    priority: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    """ModelDeployments that name no backend use those of their namespace in this order, the highest first."""
    managed: Managed
    """The operator runs it; `{}` takes all defaults."""
    health_check: HealthCheck = HealthCheck()
    """A real round trip: add, cat, compare."""
    reclaim_policy: Literal["Retain", "Delete"] = "Retain"
    """What becomes of the volume when the IpfsBackend is deleted."""


class IpfsBackendStatus(ApiModel):
    """What is."""

    observed_generation: int = -1
    """The metadata.generation that this status speaks about; -1: nobody has looked yet."""
    conditions: Conditions = ()
    """Ready, Reachable, RoundTripHealthy; Reconciling, Stalled and DeletionBlocked only while True."""
    version: Short = ""
    """Version that the daemon says it has."""
    peer_id: Short = Field("", alias="peerID")
    """The daemon's peer ID."""
    bound_models: Count = 0
    """Number of ModelDeployments that use it."""


class IpfsBackend(Resource):
    """Keeps models pinned by their content address."""

    model_config = ConfigDict(json_schema_extra=CHILD_NAME_RULES)

    spec: IpfsBackendSpec
    """What the user wants."""
    status: IpfsBackendStatus = IpfsBackendStatus()
    """What is."""
