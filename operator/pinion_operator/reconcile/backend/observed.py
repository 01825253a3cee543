"""Everything that a decision about one IpfsBackend may look at, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...api.ipfsbackend import IpfsBackend
from ...resources.kinds import Object, Ref
from ...resources.kubo_secret import Credentials
from ...resources.platform import PLAIN, Platform
from ..admission import Admission, Answer
from ..custom_code import CustomCode
from ..refusal import Refusal
from .users import User

# A pod pins a moment before its CID is in any status; only a pin that nobody has wanted for this long goes.
GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Check:
    """One health check: of a daemon, a gateway or a volume."""

    reachable: bool  # it answered; of a volume: its claim is there
    healthy: bool  # what was added came back the same; where the operator cannot write, as much as `reachable`
    problem: str = ""  # why it is not healthy, or not asked
    version: str = ""
    peer_id: str = ""
    asked: bool = True  # False: the operator does not ask it, and claims nothing
    unauthorized: bool = False  # it answers, and wants another token, or one at all
    cause: str = ""  # why that is so, for the log alone: who named a URL must not learn where it leads


@dataclass(frozen=True)
class Health:
    """The newest check, and what the ones before it said."""

    check: Check
    failures: int = 0  # checks in a row that failed, this one included
    proven: bool = False  # some check of this pod has succeeded


@dataclass(frozen=True)
class ObservedBackend:
    """One IpfsBackend and its surroundings at one moment."""

    obj: Object  # as the API server has it
    backend: IpfsBackend | None  # parsed; None: it does not follow the schema of this operator
    credentials: Credentials  # of its daemon, should the operator run one
    problem: str = ""  # why it could not be parsed
    children: Mapping[Ref, Object] = field(default_factory=dict)  # those that are ours; Secrets are not read
    orphans: Mapping[Ref, Object] = field(default_factory=dict)  # that our label ties to this object, and nobody controls
    missing: frozenset[str] = frozenset()  # Secrets of ours that are not there
    taken: frozenset[Ref] = frozenset()  # names that we want and strangers bear
    refused: Mapping[Ref, Refusal] = field(default_factory=dict)  # children
    answers: Mapping[Ref, Answer] = field(default_factory=dict)  # children that came back otherwise than they were sent
    pods: tuple[Object, ...] = ()
    claim: Object | None = None  # of a managed daemon's volume; looked at only while its pod is not ready
    warnings: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)  # Warning events, by the uid of what waits
    users: tuple[User, ...] = ()  # ModelDeployments that use it, those in deletion left out
    health: Health | None = None  # None: not checked, because no pod is ready
    unwanted: Mapping[str, float] = field(
        default_factory=dict
    )  # our pins that no user wants: seconds since that was first seen
    grace: float = GRACE_SECONDS  # how long nobody must have wanted a pin before it goes
    next_check: float = 0.0  # seconds until the next check is due
    kubo_image: str = ""  # the operator's default
    operator_namespace: str = ""  # from where the operator asks daemons; "" = not known
    image_pull_policy: str = "IfNotPresent"
    platform: Platform = PLAIN  # what pods are fitted to
    run_as: str = "Fixed"  # the operator's default: Fixed or Cluster
    custom_code: CustomCode = field(default_factory=CustomCode)  # what objects may run beside what is ours

    @property
    def blocked_by(self) -> tuple[User, ...]:
        """Return the users that keep it from going."""
        return tuple(user for user in self.users if user.blocks)

    @property
    def workloads(self) -> Mapping[Ref, Object]:
        """Return the children, and what a predecessor has left of them."""
        return {**self.orphans, **self.children}

    @property
    def admission(self) -> Admission:
        """Return what is remembered of how the API server answered when children were applied."""
        return Admission.of(self.obj, self.answers, self.backend.status.mutated_children if self.backend else ())
