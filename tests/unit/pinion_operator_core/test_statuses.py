from datetime import UTC, datetime
from typing import Any

import pytest

from pinion_operator.controller.statuses import dated, is_kept, same, state, timestamp, transitions, unknown_fields, without


def make_status(*conditions: tuple[str, str, str], at: str = "") -> dict[str, Any]:
    made = [{"type": name, "status": status, "reason": reason} for name, status, reason in conditions]
    return {"observedGeneration": 1, "conditions": [{**c, "lastTransitionTime": at} if at else c for c in made]}


def test_a_time_stays_while_the_status_stays_though_the_reason_changes() -> None:
    current = make_status(("Ready", "False", "Progressing"), ("Warm", "False", "WarmingUp"), at="then")
    written = dated(
        make_status(("Ready", "False", "Failed"), ("Warm", "True", "WarmedUp"), ("New", "True", "X")), current, "now"
    )
    times = {c["type"]: c["lastTransitionTime"] for c in written["conditions"]}
    assert times == {"Ready": "then", "Warm": "now", "New": "now"}


def test_the_default_status_of_a_new_object_has_no_conditions() -> None:
    assert dated(make_status(("Ready", "Unknown", "Progressing")), {"observedGeneration": -1}, "now")["conditions"][0][
        "lastTransitionTime"
    ] == ("now")


def test_the_order_of_conditions_is_nothing() -> None:
    one = make_status(("A", "True", "x"), ("B", "True", "x"), at="then")
    other = make_status(("B", "True", "x"), ("A", "True", "x"), at="then")
    assert same(one, other)
    assert not same(one, make_status(("A", "True", "x"), at="then"))
    assert not same(one, {**other, "phase": "Ready"})


def test_transitions_are_told_once_each() -> None:
    before = make_status(("Ready", "False", "Progressing"), ("Reconciling", "True", "Progressing"), ("Same", "True", "x"))
    after = make_status(("Ready", "True", "Serving"), ("Warm", "True", "WarmedUp"), ("Same", "True", "x"))
    assert [(name, state(old), state(new)) for name, old, new in transitions(before, after)] == [
        ("Ready", "False/Progressing", "True/Serving"),
        ("Reconciling", "True/Progressing", "-"),
        ("Warm", "-", "True/WarmedUp"),
    ]


def test_times_are_written_as_kubernetes_writes_them() -> None:
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2026-01-02T03:04:05Z"


REFUSAL = """PATCH /x/status: 500 failed to create typed patch object (ns/x; pinion.dev/v1alpha1, Kind=IpfsBackend): errors:
  .status.circuit: field not declared in schema
  .status.conditions[type="A"].since: field not declared in schema"""


def test_fields_that_the_schema_lacks_are_read_from_the_refusal_and_left_out() -> None:
    unknown = unknown_fields(REFUSAL)
    assert unknown == {("circuit",), ("conditions", "[]", "since")}
    status = {"circuit": {"open": True}, "other": 1, "conditions": [{"type": "A", "since": "x"}, {"type": "B"}]}
    assert without(status, unknown) == {"other": 1, "conditions": [{"type": "A"}, {"type": "B"}]}
    assert without({"other": 1}, unknown) == {"other": 1}
    assert unknown_fields("500 something else: .status.x: it is broken") == frozenset()


KEPT: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "all of it": ({"phase": "Ready", "revisions": []}, {"phase": "Ready", "revisions": []}, True),
    "a list whose last item was taken away is left out": ({"phase": "Ready"}, {"phase": "Ready", "revisions": []}, True),
    "so it is deeper down": ({"transfer": {"bytes": 1}}, {"transfer": {"bytes": 1, "sources": []}}, True),
    "another value": ({"phase": "Failed"}, {"phase": "Ready"}, False),
    "nothing": ({}, {"phase": "Ready"}, False),
    "an item less": ({"revisions": []}, {"revisions": [{"name": "a"}]}, False),
}


@pytest.mark.parametrize(("answer", "written", "kept"), KEPT.values(), ids=KEPT.keys())
def test_what_the_api_server_kept(answer: dict[str, Any], written: dict[str, Any], kept: bool) -> None:
    assert is_kept(answer, written) is kept
