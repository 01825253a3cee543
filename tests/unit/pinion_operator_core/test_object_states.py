"""What the metric of readiness shows: the conditions that sum an object up, of the objects alive and of no other."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge

from pinion_operator.controller.object_states import TOLD, ObjectStates, told_of
from pinion_operator.controller.store import Store
from pinion_operator.metrics import Series
from pinion_operator.resources.kinds import CONFIGMAP, IPFSBACKEND, MODELDEPLOYMENT, Kind
from tests.support.model_world import NAME, NAMESPACE, World

READY = ("Ready", "True", "Healthy")


def an_object(*conditions: tuple[str, str, str], kind: Kind = IPFSBACKEND, name: str = "a", version: int = 1) -> dict[str, Any]:
    """Return an object that says these of itself: type, status, reason."""
    said = [dict(zip(("type", "status", "reason"), one, strict=True)) for one in conditions]
    meta = {"namespace": "ml", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, "status": {"conditions": said}}


def shown(states: ObjectStates) -> set[str]:
    return {f"{one.kind}/{one.name} {one.condition}={one.status}/{one.reason}" for one in states.all()}


def test_a_model_that_serves() -> None:
    told = told_of(World().backend("ipfs").serve().obj)
    assert {one[:3] for one in told} == {("ModelDeployment", NAMESPACE, NAME)}
    assert [one[3:] for one in told] == [("Ready", "True", "Serving"), ("Available", "True", "MinimumReplicasAvailable")]


def test_a_stalled_object_tells_why_beside_ready() -> None:
    told = told_of(
        an_object(("Ready", "False", "Failed"), ("Stalled", "True", "NameTaken"), ("Reachable", "True", "Answering"))
    )
    assert [one[3:] for one in told] == [("Ready", "False", "Failed"), ("Stalled", "True", "NameTaken")]


@pytest.mark.parametrize("without", ["conditions", "status"])
def test_an_object_of_which_nothing_is_said_yet_is_not_ready(without: str) -> None:
    obj = an_object()
    del (obj if without == "status" else obj["status"])[without]
    assert [one[3:] for one in told_of(obj)] == [("Ready", "Unknown", "Progressing")]


def test_an_object_has_no_more_series_than_there_are_conditions_that_sum_it_up() -> None:
    others = [(f"Other{number}", "True", "Yes") for number in range(30)]
    all_of_them = [(type_.value, "True", "Yes") for type_ in TOLD]
    assert len(told_of(an_object(*others, *all_of_them, ("Ready", "False", "Failed")))) == len(TOLD)


def test_what_the_store_is_told_is_shown_and_what_is_gone_is_not() -> None:
    states = ObjectStates()
    store = Store(states.saw)
    store.saw(IPFSBACKEND, an_object(READY))
    store.saw(MODELDEPLOYMENT, an_object(READY, kind=MODELDEPLOYMENT))
    store.saw(CONFIGMAP, an_object(READY, kind=CONFIGMAP))
    assert shown(states) == {"IpfsBackend/a Ready=True/Healthy", "ModelDeployment/a Ready=True/Healthy"}
    store.saw(IPFSBACKEND, an_object(("Ready", "False", "Failed"), version=2))
    assert shown(states) == {"IpfsBackend/a Ready=False/Failed", "ModelDeployment/a Ready=True/Healthy"}
    store.saw_deleted(IPFSBACKEND, an_object(version=3))
    assert shown(states) == {"ModelDeployment/a Ready=True/Healthy"}
    store.replace(MODELDEPLOYMENT, [], as_of=9)  # a deletion that no watch saw
    assert shown(states) == set()


def test_a_gauge_shows_exactly_what_is_there_now() -> None:
    registry = CollectorRegistry()
    series = Series(Gauge("pinion_test", "Of a test.", ["name", "reason"], registry=registry))

    def samples() -> dict[tuple[str, str], float]:
        return {
            (sample.labels["name"], sample.labels["reason"]): sample.value
            for family in registry.collect()
            for sample in family.samples
        }

    for there in ({("a", "Failed"): 1.0, ("b", "Serving"): 1.0}, {("a", "Serving"): 2.0, ("b", "Serving"): 1.0}, {}):
        series.show(there)
        assert samples() == there
