"""Children whose owner was deleted with --cascade=orphan, or that come from a backup: ours again, or left alone."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pinion_operator.reconcile.orphans import agreeing, explain_taken, is_orphan, is_untouched
from pinion_operator.resources.kinds import (
    CONFIGMAP,
    CONTROLLERREVISION,
    DEPLOYMENT,
    SECRET,
    SERVICE,
    STATEFULSET,
    Ref,
    ref_of,
)
from tests.support.model_world import CID, NAME, NAMESPACE, World

DEPLOYED = Ref(DEPLOYMENT, NAMESPACE, NAME)


def serving(**spec: Any) -> World:
    return World(**spec).backend("ipfs").serve()


def test_all_of_them_are_taken_over_and_nothing_is_asked_or_rolled() -> None:
    world = serving()
    revision, template, live = world.revision, world.deployment["spec"]["template"], world.live
    world.made_anew()
    world.resolution = None
    assert not world.scope.needs_source
    plan = world.decide()
    assert (
        {ref_of(child) for child in plan.apply}
        == plan.adopt
        == {ref for ref in world.orphans if ref.kind == CONTROLLERREVISION}
    )
    world.carry_out(plan)
    plan = world.decide()
    assert plan.adopt == {ref_of(child) for child in plan.apply} - {
        ref_of(child) for child in plan.apply if ref_of(child) not in world.orphans
    }
    assert DEPLOYED in plan.adopt
    world.settle()
    assert not world.orphans, "each has an owner again"
    assert (world.revision.name, world.revision.template) == (revision.name, revision.template)
    assert world.deployment["spec"]["template"] == template
    assert (world.live.cid, world.live.manifest_cid) == (live.cid, live.manifest_cid) == (CID, live.manifest_cid)
    world.pod("pod-0", status=world.says())
    world.settle()
    assert world.condition("Ready") == "True/Serving"


def test_the_peers_secret_is_made_anew_once_since_nobody_may_read_it() -> None:
    world = serving()
    world.made_anew().carry_out(world.decide())
    plan = world.decide()
    mounted = [volume["secret"]["secretName"] for volume in world.revision.template["spec"]["volumes"] if "secret" in volume]
    assert [secret["metadata"]["name"] for secret in plan.replace] == mounted[:1]
    assert plan.create == ()
    assert plan.replace[0]["metadata"]["ownerReferences"][0]["uid"] == "another-uid"
    world.carry_out(plan)
    assert world.decide().replace == ()


def test_with_another_spec_the_deployment_is_taken_over_all_the_same_and_rolls() -> None:
    world = serving()
    before = world.revision.name
    world.made_anew(runtime={"dtype": "bfloat16"}, rollout={"maxSurge": 2})
    world.settle()
    assert not {ref for ref in world.orphans if ref.kind == DEPLOYMENT}
    assert world.revision.name != before
    assert world.deployment["spec"]["template"] == world.revision.template


def test_a_revision_that_somebody_has_changed_is_not_taken_over() -> None:
    world = serving()
    world.made_anew()
    for ref, child in world.orphans.items():
        if ref.kind == CONTROLLERREVISION:
            child["data"]["template"]["spec"]["containers"][0]["image"] = "evil:1"
    assert world.scope.orphans == ()
    assert not world.decide().adopt


AGREE: dict[str, tuple[Callable[[World], Ref], Callable[[dict[str, Any]], Any], bool]] = {
    "a Service as we want it": (lambda _: Ref(SERVICE, NAMESPACE, NAME), lambda child: None, True),
    "a Service of another content": (
        lambda _: Ref(SERVICE, NAMESPACE, NAME),
        lambda child: child["metadata"]["annotations"].update({"pinion.dev/digest": "0" * 16}),
        False,
    ),
    "a Service without our digest": (
        lambda _: Ref(SERVICE, NAMESPACE, NAME),
        lambda child: child["metadata"].pop("annotations"),
        False,
    ),
    "a live ConfigMap of another content that carries its digest": (
        lambda world: next(ref for ref in world.orphans if ref.name.endswith("-live")),
        lambda child: None,
        True,
    ),
    "a live ConfigMap that somebody has changed": (
        lambda world: next(ref for ref in world.orphans if ref.name.endswith("-live")),
        lambda child: child["data"].update({"live.json": "{}"}),
        False,
    ),
    "a Deployment that runs a revision of ours": (lambda _: DEPLOYED, lambda child: None, True),
    "a Deployment that runs something else": (
        lambda _: DEPLOYED,
        lambda child: child["spec"]["template"]["spec"]["containers"][0].update({"image": "evil:1"}),
        False,
    ),
}


@pytest.mark.parametrize(("which", "change", "agrees"), AGREE.values(), ids=AGREE.keys())
def test_which_orphans_agree(which: Callable[[World], Ref], change: Callable[[dict[str, Any]], Any], agrees: bool) -> None:
    world = serving()
    world.made_anew(rollout={"maxSurge": 3})  # so that the Deployment's digest is another
    world.carry_out(world.decide())
    ref = which(world)
    change(world.orphans[ref])
    if ref == DEPLOYED:
        world.orphans[ref]["metadata"]["annotations"]["pinion.dev/digest"] = "0" * 16
    assert (ref in world.decide().adopt) == agrees


OWNED = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}


@pytest.mark.parametrize(
    ("meta", "orphan"),
    [
        ({}, True),
        ({"ownerReferences": [OWNED]}, True),
        ({"ownerReferences": [{**OWNED, "controller": True}]}, False),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
    ],
    ids=["without owners", "owned and not controlled", "controlled", "in deletion"],
)
def test_who_is_an_orphan(meta: dict[str, Any], orphan: bool) -> None:
    assert is_orphan({"metadata": meta}) == orphan


def test_only_what_is_stored_word_for_word_can_be_seen_untouched() -> None:
    world = serving()
    kinds = {ref.kind for ref, child in world.children.items() if ref.kind != SECRET and is_untouched(child)}
    assert kinds == {CONFIGMAP, CONTROLLERREVISION}


def test_nothing_agrees_with_what_nobody_left() -> None:
    world = serving()
    assert agreeing({}, copy.deepcopy(list(world.children.values()))) == frozenset()


def test_the_message_holds_the_command_that_helps() -> None:
    taken = {Ref(STATEFULSET, "ml", "b-kubo"), Ref(SERVICE, "ml", "b-kubo")}
    said = explain_taken(taken)
    assert "Service b-kubo" in said
    assert said.endswith("kubectl -n ml delete services/b-kubo statefulsets.apps/b-kubo")
