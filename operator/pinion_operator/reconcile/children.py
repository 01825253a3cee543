"""The children that a revision wants, and which of them are not there as wanted."""

from dataclasses import dataclass
from typing import Any

from pinion_contract.config import LiveConfig

from ..api.modeldeployment import ModelDeployment
from ..resources.configmap import build_config_map, build_live_config_map
from ..resources.deployment import build_deployment
from ..resources.kinds import DEPLOYMENT, Object, kind_of, ref_of
from ..resources.names import REVISION_LABEL
from ..resources.service import build_service
from ..resources.serviceaccount import build_service_account
from .artifact import Artifact
from .drift import covers
from .observed import Observed
from .pods import revision_of
from .revision import Revision
from .workload import deployment_of, wanted_limits

RETAINED = 3  # old revisions beside the current one


@dataclass(frozen=True)
class Pending:
    """What is to be applied."""

    apply: tuple[Object, ...] = ()
    only_replicas: bool = False  # nothing but the number of pods changes


def wanted_replicas(model: ModelDeployment) -> int:
    """Return how many pods the user wants."""
    return 0 if model.spec.suspend else model.spec.replicas


def replicas_now(seen: Observed, model: ModelDeployment, artifact: Artifact) -> int:
    """Return how many pods may run now: while nobody knows the CID, one fetches and the others wait for it.

    Pods that run already stay: in the middle of a rollout the old revision serves while the first new pod fetches.
    """
    wanted = wanted_replicas(model)
    if artifact.cid:
        return wanted
    have = deployment_of(seen, model)
    return min(wanted, max(1, have["spec"].get("replicas", 1) if have else 1))


def pending_children(seen: Observed, model: ModelDeployment, revision: Revision, artifact: Artifact, replicas: int) -> Pending:
    """Return the children to apply, in the order in which pods need them."""
    owner = seen.obj
    live = LiveConfig(cid=artifact.cid, manifest_cid=artifact.manifest_cid, limits=wanted_limits(model))
    wanted = [
        build_service_account(owner),
        build_config_map(owner, revision.name, revision.config),
        build_live_config_map(owner, revision.name, live),
        build_service(owner),
        build_deployment(owner, revision.template, replicas),
    ]
    apply = tuple(child for child in wanted if not covers(seen.children.get(ref_of(child)), child))
    return Pending(apply, only_replicas=bool(apply) and all(_differs_in_replicas(seen, child, revision) for child in apply))


def stale_children(seen: Observed, revision: Revision, revisions: tuple[Revision, ...]) -> tuple[Object, ...]:
    """Return what belongs to revisions that are no longer kept: neither current, nor among the newest, nor run by any pod."""
    old = [known.name for known in revisions if known.name != revision.name]  # newest first
    keep = {revision.name, *old[:RETAINED], *map(revision_of, seen.pods)}
    return tuple(child for child in seen.children.values() if _revision_label(child) not in {*keep, ""})


def _differs_in_replicas(seen: Observed, child: dict[str, Any], revision: Revision) -> bool:
    have = seen.children.get(ref_of(child))
    if have is None or kind_of(child) != DEPLOYMENT:
        return False
    return covers(have, build_deployment(seen.obj, revision.template, have["spec"].get("replicas", 1)))


def _revision_label(child: Object) -> str:
    return str(child["metadata"].get("labels", {}).get(REVISION_LABEL, ""))
