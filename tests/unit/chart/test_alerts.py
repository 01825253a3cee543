"""When each alert fires: at one object, model or kind in trouble, in time; and when it does not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pinion_contract.status import Failure, FailureReason, Phase
from pinion_operator.conditions import Reason
from pinion_operator.controller.object_states import ObjectStates
from pinion_operator.metrics import Metrics
from pinion_operator.reconcile.forbidden import forbidden_status
from pinion_operator.reconcile.model.source import Unresolved
from pinion_operator.resources.kinds import IPFSBACKEND, MODELDEPLOYMENT
from tests.support.dashboards import ALERTS
from tests.support.model_world import NAME, NAMESPACE, World
from tests.support.promql import QueryError
from tests.support.promql_values import History, Labels, evaluate, firing, labels

RULES = {rule["alert"]: rule for rule in ALERTS}
OPERATOR = {"pod": "operator-0", "namespace": "pinion-system"}  # of its target; what it says of `namespace` itself is kept
MODEL = {"namespace": NAMESPACE, "pod": "minilm-0", "model": NAME}
DAY = 24 * 60  # minutes
NOT_FOUND = Unresolved(Reason.SOURCE_NOT_FOUND, "org/model: no such repository", final=True, again_in=60.0)
AWAY = Unresolved(Reason.ORIGIN_UNREACHABLE, "org/model: no answer in time", final=False, again_in=2.0)


@dataclass
class Watched:
    """What Prometheus scrapes, each minute unless told otherwise: the operator's own metrics as it exports them, and pods'."""

    history: History = field(default_factory=History)
    metrics: Metrics = field(default_factory=Metrics)
    states: ObjectStates = field(default_factory=ObjectStates)
    pods: dict[Labels, float] = field(default_factory=dict)
    leads: bool = True  # an operator runs, and leads
    now: float = 0.0

    def model(self, world: World, name: str = NAME) -> "Watched":
        """Let the operator decide about a model first."""
        world.settle()
        return self.says(world, name)

    def says(self, world: World, name: str = NAME) -> "Watched":
        """Let the operator know what a model says."""
        meta = {**world.obj["metadata"], "name": name}
        self.states.saw(MODELDEPLOYMENT, None, {**world.obj, "metadata": meta})
        return self

    def backend(self, *conditions: tuple[str, str, str]) -> "Watched":
        """Let an IpfsBackend say these: type, status, reason."""
        said = [dict(zip(("type", "status", "reason"), one, strict=True)) for one in conditions]
        meta = {"namespace": NAMESPACE, "name": "kubo"}
        known_as = {"apiVersion": IPFSBACKEND.api_version, "kind": IPFSBACKEND.name}
        self.states.saw(IPFSBACKEND, None, {**known_as, "metadata": meta, "status": {"conditions": said}})
        return self

    def counts(self, metric: str, value: float, **others: str) -> "Watched":
        """Let a pod of the model export a counter."""
        self.pods[labels(__name__=metric, **{**MODEL, **others})] = value
        return self

    def minutes(self, count: int, every: int = 1) -> "Watched":
        """Let time pass."""
        for _ in range(0, count, every):
            self.history.add(self.now, self.pods | (self._operator() if self.leads else {}))
            self.now += 60 * every
        return self

    def _operator(self) -> dict[Labels, float]:
        self.metrics.leading.set(1)
        self.metrics.conditions.show(dict.fromkeys(self.states.all(), 1.0))
        families = [family for family in self.metrics.registry.collect() if family.name.startswith("pinion_")]
        samples = [sample for family in families for sample in family.samples]
        return {labels(__name__=one.name, **(OPERATOR | one.labels)): one.value for one in samples}


def failing_pod(**spec: Any) -> World:
    """Return a model whose pod tries again for ever."""
    world = World(**spec).backend("ipfs")
    world.settle()
    failure = Failure(stage=Phase.FETCHING, reason=FailureReason.DOWNLOAD_FAILED, message="reset", retrying=True)
    return world.pod("pod-0", status=world.failed(failure))


def fetching_pod() -> World:
    world = World().backend("ipfs")
    world.settle()
    return world.pod("pod-0", status=world.fetching(40))


def served() -> World:
    return World().backend("ipfs").serve()


def asked(resolution: Unresolved) -> World:
    world = World().backend("ipfs")
    world.resolution = resolution
    return world


def forbidden() -> World:
    world = served()
    world.obj["status"] = forbidden_status(world.obj, "the operator may not patch configmaps")
    return world


def other_reasons() -> Watched:
    """Return a model that is not Ready for ever, each time for another reason, and whose operator is replaced meanwhile."""
    watched, lost = Watched(), served().no_pods()
    for minute in range(20):
        watched.leads = minute % 7 != 6
        watched.model(lost if minute % 2 else failing_pod()).minutes(1)
    return watched


def lost_by_day() -> Watched:
    watched, world = Watched(), served()
    watched.model(world).minutes(3)
    return watched.model(world.no_pods()).minutes(2 * DAY, every=4)


def lost_with_a_change() -> Watched:
    """Return a model that serves no more, and whose spec is changed then: it is on the way, and was there before."""
    watched, world = Watched(), served()
    watched.model(world).minutes(3)
    world.change_source(revision="other")
    return watched.model(world.no_pods()).minutes(6)


def failed_passes(*counts: int) -> Watched:
    """Return an object whose passes failed so often in a row, minute by minute; 0: the last one did not."""
    watched = Watched()
    for count in counts:
        watched.metrics.failed_passes.show({("IpfsBackend", NAMESPACE, "kubo"): count} if count else {})
        watched.minutes(1)
    return watched


def silent_watch(*ages: float) -> Watched:
    watched = Watched()
    for age in ages:
        watched.metrics.watch_age.labels("pods").set(age)
        watched.minutes(1)
    return watched


def counted(metric: str, *values: float, **others: str) -> Watched:
    """Return a pod that counted so, minute by minute."""
    watched = Watched()
    for value in values:
        watched.counts(metric, value, **others).minutes(1)
    return watched


def requests(status: str, each_minute: int, of: int, minutes: int) -> Watched:
    """Return a model of which so many requests of all end so."""
    watched = Watched()
    for minute in range(minutes):
        watched.counts("hf_server_requests_total", minute * each_minute, status=status)
        watched.counts("hf_server_requests_total", minute * (of - each_minute), status="200").minutes(1)
    return watched


def without_operator(minutes: int) -> Watched:
    return Watched(leads=False).counts("hf_server_requests_total", 1).minutes(minutes)


def gauge(set_it: Callable[[Metrics], object], minutes: int) -> Watched:
    watched = Watched()
    set_it(watched.metrics)
    return watched.minutes(minutes)


WRONG, RESTARTS = "hf_server_wrong_content_found_total", "hf_server_engine_restarts_total"
OF_MODEL = {"kind": "ModelDeployment", "namespace": NAMESPACE, "name": NAME}
OF_BACKEND = {"kind": "IpfsBackend", "namespace": NAMESPACE, "name": "kubo"}
LOST_FOR = ("PinionModelUnavailable", OF_MODEL)

# what happens -> (the alert that fires at the end of it, its labels)
FIRES: dict[str, tuple[Callable[[], Watched], str, dict[str, str]]] = {
    "a repository that does not exist": (
        lambda: Watched().model(asked(NOT_FOUND)).minutes(7), "PinionObjectStalled", OF_MODEL | {"reason": "SourceNotFound"},
    ),
    "a right that is missing": (
        lambda: Watched().says(forbidden()).minutes(7), "PinionObjectStalled", OF_MODEL | {"reason": "OperatorForbidden"},
    ),
    "a backend whose name is taken": (
        lambda: Watched().backend(("Ready", "False", "Failed"), ("Stalled", "True", "NameTaken")).minutes(7),
        "PinionObjectStalled", OF_BACKEND | {"reason": "NameTaken"},
    ),
    "a pod that tries again for ever": (
        lambda: Watched().model(failing_pod()).minutes(17), "PinionObjectNotReady", OF_MODEL | {"reason": "Progressing"},
    ),
    "a hub that never answers": (
        lambda: Watched().model(asked(AWAY)).minutes(17), "PinionObjectNotReady", OF_MODEL | {"reason": "Progressing"},
    ),
    "an object that no pass ever told of": (
        lambda: Watched().backend().minutes(17), "PinionObjectNotReady", OF_BACKEND | {"reason": "Progressing"},
    ),
    "a daemon that does not answer": (
        lambda: Watched().backend(("Ready", "False", "Failed"), ("Reconciling", "True", "ProgressingWithRetry")).minutes(17),
        "PinionObjectNotReady", OF_BACKEND | {"reason": "Failed"},
    ),
    "a reason that changes and operators that are replaced": (
        other_reasons, "PinionObjectNotReady", OF_MODEL | {"reason": "Degraded"},
    ),
    "a model that has lost its pods": (
        lambda: Watched().model(served()).minutes(3).model(served().no_pods()).minutes(7), *LOST_FOR,
    ),
    "a model that has lost its pods two days ago": (lost_by_day, *LOST_FOR),
    "a model without pods that is changed": (lost_with_a_change, *LOST_FOR),
    "passes that fail for ever": (lambda: failed_passes(*range(1, 20)), "PinionReconcileFailing", OF_BACKEND),
    "no operator": (lambda: without_operator(7), "PinionOperatorNotLeading", {}),
    "a silent watch, and the container that is started again each time": (
        lambda: silent_watch(*(60 * minute for _ in range(4) for minute in range(6))), "PinionWatchSilent", {"kind": "pods"},
    ),
    "a kind that is refused": (
        lambda: gauge(lambda metrics: metrics.refused.labels("Pod").set(61), 4), "PinionOperatorForbidden", {"kind": "Pod"},
    ),
    "an object that may not be written": (
        lambda: gauge(lambda metrics: metrics.forbidden.labels("IpfsBackend").set(1), 4),
        "PinionOperatorForbidden", {"kind": "IpfsBackend"},
    ),
    "a second installation": (
        lambda: gauge(lambda metrics: metrics.other_leads.labels("b/other").set(1), 12),
        "PinionTwoInstallations", {"lease": "b/other"},
    ),
    "one wrong block": (
        lambda: counted(WRONG, 0, 0, 1, source="Store"),
        "PinionWrongContent", {"namespace": NAMESPACE, "model": NAME, "source": "Store"},
    ),
    "one wrong block before the first scrape": (
        lambda: counted(WRONG, 1, 1, source="Store"),
        "PinionWrongContent", {"namespace": NAMESPACE, "model": NAME, "source": "Store"},
    ),
    "an engine that dies twice": (
        lambda: counted(RESTARTS, 0, 1, 1, 2), "PinionEngineRestarts", {"namespace": NAMESPACE, "model": NAME},
    ),
    "one request in ten that fails": (
        lambda: requests("500", 1, 10, 20), "PinionRequestsFail", {"namespace": NAMESPACE, "model": NAME},
    ),
    "a queue that is full": (
        lambda: requests("429", 1, 100, 20), "PinionQueueFull", {"namespace": NAMESPACE, "model": NAME},
    ),
}  # fmt: skip


def at_the_end(watched: Watched, alert: str) -> list[dict[str, str]]:
    fires = firing(RULES[alert], watched.history)
    return fires[max(fires)]


@pytest.mark.parametrize(("happens", "alert", "at"), FIRES.values(), ids=FIRES.keys())
def test_it_fires_at_one(happens: Callable[[], Watched], alert: str, at: dict[str, str]) -> None:
    assert at_the_end(happens(), alert) == [at]


def test_each_alert_is_among_these() -> None:
    assert {alert for _, alert, _ in FIRES.values()} == set(RULES)


def test_three_objects_are_three_alerts() -> None:
    watched = Watched()
    for name in ("a", "b", "c"):
        watched.model(asked(NOT_FOUND), name)
    fire = at_the_end(watched.minutes(7), "PinionObjectStalled")
    assert sorted(one["name"] for one in fire) == ["a", "b", "c"]


def suspended() -> Watched:
    world = served()
    watched = Watched().model(world).minutes(3)
    watched.model(world.change(suspend=True)).model(world.no_pods().roll_out()).minutes(60)
    assert world.condition("Available") == "False/Suspended"
    return watched


def waking() -> Watched:
    """Return a model that was suspended for an hour and starts again for ten minutes."""
    world = served()
    watched = Watched().model(world).minutes(3)
    watched.model(world.change(suspend=True)).model(world.no_pods().roll_out()).minutes(60)
    watched.model(world.change(suspend=False)).minutes(10)
    assert world.condition("Available") == "False/NoReadyReplicas"
    return watched


def gone() -> Watched:
    watched = Watched().model(asked(NOT_FOUND)).minutes(3)
    obj = {"apiVersion": MODELDEPLOYMENT.api_version, "kind": MODELDEPLOYMENT.name, "metadata": World().obj["metadata"]}
    watched.states.saw(MODELDEPLOYMENT, obj, None)
    return watched.minutes(30)


def mended(trouble: World, minutes: int) -> Watched:
    return Watched().model(trouble).minutes(minutes).model(served()).minutes(1)


def standing_by() -> Watched:
    watched = Watched(leads=False)
    for_other = {labels(__name__="pinion_operator_leading", **OPERATOR): 0.0}
    for_other[labels(__name__="pinion_operator_other_installation_leads", lease="b/other", **OPERATOR)] = 1.0
    watched.pods |= for_other
    return watched.minutes(20)


def flapping_passes() -> Watched:
    return failed_passes(*(minute % 5 for minute in range(40)))


# what happens -> the alerts that fire at the end of it
QUIET: dict[str, tuple[Callable[[], Watched], set[str]]] = {
    "a model that serves": (lambda: Watched().model(served()).minutes(60), set()),
    "a first start of ten minutes": (lambda: Watched().model(World().backend("ipfs")).minutes(10), set()),
    "files that take two hours": (lambda: Watched().model(fetching_pod()).minutes(120), set()),
    "a suspended model": (suspended, set()),
    "a model that wakes": (waking, set()),
    "a model that is stalled for two minutes": (lambda: mended(asked(NOT_FOUND), 2), set()),
    "a model that got Ready after half an hour": (lambda: mended(failing_pod(), 30), set()),
    "a stalled model that is deleted": (gone, set()),
    "a stalled model": (lambda: Watched().model(asked(NOT_FOUND)).minutes(60), {"PinionObjectStalled"}),
    "a backend that is not asked": (lambda: Watched().backend(("Ready", "Unknown", "NotAsked")).minutes(60), set()),
    "passes that fail now and then": (flapping_passes, set()),
    "watches that are made anew each minute": (lambda: silent_watch(*(61 for _ in range(30))), set()),
    "an installation that stands by for another": (standing_by, {"PinionTwoInstallations"}),
    "an engine that died once": (lambda: counted(RESTARTS, 0, 0, 1, 1), set()),
    "a wrong block long ago": (lambda: counted(WRONG, *(1 for _ in range(120)), source="Store"), set()),
    "one request in a hundred that fails": (lambda: requests("500", 1, 100, 30), set()),
}  # fmt: skip


@pytest.mark.parametrize(("happens", "expected"), QUIET.values(), ids=QUIET.keys())
def test_nothing_else_fires(happens: Callable[[], Watched], expected: set[str]) -> None:
    watched = happens()
    assert {alert for alert in RULES if at_the_end(watched, alert)} == expected


def test_an_expression_that_cannot_be_read_is_an_error() -> None:
    history = Watched().minutes(1).history
    for wrong in ("predict_linear(a[1h])", "sum(a) by", "1", "sum(a) > sum(b)", "a offset", "a b"):
        with pytest.raises(QueryError):
            evaluate(wrong, history, 0)
