"""What is said of an object that the operator may not look after: whatever its kind, and nothing of it is made up."""

from collections.abc import Iterable
from typing import Any

from ..api.base import Condition
from ..conditions import ConditionType, Reason, Stalled, condition, summarise
from ..resources.kinds import MODELDEPLOYMENT, Object

_SUMMARY = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)


def forbidden_status(obj: Object, message: str) -> dict[str, Any]:
    """Return the status: Ready=Unknown and Stalled say why; what was said before of the world stays."""
    before, generation = obj.get("status", {}), obj["metadata"].get("generation", 1)
    ready = condition(ConditionType.READY, None, Reason.OPERATOR_FORBIDDEN, message, generation=generation)
    said = summarise(ready, Stalled(Reason.OPERATOR_FORBIDDEN, message))
    others = [_undated(one) for one in before.get("conditions", ()) if one["type"] not in _SUMMARY]
    status = {**before, "observedGeneration": generation, "conditions": [*_objects(said), *others]}
    if obj["kind"] == MODELDEPLOYMENT.name:
        serves = any((one["type"], one["status"]) == (ConditionType.AVAILABLE, "True") for one in others)
        status |= {"message": message, "phase": "Degraded" if serves else "Failed"}
    return status


def _objects(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    return [one.to_object() for one in conditions]


def _undated(one: Object) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "lastTransitionTime"}
