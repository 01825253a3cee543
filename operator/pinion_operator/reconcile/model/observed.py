"""Everything that a decision about one ModelDeployment may look at, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pinion_contract.status import PodStatus

from ...resources.kinds import Object, Ref
from ...resources.platform import PLAIN, Platform
from ..admission import Admission, Answer
from ..refusal import Refusal
from .scope import Scope
from .source import Resolution, SourceFacts, Unresolved


@dataclass(frozen=True)
class SinceProgress:
    """For how long nothing has got on."""

    seconds: float = 0.0  # since this process saw progress, or, when it has seen none, since it first looked
    moved: bool = False  # whether this process has seen any


@dataclass(frozen=True)
class Pod:
    """A pod of the deployment and what it says about itself."""

    obj: Object
    status: PodStatus | None = None  # None: not asked, or no answer that can be read
    problem: str = ""  # why there is no answer


@dataclass(frozen=True)
class Observed:
    """One ModelDeployment and its surroundings at one moment."""

    obj: Object  # as the API server has it
    scope: Scope | None  # None: the object does not follow the schema of this operator
    problem: str = ""  # why it could not be parsed
    children: Mapping[Ref, Object] = field(default_factory=dict)  # those that are ours
    orphans: Mapping[Ref, Object] = field(default_factory=dict)  # that our label ties to this object, and nobody controls
    taken: frozenset[Ref] = frozenset()  # names that we want and strangers bear
    pods: tuple[Pod, ...] = ()  # of all revisions, oldest first; those in deletion too
    backends: tuple[Object, ...] = ()  # every IpfsBackend of the namespace
    refused: Mapping[Ref, Refusal] = field(default_factory=dict)  # children
    answers: Mapping[Ref, Answer] = field(default_factory=dict)  # children that came back otherwise than they were sent
    resolution: Resolution | None = None  # None: not needed, because the source is known
    upstream: SourceFacts | None = None  # what the branch led to when the hub was asked last; None: this process knows nothing
    unasked: Unresolved | None = None  # why nobody asks where the branch leads; None: somebody does, or need not
    known_cids: Mapping[str, str] = field(default_factory=dict)  # by source digest: of other ModelDeployments of the namespace
    claims: Mapping[str, Object | None] = field(default_factory=dict)  # that pods mount beside their cache; not at rest
    deployments: tuple[Object, ...] = ()  # those of ours in the namespace, of other ModelDeployments too
    warnings: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)  # Warning events, by the uid of what waits
    since_progress: SinceProgress = field(default_factory=SinceProgress)
    cache_claim: Object | None = None  # that pods mount at $HF_HOME; looked at only while the object is not at rest
    cache_looked_at: bool = False
    renaming_age: float = 0.0  # seconds since all pods were first seen to answer to old and new name, as this process knows
    progress_age: float = 0.0  # seconds since the transfer in status last changed, as far as this process knows
    runtime_image: str = ""  # the operator's default
    image_pull_policy: str = "IfNotPresent"  # the operator's default
    run_as: str = "Fixed"  # the operator's default: Fixed or Cluster
    hub_endpoint: str = ""  # the operator's default; "" = the library's
    allow_local_addresses: bool = False  # whether URLs in the object may lead pods to loopback and the like
    management_namespaces: tuple[str, ...] = ()  # from where pods' management port is asked; () = not known
    platform: Platform = PLAIN  # what new pods are fitted to
    budgets: tuple[Object, ...] | None = None  # every PodDisruptionBudget of the namespace; None: not known
    budgets_problem: str = ""  # why they are not known; "" = they will be, soon
    limit_ranges: tuple[Object, ...] = ()  # of the namespace; looked at only before a revision is rendered
    fresh_token: str = ""  # a new secret, should one be needed
    peers_secret_gone: bool = False  # looked for only while a pod waits for its volumes

    @property
    def admission(self) -> Admission:
        """Return what is remembered of how the API server answered when children were applied."""
        return Admission.of(self.obj, self.answers, self.scope.model.status.mutated_children if self.scope else ())
