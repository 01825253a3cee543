"""observe -> decide -> read again -> carry out, until there is nothing to do."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..cluster.api import Api
from ..cluster.errors import ApiError, ConflictError, NotFoundError
from ..metrics import Metrics
from ..probes.own_trouble import OwnTrouble
from ..reconcile.forbidden import forbidden_status
from ..reconcile.plan import Plan
from ..resources.kinds import LISTED, Kind, Object, Ref, ref_of
from ..resources.names import PAUSED_ANNOTATION
from .executor import Executor
from .missing_rights import MissingRights
from .ownership import Ownership, is_predecessors
from .queue import WorkQueue
from .reconciler import Context, Reconciler
from .slots import Slots
from .statuses import timestamp
from .store import Store

PREDECESSOR = 1.0  # seconds: how often to look whether the garbage collector has taken a predecessor's children
REFUSED = 30.0  # seconds: the API server did not accept what we sent; only a change of something helps, and that is an event
HIDDEN = 5.0  # seconds: how often to look whether children can be seen again
ECHO = 10.0  # seconds: what we wrote in vain comes back as an event, and must not be written again because of it
INEFFECTIVE = 60.0  # seconds, unless something happens: when a plan was carried out and nothing changed by it

log = logging.getLogger(__name__)


class Pass(NamedTuple):
    """How one pass over one object ended."""

    result: str  # unchanged | changed | ineffective | hidden | gone
    after: float | None = None  # seconds until the next
    hold: float = 0.0  # seconds before which no event brings it about


class Worker:
    """Takes from the queue for ever; any number of tasks may `run` one Worker."""

    def __init__(
        self,
        reconcilers: Iterable[Reconciler[Any]],
        context: Context,
        queue: WorkQueue,
        executor: Executor,
        ownership: Ownership,
        metrics: Metrics,
        slots: Slots,
        rights: MissingRights,
        hidden: Callable[[str], str | None],
        timeout: float,
    ) -> None:
        """`hidden` tells why what is known of a namespace is not all of it: "" = not yet, None = it is."""
        self._reconcilers: Mapping[Kind, Reconciler[Any]] = {reconciler.kind: reconciler for reconciler in reconcilers}
        self._context, self._queue, self._executor, self._ownership = context, queue, executor, ownership
        self._metrics, self._slots, self._rights, self._hidden, self._timeout = metrics, slots, rights, hidden, timeout
        self._store: Store = context.store
        self._api: Api = context.api

    async def run(self) -> None:
        """Work until the queue is closed."""
        more = True
        while more:
            async with self._slots:
                more = await self._next()

    async def _next(self) -> bool:
        """Work on the next object; return False when there is none because the queue is closed."""
        ref = await self._queue.get()
        if ref is None:
            return False
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                ended = await self.reconcile(ref)
        except Exception as error:  # the boundary: whatever went wrong with one object is tried again, later
            if self._rights.note(ref, error):
                await self._tell_missing_right(ref)
            self._failed(ref, error, time.monotonic() - started)
        else:
            self._metrics.reconciled(ref.kind.name, ended.result, time.monotonic() - started)
            self._queue.done(ref, after=ended.after, hold=ended.hold)
        return True

    async def reconcile(self, ref: Ref) -> Pass:
        """Make one pass over one object."""
        reconciler, key = self._reconcilers[ref.kind], (ref.namespace, ref.name)
        seen = self._store.get(ref.kind, key)
        if seen is None:
            return self._gone(ref)
        if (why := self._hidden(ref.namespace)) is not None and not _is_going(seen):
            told = bool(why) and await self._tell_forbidden(ref, seen, why)
            return Pass("changed" if told else "hidden", HIDDEN)  # nothing is decided on half of the picture
        context = replace(
            self._context,
            taken=await self._ownership.still_taken(ref, seen),
            refused=self._executor.refusals.of(ref),
            answers=self._executor.answers.of(ref),
        )
        plan = self._executor.possible(reconciler.decide(await reconciler.observe(seen, context)), seen)
        forbidden = self._rights.of(ref)
        if forbidden:  # what the status says of it stands until this pass gets through
            plan = replace(plan, status=None)
        if _is_empty(plan):
            self._rights.forget(ref)
            return Pass("changed", 0.0) if forbidden else Pass("unchanged", plan.after)
        plan, leave, waits = await self._without_names_of_others(plan, ref, seen, reconciler, context)
        if not _begins_conditionally(plan):  # never write for an object that is gone, nor on an old picture of it
            if (obj := await self._look_again(ref, seen)) is None:
                return self._gone(ref)
            if obj["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
                return Pass("changed", 0.0)
        try:
            changed = await self._executor.carry_out(plan, seen, reconciler, context, leave)
        except (ConflictError, NotFoundError):
            if await self._look_again(ref, seen) is None:
                return self._gone(ref)
            raise
        self._rights.forget(ref)
        if changed or forbidden:
            return Pass("changed", 0.0)  # once more, until there is nothing to do
        if waits:
            return Pass("changed", PREDECESSOR)
        if not _is_empty(self._executor.possible(plan, seen)):
            return self._ineffective(ref, plan)
        return Pass("unchanged", plan.after)

    async def _tell_missing_right(self, ref: Ref) -> None:
        """Say in the status what the operator may not do. It may not be allowed that either: the log has it anyway."""
        seen = self._store.get(ref.kind, (ref.namespace, ref.name))
        if seen is not None and not _is_going(seen):
            with contextlib.suppress(ApiError):
                await self._tell_forbidden(ref, seen, self._rights.of(ref))

    async def _tell_forbidden(self, ref: Ref, seen: Object, why: str) -> bool:
        if seen["metadata"].get("annotations", {}).get(PAUSED_ANNOTATION) == "true":
            return False
        return await self._executor.tell(ref, seen, forbidden_status(seen, why), timestamp(self._context.now()))

    async def _look_again(self, ref: Ref, seen: Object) -> Object | None:
        """Read the object and remember it as it is now."""
        obj = await self._api.get(ref.kind, (ref.namespace, ref.name))
        if obj is None:
            self._store.saw_deleted(ref.kind, seen)
        else:
            self._store.saw(ref.kind, obj)
        return obj

    async def _without_names_of_others(
        self, plan: Plan, ref: Ref, obj: Object, reconciler: Reconciler[Any], context: Context
    ) -> tuple[Plan, frozenset[Ref], bool]:
        """Return (the plan, decided again when names are taken; children not to touch; whether some of these will be free)."""
        wanted = [ref_of(child) for child in (*plan.dry_run, *plan.create, *plan.apply)]
        needed = [child for child in wanted if child.kind not in LISTED]  # nothing stops for the others
        taken, vanishing = await self._ownership.find(ref, obj, needed, plan.adopt)
        for child in set(wanted) - set(needed):
            if is_predecessors(await self._ownership.bearer(child), ref, obj):
                vanishing |= {child}
        if taken:
            context = replace(context, taken=context.taken | taken)
            plan = reconciler.decide(await reconciler.observe(obj, context))
        return plan, context.taken | taken | vanishing, bool(vanishing)

    def _gone(self, ref: Ref) -> Pass:
        self._reconcilers[ref.kind].forget((ref.namespace, ref.name))
        self._ownership.forget(ref)
        self._executor.forget(ref)
        self._rights.forget(ref)
        return Pass("gone")

    def _ineffective(self, ref: Ref, plan: Plan) -> Pass:
        """What was asked for is there, says the API server; the decision says it is not. Do not ask in a loop."""
        children = ", ".join(f"{child['kind']}/{child['metadata']['name']}" for child in plan.apply)
        log.warning(
            "plan changed nothing", extra={"kind": ref.kind.name, "object": f"{ref.namespace}/{ref.name}", "apply": children}
        )
        return Pass("ineffective", INEFFECTIVE, ECHO)

    def _failed(self, ref: Ref, error: Exception, seconds: float) -> None:
        conflict = isinstance(error, ConflictError)  # somebody else wrote meanwhile: how it should be
        self._metrics.reconciled(ref.kind.name, "conflict" if conflict else "failed", seconds)
        asked = isinstance(error, ApiError) and error.retry_after is not None
        after = self._queue.failed(ref, at_least=_shortest_wait(error), hold=asked)
        expected = isinstance(error, ApiError | OwnTrouble | TimeoutError)
        log.log(
            logging.INFO if conflict else logging.WARNING,
            "reconcile failed",
            extra={
                "kind": ref.kind.name,
                "namespace": ref.namespace,
                "object": ref.name,
                "error": str(error).strip() or type(error).__name__,
                "again_after": round(after, 2),
            },
            exc_info=None if expected else error,  # a defect: where it is must be in the log
        )


def _shortest_wait(error: Exception) -> float:
    if not isinstance(error, ApiError):
        return 0.0
    return error.retry_after or (0.0 if error.transient else REFUSED)


def _is_going(obj: Object) -> bool:
    """Return whether it is being deleted: to let it go takes no more than to see it."""
    return "deletionTimestamp" in obj["metadata"]


def _begins_conditionally(plan: Plan) -> bool:
    """Return whether the first write tells by its resourceVersion whether the object is still as it was seen."""
    return not plan.unpin and (plan.status is not None or plan.finalizers is not None)


def _is_empty(plan: Plan) -> bool:
    return replace(plan, after=None) == Plan()
