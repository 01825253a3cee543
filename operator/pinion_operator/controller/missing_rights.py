"""Rights that passes over objects lack: what lasts is told in the object's status instead of the log alone."""

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..cluster.errors import ForbiddenError
from ..resources.kinds import Ref
from .watch_refusals import REMEDY

_CANNOT = re.compile(
    r' cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<where>[^"]+)")?'
)


@dataclass
class _Missing:
    since: float
    message: str


class MissingRights:
    """By object; bounded by the objects alive: `forget` drops what is remembered of one that is gone, or has got through."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now = seconds, now  # an API server that has just come up refuses for a moment
        self._missing: dict[Ref, _Missing] = {}

    def note(self, ref: Ref, error: Exception) -> bool:
        """Note that a pass ended with an error; return whether a right has been missing for too long by now."""
        if message := explain(error):
            known = self._missing.setdefault(ref, _Missing(self._now(), message))
            known.message = message
        return bool(message and self.of(ref))

    def of(self, ref: Ref) -> str:
        """Return what has been missing for too long, in words; "" = nothing."""
        known = self._missing.get(ref)
        return known.message if known and self._now() - known.since >= self._seconds else ""

    def forget(self, ref: Ref) -> None:
        """Drop what is remembered of an object."""
        self._missing.pop(ref, None)

    def counts(self) -> Counter[str]:
        """Return by kind how many objects lack a right for too long."""
        return Counter(ref.kind.name for ref in self._missing if self.of(ref))


def explain(error: Exception) -> str:
    """Return what the operator may not do, as authorization words it; "" for every other error.

    A quota, a policy, or a namespace that is going are no missing right.
    """
    if not isinstance(error, ForbiddenError) or error.status != 403:
        return ""
    if found := _CANNOT.search(str(error)):
        what = f"{found['resource']}.{found['group']}".rstrip(".")
        where = f" in namespace {found['where']}" if found["where"] else ""
        return f"the operator may not {found['verb']} {what}{where} (403): {REMEDY}"
    if "cannot set blockOwnerDeletion" in str(error):
        return f"the operator may not own children, for want of update on finalizers of its own kinds (403): {REMEDY}"
    return ""
