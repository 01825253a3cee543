"""Kubernetes Events: the transitions of conditions that a person needs. No error of theirs reaches a reconcile."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, NoReturn

from ..cluster.api import Api
from ..cluster.errors import ApiError, ConflictError
from ..conditions import TRUE_IS_BAD, ConditionType, Reason
from ..metrics import Metrics
from ..reconcile.admission import Mutation
from ..resources.kinds import EVENT, Object

QUEUED = 500  # events that wait; more are dropped and counted
BURST, REFILL = 30.0, 1 / 10  # for one object: so many at once, then one in ten seconds
REMEMBERED = 5000  # objects whose rates are known
MUTATED = "ChangedByAdmission"  # a reason of Events alone
NOTE, NAME = 1024, 253  # bytes, as the API server limits them

# Not True, and nothing is wrong.
_CALM = frozenset(
    {
        Reason.SUSPENDED, Reason.SCALED_TO_ZERO, Reason.PROGRESSING, Reason.PROGRESSING_WITH_RETRY, Reason.RESOLVING,
        Reason.FETCHING, Reason.STARTING, Reason.WARMING_UP, Reason.ROLLING_OUT, Reason.PINNING, Reason.NO_BACKEND,
        Reason.VERIFYING, Reason.WARMUP_SKIPPED, Reason.NOT_PROBED, Reason.DEPENDENCY_NOT_READY, Reason.NO_READY_REPLICAS,
    }
)  # fmt: skip

# What is good, and worth a line on the way; that Ready is True always is.
_MILESTONES = frozenset(
    {Reason.RESOLVED, Reason.FETCHING, Reason.VERIFIED, Reason.PINNED, Reason.WARMED_UP, Reason.ROLLING_OUT}
)

log = logging.getLogger(__name__)


class Events:
    """`transition` only puts into a bounded queue; `run` posts, one after the other."""

    def __init__(self, api: Api, metrics: Metrics, instance: str, now: Callable[[], float] = time.monotonic) -> None:
        self._api, self._metrics, self._instance, self._now = api, metrics, instance, now
        self._queue: asyncio.Queue[Object] = asyncio.Queue(QUEUED)
        self._last = datetime.fromtimestamp(0, UTC)
        self._allowed: OrderedDict[str, tuple[float, float]] = OrderedDict()  # by uid: how many still, as of when

    def transition(self, obj: Object, condition: str, new: Object | None, old: Object | None) -> None:
        """Tell that a condition has changed, if that says anything to a person; None = it is not, or was not, there."""
        if new is not None and is_told(condition, new, old):
            self._put(obj, describe_transition(condition, new, old))

    def mutated(self, obj: Object, mutation: Mutation) -> None:
        """Tell that a child of this object is not what was applied, and is left so."""
        self._put(obj, describe_mutation(mutation))

    def _put(self, obj: Object, story: "Story") -> None:
        if not self._may(obj["metadata"]["uid"]):
            self._metrics.told_event("dropped")
            return
        try:
            self._queue.put_nowait(build_event(obj, story, self._instance, self._moment()))
        except asyncio.QueueFull:
            self._metrics.told_event("dropped")

    async def run(self) -> NoReturn:
        """Post for ever."""
        while True:
            event = await self._queue.get()
            try:
                await self._api.create(event)
            except ConflictError:
                self._metrics.told_event("known")  # an earlier try got through although its answer did not
            except ApiError as error:
                # A namespace that is going, a right that is missing, a server in trouble: the log has the transition anyway.
                self._metrics.told_event("failed")
                log.info("event not posted", extra={"event": event["metadata"]["name"], "error": str(error)})
            else:
                self._metrics.told_event("posted")

    def _moment(self) -> datetime:
        """Return the time, later than any that was returned before: it is the name of an Event."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last

    def _may(self, uid: str) -> bool:
        now = self._now()
        left, since = self._allowed.pop(uid, (BURST, now))
        left = min(BURST, left + (now - since) * REFILL)
        self._allowed[uid] = (max(0.0, left - 1), now)
        if len(self._allowed) > REMEMBERED:
            self._allowed.popitem(last=False)
        return left >= 1


class Story(NamedTuple):
    """What an Event tells."""

    action: str
    reason: str
    note: str
    warning: bool = False


def is_told(condition: str, new: Object, old: Object | None) -> bool:
    """Return whether a person needs it: what went wrong, what is right again, and the milestones of a start or a rollout."""
    if _is_bad(condition, new, old) or (old is not None and _is_bad(condition, old, None)):
        return True
    if condition == ConditionType.READY:
        return bool(new["status"] == "True" or (old or {}).get("status") == "True")
    return new["status"] == "True" and new["reason"] in _MILESTONES


def describe_transition(condition: str, new: Object, old: Object | None) -> Story:
    """Return the story of a transition."""
    text = new.get("message") or f"{condition} is {new['status']}"
    return Story(f"{condition}Changed", new["reason"] or condition, text, _is_bad(condition, new, old))


def describe_mutation(mutation: Mutation) -> Story:
    """Return the story of a change by admission."""
    return Story("Apply", MUTATED, mutation.message)


def build_event(obj: Object, story: Story, instance: str, now: datetime) -> Object:
    """Return the Event of a story. Names sort by time, since the API server lists, and kubectl shows, by name."""
    meta = obj["metadata"]
    suffix = f"{int(now.timestamp() * 1_000_000):016x}"
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {
            "namespace": meta["namespace"],
            "name": f"{meta['name'][: NAME - len(suffix) - 1].rstrip('-.')}.{suffix}",
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": "pinion.dev/operator",
        "reportingInstance": instance[-128:],
        "action": story.action,
        "reason": story.reason,
        "type": "Warning" if story.warning else "Normal",
        "note": story.note.encode()[:NOTE].decode(errors="ignore"),
        "regarding": {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
        },
    }


def _is_bad(condition: str, new: Object, old: Object | None) -> bool:
    if condition in TRUE_IS_BAD:
        return bool(new["status"] == "True")
    if condition == ConditionType.AVAILABLE and (old or {}).get("status") == "True":
        return bool(new["reason"] == Reason.NO_READY_REPLICAS)  # traffic worked, and does not any more
    return new["status"] != "True" and new["reason"] not in _CALM
