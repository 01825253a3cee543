"""An operator newer than the CRDs that are installed: it says so, writes what they can hold, and does not try for ever."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from devcluster.control import ControlPlane
from tests.support.audit import writes
from tests.support.operator_process import PROJECT
from tests.support.small import Small
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane]


@pytest.fixture
def older(control_plane: ControlPlane, crds: None) -> Iterator[None]:
    """Install the CRD of IpfsBackend without two fields of its status, and put the present one back afterwards."""
    present: dict[str, Any] = yaml.safe_load((PROJECT / "crds" / "ipfsbackends.yaml").read_text())
    old = copy.deepcopy(present)
    status = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    del status["default"], status["properties"]["observedGeneration"]
    del status["properties"]["conditions"]["items"]["properties"]["observedGeneration"]

    def install(crd: dict[str, Any], known: bool) -> None:
        control_plane.kubectl("replace", "-f", "-", input=json.dumps(crd))
        wait_until(lambda: ("observedGeneration" in served()) == known, "the API server has taken the schema in", 60)

    def served() -> set[str]:
        published = json.loads(control_plane.kubectl("get", "--raw", "/openapi/v3/apis/pinion.dev/v1alpha1"))
        schema = published["components"]["schemas"]["dev.pinion.v1alpha1.IpfsBackend"]
        return set(schema["properties"]["status"]["properties"])

    install(old, known=False)
    yield
    install(present, known=True)


def test_fields_that_the_crd_lacks_cost_one_try_and_a_line_in_the_log(older: None, small: Small) -> None:
    operator = small.leader(PINION_RELIST_SECONDS="1")

    def ready() -> str:
        conditions = small.get("ipfsbackend", "one").get("status", {}).get("conditions", [])
        return "".join(f"{c['status']}/{c['reason']}" for c in conditions)

    small.apply("one", 1)
    wait_until(lambda: ready() == "True/Small", "the rest of the status is written")
    operator.wait_quiet(2)
    lists = operator.metric("pinion_operator_lists_total", result="done")
    passes = operator.metric("pinion_operator_reconcile_total")
    small.kubectl("annotate", "ipfsbackend", "one", "others.test/look=again")
    wait_until(lambda: operator.metric("pinion_operator_lists_total", result="done") >= lists + 3, "three more lists")
    wait_until(lambda: operator.metric("pinion_operator_reconcile_total") > passes, "another pass")
    plane = small.operators.control_plane
    statuses = [one for one in writes(plane.audit_log, small.operators.namespace) if one.resource == "ipfsbackends/status"]
    # A busy API server may fail a write for reasons of its own: what this is about says which fields it does not know.
    refused = [one.message for one in statuses if one.status != 200]
    assert len([message for message in refused if "field not declared in schema" in message]) == 1, refused
    assert [one.status for one in statuses if one.status == 200] == [200, 200]
    told = [line for line in operator.lines() if "older than this operator" in line["message"]]
    assert [line["unknown_fields"] for line in told] == ["status.conditions[].observedGeneration, status.observedGeneration"]
    assert operator.metric("pinion_operator_reconcile_total", result="ineffective") == 0
