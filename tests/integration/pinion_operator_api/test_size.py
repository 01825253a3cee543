"""The largest objects that the schema takes, applied from the client by a real kubectl: their copy fits into its annotation."""

import json

import pytest

from devcluster.control import ControlPlane
from pinion_operator.api.ipfsbackend import IpfsBackend
from pinion_operator.api.modeldeployment import ModelDeployment
from tests.support.largest import APPLIED, applied_bytes
from tests.support.largest_objects import LARGEST, NAMESPACE

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("crds")]


@pytest.fixture(scope="module")
def longest_namespace(control_plane: ControlPlane) -> None:
    control_plane.create_namespace(NAMESPACE)


@pytest.mark.parametrize("character", ["\U0001f600", "<"], ids=["four bytes", "six bytes as it is kept"])
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_object_is_applied_from_the_client(
    control_plane: ControlPlane, longest_namespace: None, name: str, character: str
) -> None:
    obj = LARGEST[name](character)
    obj["metadata"]["name"] = f"{'m' * 38}{list(LARGEST).index(name)}{'ab'[character == '<']}"
    assert "created" in control_plane.kubectl("apply", "-f", "-", "--validate=strict", input=json.dumps(obj))
    changed = {**obj, "spec": {**obj["spec"], "replicas" if "replicas" in obj["spec"] else "priority": 999}}
    assert "configured" in control_plane.kubectl("apply", "-f", "-", input=json.dumps(changed))

    which = (obj["kind"], obj["metadata"]["name"], f"--namespace={NAMESPACE}")
    stored = json.loads(control_plane.kubectl("get", *which, "-o", "json"))
    assert stored["spec"] == changed["spec"], "nothing is lost on the way"
    assert len(APPLIED) + len(stored["metadata"]["annotations"][APPLIED].encode()) == applied_bytes(changed)
    {"ModelDeployment": ModelDeployment, "IpfsBackend": IpfsBackend}[obj["kind"]].parse(stored)
