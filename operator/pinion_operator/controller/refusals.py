"""Children that the API server did not accept: remembered, so that a decision can tell, and not sent again and again."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..conditions import Reason
from ..reconcile.quota import is_of_quota
from ..reconcile.refusal import Refusal
from ..resources.kinds import Object, Ref, ref_of
from ..resources.names import DIGEST_ANNOTATION

AGAIN = 60.0  # seconds: what refused a child, a quota of another kind or an admission policy, may have changed

log = logging.getLogger(__name__)


@dataclass
class _Refused:
    digest: str
    message: str
    reason: Reason
    at: float


class Refusals:
    """By owner and child; bounded by the objects alive: `forget` drops what is remembered of one that is gone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._known: dict[Ref, dict[Ref, _Refused]] = {}
        self._clock = clock

    def of(self, owner: Ref) -> Mapping[Ref, Refusal]:
        """Return the children that were refused last time."""
        now = self._clock()
        return {
            ref: Refusal(known.digest, known.message, again=now - known.at >= AGAIN, reason=known.reason)
            for ref, known in self._known.get(owner, {}).items()
        }

    def note(self, owner: Ref, child: Object, message: str, reason: Reason = Reason.INVALID_SPEC) -> bool:
        """Remember a refusal; return whether it says anything new."""
        known, ref = self._known.setdefault(owner, {}), ref_of(child)
        digest = str(child["metadata"].get("annotations", {}).get(DIGEST_ANNOTATION, ""))
        if reason == Reason.INVALID_SPEC and is_of_quota(message):
            reason = Reason.QUOTA_EXCEEDED
        before, now = known.get(ref), _Refused(digest, message, reason, self._clock())
        known[ref] = now
        if before and (before.digest, before.message, before.reason) == (now.digest, now.message, now.reason):
            return False
        fields = {"kind": owner.kind.name, "namespace": owner.namespace, "object": owner.name}
        log.warning("refused", extra={**fields, "child": f"{ref.kind.name}/{ref.name}", "error": now.message})
        return True

    def accepted(self, owner: Ref, ref: Ref) -> None:
        """Drop what is remembered of a child."""
        if known := self._known.get(owner):
            known.pop(ref, None)
            if not known:
                del self._known[owner]

    def forget(self, owner: Ref) -> None:
        """Drop what is remembered for an owner that is gone."""
        self._known.pop(owner, None)
