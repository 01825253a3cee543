"""Claims that the pods mount beside their own cache, of backends mostly: whether they, and others, can mount them together."""

from collections.abc import Iterable, Mapping

from ...api.modeldeployment import ModelDeployment
from ...resources.kinds import DEPLOYMENT, Object, Ref
from ..claim import ONE_POD, what_to_set
from .cache import cache_claim
from .idle import wanted_replicas
from .observed import Observed
from .revision import Revision


def mounted_claims(model: ModelDeployment, revision: Revision) -> tuple[str, ...]:
    """Return the claims that pods of a revision mount, their own cache aside."""
    own = cache_claim(model)
    return tuple(name for name in _claims(revision.template) if name != own)


def explain_unshareable(seen: Observed, model: ModelDeployment, revision: Revision) -> str:
    """Return why pods would wait for each other's volume, and what to set; "" when they would not."""
    for name in mounted_claims(model, revision):
        modes = tuple((seen.claims.get(name) or {}).get("spec", {}).get("accessModes", ()))
        if ONE_POD not in modes or not wanted_replicas(model):
            continue
        whose = f"PersistentVolumeClaim {name}{_of_backend(seen, name)} can be mounted by one pod at a time ({ONE_POD})"
        surge = 0 if revision.one_pod else model.spec.rollout.max_surge  # they replace each other by Recreate
        if wishes := what_to_set(modes, wanted_replicas(model), surge):
            return f"{whose}: set {wishes}, or use a claim with access mode ReadWriteMany"
        if others := other_holders(name, _own(seen, model), seen.deployments):
            who = " and ".join(others)
            way_out = "let one of them use other backends, or use a claim with access mode ReadWriteMany"
            return f"{whose}, and {who} mounts it: {way_out}"
    return ""


def other_holders(claim: str, ours: Object | None, deployments: Iterable[Object]) -> tuple[str, ...]:
    """Return whose pods have the claim, by their Deployments: those that wanted it before ours did."""
    holding = [one for one in deployments if one["spec"].get("replicas", 1) and claim in _claims(one["spec"]["template"])]
    if ours is not None and claim in _claims(ours["spec"]["template"]) and ours["spec"].get("replicas", 1):
        holding = [one for one in holding if _age(one) < _age(ours)]
    own = ours["metadata"].get("uid") if ours else None
    return tuple(sorted(f"ModelDeployment {one['metadata']['name']}" for one in holding if one["metadata"].get("uid") != own))


def _claims(template: Object) -> tuple[str, ...]:
    volumes: Iterable[Mapping[str, Mapping[str, str]]] = template["spec"].get("volumes") or ()
    return tuple(one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one)


def _of_backend(seen: Observed, claim: str) -> str:
    for backend in seen.backends:
        if (backend["spec"].get("cache") or {}).get("claimName") == claim:
            return f" of IpfsBackend {backend['metadata']['name']}"
    return ""


def _own(seen: Observed, model: ModelDeployment) -> Object | None:
    return seen.children.get(Ref(DEPLOYMENT, model.metadata.namespace, model.metadata.name))


def _age(deployment: Object) -> tuple[str, str]:
    return str(deployment["metadata"].get("creationTimestamp", "")), str(deployment["metadata"]["name"])
