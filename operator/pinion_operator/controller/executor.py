"""Carries out a plan: unpin, finalizers, status, then children. The status comes before a child is touched."""

import logging
from collections.abc import Collection, Set
from typing import Any

from ..cluster.api import Api
from ..cluster.errors import ConflictError
from ..metrics import Metrics
from ..reconcile.plan import Plan
from ..resources.kinds import Kind, Object, Ref, ref_of
from .claims import Claims, is_ours, is_stranger
from .reconciler import Context, Reconciler
from .statuses import dated, same, timestamp, transitions
from .store import Store

log = logging.getLogger(__name__)


class Executor:
    """Writes to the cluster; what was written goes into the store, so that the next look need not wait for the event."""

    def __init__(self, api: Api, store: Store, claims: Claims, metrics: Metrics, watched: Collection[Kind]) -> None:
        self._api, self._store, self._claims, self._metrics, self._watched = api, store, claims, metrics, watched

    async def carry_out(self, plan: Plan, obj: Object, reconciler: Reconciler[Any], context: Context, leave: Set[Ref]) -> bool:
        """Do all of the plan but for the children in `leave`; return whether anything is now other than before.

        `obj` must be as the API server has it: its resourceVersion makes finalizers and status conditional (ConflictError).
        """
        owner, changed = ref_of(obj), False
        if plan.unpin:
            await reconciler.unpin(obj, plan.unpin, context)
            self._did(owner, "unpin", owner, cids=len(plan.unpin))
            changed = True
        if plan.finalizers is not None:
            obj = await self._set_finalizers(owner, obj, plan.finalizers)
            changed = True
        if plan.status is not None:
            changed |= await self._set_status(owner, obj, plan.status, timestamp(context.now()))
        for child in plan.create:
            if (ref := ref_of(child)) not in leave:
                changed |= await self._create(owner, ref, child, obj)
        for child in plan.apply:
            if (ref := ref_of(child)) not in leave:
                changed |= await self._apply(owner, ref, child)
        for ref in plan.delete:
            changed |= await self._delete(owner, ref, obj)
        return changed

    async def _set_finalizers(self, owner: Ref, obj: Object, finalizers: tuple[str, ...]) -> Object:
        body = {"metadata": {"finalizers": list(finalizers)}}
        answer = await self._api.patch(owner, body, resource_version=obj["metadata"]["resourceVersion"])
        self._did(owner, "finalizers", owner, finalizers=",".join(finalizers))
        self._store.saw(owner.kind, answer)
        return answer

    async def _set_status(self, owner: Ref, obj: Object, wanted: Object, now: str) -> bool:
        current = obj.get("status", {})
        status = dated(wanted, current, now)
        if same(status, current):
            return False
        meta = {"namespace": owner.namespace, "name": owner.name, "resourceVersion": obj["metadata"]["resourceVersion"]}
        body = {"apiVersion": owner.kind.api_version, "kind": owner.kind.name, "metadata": meta, "status": status}
        answer = await self._api.apply(body, "status")
        self._metrics.wrote(owner.kind.name, "status")
        for condition, old, new in transitions(current, status):
            message = next((c.get("message", "") for c in status["conditions"] if c["type"] == condition), "")
            fields = {"condition": condition, "from": old, "to": new, "detail": message}
            log.info("condition changed", extra={**_naming(owner), **fields})
        self._store.saw(owner.kind, answer)
        return bool(answer["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"])

    async def _create(self, owner: Ref, ref: Ref, child: Object, obj: Object) -> bool:
        try:
            answer = await self._api.create(child)
        except ConflictError:
            if is_stranger(await self._api.get(ref.kind, (ref.namespace, ref.name)), obj):
                self._claims.remember(owner, {ref})
            return True  # there already: look again, at what it is
        self._did(owner, "create", ref)
        self._saw(ref.kind, answer)
        return True

    async def _apply(self, owner: Ref, ref: Ref, child: Object) -> bool:
        key = (ref.namespace, ref.name)  # of a watched kind, and not in the store: there was nothing of ours by that name
        before = self._store.get(ref.kind, key) if ref.kind in self._watched else await self._api.get(ref.kind, key)
        answer = await self._api.apply(child)
        self._saw(ref.kind, answer)
        if before and before["metadata"]["resourceVersion"] == answer["metadata"]["resourceVersion"]:
            return False
        self._did(owner, "apply", ref)
        return True

    async def _delete(self, owner: Ref, ref: Ref, obj: Object) -> bool:
        child = await self._claims.bearer(ref)
        if child is None or not is_ours(child, obj) or "deletionTimestamp" in child["metadata"]:
            return False
        if await self._api.delete(ref, uid=child["metadata"]["uid"]):
            self._did(owner, "delete", ref)
        if ref.kind in self._watched:
            now = await self._api.get(ref.kind, (ref.namespace, ref.name))
            self._saw(ref.kind, now) if now else self._store.saw_deleted(ref.kind, child)
        return True

    def _saw(self, kind: Kind, obj: Object) -> None:
        if kind in self._watched:  # of the others no event would ever tell that they changed
            self._store.saw(kind, obj)

    def _did(self, owner: Ref, step: str, what: Ref, **fields: object) -> None:
        self._metrics.wrote(owner.kind.name, step)
        extra = {**_naming(owner), "step": step, **fields}
        if what != owner:
            extra["child"] = f"{what.kind.name}/{what.name}"
        log.info("wrote", extra=extra)


def _naming(ref: Ref) -> dict[str, object]:
    return {"kind": ref.kind.name, "namespace": ref.namespace, "object": ref.name}
