"""Pure: what the worker adds to a status before it writes it, and how it tells people what changed."""

from collections.abc import Iterator
from datetime import datetime

from ..resources.kinds import Object


def timestamp(moment: datetime) -> str:
    """Return a time as Kubernetes writes it; the moment must be in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def dated(status: Object, current: Object, now: str) -> Object:
    """Return the status with each condition's lastTransitionTime: kept from `current` while the condition's status stays."""
    since = {
        (c["type"], c["status"]): c["lastTransitionTime"] for c in current.get("conditions", []) if "lastTransitionTime" in c
    }
    conditions = [{**c, "lastTransitionTime": since.get((c["type"], c["status"]), now)} for c in status.get("conditions", [])]
    return {**status, "conditions": conditions}


def same(first: Object, second: Object) -> bool:
    """Return whether two statuses say the same; the order of conditions is nothing."""
    return _normal(first) == _normal(second)


def transitions(before: Object, after: Object) -> Iterator[tuple[str, str, str]]:
    """Yield (type, old, new) of conditions whose status or reason changed, each as `status/reason`; `-` = not there."""
    old, new = _states(before), _states(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, old.get(name, "-"), new.get(name, "-")


def _states(status: Object) -> dict[str, str]:
    return {c["type"]: f"{c['status']}/{c.get('reason', '')}" for c in status.get("conditions", [])}


def _normal(status: Object) -> Object:
    return {**status, "conditions": sorted(status.get("conditions", []), key=lambda condition: str(condition["type"]))}
