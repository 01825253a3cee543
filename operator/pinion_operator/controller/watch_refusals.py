"""Which lists and watches the API server refuses: the right is missing (403), or the kind is not there (404)."""

import time
from collections.abc import Callable
from typing import NamedTuple

from ..resources.kinds import Kind

REFUSING = (403, 404)
REMEDY = "its Role or ClusterRole lacks that right; installing the chart of its version again gives it back"


class _Key(NamedTuple):
    namespace: str  # "" = all of them together
    kind: Kind
    verb: str  # list | watch


class _Refused(NamedTuple):
    since: float
    status: int
    message: str


class WatchRefusals:
    """Remembers since when each is refused. One answer that is not a refusal ends it, so it recovers by itself.

    A server or a definition that has just come up refuses for a moment too: only what lasts means anything.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._refused: dict[_Key, _Refused] = {}

    def refused(self, kind: Kind, namespace: str, verb: str, status: int, message: str) -> bool:
        """Note a refusal; return whether there was none before it."""
        key = _Key(namespace, kind, verb)
        known = self._refused.get(key)
        self._refused[key] = _Refused(known.since if known else self._now(), status, message)
        return known is None

    def granted(self, kind: Kind, namespace: str, verb: str) -> None:
        """Note an answer."""
        self._refused.pop(_Key(namespace, kind, verb), None)

    def lasting(self, seconds: float) -> list[str]:
        """Return what has been refused for so long, in words."""
        now = self._now()
        return [_explain(key, one) for key, one in sorted(self._refused.items()) if now - one.since >= seconds]

    def hides(self, namespace: str, seconds: float) -> str:
        """Return, in words, which kind could not be listed for so long; "" = none. What is known of it is out of date."""
        now = self._now()
        for key, one in sorted(self._refused.items()):
            if key.verb == "list" and key.namespace in ("", namespace) and now - one.since >= seconds:
                return _explain(key, one)
        return ""

    def missing(self) -> bool:
        """Return whether the API server does not know some kind: what it has not got cannot be watched yet."""
        return any(one.status == 404 for one in self._refused.values())

    def ages(self) -> dict[str, float]:
        """Return the seconds since the oldest refusal by kind; kinds that are not refused are not in it."""
        now, ages = self._now(), dict[str, float]()
        for key, one in self._refused.items():
            ages[key.kind.name] = max(now - one.since, ages.get(key.kind.name, 0.0))
        return ages


def _explain(key: _Key, refused: _Refused) -> str:
    what = f"{key.kind.plural}.{key.kind.group}".rstrip(".")
    where = f" in namespace {key.namespace}" if key.namespace else ""
    if refused.status == 404:
        return f"{what} cannot be {'listed' if key.verb == 'list' else 'watched'}{where}: the API server has no such kind (404)"
    return f"the operator may not {key.verb} {what}{where} (403): {REMEDY}"
