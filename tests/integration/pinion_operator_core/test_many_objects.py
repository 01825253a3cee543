"""Two hundred objects: a new operator finds them as it would have made them and writes nothing, says the audit log."""

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.many import CHILDREN, EACH, OWN, Many
from tests.support.operator_process import OperatorProcess, Operators
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(900)]


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


def test_an_operator_started_with_200_objects_changes_none_of_their_children(
    control_plane: ControlPlane, namespace: str, operators: Operators, operator: OperatorProcess, hub: Hub
) -> None:
    many = Many(control_plane, namespace, hub.minilm)
    many.make(operator)
    children, objects, before = many.seen(CHILDREN), many.seen(OWN), len(many.written())
    assert operator.stop() == 0
    second = operators.start(environment={"PINION_HUB_ENDPOINT": hub.endpoint, "PINION_RELIST_SECONDS": "2"})
    second.wait_leading()
    wait_until(lambda: second.metric("pinion_operator_reconcile_total") >= 2 * EACH, "a pass over each", 240)
    lists = second.metric("pinion_operator_lists_total", result="done")
    wait_until(lambda: second.metric("pinion_operator_lists_total", result="done") >= lists + 2, "two more lists", 120)
    assert many.written()[before:] == []
    assert (many.seen(CHILDREN), many.seen(OWN)) == (children, objects)
    assert second.failed_passes() <= 0
