from typing import Any

from pinion_operator.controller.enqueue import refs_to_enqueue
from pinion_operator.controller.store import Store
from pinion_operator.resources.kinds import CONTROLLERREVISION, DEPLOYMENT, IPFSBACKEND, MODELDEPLOYMENT, POD, Ref


def make_object(name: str, *, namespace: str = "ns", generation: int = 1, **content: Any) -> dict[str, Any]:
    meta = {
        "namespace": namespace,
        "name": name,
        "uid": f"uid-{namespace}-{name}",
        "resourceVersion": "1",
        "generation": generation,
    }
    return {"metadata": meta | content.pop("metadata", {}), **content}


def make_deployment(name: str, *backends: str, **more: Any) -> dict[str, Any]:
    return make_object(name, spec={"storage": {"backendRefs": [{"name": backend} for backend in backends]}}, **more)


def filled() -> Store:
    store = Store()
    for name, backends in (("names-one", ["one"]), ("names-two", ["two"]), ("names-none", [])):
        store.saw(MODELDEPLOYMENT, make_deployment(name, *backends))
    store.saw(MODELDEPLOYMENT, make_deployment("elsewhere", "one", namespace="other"))
    for name in ("one", "two"):
        store.saw(IPFSBACKEND, make_object(name))
    return store


def names(refs: set[Ref]) -> set[str]:
    return {f"{ref.kind.name}/{ref.name}" for ref in refs if ref.namespace == "ns"}


def test_a_child_and_a_pod_enqueue_their_owner_by_label() -> None:
    pod = make_object("p", metadata={"labels": {"pinion.dev/deployment": "m"}})
    assert names(refs_to_enqueue(POD, None, pod, Store())) == {"ModelDeployment/m"}
    child = make_object("c", metadata={"labels": {"pinion.dev/backend": "b"}})
    assert names(refs_to_enqueue(DEPLOYMENT, child, None, Store())) == {"IpfsBackend/b"}


def test_a_child_without_its_labels_enqueues_its_owner_by_reference() -> None:
    owner = {"apiVersion": "pinion.dev/v1alpha1", "kind": "ModelDeployment", "name": "m", "uid": "u"}
    other = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "v"}
    child = make_object("c", metadata={"ownerReferences": [other, owner]})
    assert names(refs_to_enqueue(DEPLOYMENT, None, child, Store())) == {"ModelDeployment/m"}


def test_a_child_that_changed_hands_enqueues_both() -> None:
    before, after = (make_object("c", metadata={"labels": {"pinion.dev/deployment": name}}) for name in ("m", "n"))
    assert names(refs_to_enqueue(DEPLOYMENT, before, after, Store())) == {"ModelDeployment/m", "ModelDeployment/n"}


def test_a_backend_enqueues_those_that_use_it_in_its_namespace() -> None:
    woken = refs_to_enqueue(IPFSBACKEND, None, make_object("one"), filled())
    assert names(woken) == {"IpfsBackend/one", "ModelDeployment/names-one", "ModelDeployment/names-none"}
    assert all(ref.namespace == "ns" for ref in woken)


def test_a_backend_that_only_says_the_same_again_enqueues_itself_alone() -> None:
    before = make_object("one", status={"conditions": [{"type": "Ready"}], "boundModels": 1})
    after = make_object("one", status={"conditions": [{"type": "Ready"}], "boundModels": 2})
    assert names(refs_to_enqueue(IPFSBACKEND, before, after, filled())) == {"IpfsBackend/one"}


def test_a_model_enqueues_the_backends_that_it_uses_or_used() -> None:
    before, after = make_deployment("m", "one"), make_deployment("m", "two", generation=2)
    assert names(refs_to_enqueue(MODELDEPLOYMENT, before, after, filled())) == {
        "ModelDeployment/m",
        "IpfsBackend/one",
        "IpfsBackend/two",
    }
    assert "IpfsBackend/one" in names(refs_to_enqueue(MODELDEPLOYMENT, before, None, filled()))


def test_progress_of_a_model_enqueues_no_backend_and_its_cid_does() -> None:
    before = make_deployment("m", "one", status={"transfer": {"percent": 5}, "model": {}})
    later = make_deployment("m", "one", status={"transfer": {"percent": 10}, "model": {}})
    known = make_deployment("m", "one", status={"transfer": {"percent": 10}, "model": {"cid": "bafy"}})
    assert names(refs_to_enqueue(MODELDEPLOYMENT, before, later, filled())) == {"ModelDeployment/m"}
    assert names(refs_to_enqueue(MODELDEPLOYMENT, later, known, filled())) == {"ModelDeployment/m", "IpfsBackend/one"}


def test_a_revision_or_a_pod_that_goes_enqueues_backends_that_wait_in_deletion() -> None:
    store, child = filled(), make_object("c", metadata={"labels": {"pinion.dev/deployment": "m"}})
    going = make_object("three", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    store.saw(IPFSBACKEND, going)
    waits = {"ModelDeployment/m", "IpfsBackend/three"}
    assert names(refs_to_enqueue(CONTROLLERREVISION, child, child, store)) == waits
    assert names(refs_to_enqueue(POD, child, None, store)) == waits
    assert names(refs_to_enqueue(POD, child, child, store)) == {"ModelDeployment/m"}
