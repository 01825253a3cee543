"""Pod -> operator: the truth about one runtime pod, as `GET /status` on the management port answers it."""

from enum import StrEnum

from pydantic import Field

from .base import OpenMessage
from .config import Limits


class Phase(StrEnum):
    """Where a pod is between start and end."""

    RESOLVING = "Resolving"
    FETCHING = "Fetching"
    VERIFYING = "Verifying"
    PINNING = "Pinning"
    LOADING = "Loading"
    WARMING_UP = "WarmingUp"
    READY = "Ready"
    DRAINING = "Draining"
    FAILED = "Failed"


class FailureReason(StrEnum):
    """Why a stage failed. The operator maps each to a condition."""

    SOURCE_NOT_FOUND = "SourceNotFound"
    UNAUTHORIZED = "Unauthorized"
    ORIGIN_RATE_LIMITED = "OriginRateLimited"
    ORIGIN_UNREACHABLE = "OriginUnreachable"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOAD_STALLED = "DownloadStalled"
    CID_MISMATCH = "CIDMismatch"  # the bytes are not those of expected.cid or of the known CID
    DIGEST_MISMATCH = "DigestMismatch"  # a file is not what the hub announced, or the listing is not the operator's
    UNSUPPORTED_DAG = "UnsupportedDag"  # for one: a symbolic link
    INSUFFICIENT_STORAGE = "InsufficientStorage"
    BACKEND_UNAVAILABLE = "BackendUnavailable"
    PIN_FAILED = "PinFailed"
    UNSUPPORTED_MODEL = "UnsupportedModel"  # the list of files shows that no engine loads it: nothing was fetched
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    WARMUP_FAILED = "WarmupFailed"
    ENGINE_DIED = "EngineDied"
    INVALID_CONFIG = "InvalidConfig"


class Failure(OpenMessage):
    """A failed stage; `retrying` tells whether the pod goes on trying by itself."""

    stage: Phase
    reason: FailureReason
    message: str
    retrying: bool


class PastFailure(OpenMessage):
    """The newest failure of a stage, of the engine or of a computation; it stays when it has been overcome."""

    at: str  # RFC 3339, UTC
    phase: Phase  # in which the pod was
    reason: str  # a FailureReason, or the error code that a client was told
    message: str


class SourceType(StrEnum):
    """Where bytes came from."""

    STORE = "Store"
    PEER = "Peer"
    BACKEND = "Backend"
    ORIGIN = "Origin"


class SourceBytes(OpenMessage):
    """Bytes taken from one source."""

    type: SourceType
    name: str  # the backend's name, or the origin's endpoint
    bytes: int


class Transfer(OpenMessage):
    """The fetch, finished or under way."""

    total_bytes: int = 0
    completed_bytes: int = 0
    bytes_per_second: int = 0
    eta_seconds: int | None = None
    sources: tuple[SourceBytes, ...] = ()


class ModelFacts(OpenMessage):
    """What is served; each field is empty until it is known."""

    name: str
    repo: str = ""
    commit: str = ""
    folder: str = ""  # where the files lie, of a model that is of no repository
    source_cid: str = ""  # of the root of the tree that was asked for, of a model that is named by CID alone
    source_path: str = ""  # of the folder in that tree
    cid: str = ""  # computed from, or verified against, the bytes on disk
    manifest_cid: str = ""
    opened_cid: str = ""  # of the files the engine opened, verified at load
    unconfirmed: str = ""  # what only the cache says of commit and files, because the hub was not asked or did not answer
    source_digest: str = ""
    size_bytes: int = 0
    file_count: int = 0
    task: str = ""
    architecture: str = ""
    engine: str = ""  # transformers/padded; transformers/equal-lengths or one-at-a-time where texts would change each other
    engine_reason: str = ""  # what was found at load, where texts can't go together, or are computed slower than they might be
    pooling: str = ""  # for one: mean; several modes, put side by side, are joined by +
    pooling_assumed: bool = False  # the model's own files say nothing of pooling
    dtype: str = ""
    device: str = ""
    dimensions: int = 0
    max_sequence_length: int = 0
    context_length: int = 0  # tokens of prompt and answer together; 0 where nothing is generated
    max_sequences: int = 0  # that are generated at a time
    chat: bool = False  # messages are taken: there is a chat template that makes a prompt
    chat_reason: str = ""  # why not, of a model that generates text


class Finding(OpenMessage):
    """Wrong bytes that were found, and never served."""

    source_type: SourceType
    source: str  # the backend's name, the peer's address, the origin's endpoint, or "store"
    path: str  # of the file, relative to the model; "" when the block belongs to none
    block: int | None = None  # index of the 1 MiB leaf in the file; None: another node, or not known
    message: str


class BackendUse(OpenMessage):
    """Which backend serves, which was wanted, and why they differ."""

    active: str = ""
    preferred: str = ""
    degraded: bool = False
    reasons: tuple[str, ...] = ()
    pinned_in: tuple[str, ...] = ()


class Warm(OpenMessage):
    """The result of the last warm-up."""

    done: bool = False
    skipped: bool = False
    inputs: int = 0
    seconds: float = 0.0
    error: str = ""


class Timings(OpenMessage):
    """Seconds each stage took; 0 until it has ended."""

    fetch_seconds: float = 0.0
    verify_seconds: float = 0.0
    pin_seconds: float = 0.0
    load_seconds: float = 0.0
    warmup_seconds: float = 0.0
    cold_start_seconds: float = 0.0  # process start to the first Ready


class QueueState(OpenMessage):
    """The one queue at this moment."""

    queued_requests: int = 0
    running_requests: int = 0


class MemoryState(OpenMessage):
    """Measured memory of the pod's process tree."""

    resident_bytes: int = 0
    limit_bytes: int = 0  # of the cgroup; 0 = none


class PodStatus(OpenMessage):
    """The answer of `GET /status`."""

    phase: Phase
    failure: Failure | None = None
    last_failure: PastFailure | None = None
    config_digest: str
    revision: str
    limits: Limits
    expected_cid: str = ""  # the one that live.json named when it was read last
    served_names: tuple[str, ...] = ()  # what requests may call the model
    cors_origins: tuple[str, ...] | None = None  # pages that may read answers; None: a pod that knows nothing of them
    model: ModelFacts
    transfer: Transfer = Transfer()
    backend: BackendUse = BackendUse()
    warm: Warm = Warm()
    timings: Timings = Timings()
    queue: QueueState = QueueState()
    memory: MemoryState = MemoryState()
    engine_restarts: int = 0
    findings: tuple[Finding, ...] = Field(default=(), max_length=16)  # the newest
    versions: dict[str, str] = Field(default_factory=dict)
