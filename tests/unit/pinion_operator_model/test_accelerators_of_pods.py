"""Accelerators by name and by claim, in the pod of a revision."""

from typing import Any

from tests.support.model_world import World

CLAIMS = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}, {"name": "shared", "resourceClaimName": "pool"}]


def pod(**spec: Any) -> dict[str, Any]:
    world = World(**spec).serve()
    template: dict[str, Any] = world.deployment["spec"]["template"]["spec"]
    return template


def test_by_name_they_are_limits_beside_requests_from_the_size() -> None:
    (container,) = pod(runtime={"resources": {"limits": {"nvidia.com/gpu": 2}}})["containers"]
    assert container["resources"] == {"requests": {"cpu": "250m", "memory": "896Mi"}, "limits": {"nvidia.com/gpu": 2}}


def test_by_claims_the_pod_and_its_container_name_them() -> None:
    uses = [{"name": "gpu", "request": "big"}, {"name": "shared"}]
    spec = pod(pod={"resourceClaims": CLAIMS}, runtime={"resources": {"claims": uses}})
    assert spec["resourceClaims"] == CLAIMS
    (container,) = spec["containers"]
    assert container["resources"] == {"requests": {"cpu": "250m", "memory": "896Mi"}, "claims": uses}


def test_without_any_nothing_is_said_of_them() -> None:
    spec = pod()
    assert "resourceClaims" not in spec
    assert "claims" not in spec["containers"][0]["resources"]


def test_other_claims_are_another_revision() -> None:
    world = World(replicas=2).backend("ipfs").serve(2)
    first = world.revision.name
    world.change(pod={"resourceClaims": CLAIMS}).settle()
    assert world.revision.name != first
