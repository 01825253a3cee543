"""What pods read in live.json while they run, and which of them have not read it yet."""

import hashlib

from pydantic import ValidationError

from pinion_contract.config import Limits, LiveConfig

from ...api.modeldeployment import ModelDeployment
from ...resources.configmap import LIVE_KEY
from ...resources.kinds import CONFIGMAP, Object, Ref
from ...resources.model_names import live_name
from ...resources.names import LIVE_ANNOTATION
from .artifact import Artifact
from .observed import Observed
from .pods import is_leaving, is_ready, knows_origins, revision_of
from .revision import Revision, served_name

MAX_NAMES = 4  # that a model may have at once while it is renamed
RENAMING_SECONDS = 60.0  # for so long all pods answer to the old name too, once all of them know the new one


def wanted_limits(model: ModelDeployment) -> Limits:
    """Return the limits that pods must have read."""
    return Limits(**model.spec.limits.model_dump())


def wanted_live(seen: Observed, model: ModelDeployment, revision: Revision, artifact: Artifact) -> LiveConfig:
    """Return what pods shall read."""
    expected = model.spec.model.expected
    return LiveConfig(
        cid=artifact.cid,
        manifest_cid=artifact.manifest_cid,
        expected_cid=expected.cid if expected else "",
        owner=model.metadata.uid,
        served_names=_served_names(seen, model, revision),
        limits=wanted_limits(model),
        cors_origins=model.spec.cors.allow_origins or None,
    )


def pods_to_tell(seen: Observed, revision: Revision, live: Object) -> dict[str, str]:
    """Return by name the pods that have read something else than this ConfigMap says, with the annotation that tells them.

    A kubelet renews the files of a pod at once when the pod's annotations change, and else within a minute or two.
    """
    text = live["data"][LIVE_KEY]
    mark, wanted = hashlib.sha256(text.encode()).hexdigest()[:16], LiveConfig.model_validate_json(text)
    found = {}
    for pod in seen.pods:
        status, meta = pod.status, pod.obj["metadata"]
        if status is None or is_leaving(pod) or revision_of(pod) != revision.name:
            continue
        read = (status.limits, status.served_names, status.expected_cid)
        if revision.is_first_form:
            differs = status.limits != wanted.limits
        else:
            known = (wanted.limits, wanted.served_names, wanted.expected_cid)
            differs = read != known or not knows_origins(status, wanted.cors_origins)
        if differs and meta.get("annotations", {}).get(LIVE_ANNOTATION) != mark:
            found[str(meta["name"])] = mark
    return found


def told_names(seen: Observed, model: ModelDeployment, revision: Revision) -> tuple[str, ...]:
    """Return the names in the live ConfigMap as it is, or in that of the revision that is being replaced; () without both."""
    meta, before = model.metadata, model.status.model
    for name in (revision.name, before.revision if before else ""):
        live = seen.children.get(Ref(CONFIGMAP, meta.namespace, live_name(meta.name, name)))
        try:
            if live and (names := LiveConfig.model_validate_json(live["data"][LIVE_KEY]).served_names):
                return names
        except (ValidationError, KeyError):  # somebody's edit: it is written anew
            continue
    return ()


def is_renaming(seen: Observed, model: ModelDeployment, revision: Revision) -> bool:
    """Return whether all pods answer to the new name, and to an old one for a while."""
    names = told_names(seen, model, revision)
    return len(names) > 1 and names[0] == served_name(model) and _all_have_read(seen, names)


def _served_names(seen: Observed, model: ModelDeployment, revision: Revision) -> tuple[str, ...]:
    """Return the name, and those before it for as long as somebody may not know better."""
    new, told = served_name(model), told_names(seen, model, revision)
    if not told or (told[0] == new and len(told) == 1):
        return (new,)
    if told[0] != new:
        return (new, *(name for name in told if name != new))[:MAX_NAMES]
    return (new,) if seen.renaming_age >= RENAMING_SECONDS else told


def _all_have_read(seen: Observed, names: tuple[str, ...]) -> bool:
    said = [pod.status.served_names for pod in seen.pods if is_ready(pod) and pod.status]
    return bool(said) and all(one == names for one in said)
