"""Ten minutes in which nothing happens: not one write, by the audit log."""

import os
import time

import pytest

from devcluster.control import ControlPlane
from tests.support.hub import Hub
from tests.support.many import CHILDREN, OWN, Many
from tests.support.operator_process import OperatorProcess

pytestmark = [pytest.mark.chaos, pytest.mark.control_plane]
IDLE = float(os.environ.get("PINION_CHAOS_IDLE_SECONDS") or 600)


@pytest.fixture
def hub_endpoint(hub: Hub) -> str:
    return hub.endpoint


def test_200_objects_cost_no_write_in_ten_minutes(
    control_plane: ControlPlane, namespace: str, operator: OperatorProcess, hub: Hub
) -> None:
    many = Many(control_plane, namespace, hub.minilm)
    many.make(operator)
    objects, before = (many.seen(CHILDREN), many.seen(OWN)), len(many.written())
    passes = operator.metric("pinion_operator_reconcile_total")
    time.sleep(IDLE)
    assert many.written()[before:] == []
    assert (many.seen(CHILDREN), many.seen(OWN)) == objects
    assert operator.metric("pinion_operator_reconcile_total") > passes, "it was not asleep"
    print(f"writes in {IDLE:g} s: 0; passes {operator.metric('pinion_operator_reconcile_total') - passes:g}")
