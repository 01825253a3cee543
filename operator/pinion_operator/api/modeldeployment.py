"""ModelDeployment: one model, served by a number of pods from verified, pinned bytes."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .access import Auth, NetworkPolicySpec
from .arguments import DRAIN_RULE, Arguments
from .base import (
    CHILD_NAME_RULES,
    CID_PATTERN,
    ApiModel,
    Image,
    Name,
    Resource,
    at_most_together,
    list_map,
    rules,
)
from .cache import Cache
from .contradictions import IN_MEMORY_RULE, PROBES_RULE, SHM_RULE
from .cors import Cors
from .devices import CLAIM_RULE, USED_RULE, RuntimeResources
from .disruption import Disruption
from .environment import Env, EnvFroms
from .modeldeployment_status import ModelDeploymentStatus
from .pod import Pod
from .probes import Probes
from .quantities import size_rules
from .rollout import Rollout
from .source import Source

MODEL_RULES = rules(
    (
        "!has(self.expected) || !has(self.source.huggingFace) || self.source.huggingFace.revisionPolicy != 'Track'",
        "expected names one model for ever, and revisionPolicy Track follows others: give one of the two",
    ),
    (
        "!has(self.expected) || !has(self.source.ipfs) || self.source.ipfs.path != '' || "
        "!self.source.ipfs.cid.startsWith('b') || self.expected.cid == self.source.ipfs.cid",
        "expected.cid and source.ipfs.cid name two directories: give one of the two, or the same; "
        "with a path, expected.cid is the CID of the folder there",
    ),
)
CID_RULES = rules(
    (
        f"self.matches('{CID_PATTERN}')",
        "cid must be the CIDv1 of the model's directory, bafybei and 52 more characters, as status.model.cid shows it",
    )
)


MOST_CONTEXT = 2**24  # tokens: above what any model has
MOST_SEQUENCES = 1024


class Expected(ApiModel):
    """What the fetched bytes must be."""

    cid: Annotated[str, Field(max_length=59, json_schema_extra=CID_RULES)]
    """The CID of the model's directory, as status.model.cid shows it. Other bytes are never served.

    With source.ipfs that is `cid` itself, or with `path` the CID of the folder there.
    """


class ModelSpec(ApiModel):
    """Which model to serve."""

    model_config = ConfigDict(json_schema_extra=MODEL_RULES)

    name: Annotated[str, Field(max_length=253, pattern="^([A-Za-z0-9][A-Za-z0-9._/:-]*)?$")] = ""
    """The name that requests use in `model`. Empty: metadata.name. A change replaces no pod: they are told."""
    task: Literal["", "feature-extraction", "text-generation"] = ""
    """What the model is served for, as Hugging Face names it. Empty: what its own files say that it is meant for.

    A model that can't do it is ModelLoadFailed.
    """
    source: Source
    """Where the model's files come from."""
    expected: Expected | None = None
    """Serve exactly this, or nothing. A change replaces no pod: each compares it when it loads the model.

    Another CID than that of the files is IntegrityFailure; pods that serve already go on.
    """


class BackendRef(ApiModel):
    """An IpfsBackend of the same namespace."""

    name: Name
    """Name of the IpfsBackend."""


class Storage(ApiModel):
    """Where the model's files are kept."""

    backend_refs: Annotated[tuple[BackendRef, ...], Field(max_length=8, json_schema_extra=list_map("name"))] = ()
    """IpfsBackends in order of preference. Empty: all of the namespace by their priority; with none, the pod's own store."""
    fallback: Literal["Automatic", "None"] = "Automatic"
    """What to do while no backend takes or gives the model.

    Automatic: serve it from the hub, from other pods or from the pod's own store, and pin it as soon as a backend is back;
    BackendDegraded tells. None: wait. What source.ipfs names no hub has.
    """
    pinning: Literal["Required"] = "Required"
    """Required: pinned in a backend before the deployment is Ready, unless `fallback` applies."""
    cache: Cache = Cache()
    """A pod's own copy of the model's files."""


class Runtime(ApiModel):
    """The program that serves."""

    model_config = ConfigDict(json_schema_extra=rules(SHM_RULE))

    image: Image = ""
    """Container image. Empty: the operator's default at the time the revision was made."""
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    """When the node pulls the image. Empty: the operator's default at the time the revision was made.

    A change from empty to IfNotPresent, or back, replaces no pods: it counts from the next revision on.
    """
    resources: RuntimeResources = RuntimeResources()
    """Compute resources of the serving container."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights. auto: the checkpoint's own."""
    context_length: Annotated[int, Field(ge=0, le=MOST_CONTEXT)] = 0
    """Tokens that a prompt and its answer may have together. 0: the model's own limit, or what memory gives."""
    max_sequences: Annotated[int, Field(ge=0, le=MOST_SEQUENCES)] = 0
    """Answers that are generated at a time, by each pod. 0: as many as memory gives."""
    args: Arguments = ()
    """Arguments of the model server: --drain-seconds=S, --live-seconds=S. A change replaces the pods.

    Only where the chart's value runtime.customImages.allow says so.
    """
    env: Env = ()
    """Variables of the serving container, beside Pinion's own; their values have at most 3072 characters together.

    A change replaces the pods.
    """
    env_from: EnvFroms = ()
    """Variables from whole Secrets and ConfigMaps. A change replaces the pods.

    Only where the chart's value runtime.customImages.allow says so.
    """
    shm_size: Annotated[str, Field(max_length=32, json_schema_extra=size_rules("shmSize", "1Gi"))] = ""
    """Size of /dev/shm, which counts as the container's memory. Empty: what the node's runtime gives, mostly 64Mi.

    A change replaces the pods.
    """


WarmupInput = Annotated[str, Field(min_length=1, max_length=4096)]


class Warmup(ApiModel):
    """Real inference before a pod becomes ready."""

    enabled: bool = True
    """Whether a pod warms up before it becomes ready."""
    inputs: Annotated[tuple[WarmupInput, ...], Field(max_length=16, json_schema_extra=at_most_together(4096, "inputs"))] = ()
    """Texts to run, of at most 4096 characters together. Empty: built-in ones of several lengths."""
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    """The warm-up fails after this time."""


class Limits(ApiModel):
    """Admission limits of one pod. A change replaces no pod."""

    max_concurrent_requests: Annotated[int, Field(ge=1, le=4096)] = 64
    """Requests that are worked on at the same time."""
    max_queued_requests: Annotated[int, Field(ge=0, le=65536)] = 256
    """Requests that may wait; further ones are answered with 429 and Retry-After."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=1_073_741_824)] = 10_485_760
    """The largest request body; larger ones are answered with 413."""
    max_tokens_per_request: Annotated[int, Field(ge=1, le=10_000_000)] = 300_000
    """The most tokens of all texts of one request together; more are answered with 413."""
    request_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    """A request that takes longer is answered with 504."""


class ModelDeploymentSpec(ApiModel):
    """What the user wants."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.terminationGracePeriodSeconds >= self.limits.requestTimeoutSeconds + 20",
                "terminationGracePeriodSeconds must be at least limits.requestTimeoutSeconds + 20, for requests to finish",
            ),
            CLAIM_RULE,
            USED_RULE,
            DRAIN_RULE,
            IN_MEMORY_RULE,
            PROBES_RULE,
        )
    )

    suspend: bool = False
    """Run no pods; the model stays pinned. True ends all pods."""
    model: ModelSpec
    """Which model to serve. Other bytes, and another source, replace the pods; `name` and `expected` replace none."""
    storage: Storage = Storage()
    """Where the model's files are kept. A change replaces the pods."""
    runtime: Runtime = Runtime()
    """The program that serves. A change replaces the pods."""
    warmup: Warmup = Warmup()
    """Real inference before a pod becomes ready. A change replaces the pods."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of serving pods. A change replaces none of those that stay."""
    rollout: Rollout = Rollout()
    """How one revision replaces another. A change replaces no pod."""
    auth: Auth = Auth()
    """Whether requests need a key. A change replaces the pods; the keys in the Secret are read again without."""
    limits: Limits = Limits()
    """Admission limits of one pod. A change replaces no pod."""
    cors: Cors = Cors()
    """Which web pages may read answers. A change replaces no pod."""
    network_policy: NetworkPolicySpec = NetworkPolicySpec()
    """Who reaches the pods, where the cluster enforces network policies. A change replaces no pod."""
    probes: Probes = Probes()
    """How patiently the kubelet asks pods how they are. A change replaces the pods."""
    disruption: Disruption = Disruption()
    """What may happen to the pods when a node is drained. A change replaces no pod."""
    pod: Pod = Pod()
    """Where and how pods run. A change replaces the pods."""
    termination_grace_period_seconds: Annotated[int, Field(ge=21, le=7200)] = 320
    """How long a stopping pod may take to finish the requests it has. A change replaces the pods."""


class ModelDeployment(Resource):
    """Serves one model, of the Hugging Face hub or named by its CID, from content-addressed storage."""

    model_config = ConfigDict(json_schema_extra=CHILD_NAME_RULES)

    spec: ModelDeploymentSpec
    """What the user wants."""
    status: ModelDeploymentStatus = ModelDeploymentStatus()
    """What is."""
