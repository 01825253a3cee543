import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pinion_operator.cluster.api import Api
from pinion_operator.cluster.credentials import Credentials
from pinion_operator.cluster.patience import IMPATIENT
from pinion_operator.controller.events import (
    BURST,
    QUEUED,
    Events,
    build_event,
    describe_mutation,
    describe_transition,
    is_told,
)
from pinion_operator.metrics import Metrics
from pinion_operator.reconcile.admission import Answer, Mutation
from pinion_operator.resources.kinds import DEPLOYMENT, Ref

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def make_object(name: str = "minilm", version: str = "7", uid: str = "u") -> dict[str, Any]:
    meta = {"namespace": "ml", "name": name, "uid": uid, "resourceVersion": version}
    return {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta}


def make_condition(status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": "Ready", "status": status, "reason": reason, "message": message}


def build(condition: str, new: Any, old: Any = None, **obj: Any) -> dict[str, Any]:
    about = make_object(**obj)
    return dict(build_event(about, describe_transition(condition, new, old), "host_1", NOW))


def test_an_event_says_what_became_of_which_object() -> None:
    event = build("Ready", make_condition("True", "Serving", "2 of 2 replicas"))
    assert event["note"] == "2 of 2 replicas"
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


TOLD: dict[str, tuple[str, Any, Any, bool]] = {
    "nothing yet": ("Ready", ("Unknown", "Progressing"), None, False),
    "Ready": ("Ready", ("True", "Serving"), ("Unknown", "Progressing"), True),
    "no longer Ready": ("Ready", ("Unknown", "Progressing"), ("True", "Serving"), True),
    "another step of a start": ("Reconciling", ("True", "WarmingUp"), ("True", "Starting"), False),
    "a milestone": ("ArtifactVerified", ("True", "Verified"), ("False", "Verifying"), True),
    "what is good from the start": ("BackendDegraded", ("False", "PreferredBackendActive"), None, False),
    "something wrong": ("WorkloadReady", ("False", "OOMKilled"), ("True", "Running"), True),
    "right again": ("WorkloadReady", ("True", "Running"), ("False", "OOMKilled"), True),
    "no traffic before the first start": ("Available", ("False", "NoReadyReplicas"), None, False),
    "no traffic any more": ("Available", ("False", "NoReadyReplicas"), ("True", "MinimumReplicasAvailable"), True),
}


@pytest.mark.parametrize(("condition", "new", "old", "told"), TOLD.values(), ids=TOLD.keys())
def test_a_person_is_told_what_went_wrong_what_is_right_again_and_milestones(
    condition: str, new: tuple[str, str], old: tuple[str, str] | None, told: bool
) -> None:
    assert is_told(condition, make_condition(*new), make_condition(*old) if old else None) == told


def test_traffic_that_stops_is_a_warning() -> None:
    old, new = make_condition("True", "MinimumReplicasAvailable"), make_condition("False", "NoReadyReplicas")
    assert (build("Available", new, old)["type"], build("Available", new)["type"]) == ("Warning", "Normal")


def test_text_and_name_are_bounded_as_the_api_server_bounds_them() -> None:
    event = build("Ready", make_condition("False", "Failed", "ü" * 4000), name="a" * 236 + ".b" * 8)
    assert len(event["note"].encode()) <= 1024
    assert len(event["metadata"]["name"]) <= 253
    assert not event["metadata"]["name"].split(".")[-2].endswith("-")


async def test_names_sort_by_time_and_none_comes_twice() -> None:
    events = unconnected(Metrics(), [0.0])
    for _ in range(20):
        events.transition(make_object(), "Ready", make_condition("True", "X"), None)
    names = [events._queue.get_nowait()["metadata"]["name"] for _ in range(20)]
    assert names == sorted(set(names))


def test_what_admission_changed_is_told_as_it_is() -> None:
    mutation = Mutation(Ref(DEPLOYMENT, "ml", "minilm"), Answer("w", "c"), 'spec.image is "b:1" instead of "a:1"')
    event = build_event(make_object(), describe_mutation(mutation), "host_1", NOW)
    assert event["note"] == 'admission changed Deployment minilm: spec.image is "b:1" instead of "a:1"'
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "ChangedByAdmission", "Apply")


def unconnected(metrics: Metrics, clock: list[float]) -> Events:
    """Return Events on a client that nobody runs: what is queued stays queued."""
    from kubernetes.aio import client

    credentials = Credentials(client.Configuration())
    api = Api(credentials, manager="m", agent="a", connections=1, timeout=1, patience=IMPATIENT, on_request=lambda *_: None)
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
