"""The children that a revision wants, and which of them are not there as wanted."""

from collections.abc import Sequence
from typing import Any

from ...api.modeldeployment import ModelDeployment
from ...resources.authorities import build_authorities_config_map
from ...resources.cache_claim import is_made_for
from ...resources.configmap import build_config_map, build_live_config_map
from ...resources.deployment import build_deployment
from ...resources.kinds import CONFIGMAP, DEPLOYMENT, NETWORKPOLICY, PERSISTENTVOLUMECLAIM, Object, Ref, kind_of, ref_of
from ...resources.model_names import authorities_name, live_name, peers_name
from ...resources.names import REVISION_LABEL
from ...resources.networkpolicy import build_network_policy
from ...resources.peers import build_peers_secret, build_peers_service
from ...resources.pod_volumes import mounted_peers_secret
from ...resources.service import build_service
from ...resources.serviceaccount import build_service_account
from ..admission import Admission
from ..drift import covers
from ..orphans import agreeing
from ..pending import Pending
from ..unchangeable import must_be_made_anew
from .artifact import Artifact
from .cache import wanted_cache_claim
from .evictions import starved_pod
from .idle import wanted_replicas
from .live import wanted_live
from .observed import Observed
from .pods import is_ready, revision_of
from .revision import Revision
from .rollout import replacement
from .scope import Scope
from .workload import deployment_of


def _replicas_now(seen: Observed, model: ModelDeployment, revision: Revision, artifact: Artifact) -> int:
    """Return how many pods may run now: while no pod has verified the bytes, one fetches and the others wait for it.

    Pods that run already stay: in the middle of a rollout the old revision serves while the first new pod fetches.
    """
    wanted = min(wanted_replicas(model), 1) if revision.one_pod else wanted_replicas(model)
    if starved_pod(seen, revision) and not any(is_ready(pod) for pod in seen.pods):
        return 0  # each new pod would fetch the model in vain, and be evicted
    if artifact.shared:
        return wanted
    have = deployment_of(seen, model)
    return min(wanted, max(1, have["spec"].get("replicas", 1) if have else 1))


def pending_children(seen: Observed, scope: Scope, revision: Revision, artifact: Artifact) -> Pending:
    """Return the children to apply, in the order in which pods need them."""
    owner, model = seen.obj, scope.model
    live = wanted_live(seen, model, revision, artifact)
    wanted: list[Object] = [
        build_service_account(owner),
        build_config_map(owner, revision.name, revision.config_map_of(model.metadata.name), revision.config),
        build_live_config_map(owner, revision.name, live, first_fields=revision.is_first_form),
        *_authorities(seen),
        build_service(owner),
        build_peers_service(owner),
        *_network_policy(seen, model),
        wanted_deployment(seen, model, revision, artifact),
    ]
    claim = wanted_cache_claim(seen, model)
    admission, found = seen.admission, dict(seen.children)
    if claim and seen.cache_looked_at:
        wanted.insert(0, claim)
        found |= {ref_of(claim): seen.cache_claim} if seen.cache_claim else {}
    mutated = [admission.mutation(found.get(ref_of(child)), child) for child in wanted]
    if claim and not seen.cache_looked_at:
        mutated.append(admission.unseen(claim))
    wrong = [child for child in wanted if not _is_there(found.get(ref_of(child)), child, admission)]
    anew = tuple(child for child in wrong if must_be_made_anew(child, found.get(ref_of(child))))
    apply = tuple(child for child in wrong if child not in anew)
    # The Secret is made once: it is there when the Deployment is, unless somebody took it away, and then pods wait for it.
    missing = deployment_of(seen, model) is None or seen.peers_secret_gone
    secret = build_peers_secret(owner, mounted_peers_secret(revision.template), seen.fresh_token)
    left = missing and _is_left_by_predecessor(seen, model, secret["metadata"]["name"])
    return Pending(
        replace=(*anew, *((secret,) if left else ())),
        create=(secret,) if missing and not left else (),
        apply=apply,
        delete=_unwanted(seen, model),
        mutated=tuple(one for one in mutated if one),
        only_replicas=bool(apply) and not anew and all(_differs_in_replicas(seen, admission, child) for child in apply),
    )


def wanted_deployment(seen: Observed, model: ModelDeployment, revision: Revision, artifact: Artifact) -> Object:
    """Return the Deployment of a revision as it should be now."""
    replicas = _replicas_now(seen, model, revision, artifact)
    return build_deployment(seen.obj, revision.template, replicas, replacement(model, revision, artifact))


def adoptable_children(seen: Observed, scope: Scope, wanted: Sequence[Object]) -> frozenset[Ref]:
    """Return which of the wanted children may be orphans that are taken over.

    A Deployment agrees when it runs one of the revisions that are kept, whatever else the spec says by now.
    """
    deployment = Ref(DEPLOYMENT, scope.model.metadata.namespace, scope.model.metadata.name)
    found = agreeing(seen.orphans, wanted)
    if seen.cache_claim and is_made_for(seen.cache_claim, scope.model.metadata.name):
        found |= {ref_of(child) for child in wanted if kind_of(child) == PERSISTENTVOLUMECLAIM}
    if (orphan := seen.orphans.get(deployment)) and any(ref_of(child) == deployment for child in wanted):
        runs = orphan["spec"]["template"]
        found |= {deployment} if any(covers(runs, revision.template) for revision in scope.revisions) else set()
    return found


def _is_there(have: Object | None, child: Object, admission: Admission) -> bool:
    """Return whether a child is as it is to be; a claim also tied to its owner, or not, as its reclaim policy says."""
    tied = [bool(one and one["metadata"].get("ownerReferences")) for one in (have, child)]
    return admission.accepts(have, child) and tied[0] == tied[1]


def _is_left_by_predecessor(seen: Observed, model: ModelDeployment, secret: str) -> bool:
    """Return whether pods of an orphaned Deployment mount the Secret: it is an orphan too, and its token is not known to us."""
    meta = model.metadata
    return Ref(DEPLOYMENT, meta.namespace, meta.name) in seen.orphans and secret.startswith(peers_name(meta.name))


def stale_children(seen: Observed, scope: Scope, revision: Revision) -> tuple[Object, ...]:
    """Return what belongs to revisions that are no longer kept: neither current, nor among the newest, nor run by any pod."""
    old = [known.name for known in scope.revisions if known.name != revision.name]  # newest first
    keep = {revision.name, *old[: scope.model.spec.rollout.revision_history_limit], *map(revision_of, seen.pods)}
    mounted = {name for known in scope.revisions for name in _config_maps(seen, known)}
    return tuple(
        child
        for child in seen.children.values()
        if _revision_label(child) not in {*keep, ""}
        # Of a revision that had to be rendered again: the text before has another name.
        or (_revision_label(child) and kind_of(child) == CONFIGMAP and child["metadata"]["name"] not in mounted)
    )


def _config_maps(seen: Observed, revision: Revision) -> tuple[str, str]:
    name = seen.obj["metadata"]["name"]
    return revision.config_map_of(name), live_name(name, revision.name)


def _network_policy(seen: Observed, model: ModelDeployment) -> list[dict[str, Any]]:
    if not model.spec.network_policy.enabled:
        return []
    allowed = [
        source.model_dump(mode="json", by_alias=True, exclude_none=True) for source in model.spec.network_policy.allow_from
    ]
    return [build_network_policy(seen.obj, allowed, seen.management_namespaces)]


def _authorities(seen: Observed) -> list[dict[str, Any]]:
    return [build_authorities_config_map(seen.obj, seen.platform.authorities)] if seen.platform.authorities else []


def _unwanted(seen: Observed, model: ModelDeployment) -> tuple[Ref, ...]:
    """Return children that the spec, or the installation, has switched off."""

    def is_unwanted(ref: Ref) -> bool:
        if ref.kind == NETWORKPOLICY:
            return not model.spec.network_policy.enabled
        named = ref.kind == CONFIGMAP and ref.name == authorities_name(model.metadata.name)
        return named and not seen.platform.authorities

    return tuple(
        ref for ref, child in seen.children.items() if is_unwanted(ref) and "deletionTimestamp" not in child["metadata"]
    )


def _differs_in_replicas(seen: Observed, admission: Admission, child: Object) -> bool:
    have = seen.children.get(ref_of(child))
    if have is None or kind_of(child) != DEPLOYMENT:
        return False
    return admission.accepts(have, {**child, "spec": {**child["spec"], "replicas": have["spec"].get("replicas", 1)}})


def _revision_label(child: Object) -> str:
    return str(child["metadata"].get("labels", {}).get(REVISION_LABEL, ""))
