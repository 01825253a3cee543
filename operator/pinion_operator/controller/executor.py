"""Carries out a plan: unpin, finalizers, status, a dry run, then children. The status comes before a child is touched."""

import logging
from collections.abc import Collection, Mapping, Set
from dataclasses import replace
from typing import Any

from ..cluster.api import Api
from ..cluster.errors import ApiError, ConflictError, ForbiddenError, NotFoundError, RefusedError
from ..conditions import Reason
from ..metrics import Metrics
from ..reconcile.admission import explain, tells_of
from ..reconcile.plan import Plan
from ..reconcile.unchangeable import with_unchangeable
from ..resources.kinds import DEPLOYMENT, LISTED, SECRET, STATEFULSET, Kind, Object, Ref, ref_of
from .answers import Answers
from .events import Events
from .ownership import Ownership, is_ours, is_stranger
from .reconciler import Context, Reconciler
from .refusals import Refusals
from .statuses import Path, dated, is_kept, same, state, timestamp, transitions, unknown_fields, without
from .store import Store

_MAKE_PODS = (DEPLOYMENT, STATEFULSET)

log = logging.getLogger(__name__)


class Executor:
    """Writes to the cluster; what was written goes into the store, so that the next look need not wait for the event."""

    def __init__(
        self, api: Api, store: Store, ownership: Ownership, events: Events, metrics: Metrics, watched: Collection[Kind]
    ) -> None:
        self._api, self._store, self._ownership, self._events = api, store, ownership, events
        self._metrics, self._watched = metrics, watched
        self._unknown: dict[Kind, frozenset[Path]] = {}  # fields of a status that the installed CRD lacks
        self.refusals, self.answers = Refusals(), Answers()  # a decision reads them

    def forget(self, owner: Ref) -> None:
        """Drop what is remembered for an owner that is gone."""
        self.refusals.forget(owner)
        self.answers.forget(owner)

    def possible(self, plan: Plan, obj: Object) -> Plan:
        """Return the plan without a status that only differs in fields that the installed CRD cannot hold."""
        unknown = self._unknown.get(ref_of(obj).kind)
        if not unknown or plan.status is None:
            return plan
        current = obj.get("status", {})
        return replace(plan, status=None) if same(dated(without(plan.status, unknown), current, ""), current) else plan

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
            changed |= set(obj["metadata"].get("finalizers", ())) == set(plan.finalizers)  # else admission has its own mind
        if plan.status is not None:
            changed |= await self._set_status(owner, obj, plan.status, timestamp(context.now()))
        for child in plan.dry_run:
            if (ref := ref_of(child)) in leave:
                return changed
            if (news := await self._refuses(owner, ref, child)) is not None:
                return changed or news
        for child in plan.replace:
            if (ref := ref_of(child)) not in leave:
                changed |= await self._delete(owner, ref, obj)
                changed |= await self._create(owner, ref, child, obj)
        create, apply = ([child for child in children if ref_of(child) not in leave] for children in (plan.create, plan.apply))
        # What pods mount and need comes before what makes pods.
        early = [child for child in apply if ref_of(child).kind not in _MAKE_PODS]
        made = await self._api.together(
            [self._create(owner, ref_of(child), child, obj) for child in create]
            + [self._apply(owner, ref_of(child), child, obj, plan.adopt) for child in early]
        )
        changed |= any(made)
        for child in apply:
            if (ref := ref_of(child)).kind in _MAKE_PODS:
                changed |= await self._apply(owner, ref, child, obj, plan.adopt)
        for ref, annotations in plan.annotate.items():
            changed |= await self._annotate(owner, ref, annotations)
        for ref in plan.delete:
            changed |= await self._delete(owner, ref, obj)
        return changed

    async def tell(self, owner: Ref, obj: Object, status: Object, now: str) -> bool:
        """Write a status that no plan asks for; return whether it says anything new."""
        current = obj.get("status", {})
        if same(dated(without(status, self._unknown.get(owner.kind, ())), current, now), current):
            return False
        return await self._set_status(owner, obj, status, now)

    async def _set_finalizers(self, owner: Ref, obj: Object, finalizers: tuple[str, ...]) -> Object:
        body = {"metadata": {"finalizers": list(finalizers)}}
        answer = await self._api.patch(owner, body, resource_version=obj["metadata"]["resourceVersion"])
        self._did(owner, "finalizers", owner, finalizers=",".join(finalizers))
        if "deletionTimestamp" in answer["metadata"] and not finalizers:
            self._store.saw_deleted(owner.kind, answer)  # nothing keeps it any more: this was its last version
        else:
            self._store.saw(owner.kind, answer)
        return answer

    async def _set_status(self, owner: Ref, obj: Object, wanted: Object, now: str) -> bool:
        current = obj.get("status", {})
        status = dated(without(wanted, self._unknown.get(owner.kind, ())), current, now)
        if same(status, current):
            await self._check_unchanged(owner, obj)
            return False
        meta = {"namespace": owner.namespace, "name": owner.name, "resourceVersion": obj["metadata"]["resourceVersion"]}
        body = {"apiVersion": owner.kind.api_version, "kind": owner.kind.name, "metadata": meta, "status": status}
        try:
            answer = await self._api.apply(body, "status")
        except ApiError as error:
            if not self._learnt_unknown(owner.kind, error):
                raise
            return await self._set_status(owner, obj, wanted, now)
        self._metrics.wrote(owner.kind.name, "status")
        self._store.saw(owner.kind, answer)
        if answer["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]:
            return False
        if not is_kept(answer.get("status", {}), status):
            log.warning("admission changed the status that was written", extra=_naming(owner))
            return False
        for condition, old, new in transitions(current, status):
            fields = {"condition": condition, "from": state(old), "to": state(new), "detail": (new or {}).get("message", "")}
            log.info("condition changed", extra={**_naming(owner), **fields})
            self._events.transition(answer, condition, new, old)
        return True

    async def _check_unchanged(self, owner: Ref, obj: Object) -> None:
        """Raise ConflictError when the object is no longer as it was seen: no write of its own has shown that it is."""
        now = await self._api.get(owner.kind, (owner.namespace, owner.name))
        if now is None or now["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise ConflictError(f"{owner.kind.name} {owner.namespace}/{owner.name} has changed meanwhile")

    def _learnt_unknown(self, kind: Kind, error: ApiError) -> bool:
        """Whether the API server refused the status for fields that it does not know: then the rest of it is written alone."""
        known, named = self._unknown.get(kind, frozenset()), unknown_fields(str(error))
        if not named - known:
            return False
        self._unknown[kind] = known | named
        fields = ", ".join(sorted(".".join(("status", *path)).replace(".[]", "[]") for path in named - known))
        log.error(
            "the installed CRD is older than this operator: apply the CRDs of this version, then restart the operator",
            extra={"kind": kind.name, "unknown_fields": fields},
        )
        return True

    async def _create(self, owner: Ref, ref: Ref, child: Object, obj: Object) -> bool:
        try:
            answer = await self._api.create(child)
        except ConflictError:
            if is_stranger(await self._ownership.bearer(ref), obj):
                self._ownership.remember(owner, {ref})
            return True  # there already: look again, at what it is
        except RefusedError as error:
            return self.refusals.note(owner, child, str(error))
        self._did(owner, "create", ref)
        self._saw(ref.kind, answer)
        if ref.kind == SECRET:  # made once, and never looked at again
            self.refusals.accepted(owner, ref)
        else:
            self._heard(owner, obj, child, answer)
        return True

    async def _refuses(self, owner: Ref, ref: Ref, child: Object) -> bool | None:
        """Show a child to the API server; return None when it takes it, else whether its refusal says anything new."""
        try:
            await self._api.apply(child, dry_run=True)
        except RefusedError as error:
            return self.refusals.note(owner, child, str(error))
        self.refusals.accepted(owner, ref)
        return None

    async def _apply(self, owner: Ref, ref: Ref, child: Object, obj: Object, adopt: Set[Ref]) -> bool:
        if ref.kind in LISTED:
            return await self._apply_aside(owner, ref, child, obj, adopt)
        key = (ref.namespace, ref.name)  # of a watched kind, and not in the store: there was nothing of ours by that name
        before = self._store.get(ref.kind, key) if ref.kind in self._watched else await self._api.get(ref.kind, key)
        try:
            answer = await self._api.apply(with_unchangeable(child, before))
        except RefusedError as error:  # the other children may be accepted all the same
            return self.refusals.note(owner, child, str(error))
        self._saw(ref.kind, answer)
        learnt = self._heard(owner, obj, child, answer)
        if before and before["metadata"]["resourceVersion"] == answer["metadata"]["resourceVersion"]:
            return learnt
        self._did(owner, "apply", ref)
        return True

    def _heard(self, owner: Ref, obj: Object, child: Object, answer: Object) -> bool:
        """Remember whether a child came back as it was sent; return whether that is news."""
        mutation, vital, is_news = self.answers.note(owner, obj, child, answer)
        if mutation and vital:
            return self.refusals.note(owner, child, explain(vital, mutation.answer.varying), Reason.ADMISSION_CONFLICT)
        self.refusals.accepted(owner, ref_of(child))
        if mutation and is_news and not tells_of(obj, mutation):
            log.info("changed by admission", extra={**_naming(owner), "detail": mutation.message})
            self._events.mutated(obj, mutation)
        return is_news

    async def _apply_aside(self, owner: Ref, ref: Ref, child: Object, obj: Object, adopt: Set[Ref]) -> bool:
        """Apply what nothing else waits for: whatever keeps it from being applied is told, and stops nothing."""
        try:
            if bearer := await self._ownership.taken_by(ref, obj, adopt):
                self._store.saw(ref.kind, bearer)  # the next decision knows whose it is
                return True
            answer = await self._api.apply(child)
        except (RefusedError, ForbiddenError) as error:
            return self.refusals.note(owner, child, str(error))
        self._store.saw(ref.kind, answer)
        self._heard(owner, obj, child, answer)
        self._did(owner, "apply", ref)
        return True

    async def _annotate(self, owner: Ref, ref: Ref, annotations: Mapping[str, str]) -> bool:
        known = self._store.get(ref.kind, (ref.namespace, ref.name))
        if known is None:
            return False
        body = {"metadata": {"annotations": dict(annotations)}}
        try:
            answer = await self._api.patch(ref, body, resource_version=known["metadata"]["resourceVersion"])
        except (NotFoundError, ConflictError):
            return True  # it has gone, or changed meanwhile: look again
        except RefusedError as error:  # the kubelet brings what the annotation is for in its own time
            log.info("not annotated", extra={**_naming(owner), "child": f"{ref.kind.name}/{ref.name}", "error": str(error)})
            return False
        self._did(owner, "annotate", ref)
        self._saw(ref.kind, answer)
        return bool(annotations.items() <= answer["metadata"].get("annotations", {}).items())

    async def _delete(self, owner: Ref, ref: Ref, obj: Object) -> bool:
        if ref.kind == SECRET:  # never read; only names that an object of ours says are its own get here
            if deleted := await self._api.delete(ref):
                self._did(owner, "delete", ref)
            return deleted
        child = await self._ownership.bearer(ref)
        if child is None or not is_ours(child, obj) or "deletionTimestamp" in child["metadata"]:
            return False
        if await self._api.delete(ref, uid=child["metadata"]["uid"]):
            self._did(owner, "delete", ref)
        if ref.kind in self._watched or ref.kind in LISTED:
            now = await self._api.get(ref.kind, (ref.namespace, ref.name))
            self._saw(ref.kind, now) if now else self._store.saw_deleted(ref.kind, child)
        return True

    def _saw(self, kind: Kind, obj: Object) -> None:
        if kind in self._watched or kind in LISTED:  # of the others no event would ever tell that they changed
            self._store.saw(kind, obj)

    def _did(self, owner: Ref, step: str, what: Ref, **fields: object) -> None:
        self._metrics.wrote(owner.kind.name, step)
        extra = {**_naming(owner), "step": step, **fields}
        if what != owner:
            extra["child"] = f"{what.kind.name}/{what.name}"
        log.info("wrote", extra=extra)


def _naming(ref: Ref) -> dict[str, object]:
    return {"kind": ref.kind.name, "namespace": ref.namespace, "object": ref.name}
