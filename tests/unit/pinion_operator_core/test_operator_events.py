import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pinion_operator.cluster.api import Api
from pinion_operator.cluster.credentials import Credentials
from pinion_operator.controller.events import BURST, QUEUED, Events, build_event
from pinion_operator.metrics import Metrics

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def make_object(name: str = "minilm", version: str = "7", uid: str = "u") -> dict[str, Any]:
    meta = {"namespace": "ml", "name": name, "uid": uid, "resourceVersion": version}
    return {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta}


def make_condition(status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": "Ready", "status": status, "reason": reason, "message": message}


def build(condition: str, new: Any, old: Any = None, **obj: Any) -> dict[str, Any]:
    return dict(build_event(make_object(**obj), condition, new, old, "host_1", NOW))


def test_an_event_says_what_became_of_which_object() -> None:
    event = build("Ready", make_condition("True", "Serving", "2 of 2 replicas"))
    assert event["note"] == "Ready True: 2 of 2 replicas"
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "Serving", "ReadyChanged")
    assert event["regarding"]["name"] == "minilm"
    assert event["eventTime"] == "2026-01-02T03:04:05.000678Z"
    assert event["metadata"]["namespace"] == "ml"


@pytest.mark.parametrize(
    ("condition", "status", "reason", "kind"),
    [
        ("Ready", "False", "Progressing", "Normal"),
        ("Ready", "False", "Failed", "Warning"),
        ("Ready", "Unknown", "StatusUnreachable", "Warning"),
        ("Ready", "True", "Suspended", "Normal"),
        ("Stalled", "True", "NameTaken", "Warning"),
        ("BackendDegraded", "True", "AnythingAtAll", "Warning"),
        ("BackendDegraded", "False", "AnythingAtAll", "Normal"),
        ("SourceDrifted", "True", "UpstreamMoved", "Warning"),
        ("SourceDrifted", "False", "UpToDate", "Normal"),
        ("DeletionBlocked", "True", "InUse", "Warning"),
        ("ArtifactVerified", "False", "CIDMismatch", "Warning"),
        ("Warm", "False", "WarmingUp", "Normal"),
    ],
)
def test_what_is_wrong_is_a_warning(condition: str, status: str, reason: str, kind: str) -> None:
    assert build(condition, make_condition(status, reason))["type"] == kind


def test_a_condition_that_goes_is_told_with_its_reason() -> None:
    event = build("Stalled", None, make_condition("True", "NameTaken"))
    assert (event["reason"], event["note"], event["type"]) == ("NameTaken", "Stalled gone", "Normal")


def test_text_and_name_are_bounded_as_the_api_server_bounds_them() -> None:
    event = build("Ready", make_condition("False", "Failed", "ü" * 4000), name="a" * 236 + ".b" * 8)
    assert len(event["note"].encode()) <= 1024
    assert len(event["metadata"]["name"]) <= 253
    assert not event["metadata"]["name"].split(".")[-2].endswith("-")


def test_the_same_transition_has_the_same_name_and_another_one_another() -> None:
    def name(version: str, status: str, uid: str = "u") -> str:
        return str(build("Ready", make_condition(status, "X"), version=version, uid=uid)["metadata"]["name"])

    assert name("7", "True") == name("7", "True")
    assert len({name("7", "True"), name("7", "False"), name("8", "True"), name("7", "True", "other")}) == 4


def unconnected(metrics: Metrics, clock: list[float]) -> Events:
    """Return Events on a client that nobody runs: what is queued stays queued."""
    from kubernetes.aio import client

    api = Api(Credentials(client.Configuration()), manager="m", agent="a", timeout=1, on_request=lambda *_: None)
    return Events(api, metrics, "host_1", lambda: clock[0])


def count(metrics: Metrics, result: str) -> float:
    return metrics.registry.get_sample_value("pinion_operator_events_total", {"result": result}) or 0.0


async def test_an_object_that_flaps_is_bounded_and_others_are_not_touched_by_it() -> None:
    metrics, clock = Metrics(), [0.0]
    events = unconnected(metrics, clock)
    for number in range(int(BURST) + 5):
        events.transition(make_object(version=str(number)), "Ready", make_condition("True", "X"), None)
    assert count(metrics, "dropped") == 5
    events.transition(make_object(uid="another"), "Ready", make_condition("True", "X"), None)
    assert count(metrics, "dropped") == 5
    clock[0] += 11
    events.transition(make_object(), "Ready", make_condition("True", "X"), None)
    assert count(metrics, "dropped") == 5


async def test_the_queue_is_bounded() -> None:
    metrics = Metrics()
    events = unconnected(metrics, [0.0])
    for number in range(QUEUED + 3):
        events.transition(make_object(uid=str(number)), "Ready", make_condition("True", "X"), None)
    assert count(metrics, "dropped") == 3
    assert asyncio.all_tasks() == {asyncio.current_task()}
