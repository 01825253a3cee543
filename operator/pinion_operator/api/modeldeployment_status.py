"""The status of a ModelDeployment: what is, as the pods and the cluster say it."""

from typing import Annotated, Literal

from pydantic import Field

from .base import ATOMIC, ApiModel, Conditions, Count, MutatedChildren, Short, Text, list_map
from .quantities import ResourceList


class ModelStatus(ApiModel):
    """What is known about the model; each field appears when it is known."""

    revision: Short = ""
    """Name of the current revision."""
    commit: Short = ""
    """The commit that is served; empty for source.ipfs, which has none."""
    upstream_commit: Short = ""
    """The commit that `revision` of the source led to when the hub was asked last."""
    cid: Short = ""
    """CID of the model's directory, computed from the bytes by the pods, or compared with them leaf by leaf (source.ipfs)."""
    manifest_cid: Short = Field("", alias="manifestCID")
    """CID of the manifest that is pinned beside the model."""
    source_digest: Short = ""
    """sha256 over path, size and object id of the commit's selected files; of source.ipfs the CID and the path."""
    size_bytes: Count = 0
    """Size of the selected files; of source.ipfs as pods have found it."""
    file_count: Count = 0
    """Number of the selected files."""
    task: Short = ""
    """The Hugging Face task that is served."""
    pooling: Short = ""
    """How the vectors of tokens become one vector, for one: mean."""
    pooling_assumed: bool = False
    """Whether that is assumed: the model's own files say nothing of it."""
    engine: Short = ""
    """What computes: transformers."""
    strategy: Short = ""
    """How inputs go through the model together, for one: padded, slots, one-at-a-time."""
    strategy_reason: Text = ""
    """What was found when the model was loaded, where inputs can't go together, or are computed slower than they might be."""
    context_length: Count = 0
    """Tokens that a prompt and its answer may have together; of a model that generates text."""
    max_sequences: Count = 0
    """Answers that a pod generates at a time."""


class SourceStatus(ApiModel):
    """Bytes that the pods took from one kind of source."""

    type: Literal["Store", "Peer", "Backend", "Origin"]
    """Store: there already. Peer: another pod. Backend: an IpfsBackend. Origin: the hub."""
    name: Short = ""
    """The backend's name, or the hub's endpoint."""
    bytes: Count
    """Bytes, over all pods."""


class TransferStatus(ApiModel):
    """Transfers of the running pods together."""

    total_bytes: Count = 0
    """Bytes to bring."""
    completed_bytes: Count = 0
    """Bytes brought."""
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    """completedBytes of totalBytes."""
    bytes_per_second: Count | None = None
    """The rate, while a transfer runs."""
    eta_seconds: Count | None = None
    """Seconds to go, while a transfer runs."""
    sources: Annotated[tuple[SourceStatus, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """Where the bytes came from."""


class BackendStatus(ApiModel):
    """Which backend the pods use."""

    active: Short = ""
    """The backend that serves."""
    preferred: Short = ""
    """The backend that is first in order."""
    degraded: bool = False
    """Whether another than the preferred one serves."""
    reasons: Annotated[tuple[Short, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """Why backends were passed over."""


class ServingStatus(ApiModel):
    """Pods by what they say they opened."""

    cid: Short
    """CID of the files that the engine opened."""
    replicas: Count
    """Ready pods that serve it."""


class RevisionStatus(ApiModel):
    """One revision that is kept."""

    name: Short
    """Name of the revision."""
    generation: Count = 0
    """The metadata.generation that it was made for."""
    commit: Short = ""
    """Its commit."""
    cid: Short = ""
    """CID of its model."""
    manifest_cid: Short = Field("", alias="manifestCID")
    """CID of its manifest."""
    pinned: bool = False
    """Whether a backend confirmed the pins."""
    created_at: Annotated[str, Field(max_length=40)] = ""
    """When it was made."""
    result: Short = ""
    """What came of it: Progressing, Serving or Failed."""


class ResourcesStatus(ApiModel):
    """What each pod of the current revision asks for."""

    requests: ResourceList = Field(default_factory=dict)
    """What the scheduler reserves. CPU and memory of which the spec says nothing follow from the model's size."""
    limits: ResourceList = Field(default_factory=dict)
    """What the container may use at most: only what the spec says."""


class PerformanceStatus(ApiModel):
    """Seconds that the slowest of the current pods took."""

    cold_start_seconds: Annotated[float, Field(ge=0)] = 0
    """From the start of the process to ready."""
    fetch_seconds: Annotated[float, Field(ge=0)] = 0
    """Bringing the files."""
    load_seconds: Annotated[float, Field(ge=0)] = 0
    """Loading the model."""
    warmup_seconds: Annotated[float, Field(ge=0)] = 0
    """The warm-up."""


class RolloutStatus(ApiModel):
    """How the next revision would replace this one."""

    strategy: Literal["RollingUpdate", "Recreate"]
    """RollingUpdate, or Recreate: the old pod stops before the new one starts, since one pod alone can mount the volume.

    Requests fail meanwhile.
    """


class FailureStatus(ApiModel):
    """The last failure of a pod."""

    stage: Short = ""
    """What the pod was doing."""
    reason: Short = ""
    """Why it failed, in one word."""
    message: Text = ""
    """Why it failed."""
    pod: Short = ""
    """Name of the pod."""
    exit_code: int | None = None
    """Exit code of the container, when it ended."""


Phase = Literal[
    "Pending", "Resolving", "Fetching", "Verifying", "Starting", "WarmingUp", "Ready", "Degraded", "Suspended", "Failed"
]


class ModelDeploymentStatus(ApiModel):
    """What is."""

    observed_generation: int = -1
    """The metadata.generation that this status speaks about; -1: nobody has looked yet."""
    phase: Phase = "Pending"
    """A summary for people; programs read the conditions."""
    message: Text = ""
    """A sentence for people."""
    conditions: Conditions = ()
    """Ready, Available, SourceResolved, ArtifactPinned, ArtifactVerified, WorkloadReady, Warm.

    SourceDrifted is there for branches, BackendDegraded where there are backends. Reconciling and Stalled: only while True.
    """
    replicas: Count = 0
    """Pods of the Deployment."""
    ready_replicas: Count = 0
    """Pods that answer requests, of whichever revision."""
    updated_replicas: Count = 0
    """Pods of the current revision."""
    selector: Short = ""
    """Label selector of the pods, for autoscalers."""
    ready: Short = ""
    """Pods that answer requests, of whichever revision, of wanted ones: for example 2/3."""
    url: Short = ""
    """Where requests go."""
    source: Short = ""
    """Where the model's files come from: the repository, or ipfs://CID/path."""
    model: ModelStatus | None = None
    """What is known about the model."""
    transfer: TransferStatus | None = None
    """Transfers of the running pods together."""
    backend: BackendStatus | None = None
    """Which backend the pods use."""
    serving: Annotated[tuple[ServingStatus, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """Ready pods by what they say they opened."""
    revisions: Annotated[tuple[RevisionStatus, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """Revisions that are kept, newest first."""
    rollout: RolloutStatus | None = None
    """How the next revision would replace this one."""
    restart: Short = ""
    """The `pinion.dev/restart` that the current revision was made for."""
    resources: ResourcesStatus | None = None
    """What each pod of the current revision asks for."""
    performance: PerformanceStatus | None = None
    """What the last start took."""
    mutated_children: MutatedChildren = ()
    """Children that admission changed, and that are left so."""
    last_failure: FailureStatus | None = None
    """The last failure of a pod."""
