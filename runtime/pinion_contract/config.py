"""Operator -> pod: what to bring, from where, and within which limits.

Two files are mounted: `config.json` of a revision, which never changes, and `live.json`, which may change without a restart.
"""

import hashlib
from typing import Literal

from pydantic import Field

from .base import Message


class HuggingFaceSource(Message):
    """A repository at a resolved commit."""

    repo: str
    revision: str = "main"  # what the user asked for; the commit decides
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    endpoint: str = ""  # "" = the library's default hub
    allow_patterns: tuple[str, ...] = ()
    ignore_patterns: tuple[str, ...] = ()
    source_digest: str = ""  # sha256 hex over the sorted (path, size, oid) of the selected files; "" = not known


class KuboBackend(Message):
    """A Kubo daemon that pods import into, pin in and read from."""

    type: Literal["Kubo"] = "Kubo"
    name: str
    rpc_url: str
    gateway_url: str
    token_file: str = ""  # bearer token of the RPC API; "" = none


class Limits(Message):
    """Admission limits of one pod."""

    max_concurrent_requests: int = Field(64, ge=1)
    max_queued_requests: int = Field(256, ge=0)
    max_body_bytes: int = Field(10_485_760, ge=1)
    request_timeout_seconds: int = Field(300, ge=1)


class Warmup(Message):
    """Real inference before Ready."""

    enabled: bool = True
    inputs: tuple[str, ...] = ()
    timeout_seconds: int = Field(300, ge=1)


class RuntimeConfig(Message):
    """The immutable configuration of one revision (`config.json`)."""

    namespace: str
    deployment: str
    deployment_uid: str
    revision: str
    model_name: str  # the served name
    source: HuggingFaceSource
    expected_cid: str = ""  # serve this or nothing
    backends: tuple[KuboBackend, ...] = ()  # in order of preference
    pinning: Literal["Required"] = "Required"
    cache_limit_bytes: int = 0  # 0 = the volume's own limit
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    warmup: Warmup = Warmup()
    termination_grace_period_seconds: int = Field(320, ge=1)

    def digest(self) -> str:
        """Return the sha256 hex of the canonical JSON; a pod reports it, so that the operator knows what the pod has read."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()


class LiveConfig(Message):
    """What may change without a restart (`live.json`)."""

    cid: str = ""  # learned from the first pod; "" = not known yet
    manifest_cid: str = ""
    limits: Limits = Limits()
