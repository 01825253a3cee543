"""What every child carries: our labels, its owner, and a digest of what we applied."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .kinds import Object
from .names import DIGEST_ANNOTATION, MANAGED_BY, MANAGER, PART_OF


def owner_reference(owner: Object) -> dict[str, Any]:
    """Return the ownerReference to put on a child. Nothing of the owner's labels is copied: Argo CD would prune the child."""
    meta = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(child: Object) -> Mapping[str, Any] | None:
    """Return the ownerReference of whoever controls the child, or None."""
    return next((owner for owner in child["metadata"].get("ownerReferences", ()) if owner.get("controller")), None)


def is_owned(child: Object, owner: Object) -> bool:
    """Return whether the child's owners name this very owner (its uid: a namesake from before does not count)."""
    uid = owner["metadata"]["uid"]
    return any(reference.get("uid") == uid for reference in child["metadata"].get("ownerReferences", ()))


def is_namesakes(child: Object, owner: Object) -> bool:
    """Return whether the child belongs to a deleted object of this name: the garbage collector will take it."""
    named = (owner["apiVersion"], owner["kind"], owner["metadata"]["name"])
    return not is_owned(child, owner) and any(
        (reference.get("apiVersion"), reference.get("kind"), reference.get("name")) == named
        for reference in child["metadata"].get("ownerReferences", ())
    )


def build_child(
    owner: Object, api_version: str, kind: str, name: str, content: Mapping[str, Any], *, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return a child object; the digest annotation shows later that a field which we no longer set is still there."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "namespace": owner["metadata"]["namespace"],
            "name": name,
            "labels": {MANAGED_BY: MANAGER, PART_OF: "pinion", **labels},
            "annotations": {DIGEST_ANNOTATION: digest(content)},
            "ownerReferences": [owner_reference(owner)],
        },
        **content,
    }


def digest(content: object) -> str:
    """Return 16 hex digits of the sha256 of the canonical JSON."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
