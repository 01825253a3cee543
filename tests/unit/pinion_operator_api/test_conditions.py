"""Conditions as kstatus reads them."""

import pytest

from pinion_operator.api.base import Condition
from pinion_operator.conditions import (
    ConditionType,
    Reason,
    Reconciling,
    Stalled,
    condition,
    find,
    is_true,
    merge,
    set_condition,
    summarise,
)


def ready(status: bool | None, reason: Reason) -> Condition:
    return condition(ConditionType.READY, status, reason, "text", generation=3)


@pytest.mark.parametrize(("status", "text"), [(True, "True"), (False, "False"), (None, "Unknown")])
def test_condition(status: bool | None, text: str) -> None:
    made = ready(status, Reason.PROGRESSING)
    assert made.to_object() == {
        "type": "Ready", "status": text, "reason": "Progressing", "message": "text", "observedGeneration": 3,
    }  # fmt: skip


def test_at_rest_there_is_neither_reconciling_nor_stalled() -> None:
    assert [one.type for one in summarise(ready(True, Reason.SERVING))] == ["Ready"]


@pytest.mark.parametrize("status", [True, False, None])
def test_reconciling_may_stand_beside_any_ready(status: bool | None) -> None:
    _, second = summarise(ready(status, Reason.PROGRESSING), Reconciling(Reason.FETCHING, "12 %"))
    assert (second.type, second.status, second.reason, second.message) == ("Reconciling", "True", "Fetching", "12 %")
    assert second.observed_generation == 3


def test_stalled_is_never_ready() -> None:
    _, second = summarise(ready(False, Reason.FAILED), Stalled(Reason.UNAUTHORIZED))
    assert (second.type, second.reason) == ("Stalled", "Unauthorized")
    with pytest.raises(ValueError, match="contradict"):
        summarise(ready(True, Reason.SERVING), Stalled(Reason.UNAUTHORIZED))


def test_set_keeps_the_place() -> None:
    warm = condition(ConditionType.WARM, True, Reason.WARMED_UP, generation=1)
    both = set_condition(set_condition((), ready(False, Reason.PROGRESSING)), warm)
    changed = set_condition(both, ready(True, Reason.SERVING))
    assert [(one.type, one.reason) for one in changed] == [("Ready", "Serving"), ("Warm", "WarmedUp")]
    assert is_true(changed, ConditionType.READY)
    assert not is_true(changed, ConditionType.STALLED)


def test_merge_drops_what_is_there_only_while_true() -> None:
    before = summarise(ready(False, Reason.FAILED), Stalled(Reason.UNAUTHORIZED))
    drop = (ConditionType.STALLED, ConditionType.RECONCILING)
    after = merge(before, summarise(ready(None, Reason.PROGRESSING), Reconciling(Reason.RESOLVING)), drop=drop)
    assert [one.type for one in after] == ["Ready", "Reconciling"]
    assert find(after, ConditionType.STALLED) is None
