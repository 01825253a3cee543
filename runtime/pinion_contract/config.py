"""Operator -> pod: what to bring, from where, and within which limits.

Two files are mounted: `config.json` of a revision, which never changes, and `live.json`, which may change without a restart.
"""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer
from pydantic.alias_generators import to_camel

from .base import Message, OpenMessage


class TokenRule(Message):
    """To whom a token may be sent: the hosts that its own Secret names."""

    secret: str = ""  # its name, for messages
    hosts_file: str = ""  # `host` or `host:port`, separated by commas or blanks; the Secret may have none


class HubTokenRule(TokenRule):
    """Where the Secret names no host, or there is none, a hub's token goes to the hub of the operator's settings alone."""

    default_endpoint: str = ""  # "" = the library's default hub


class HuggingFaceSource(Message):
    """A repository at a resolved commit."""

    repo: str
    revision: str = "main"  # what the user asked for; the commit decides
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    endpoint: str = ""  # "" = the library's default hub
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    selection_rule: Literal[1, 2] = 1  # how files are chosen where no pattern says it; a revision keeps to its own
    source_digest: str = ""  # sha256 hex over the sorted (path, size, oid) of the selected files; "" = not known
    token_file: str = ""  # the hub token of a gated or private repository; "" = none
    token_rule: HubTokenRule | None = None  # None: a revision from before there was one; the endpoint gets the token
    allow_local_addresses: bool = False  # endpoint may be a loopback or link-local address; the operator's default always may
    stall_timeout_seconds: int = Field(60, ge=1)  # an origin that sends no byte for so long is left


class FolderSource(Message):
    """A folder with a model's files: no repository, no commit, and nobody is asked."""

    folder: str  # an absolute path
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()


class IpfsSource(Message):
    """A tree by its CID alone, whoever made it: backends and peers are asked, and no hub."""

    cid: str  # of the root, CIDv1 in base32
    path: str = ""  # a folder in the tree, names separated by "/"; "" = the root
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    stall_timeout_seconds: int = Field(60, ge=1)  # a peer that sends no byte for so long is left; backends have their own


def _kind_of_source(value: Any) -> str:
    """Return which kind of source this is, so that what is wrong in one is not told as wrong in the others too."""
    for kind, model, mark in (("folder", FolderSource, "folder"), ("ipfs", IpfsSource, "cid")):
        if isinstance(value, model) or (isinstance(value, dict) and mark in value):
            return kind
    return "huggingFace"


Source = Annotated[
    Annotated[HuggingFaceSource, Tag("huggingFace")]
    | Annotated[FolderSource, Tag("folder")]
    | Annotated[IpfsSource, Tag("ipfs")],
    Discriminator(_kind_of_source),
]


class CircuitBreaker(Message):
    """When a backend is left alone for a while instead of costing each call a timeout."""

    error_threshold_percent: int = Field(50, ge=1, le=100)
    min_requests: int = Field(10, ge=1)
    open_seconds: int = Field(30, ge=1)


class _Backend(Message):
    """What every backend has."""

    name: str
    stall_timeout_seconds: int = Field(60, ge=1)  # a stream without a byte for so long is dropped
    circuit_breaker: CircuitBreaker = CircuitBreaker()


class KuboBackend(_Backend):
    """A Kubo daemon that pods import into, pin in and read from."""

    type: Literal["Kubo"] = "Kubo"
    rpc_url: str
    gateway_url: str
    token_file: str = ""  # bearer token of the RPC API; "" = none
    token_rule: TokenRule | None = None  # None: the operator's own daemon, or a revision from before there was one
    allow_local_addresses: bool = False


class GatewayBackend(_Backend):
    """Trustless HTTP gateways, read only, asked in this order."""

    type: Literal["TrustlessGateway"] = "TrustlessGateway"
    gateway_urls: tuple[str, ...] = Field(min_length=1)
    token_file: str = ""  # bearer token; "" = none
    token_rule: TokenRule | None = None  # None: a revision from before there was one
    allow_local_addresses: bool = False


class CacheBackend(_Backend):
    """A Hugging Face cache on a volume that the namespace's pods share."""

    type: Literal["HuggingFaceCache"] = "HuggingFaceCache"
    path: str  # where the volume is mounted: the HF_HOME of that store


Backend = Annotated[KuboBackend | GatewayBackend | CacheBackend, Field(discriminator="type")]


class Peers(Message):
    """The content ports of the other pods of this deployment."""

    host: str  # a name that resolves to every pod's address: the headless Service
    port: int = Field(8082, ge=1, le=65535)
    token_file: str  # the bearer token that all of them share


_LATER_LIMITS = ("max_tokens_per_request",)  # that pods of an earlier version do not know


class Limits(Message):
    """Admission limits of one pod."""

    max_concurrent_requests: int = Field(64, ge=1)
    max_queued_requests: int = Field(256, ge=0)
    max_body_bytes: int = Field(10_485_760, ge=1)
    max_tokens_per_request: int = Field(300_000, ge=1)  # of all its texts together
    request_timeout_seconds: int = Field(300, ge=1)

    @model_serializer(mode="wrap")
    def _for_older_readers(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is at its default and came later: running pods, and an operator that was rolled back, refuse it."""
        values: dict[str, Any] = serialize(self)
        for name in _LATER_LIMITS:
            if getattr(self, name) == Limits.model_fields[name].default:
                values.pop(name, None)
                values.pop(to_camel(name), None)
        return values


class Warmup(Message):
    """Real inference before Ready."""

    enabled: bool = True
    inputs: tuple[str, ...] = ()
    timeout_seconds: int = Field(300, ge=1)


class RuntimeConfig(Message):
    """The immutable configuration of one revision (`config.json`)."""

    namespace: str
    deployment: str
    revision: str
    source: Source
    backends: tuple[Backend, ...] = ()  # in order of preference
    fallback: Literal["Automatic", "None"] = "Automatic"  # while no backend can deliver or pin: go on without, or wait
    peers: Peers | None = None
    pinning: Literal["Required"] = "Required"
    api_keys_dir: str = ""  # a folder with one file per client, its key inside; "" = no key is asked for
    cache_limit_bytes: int = 0  # 0 = the volume's own limit
    task: Literal["auto", "feature-extraction", "text-generation"] = "feature-extraction"  # auto: what the model is meant for
    context_length: int = Field(0, ge=0)  # tokens of prompt and answer; 0 = the model's own, or what memory gives
    max_sequences: int = Field(0, ge=0)  # that are generated at a time; 0 = as many as memory gives
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    warmup: Warmup = Warmup()
    termination_grace_period_seconds: int = Field(320, ge=1)


def config_digest(text: str | bytes) -> str:
    """Return the sha256 hex of config.json as it lies there; a pod reports it, so that the operator knows what it has read."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


class LiveConfig(OpenMessage):
    """What may change without a restart (`live.json`)."""

    cid: str = ""  # learned from the first pod; "" = not known yet
    manifest_cid: str = ""
    expected_cid: str = ""  # the user's: load this or nothing; "" = no wish
    owner: str = ""  # uid of the ModelDeployment: whose pins a pod makes; "" = nobody's but its own
    served_names: tuple[str, ...] = ()  # what requests may call the model, the one that is shown first; () = the deployment's
    limits: Limits = Limits()
    cors_origins: tuple[str, ...] | None = None  # pages that may read answers, "*" = all; None: none, and nothing was said
