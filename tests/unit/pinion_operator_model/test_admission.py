"""Children that admission (a webhook, a policy) makes something else of: left as they came back, told, never fought over."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from pinion_operator.controller.answers import VARIES_AFTER, WITHIN, Answers
from pinion_operator.reconcile.admission import MAX_VARYING, explain
from pinion_operator.reconcile.drift import Difference
from pinion_operator.reconcile.plan import Plan
from pinion_operator.reconcile.vital import is_vital
from pinion_operator.resources.kinds import DEPLOYMENT, MODELDEPLOYMENT, Ref
from tests.support.model_world import NAME, NAMESPACE, World

Child = dict[str, Any]
Change = Callable[[Child], None]

WORKLOAD = Ref(DEPLOYMENT, NAMESPACE, NAME)
IMAGE = "spec.template.spec.containers[runtime].image"
MIRRORED = f'{IMAGE} is "mirror.test/runtime:1" instead of "runtime:1"'


def container(child: Child) -> Child:
    found: Child = child["spec"]["template"]["spec"]["containers"][0]
    return found


def mirror(child: Child) -> None:
    if child["kind"] == "Deployment" and not container(child)["image"].startswith("mirror.test/"):
        container(child)["image"] = f"mirror.test/{container(child)['image']}"


def of(kind: str, change: Change) -> Change:
    """Return what a webhook does that looks at one kind."""
    return lambda child: change(child) if child["kind"] == kind else None


def _parts(path: str) -> list[Any]:
    """Return the parts of a path; `~` stands for a slash in a name, a number for a place in a list."""
    return [int(part) if part.isdigit() else part.replace("~", "/") for part in path.split("/")]


def put(path: str, value: Any) -> Change:
    """Return what sets one field; items of lists by their place."""

    def change(child: Child) -> None:
        *way, last = _parts(path)
        where: Any = child
        for part in way:
            where = where[part]
        where[last] = copy.deepcopy(value)

    return change


def drop(path: str) -> Change:
    """Return what takes one field away."""

    def change(child: Child) -> None:
        *way, last = _parts(path)
        where: Any = child
        for part in way:
            where = where[part]
        del where[last]

    return change


def served(admission: Change) -> World:
    world = World().backend("ipfs")
    world.admission = admission
    return world.serve()


def at_rest(world: World) -> bool:
    return world.decide() == Plan(after=15.0)


def test_a_mirrored_image_is_ready_and_told_with_both_values() -> None:
    world = served(mirror)
    assert world.condition("Ready") == "True/Serving"
    assert world.condition("WorkloadReady") == "True/Running"
    assert world.message("WorkloadReady") == f"1 of 1 pods run; admission changed Deployment {NAME}: {MIRRORED}"
    assert world.applied.count(WORKLOAD) == 1, "the first answer was taken"
    assert at_rest(world)


def test_a_new_process_applies_nothing() -> None:
    assert at_rest(served(mirror).restart())


def test_somebodys_edit_of_the_same_field_is_put_right_once() -> None:
    world = served(mirror)
    for image in ("somebody:2", "mirror.test/runtime:2"):
        container(world.deployment)["image"] = image
        plan = world.decide()
        assert [child["kind"] for child in plan.apply] == ["Deployment"], image
        world.carry_out(plan).roll_out().settle()
        assert container(world.deployment)["image"] == "mirror.test/runtime:1"
        assert at_rest(world)
    assert len(world.status.mutated_children) == 1


def test_somebodys_edit_is_put_right_by_a_new_process_too() -> None:
    world = served(mirror).restart()
    container(world.deployment)["image"] = "somebody:2"
    assert [child["kind"] for child in world.decide().apply] == ["Deployment"]


def test_later_changes_of_ours_go_through() -> None:
    world = served(mirror)
    world.change(runtime={"image": "runtime:2"}).settle()
    assert container(world.deployment)["image"] == "mirror.test/runtime:2"
    world.pod("pod-0", status=world.says()).settle()
    world.roll_out().settle()
    assert world.condition("Ready") == "True/Serving"
    assert '"mirror.test/runtime:2" instead of "runtime:2"' in world.message("WorkloadReady")
    assert at_rest(world)


def test_it_stays_ready_while_it_is_scaled() -> None:
    world = served(mirror)
    world.change(replicas=2)
    said = []
    for _ in range(4):
        world.carry_out(world.decide())
        said.append(world.condition("Ready"))
    assert set(said) == {"True/Serving"}
    assert world.deployment["spec"]["replicas"] == 2


def test_what_is_only_added_is_nothing_to_tell() -> None:
    def add(child: Child) -> None:
        child["metadata"]["labels"]["policy.test/seen"] = "yes"
        child["metadata"].setdefault("annotations", {})["policy.test/at"] = f"{next(times)}"
        if child["kind"] == "Deployment":
            child["spec"]["template"]["metadata"]["labels"]["policy.test/seen"] = "yes"
            child["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
            child["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar", "image": "mesh:1"})
            child["spec"]["template"]["spec"]["volumes"].append({"name": "mesh", "emptyDir": {}})

    times = itertools.count()
    world = served(add)
    assert world.condition("Ready") == "True/Serving"
    assert world.message("WorkloadReady") == "1 of 1 pods run"
    assert world.status.mutated_children == ()
    assert at_rest(world.restart())


TASTE: dict[str, tuple[str, Change, str]] = {
    "image": ("Deployment", mirror, IMAGE),
    "pull policy": ("Deployment", lambda child: container(child).update(imagePullPolicy="Always"), "imagePullPolicy"),
    "a CPU request": (
        "Deployment", lambda child: container(child)["resources"]["requests"].update(cpu="2"), "resources.requests.cpu"
    ),
    "an ephemeral-storage limit": (
        "Deployment",
        lambda child: container(child)["resources"]["limits"].update({"ephemeral-storage": "1Gi"}),
        "resources.limits.ephemeral-storage",
    ),
    "security": ("Deployment", lambda child: container(child)["securityContext"].update(readOnlyRootFilesystem=False),
                 "securityContext.readOnlyRootFilesystem"),
    "capabilities": (
        "Deployment", lambda child: container(child)["securityContext"]["capabilities"].update(drop=["ALL", "NET_RAW"]),
        "capabilities.drop",
    ),
    "a scratch folder": ("Deployment", put("spec/template/spec/volumes/3/emptyDir/sizeLimit", "2Gi"), "volumes[tmp]"),
    "surge": ("Deployment", put("spec/strategy/rollingUpdate/maxSurge", 2), "maxSurge"),
    "the type of the Service": ("Service", put("spec/type", "LoadBalancer"), "spec.type"),
    "a label of the ConfigMaps": (
        "ConfigMap", put("metadata/labels/app.kubernetes.io~part-of", "x"), "metadata.labels[app.kubernetes.io/part-of]"
    ),
    "our digest": ("ConfigMap", put("metadata/annotations", {}), "metadata.annotations[pinion.dev/digest]"),
    "a token for the pods": ("ServiceAccount", put("automountServiceAccountToken", True), "automountServiceAccountToken"),
    "one more rule": (
        "NetworkPolicy", lambda child: child["spec"]["ingress"].append({"from": [{"podSelector": {}}]}), "spec.ingress"
    ),
    "a label of the revision": (
        "ControllerRevision", put("metadata/labels/app.kubernetes.io~part-of", "x"),
        "metadata.labels[app.kubernetes.io/part-of]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "named"), TASTE.values(), ids=TASTE.keys())
def test_what_may_be_otherwise(kind: str, change: Change, named: str) -> None:
    world = World(
        runtime={"resources": {"requests": {"cpu": "1"}, "limits": {"ephemeral-storage": "4Gi"}}}
    ).backend("ipfs")  # fmt: skip
    world.admission = of(kind, change)
    world.serve()
    assert world.condition("Ready") == "True/Serving", world.message("Ready")
    assert f"admission changed {kind} " in world.message("WorkloadReady")
    assert named in world.message("WorkloadReady")
    before = len(world.applied)
    assert at_rest(world)
    assert at_rest(world.restart())
    assert len(world.applied) == before


def test_the_class_of_a_volume_may_be_the_platforms() -> None:
    pvc = {"size": "1Gi", "storageClassName": "fast"}
    world = World(storage={"cache": {"type": "PVC", "pvc": pvc}}).backend("ipfs")
    world.admission = of("PersistentVolumeClaim", put("spec/storageClassName", "of-the-platform"))
    world.serve()
    assert world.condition("Ready") == "True/Serving", world.message("Ready")
    assert 'spec.storageClassName is "of-the-platform" instead of "fast"' in world.message("WorkloadReady")
    claims = [ref for ref in world.applied if ref.kind.name == "PersistentVolumeClaim"]
    assert len(claims) == 1
    assert at_rest(world.restart()), "the claim is not even looked at"
    world.change(rollout={"maxSurge": 2}).settle()
    assert len([ref for ref in world.applied if ref.kind.name == "PersistentVolumeClaim"]) == 1, "still known"


def spoil(change: Change, kind: str) -> World:
    """Return a world that has come to rest with a webhook that changes what must not be changed."""
    world = World().backend("ipfs")
    world.admission = of(kind, change)
    world.settle()
    return world


POD = "spec/template/spec/containers/0"
VITAL: dict[str, tuple[str, Change, str]] = {
    "our label": ("Deployment", put("metadata/labels/pinion.dev~deployment", "x"), "metadata.labels[pinion.dev/deployment]"),
    "who manages it": ("Service", put("metadata/labels/app.kubernetes.io~managed-by", "Helm"), "managed-by"),
    "all labels": ("ConfigMap", drop("metadata/labels"), "metadata.labels"),
    "the owner": ("ServiceAccount", put("metadata/ownerReferences", []), "metadata.ownerReferences"),
    "the configuration": ("ConfigMap", put("data", {"config.json": "{}", "live.json": "{}"}), "data"),
    "what is selected": ("Service", put("spec/selector/team", "x"), "spec.selector.team"),
    "where nothing is selected": ("Service", put("spec/type", "ExternalName"), "spec.type"),
    "the port": ("Service", put("spec/ports/0/port", 8080), "spec.ports"),
    "which pods are closed": ("NetworkPolicy", put("spec/podSelector", {"matchLabels": {"a": "b"}}), "spec.podSelector"),
    "that they are closed": ("NetworkPolicy", put("spec/policyTypes", ["Egress"]), "spec.policyTypes"),
    "the number of pods": ("Deployment", put("spec/replicas", 7), "spec.replicas"),
    "which pods are its own": ("Deployment", put("spec/selector/matchLabels", {"a": "b"}), "spec.selector.matchLabels"),
    "the revision of the pods": (
        "Deployment", put("spec/template/metadata/labels/pinion.dev~revision", "x"), "labels[pinion.dev/revision]"
    ),
    "our container": ("Deployment", put("spec/template/spec/containers", [{"name": "x"}]), "containers[runtime]"),
    "the command": ("Deployment", put(f"{POD}/command", ["sh"]), "containers[runtime].command"),
    "a word before the command": ("Deployment", lambda child: container(child)["command"].insert(0, "wrap"), "command"),
    "our environment": ("Deployment", put(f"{POD}/env", []), "containers[runtime].env"),
    "our ports": ("Deployment", put(f"{POD}/ports/1/containerPort", 1), "containers[runtime].ports"),
    "where volumes are": ("Deployment", put(f"{POD}/volumeMounts/0/mountPath", "/x"), "volumeMounts"),
    "a volume": ("Deployment", drop("spec/template/spec/volumes/0"), "volumes[config]"),
    "what is in a volume": ("Deployment", put("spec/template/spec/volumes/0/configMap/name", "x"), "volumes[config]"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "named"), VITAL.values(), ids=VITAL.keys())
def test_what_must_not_be_otherwise_is_stalled_and_named(kind: str, change: Change, named: str) -> None:
    world = spoil(change, kind)
    assert (world.condition("Ready"), world.condition("Stalled")) == ("False/Failed", "True/AdmissionConflict")
    assert f"admission changed {kind} {NAME}" in world.message("Stalled")
    assert named in world.message("Stalled")
    assert "Reconciling" not in {one.type for one in world.status.conditions}
    assert world.status.mutated_children == ()
    assert world.decide() == Plan(after=30.0), "it is not asked again at once"


def test_it_goes_on_when_the_webhook_is_mended() -> None:
    world = spoil(put(f"{POD}/command", ["sh"]), "Deployment")
    assert world.condition("WorkloadReady") == "False/AdmissionConflict"
    world.admission = lambda child: None
    world.try_again().serve()
    assert (world.condition("Ready"), world.condition("Stalled")) == ("True/Serving", "-")


def test_an_immutable_configuration_that_was_changed_is_made_anew_when_the_webhook_is_mended() -> None:
    world = spoil(put("data", {"config.json": "{}", "live.json": "{}"}), "ConfigMap")
    plan = world.try_again().decide()
    assert [child["kind"] for child in plan.replace] == ["ConfigMap"], "nobody can change it"
    assert plan.status is None, "still Stalled, for the same reason"
    world.carry_out(plan).settle()
    assert world.condition("Stalled") == "True/AdmissionConflict"
    world.admission = lambda child: None
    world.try_again().serve()
    assert world.condition("Ready") == "True/Serving"


@pytest.mark.parametrize("name", ["labels/pinion.dev~revision", "annotations/pinion.dev~inputs"])
def test_a_revision_whose_memory_is_changed_makes_no_others(name: str) -> None:
    for change in (put(f"metadata/{name}", "x"), drop(f"metadata/{name}")):
        world = spoil(change, "ControllerRevision")
        for _ in range(3):
            world.try_again().settle()
        world.restart().settle()
        assert world.condition("Stalled") == "True/AdmissionConflict"
        assert name.split("~")[1] in world.message("Stalled")
        assert [ref.kind.name for ref in world.children] == ["ControllerRevision"]


def test_secrets_of_webhooks_stay_out_of_messages() -> None:
    world = spoil(put(f"{POD}/env/0/value", "hunter2"), "Deployment")
    assert world.message("Stalled").endswith("containers[runtime].env[HOME].value is not what was sent")


def test_a_webhook_that_is_gone_is_seen_when_somebody_asks() -> None:
    world = served(mirror)
    world.admission = lambda child: None
    assert at_rest(world), "nobody tells us, and nothing is asked for nothing"
    world.annotate(reconcile="2026-01-02").settle()
    world.roll_out().settle()
    assert container(world.deployment)["image"] == "runtime:1"
    assert world.message("WorkloadReady") == "1 of 1 pods run"
    assert world.status.mutated_children == ()


def test_a_webhook_that_is_gone_is_seen_with_the_next_change() -> None:
    world = served(mirror)
    world.admission = lambda child: None
    world.change(replicas=2).settle()
    assert container(world.deployment)["image"] == "runtime:1"
    assert "admission" not in world.message("WorkloadReady")


def test_another_value_each_time_is_named_and_no_longer_fought() -> None:
    """The Deployment's own controller writes too, and each of its writes meets the webhook again."""
    count = itertools.count()

    def shuffle(child: Child) -> None:
        if child["kind"] == "Deployment":
            container(child)["image"] = f"mirror.test/runtime:{next(count)}"

    world = served(shuffle)
    before = len(world.applied)
    for _ in range(20):
        shuffle(world.deployment)
        world.settle()
    assert len(world.applied) - before < VARIES_AFTER
    assert world.message("WorkloadReady").endswith(f"{IMAGE} is another value each time")
    assert [one.varying for one in world.status.mutated_children] == [(IMAGE,)]
    shuffle(world.restart().deployment)
    assert world.decide().apply == ()
    container(world.deployment)["imagePullPolicy"] = "Always"
    assert [child["kind"] for child in world.decide().apply] == ["Deployment"], "other fields are put right all the same"


def child(image: str) -> Child:
    meta = {"namespace": NAMESPACE, "name": NAME}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"image": image}}


def test_what_is_remembered_of_answers() -> None:
    now, owner = [0.0], Ref(MODELDEPLOYMENT, NAMESPACE, NAME)
    answers, obj = Answers(lambda: now[0]), World().obj

    def note(image: str) -> tuple[bool, frozenset[str]]:
        heard = answers.note(owner, obj, child("ours"), child(image))
        return heard.is_news, heard.mutation.answer.varying if heard.mutation else frozenset()

    assert note("theirs-1") == (True, frozenset())
    assert note("theirs-1") == (False, frozenset()), "the same again"
    assert note("theirs-2") == (True, frozenset())
    now[0] += WITHIN
    assert note("theirs-3") == (True, frozenset()), "policies change in the course of time"
    assert note("theirs-4") == (True, frozenset())
    assert note("theirs-5") == (True, frozenset({"spec.image"}))
    assert note("theirs-6") == (False, frozenset({"spec.image"})), "as before: another each time"
    assert note("ours") == (True, frozenset())
    assert answers.of(owner) == {}
    assert note("ours") == (False, frozenset())
    note("theirs-1")
    assert answers.of(owner).keys() == {WORKLOAD}
    answers.forget(owner)
    assert answers.of(owner) == {}


def test_as_many_varying_fields_are_remembered_as_the_schema_takes() -> None:
    owner, answers, obj = Ref(MODELDEPLOYMENT, NAMESPACE, NAME), Answers(), World().obj
    wanted = {**child("ours"), "spec": {f"field{at:02}": "ours" for at in range(40)}}
    for turn in range(VARIES_AFTER):
        answers.note(owner, obj, wanted, {**wanted, "spec": {f"field{at:02}": str(turn) for at in range(40)}})
    assert len(answers.of(owner)[WORKLOAD].varying) == MAX_VARYING


def test_a_message_is_bounded_and_says_how_much_more_there_is() -> None:
    found = [Difference(("spec", f"field{at}"), "a" * 500, {"b": "c" * 500}) for at in range(20)]
    said = explain(found)
    assert len(said) < 2500
    assert said.endswith("…, and 12 more fields")
    assert explain([Difference(("a",), None, 1)]) == "a is 1 instead of nothing"
    assert explain([Difference(("a",), 1, None)]) == "a is nothing instead of 1"


def test_of_a_kind_that_nobody_thought_of_the_owner_and_our_labels_are_vital() -> None:
    assert is_vital("PodDisruptionBudget", Difference(("metadata", "labels"), {"pinion.dev/deployment": "x"}, None))
    assert is_vital("PodDisruptionBudget", Difference(("spec", "selector", "matchLabels", "a"), "b", None))
    assert not is_vital("PodDisruptionBudget", Difference(("spec", "maxUnavailable"), 1, 2))


def test_an_answer_to_something_else_does_not_count() -> None:
    world = served(mirror)
    told = world.obj["status"]["mutatedChildren"][0]
    for name in ("wanted", "changes"):
        world.restart().obj["status"]["mutatedChildren"] = [{**told, name: "0" * 16}]
        assert [child["kind"] for child in world.decide().apply] == ["Deployment"], name
