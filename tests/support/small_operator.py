"""The operator's whole mechanism with small decisions: an IpfsBackend becomes a ConfigMap, a Secret, a status and a finalizer.

Run as a program by the tests of the mechanism, so that these do not depend on what the two real kinds decide.
Something outside the cluster is a file: named by the uid, in the folder SMALL_OUTSIDE.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinion_operator import logs
from pinion_operator.controller.ownership import is_ours
from pinion_operator.controller.reconciler import Context
from pinion_operator.reconcile.plan import Plan
from pinion_operator.resources.kinds import CONFIGMAP, IPFSBACKEND, SECRET, Key, Object, Ref
from pinion_operator.resources.names import BACKEND_LABEL, MANAGED_BY, MANAGER
from pinion_operator.running import run
from pinion_operator.settings import Settings

FINALIZER = "pinion.dev/small"


@dataclass(frozen=True)
class Observed:
    backend: Object
    configmap: Object | None
    secret: Object | None
    outside: bool
    taken: frozenset[Ref]


class SmallReconciler:
    """IpfsBackend `b` of priority p wants ConfigMap `b-small` {priority: p} and Secret `b-small`; priority 13: no ConfigMap."""

    kind = IPFSBACKEND

    def __init__(self, outside: Path) -> None:
        self._outside = outside

    async def observe(self, obj: Object, context: Context) -> Observed:
        key = (obj["metadata"]["namespace"], f"{obj['metadata']['name']}-small")
        configmap = context.get(CONFIGMAP, key)
        own = configmap if configmap and is_ours(configmap, obj) else None
        claim = (self._outside / obj["metadata"]["uid"]).exists()
        return Observed(obj, own, await context.api.get(SECRET, key), claim, context.taken)

    def decide(self, observed: Observed) -> Plan:
        backend, meta = observed.backend, observed.backend["metadata"]
        finalizers = tuple(meta.get("finalizers", []))
        if "deletionTimestamp" in meta:
            rest = tuple(name for name in finalizers if name != FINALIZER)
            return Plan(unpin=("all",) if observed.outside else (), finalizers=rest if rest != finalizers else None)
        if observed.taken:
            return Plan(status=_status(backend, "False", "NameTaken"), after=1.0)
        priority = str(backend["spec"]["priority"])
        create = () if observed.secret else (_child(backend, "Secret", {"stringData": {"token": "made-once"}}),)
        have = (observed.configmap or {}).get("data", {}).get("priority")
        ready = have == priority and observed.secret
        wants = priority != "13"
        return Plan(
            finalizers=None if FINALIZER in finalizers else (*finalizers, FINALIZER),
            status=_status(backend, "True", "Small") if ready else _status(backend, "False", "Progressing"),
            create=create,
            apply=(_child(backend, "ConfigMap", {"data": {"priority": priority}}),) if wants and have != priority else (),
            delete=() if wants or not observed.configmap else (Ref(CONFIGMAP, meta["namespace"], f"{meta['name']}-small"),),
        )

    async def unpin(self, obj: Object, cids: tuple[str, ...], context: Context) -> None:
        (self._outside / obj["metadata"]["uid"]).unlink(missing_ok=True)

    def forget(self, key: Key) -> None:
        return None


def _child(backend: Object, kind: str, content: dict[str, Any]) -> Object:
    meta = backend["metadata"]
    owner = {
        "apiVersion": "pinion.dev/v1alpha1",
        "kind": "IpfsBackend",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    labels = {MANAGED_BY: MANAGER, BACKEND_LABEL: meta["name"]}
    named = {"namespace": meta["namespace"], "name": f"{meta['name']}-small", "labels": labels, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": kind, "metadata": named, **content}


def _status(backend: Object, ready: str, reason: str) -> Object | None:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": reason,
        "message": "",
        "observedGeneration": backend["metadata"]["generation"],
    }
    wanted = {"observedGeneration": backend["metadata"]["generation"], "conditions": [condition]}
    current = backend.get("status", {})
    known = [{name: value for name, value in c.items() if name != "lastTransitionTime"} for c in current.get("conditions", [])]
    return None if {**current, "conditions": known} == wanted else wanted


if __name__ == "__main__":
    settings = Settings.load(sys.argv[1:], os.environ)
    logs.set_up(settings.log_level, settings.log_format)
    sys.exit(0 if asyncio.run(run(settings, [SmallReconciler(Path(os.environ["SMALL_OUTSIDE"]))])) else 1)
