"""Pure: what the worker adds to a status before it writes it, and how it tells people what changed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ..reconcile.drift import covers
from ..resources.kinds import Object

Path = tuple[str, ...]  # names of fields; "[]" = each item of a list


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


def is_kept(answer: Object, written: Object) -> bool:
    """Return whether the API server kept what was written; it leaves out a list from which an apply takes the last item."""
    return covers(answer, _without_empty(written))


def transitions(before: Object, after: Object) -> Iterator[tuple[str, Object | None, Object | None]]:
    """Yield (type, old, new) of conditions whose status or reason changed; None = not there."""
    old, new = _by_type(before), _by_type(after)
    for name in sorted(old.keys() | new.keys()):
        if state(old.get(name)) != state(new.get(name)):
            yield name, old.get(name), new.get(name)


def state(condition: Object | None) -> str:
    """Return `status/reason`; `-` = not there."""
    return f"{condition['status']}/{condition.get('reason', '')}" if condition else "-"


def unknown_fields(message: str) -> frozenset[Path]:
    """Return the fields of a status that the API server's schema lacks, as its refusal of an apply names them."""
    named = re.findall(r"\.status((?:\.\w+|\[[^\]]*\])+): field not declared in schema", message)
    return frozenset(tuple(name or "[]" for name in re.findall(r"\.(\w+)|\[[^\]]*\]", path)) for path in named)


def without(status: Object, unknown: Iterable[Path]) -> Object:
    """Return the status without these fields."""
    result: Any = status
    for path in unknown:
        result = _drop(result, path)
    return dict(result)


def _without_empty(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _without_empty(item) for name, item in value.items() if item not in ([], (), {})}


def _drop(value: Any, path: Path) -> Any:
    first, *rest = path
    if first == "[]":
        return [_drop(item, tuple(rest)) for item in value] if isinstance(value, list | tuple) else value
    if not isinstance(value, Mapping) or first not in value:
        return value
    if not rest:
        return {name: item for name, item in value.items() if name != first}
    return {**value, first: _drop(value[first], tuple(rest))}


def _by_type(status: Object) -> dict[str, Object]:
    return {c["type"]: c for c in status.get("conditions", [])}


def _normal(status: Object) -> Object:
    return {**status, "conditions": sorted(status.get("conditions", []), key=lambda condition: str(condition["type"]))}
