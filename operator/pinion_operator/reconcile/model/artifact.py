"""The CID of a revision: learned once from the pod that computed it, then remembered in the status and the live ConfigMap.

Of a tree that its CID names it is in the spec, and nobody teaches another; of a folder below that its own pods tell it. That
a CID is known says which bytes are right; whether more pods may have them from elsewhere is told apart from it.
"""

import re
from dataclasses import dataclass

from pydantic import ValidationError

from pinion_contract.config import LiveConfig
from pinion_contract.status import FailureReason, Phase, PodStatus

from ...api.modeldeployment import ModelDeployment
from ...resources.configmap import LIVE_KEY
from ...resources.kinds import CONFIGMAP, Ref
from ...resources.model_names import live_name
from ..orphans import is_untouched
from .observed import Observed
from .pods import is_leaving, revision_of
from .revision import Revision
from .scope import Scope

_CID = re.compile(r"b[a-z2-7]{20,120}", re.ASCII)
# A pod in one of these has pinned the model: should it name no backend, the pin was lost, or none answered when it started.
_BEHIND_PINNING = {Phase.LOADING, Phase.WARMING_UP, Phase.READY}
_WRONG_BYTES = {FailureReason.CID_MISMATCH, FailureReason.DIGEST_MISMATCH}


@dataclass(frozen=True)
class Artifact:
    """What is known of a revision's bytes."""

    cid: str = ""  # "" = nobody has computed it yet, and the spec does not name it
    manifest_cid: str = ""
    pinned: bool = False  # a backend has confirmed it
    shared: bool = False  # a pod has verified these bytes, and the next can have them from there or from a backend


def known_artifact(seen: Observed, scope: Scope, revision: Revision) -> Artifact:
    """Return what is remembered of the revision, or of the same bytes elsewhere, completed by what its pods say now."""
    model = scope.model
    cid, manifest_cid, pinned = _remembered(seen, model, revision)
    claims = [
        pod.status
        for pod in seen.pods
        if pod.status and revision_of(pod) == revision.name and not is_leaving(pod) and _may_teach(pod.status, revision)
    ]
    expected = model.spec.model.expected
    right = _root(revision) or (expected.cid if expected else "")
    if not cid:
        cid, manifest_cid = _same_bytes(seen, scope, revision)
        if right and cid != right:
            cid, manifest_cid = "", ""
    if not cid:
        for claim in claims:
            # A CID counts once the next pod can read it: pinned in a backend, or from this pod where that is allowed.
            safe = claim.backend.pinned_in or not revision.backends or model.spec.storage.fallback == "Automatic"
            if is_cid(claim.model.cid) and safe and (not right or claim.model.cid == right):
                cid, manifest_cid = claim.model.cid, claim.model.manifest_cid if is_cid(claim.model.manifest_cid) else ""
                break
    if cid and not manifest_cid:
        manifest_cid = next((claim.model.manifest_cid for claim in claims if _tells_manifest(claim, cid)), "")
    about = [claim for claim in claims if claim.model.cid == cid != ""]
    confirmed = any(claim.backend.pinned_in for claim in about)
    denied = any(claim.phase in _BEHIND_PINNING and not claim.backend.pinned_in for claim in about)
    return Artifact(cid or _root(revision), manifest_cid, confirmed or (pinned and not denied), shared=bool(cid))


def unexpected_bytes(artifact: Artifact, model: ModelDeployment) -> str:
    """Return a sentence when the known bytes are not those that the spec expects, "" when nothing speaks against them."""
    expected = model.spec.model.expected
    if expected is None or not artifact.cid or artifact.cid == expected.cid:
        return ""
    return (
        f"spec.model.expected.cid is {expected.cid}, and the files of this revision are {artifact.cid}: pods that serve go on, "
        "and no pod will load them again"
    )


def remembered_artifact(seen: Observed, model: ModelDeployment, revision: Revision) -> Artifact:
    """Return what is remembered of a revision without asking its pods."""
    cid, manifest_cid, pinned = _remembered(seen, model, revision)
    return Artifact(cid or _root(revision), manifest_cid, pinned, shared=bool(cid))


def is_cid(text: str) -> bool:
    """Return whether a text has the form of a CIDv1 in base32: the one form in which pods and users write it."""
    return _CID.fullmatch(text) is not None


def _same_bytes(seen: Observed, scope: Scope, revision: Revision) -> tuple[str, str]:
    """Return the CID of the same files in another revision or another ModelDeployment, and the manifest where it is the same.

    Whoever gets here has had the source resolved with a token of his own: the hub lets him have these files.
    """
    for other in scope.revisions:
        if other.name != revision.name and other.source.source_digest == revision.source.source_digest:
            cid, manifest_cid, _ = _remembered(seen, scope.model, other)
            if cid:  # a manifest names repository and commit beside the files
                return cid, manifest_cid if other.source.commit == revision.source.commit else ""
    if _is_tree(revision):  # no hub has told of its files: another object's status is no more than somebody's word
        return "", ""
    return seen.known_cids.get(revision.source.source_digest, ""), ""


def _tells_manifest(claim: PodStatus, cid: str) -> bool:
    return claim.model.cid == cid and is_cid(claim.model.manifest_cid)


def _remembered(seen: Observed, model: ModelDeployment, revision: Revision) -> tuple[str, str, bool]:
    """Return what pods have told: the root that the spec names is written down before any of them has verified it."""
    found, root = _written(seen, model, revision), _root(revision)
    told = found[0] == root and (found[1] or found[2])
    return found if not root or told else ("", "", False)


def _root(revision: Revision) -> str:
    """Return the CID that the spec itself gives to the files, "" where pods compute it."""
    digest = revision.source.source_digest
    return digest if _is_tree(revision) and "/" not in digest else ""


def _is_tree(revision: Revision) -> bool:
    """Return whether its digest is the address of a tree: the CID of a root, and a path below it where one is named."""
    return not revision.source.commit and is_cid(revision.source.source_digest.partition("/")[0])


def _written(seen: Observed, model: ModelDeployment, revision: Revision) -> tuple[str, str, bool]:
    for known in model.status.revisions:
        if known.name == revision.name and known.cid:
            return known.cid, known.manifest_cid, known.pinned
    ref = Ref(CONFIGMAP, model.metadata.namespace, live_name(model.metadata.name, revision.name))
    live = seen.children.get(ref)
    if live is None and (orphan := seen.orphans.get(ref)) and is_untouched(orphan):
        live = orphan  # about to be taken over, with what is known in it
    try:
        config = LiveConfig.model_validate_json(live["data"][LIVE_KEY] if live else "{}")
    except (ValidationError, KeyError):  # somebody's edit: it is written anew from what is known otherwise
        return "", "", False
    return config.cid, config.manifest_cid, False


def _may_teach(status: PodStatus, revision: Revision) -> bool:
    """Only a pod that has read this very configuration, and has not found the bytes wrong, says what the CID is."""
    failed = status.failure is not None and status.failure.reason in _WRONG_BYTES
    return status.config_digest == revision.config_digest and not failed
