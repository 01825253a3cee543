"""What Kubernetes says in events of objects that wait: which of it counts, and how often it is asked for."""

from typing import Any

import pytest

from pinion_operator.cluster.errors import DeniedError, ForbiddenError, UnreachableError, error_for
from pinion_operator.controller.warning_events import AT_ONCE, EVERY, PATIENCE, WarningEvents
from pinion_operator.reconcile.warning_events import explain_warnings, newest_warning
from pinion_operator.resources.kinds import Object

OLD = {"reason": "Old", "note": "said first", "deprecatedLastTimestamp": "2026-01-01T00:00:01Z"}
ONCE = {"reason": "Once", "note": "said once", "eventTime": "2026-01-01T00:00:02.000000Z"}
AGAIN = {**OLD, "reason": "Again", "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:03.000000Z"}}
WARNINGS: dict[str, tuple[list[Any], str]] = {
    "none": ([], ""),
    "the newest": ([ONCE, OLD], "Once: said once"),
    "one that was repeated": ([AGAIN, ONCE], "Again: said first"),
    "on several lines": ([{**ONCE, "note": "a\nb\t c"}], "Once: a b c"),
    "a long one": ([{**ONCE, "note": "x" * 2000}], f"Once: {'x' * 293}…"),
    "one without a note": ([{"reason": "Bare"}], "Bare: "),
}


@pytest.mark.parametrize(("events", "text"), WARNINGS.values(), ids=WARNINGS.keys())
def test_what_kubernetes_said_last(events: Any, text: str) -> None:
    assert newest_warning(events) == text


def event(reason: str, note: str, at: int = 0) -> dict[str, Any]:
    return {"reason": reason, "note": note, "deprecatedLastTimestamp": f"2026-01-01T00:00:{at:02}Z"}


UNMOUNTED = "Unable to attach or mount volumes: unmounted volumes=[api-keys], unattached volumes=[]: context deadline exceeded"
SANDBOX = "failed to setup network for sandbox "
SAID: dict[str, tuple[list[Any], tuple[str, str] | None]] = {
    "nothing": ([], None),
    "only what containers say themselves": ([event("BackOff", "x"), event("Unhealthy", "y")], None),
    "a Secret that is missing, told in turn with what is waited for": (
        [
            event("FailedMount", 'MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found', at=1),
            event("FailedMount", UNMOUNTED, at=2),
        ],
        ("FailedMount", 'FailedMount: MountVolume.SetUp failed for volume "api-keys" : secret "keys" not found'),
    ),
    "a key that is missing": (
        [event("FailedMount", 'MountVolume.SetUp failed for volume "hub-token" : references non-existent secret key: token')],
        (
            "FailedMount",
            'FailedMount: MountVolume.SetUp failed for volume "hub-token" : references non-existent secret key: token'
            " (the volume is Secret hf)",
        ),
    ),
    "a ConfigMap": (
        [event("FailedMount", 'MountVolume.SetUp failed for volume "config" : configmap "m-1" not found')],
        ("FailedMount", 'FailedMount: MountVolume.SetUp failed for volume "config" : configmap "m-1" not found'),
    ),
    "a volume that another node has": (
        [event("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) a')],
        (
            "FailedAttachVolume",
            'FailedAttachVolume: Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) a',
        ),
    ),
    "no node": ([event("FailedScheduling", "0/1 nodes")], ("Unschedulable", "FailedScheduling: 0/1 nodes")),
    "a network that does not come, by the same words each time": (
        [event("FailedCreatePodSandBox", f'{SANDBOX}"{"a1" * 32}"')],
        ("FailedCreatePodSandBox", f'FailedCreatePodSandBox: {SANDBOX}"…"'),
    ),
    "a quota": (
        [event("FailedCreate", 'create Pod p failed error: pods "p" is forbidden: exceeded quota: q')],
        ("QuotaExceeded", 'FailedCreate: create Pod p failed error: pods "p" is forbidden: exceeded quota: q'),
    ),
    "a policy": (
        [event("FailedCreate", 'pods "p" is forbidden: violates PodSecurity')],
        ("InvalidPodOverride", 'FailedCreate: pods "p" is forbidden: violates PodSecurity'),
    ),
    "something that nobody thought of": ([event("NoIdea", "what")], ("Starting", "NoIdea: what")),
}


@pytest.mark.parametrize(("events", "told"), SAID.values(), ids=SAID.keys())
def test_what_explains_most(events: Any, told: tuple[str, str] | None) -> None:
    pod = {"spec": {"volumes": [{"name": "hub-token", "secret": {"secretName": "hf"}}, {"name": "tmp", "emptyDir": {}}]}}
    warned = explain_warnings(events, pod)
    assert (warned and (warned.reason, warned.text)) == told


class World:
    """A clock, and what is asked."""

    def __init__(self) -> None:
        self.now, self.asked, self.fails = 0.0, list[str](), False
        self.events = WarningEvents(lambda: self.now)

    async def ask(self, obj: Object) -> tuple[Object, ...]:
        self.asked.append(obj["metadata"]["uid"])
        if self.fails:
            raise UnreachableError("away")
        return (event("X", f"{obj['metadata']['uid']} at {self.now:g}"),)

    async def look(self, *uids: str, after: float = 0.0) -> dict[str, str]:
        self.now += after
        found = await self.events.look(("ns", "m"), [{"metadata": {"uid": uid}} for uid in uids], self.ask)
        return {uid: events[0]["note"] for uid, events in found.items()}


async def test_what_waits_for_a_moment_is_not_asked_about_and_the_rest_not_too_often() -> None:
    world = World()
    assert await world.look("a") == {}
    assert await world.look("a", after=PATIENCE - 1) == {}
    assert world.asked == []
    assert await world.look("a", after=1) == {"a": "a at 3"}
    assert await world.look("a", after=EVERY - 1) == {"a": "a at 3"}
    assert world.asked == ["a"]
    assert await world.look("a", "b", after=1) == {"a": "a at 13", "b": "b at 13"}
    assert await world.look("b", after=1) == {"b": "b at 13"}, "what waits no longer is not told of"


async def test_at_rest_nothing_is_asked_and_nothing_kept() -> None:
    world = World()
    await world.look("a")
    await world.look("a", after=PATIENCE)
    assert await world.look(after=100) == {}
    assert await world.look("a", after=1) == {}, "it begins anew"
    assert world.asked == ["a"]


async def test_few_are_asked_about_and_a_failure_takes_nothing_away() -> None:
    world = World()
    many = [str(number) for number in range(AT_ONCE + 2)]
    await world.look(*many)
    assert len(await world.look(*many, after=PATIENCE)) == AT_ONCE
    world.fails = True
    assert (await world.look(*many, after=EVERY))["0"] == "0 at 3"


WORDS = {
    'PATCH /x: 403 deployments.apps "m" is forbidden: exceeded quota: q, requested: count/deployments.apps=1': DeniedError,
    'PATCH /x: 403 admission webhook "w.test" denied the request: no': DeniedError,
    "PATCH /x: 403 ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no": DeniedError,
    'POST /x: 403 persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi': DeniedError,
    'GET /x: 403 pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "n"': ForbiddenError,
    'POST /x: 403 secrets "s" is forbidden: unable to create new content in namespace n because it is being terminated':
        ForbiddenError,
    'POST /x: 403 pods "p" is forbidden: not yet ready to handle request': ForbiddenError,
    "GET /x: 403 anything": ForbiddenError,
}  # fmt: skip


@pytest.mark.parametrize(("message", "error"), WORDS.items())
def test_who_says_no(message: str, error: type[Exception]) -> None:
    assert type(error_for(403, message)) is error
