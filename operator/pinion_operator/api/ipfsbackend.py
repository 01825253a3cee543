"""IpfsBackend: a place that keeps models pinned, for the ModelDeployments of its namespace."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .access import SecretKeyRef
from .base import (
    ATOMIC,
    CHILD_NAME_RULES,
    ApiModel,
    Conditions,
    Count,
    Image,
    MutatedChildren,
    Resource,
    Short,
    rules,
)
from .placement import Affinity, PriorityClassName, Selector, Tolerations
from .pod import ImagePullSecrets
from .probes import DaemonProbes
from .quantities import Resources, size_rules
from .references import ObjectName, OptionalName
from .security_context import RunAs
from .urls import url_rules

TYPE_RULES = rules(
    ("self == oldSelf", "type is immutable: create another IpfsBackend"),
)
STORAGE_RULES = rules(
    ("self == oldSelf", "storage is immutable: its volume exists already; create another IpfsBackend"),
    (
        "!has(self.type) || self.type == 'PVC' || !has(self.storageClassName) || self.storageClassName == ''",
        "storageClassName is of storage.type PVC: an EmptyDir lies on the node's disk",
    ),
)


class ManagedStorage(ApiModel):
    """The volume of a managed backend."""

    type: Literal["PVC", "EmptyDir"] = "PVC"
    """PVC: a volume of its own. EmptyDir: on the node's disk, lost with the pod."""
    size: Annotated[str, Field(min_length=1, max_length=32, json_schema_extra=size_rules("size", "50Gi"))] = "50Gi"
    """Size of the volume; nine tenths of it are for blocks."""
    storage_class_name: OptionalName = ""
    """StorageClass of the volume. Empty: the cluster's default."""


class Swarm(ApiModel):
    """Which other IPFS nodes it talks to."""

    mode: Literal["Private"] = "Private"
    """Private: only nodes that hold the same generated key; nothing goes to the public network."""


class Managed(ApiModel):
    """A backend that the operator runs."""

    replicas: Annotated[int, Field(ge=1, le=1)] = 1
    """Number of nodes."""
    image: Image = ""
    """Container image with `ipfs` and a shell. Empty: the operator's default."""
    storage: Annotated[ManagedStorage, Field(json_schema_extra=STORAGE_RULES)] = ManagedStorage()
    """The volume. Cannot be changed later."""
    swarm: Swarm = Swarm()
    """Which other IPFS nodes it talks to."""
    resources: Resources = Resources()
    """Compute resources of the container. What is not given: requests of 100m CPU and 256Mi, a limit of 1Gi memory."""
    probes: DaemonProbes = DaemonProbes()
    """How patiently the kubelet asks the daemon how it is. A change restarts the daemon."""
    image_pull_secrets: ImagePullSecrets = ()
    """Secrets of this namespace with which nodes pull the image. Empty: those that the operator was installed with, by name."""
    node_selector: Selector = Field(default_factory=dict)
    """Labels that its node must have. A change restarts the daemon."""
    tolerations: Tolerations = ()
    """Taints of nodes that it tolerates, as in a pod. A change restarts the daemon."""
    affinity: Affinity = Field(default_factory=dict)
    """Which nodes it is drawn to, and which other pods, as in a pod. A change restarts the daemon."""
    priority_class_name: PriorityClassName = ""
    """PriorityClass of its pod. A change restarts the daemon."""
    run_as: RunAs = ""
    """Fixed: user and group 65532. Cluster: the pod asks for none, and the cluster gives them, as OpenShift does.

    Empty: as the chart's value podSecurity.runAs says. A change restarts the daemon.
    """


API_URL_RULES = url_rules("apiURL", ("!self.matches('/api(/v0)?/*$')", "apiURL must be without /api/v0: that is added to it"))
GATEWAY_URL_RULES = url_rules(
    "each of gatewayURLs",
    ("self != ''", "each of gatewayURLs must be one: an empty one leads nowhere"),
    ("!self.matches('/ip[fn]s(/|$)')", "gatewayURLs must be without /ipfs: that is added to them"),
)
ApiUrl = Annotated[str, Field(max_length=2048, json_schema_extra=API_URL_RULES)]
GatewayUrl = Annotated[str, Field(max_length=2048, json_schema_extra=GATEWAY_URL_RULES)]
SHAPE_RULES = rules(
    (
        "self.type != 'Kubo' || (has(self.managed) != has(self.external) && !has(self.cache))",
        "type Kubo needs managed or external, not both",
    ),
    (
        "self.type != 'Kubo' || !has(self.external) || (self.external.apiURL != '' && size(self.external.gatewayURLs) == 1)",
        "an external Kubo needs external.apiURL and one of external.gatewayURLs: pods pin by one and read by the other",
    ),
    (
        "self.type != 'TrustlessGateway' || (has(self.external) && size(self.external.gatewayURLs) > 0 "
        "&& self.external.apiURL == '' && !has(self.managed) && !has(self.cache))",
        "type TrustlessGateway needs external.gatewayURLs, and nothing else",
    ),
    (
        "self.type != 'HuggingFaceCache' || (has(self.cache) && !has(self.managed) && !has(self.external))",
        "type HuggingFaceCache needs cache, and nothing else",
    ),
    (
        "self.reclaimPolicy != 'Delete' || has(self.managed)",
        "reclaimPolicy Delete is of a managed Kubo: what somebody else made is never deleted",
    ),
)


class External(ApiModel):
    """What somebody else runs: a Kubo daemon, or trustless gateways."""

    api_url: ApiUrl = Field("", alias="apiURL")
    """URL of a Kubo daemon's RPC API, for example http://kubo.ipfs.svc:5001."""
    gateway_urls: Annotated[tuple[GatewayUrl, ...], Field(max_length=8, json_schema_extra=ATOMIC)] = Field(
        (), alias="gatewayURLs"
    )
    """URLs of gateways, asked in this order. For a Kubo daemon: its own, by which pods read."""
    auth_secret_ref: SecretKeyRef | None = None
    """The bearer token that the daemon or the gateways ask for; it is sent to the hosts under the key `hosts` of its Secret."""


class SharedCache(ApiModel):
    """A Hugging Face cache on a volume that the pods of the namespace share."""

    claim_name: ObjectName
    """PersistentVolumeClaim of this namespace; ReadWriteMany, unless all pods run on one node."""


class Transfer(ApiModel):
    """How bytes move."""

    stall_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """A stream without a byte for so long is left, and another source asked."""


class CircuitBreaker(ApiModel):
    """When pods leave a backend alone for a while, instead of waiting for it each time."""

    error_threshold_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """Share of failed calls from which it is left alone."""
    min_requests: Annotated[int, Field(ge=1, le=1000)] = 10
    """Fewer calls than this say nothing."""
    open_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """For how long, before one call tries again."""


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

    model_config = ConfigDict(json_schema_extra=SHAPE_RULES)

    type: Annotated[Literal["Kubo", "HuggingFaceCache", "TrustlessGateway"], Field(json_schema_extra=TYPE_RULES)]
    """Kubo: the IPFS daemon of that name. HuggingFaceCache: a volume that pods share. TrustlessGateway: read only."""
    priority: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    """ModelDeployments that name no backend use those of their namespace in this order, the highest first."""
    managed: Managed | None = None
    """A Kubo that the operator runs; `{}` takes all defaults."""
    external: External | None = None
    """What somebody else runs.

    The operator asks it at public addresses and in its allowedNetworks alone; elsewhere pods tell whether it serves.
    """
    cache: SharedCache | None = None
    """The volume of a HuggingFaceCache."""
    transfer: Transfer = Transfer()
    """How bytes move. A change reaches the revisions that are made after it."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """When pods leave it alone for a while. A change reaches the revisions that are made after it."""
    health_check: HealthCheck = HealthCheck()
    """A real round trip where the operator can write: add, cat, compare. A gateway must answer, a volume's claim be there."""
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
    mutated_children: MutatedChildren = ()
    """Children that admission changed, and that are left so."""


class IpfsBackend(Resource):
    """Keeps models pinned by their content address."""

    model_config = ConfigDict(json_schema_extra=CHILD_NAME_RULES)

    spec: IpfsBackendSpec
    """What the user wants."""
    status: IpfsBackendStatus = IpfsBackendStatus()
    """What is."""
