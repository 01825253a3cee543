"""What shapes the pod of one revision, gathered from the object, its backends and the operator's defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .platform import PLAIN, Platform
from .pod_overrides import Overrides
from .probe import ProbesTimes, ProbeTimes

PROBES = ProbesTimes(ProbeTimes(1, 2, 120), ProbeTimes(1, 2, 2), ProbeTimes(10, 5, 6))
TOKEN_KEY = "token"


class TokenSecret(NamedTuple):
    """The Secret with the bearer token of a backend."""

    name: str
    key: str
    hosts: bool  # somebody else's backend: the Secret says to whom the token may be sent


@dataclass(frozen=True)
class PodSettings:
    """What of the user's wishes and the operator's defaults shapes the pod."""

    deployment: str
    revision: str
    config_map: str  # of the revision
    peers_secret: str
    image: str
    image_pull_policy: str
    resources: Mapping[str, Any] = field(default_factory=dict)
    cache_limit: str = ""  # a quantity; "" = what the node has
    backend_secrets: Mapping[str, TokenSecret] = field(default_factory=dict)  # by backend
    shared_claims: Mapping[str, str] = field(default_factory=dict)  # backend -> the claim of its volume
    cache_claim: str = ""  # of the volume that holds the store; "" = an emptyDir
    api_keys_secret: str = ""  # "" = no keys are asked for
    hub_token_secret: str = ""  # "" = the repository is public
    hub_token_key: str = TOKEN_KEY
    termination_grace_period_seconds: int = 320
    resource_claims: tuple[Mapping[str, str], ...] = ()  # as pods have them
    probes: ProbesTimes = PROBES
    image_pull_secrets: tuple[str, ...] = ()  # () = the platform's
    platform: Platform = PLAIN
    overrides: Overrides = field(default_factory=Overrides)  # the user's wishes about pods
