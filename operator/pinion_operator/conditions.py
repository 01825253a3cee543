"""Conditions, pure: set one, merge several, summarise as kstatus reads it. Times are added by the worker, which has a clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .api.base import Condition

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """What a condition speaks about; True is good unless said otherwise."""

    READY = "Ready"  # what was asked for holds; the summary that kstatus, Flux and `kubectl wait` read
    RECONCILING = "Reconciling"  # there only while True: not yet there, and moving
    STALLED = "Stalled"  # there only while True: will not get there unless somebody acts
    # ModelDeployment
    AVAILABLE = "Available"  # traffic works now, even in the middle of a rollout
    SOURCE_RESOLVED = "SourceResolved"  # the revision is a commit, its files are listed
    ARTIFACT_PINNED = "ArtifactPinned"  # a backend holds the model and has pinned it
    ARTIFACT_VERIFIED = "ArtifactVerified"  # the bytes on the pods' disks have the CID that status names
    WORKLOAD_READY = "WorkloadReady"  # the pods run
    WARM = "Warm"  # real inference succeeded on every pod that takes traffic
    SOURCE_DRIFTED = "SourceDrifted"  # False is good: the branch leads to the bytes that are served
    BACKEND_DEGRADED = "BackendDegraded"  # False is good: the preferred backend serves
    # IpfsBackend
    REACHABLE = "Reachable"  # the daemon answers on its RPC API
    ROUND_TRIP_HEALTHY = "RoundTripHealthy"  # what was added came back the same
    DELETION_BLOCKED = "DeletionBlocked"  # there only while True: deletion waits for ModelDeployments that use it


TRUE_IS_BAD = frozenset(
    {ConditionType.STALLED, ConditionType.SOURCE_DRIFTED, ConditionType.BACKEND_DEGRADED, ConditionType.DELETION_BLOCKED}
)


class Reason(StrEnum):
    """Why, in one word. One reason may serve several condition types."""

    # Ready
    SERVING = "Serving"  # the wanted replicas serve the wanted bytes
    HEALTHY = "Healthy"  # the backend passed its round trip
    SUSPENDED = "Suspended"  # no pods, as asked for
    SCALED_TO_ZERO = "ScaledToZero"  # no pods, as asked for by replicas: 0
    PROGRESSING = "Progressing"  # on the way, nothing wrong so far
    DEGRADED = "Degraded"  # serves, but not with all that was asked for
    FAILED = "Failed"  # a pod failed for a reason that Stalled names
    DEPENDENCY_NOT_READY = "DependencyNotReady"  # waits for an IpfsBackend
    STATUS_UNREACHABLE = "StatusUnreachable"  # the pods' /status cannot be read, so nothing is claimed
    # Available
    MINIMUM_REPLICAS_AVAILABLE = "MinimumReplicasAvailable"  # at least one pod takes traffic
    NO_READY_REPLICAS = "NoReadyReplicas"  # no pod takes traffic
    # Reconciling
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"  # an attempt failed in a way that passes; the next one is under way
    RESOLVING = "Resolving"  # asking the hub for the commit and its files
    FETCHING = "Fetching"  # pods bring the files
    STARTING = "Starting"  # pods start or load
    WARMING_UP = "WarmingUp"  # pods warm up
    ROLLING_OUT = "RollingOut"  # pods of another revision are being replaced
    # Stalled
    INVALID_SPEC = "InvalidSpec"  # the object does not follow the schema of this operator
    SOURCE_NOT_FOUND = "SourceNotFound"  # no such repository or revision
    UNAUTHORIZED = "Unauthorized"  # the hub refuses: gated or private; a backend wants another token
    INTEGRITY_FAILURE = "IntegrityFailure"  # the bytes are not those that were expected
    INSUFFICIENT_STORAGE = "InsufficientStorage"  # the model does not fit; refused before the download
    VOLUME_NOT_SHAREABLE = "VolumeNotShareable"  # more pods are wanted than can mount the volume
    UNSUPPORTED_MODEL = "UnsupportedModel"  # the list of files shows that no engine loads it; nothing is fetched
    MODEL_LOAD_FAILED = "ModelLoadFailed"  # the engine cannot load these files
    ADMISSION_CONFLICT = "AdmissionConflict"  # a webhook or policy changes a child in what this object rests on
    OPERATOR_FORBIDDEN = "OperatorForbidden"  # the operator lacks a right, so nothing can be done or told
    NAME_TAKEN = "NameTaken"  # a child's name belongs to an object that is not ours
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"  # no progress for too long
    # SourceResolved
    RESOLVED = "Resolved"  # commit and files are known
    ORIGIN_RATE_LIMITED = "OriginRateLimited"  # the hub asks to come back later
    ORIGIN_UNREACHABLE = "OriginUnreachable"  # the hub does not answer
    # SourceDrifted
    UP_TO_DATE = "UpToDate"  # the branch leads to the bytes that are served
    UPSTREAM_MOVED = "UpstreamMoved"  # the branch leads to other bytes by now
    # ArtifactPinned
    PINNED = "Pinned"  # confirmed by the backend
    PINNING = "Pinning"  # the backend takes the files in
    PIN_FAILED = "PinFailed"  # the backend refused or lost the pin
    NO_BACKEND = "NoBackend"  # the namespace has none: the pods' own stores only
    BACKEND_UNAVAILABLE = "BackendUnavailable"  # no backend answers
    DOWNLOAD_FAILED = "DownloadFailed"  # the files could not be brought
    DOWNLOAD_STALLED = "DownloadStalled"  # no byte arrived for too long
    # BackendDegraded
    PREFERRED_BACKEND_ACTIVE = "PreferredBackendActive"  # the first in order serves
    FALLBACK_ACTIVE = "FallbackActive"  # another than the first in order serves
    NO_BACKEND_AVAILABLE = "NoBackendAvailable"  # none serves: the hub, other pods and the pods' own stores do
    # ArtifactVerified
    VERIFIED = "Verified"  # recomputed from the bytes, and equal
    VERIFYING = "Verifying"  # being recomputed
    CID_MISMATCH = "CIDMismatch"  # other bytes than the CID names
    DIGEST_MISMATCH = "DigestMismatch"  # a file is not what the hub announced
    # WorkloadReady
    RUNNING = "Running"  # the containers run
    UNSCHEDULABLE = "Unschedulable"  # no node takes the pod
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"  # the image cannot be pulled
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"  # the container ends again and again
    EVICTED = "Evicted"  # the kubelet ended a pod that took too much, or whose node had too little
    OOM_KILLED = "OOMKilled"  # the container took more memory than its limit
    INVALID_POD_OVERRIDE = (
        "InvalidPodOverride"  # the API server refuses the pod as specified, or the node cannot start its container
    )
    FAILED_MOUNT = "FailedMount"  # a volume of the pod cannot be mounted: what is in it is missing, mostly
    FAILED_ATTACH_VOLUME = "FailedAttachVolume"  # a volume cannot be attached to the node: another has it, mostly
    FAILED_CREATE_POD_SAND_BOX = "FailedCreatePodSandBox"  # the node cannot give the pod its network
    QUOTA_EXCEEDED = "QuotaExceeded"  # the namespace's quota refuses the pod
    # Warm
    WARMED_UP = "WarmedUp"  # done
    WARMUP_FAILED = "WarmupFailed"  # the model does not answer, or not in time
    WARMUP_SKIPPED = "WarmupSkipped"  # switched off
    # IpfsBackend
    ANSWERING = "Answering"  # the RPC API answers
    UNREACHABLE = "Unreachable"  # the RPC API does not answer
    ROUND_TRIP_SUCCEEDED = "RoundTripSucceeded"  # add, cat, compare
    ROUND_TRIP_FAILED = "RoundTripFailed"  # add or cat failed, or what came back was something else
    NOT_PROBED = "NotProbed"  # no check yet
    NOT_ASKED = "NotAsked"  # the operator does not ask it: what pods say of it counts
    IN_USE = "InUse"  # ModelDeployments refer to it


@dataclass(frozen=True)
class Reconciling:
    """Not yet there, and moving."""

    reason: Reason
    message: str = ""


@dataclass(frozen=True)
class Stalled:
    """Will not get there unless somebody acts."""

    reason: Reason
    message: str = ""


def condition(type_: ConditionType, status: bool | None, reason: Reason, message: str = "", *, generation: int) -> Condition:
    """Return a condition; a status of None is Unknown."""
    text: ConditionStatus = "Unknown" if status is None else "True" if status else "False"
    return Condition(type=type_, status=text, reason=reason, message=message, observed_generation=generation)


def summarise(ready: Condition, state: Reconciling | Stalled | None = None) -> tuple[Condition, ...]:
    """Return Ready with what kstatus needs beside it: Reconciling or Stalled, never both, and neither when at rest.

    A stalled object cannot be Ready: that is the caller's mistake, ValueError.
    """
    if state is None:
        return (ready,)
    if isinstance(state, Stalled) and ready.status == "True":
        raise ValueError(f"Ready=True ({ready.reason}) and Stalled ({state.reason}) contradict each other")
    type_ = ConditionType.STALLED if isinstance(state, Stalled) else ConditionType.RECONCILING
    return ready, condition(type_, True, state.reason, state.message, generation=ready.observed_generation or 0)


def find(conditions: Iterable[Condition], type_: ConditionType) -> Condition | None:
    """Return the condition of a type, or None."""
    return next((known for known in conditions if known.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: ConditionType) -> bool:
    """Return whether a condition is there and True."""
    known = find(conditions, type_)
    return known is not None and known.status == "True"


def set_condition(conditions: Sequence[Condition], new: Condition) -> tuple[Condition, ...]:
    """Return the conditions with `new` in the place of the one of its type, or at the end."""
    if find(conditions, ConditionType(new.type)) is None:
        return (*conditions, new)
    return tuple(new if known.type == new.type else known for known in conditions)


def merge(
    conditions: Sequence[Condition], new: Iterable[Condition], *, drop: Iterable[ConditionType] = ()
) -> tuple[Condition, ...]:
    """Return the conditions with each of `new` set; the types in `drop` go away, unless they are in `new`."""
    dropped = set(drop)
    result = tuple(known for known in conditions if known.type not in dropped)
    for one in new:
        result = set_condition(result, one)
    return result
