"""How soon a managed Kubo is checked again."""

import pytest

from pinion_operator.reconcile.backend.health import check_interval
from pinion_operator.reconcile.backend.observed import Check, Health

GOOD, BAD = Check(reachable=True, healthy=True), Check(reachable=False, healthy=False, problem="refused")
CASES = {
    "no pod is ready yet": (None, 15.0),
    "healthy": (Health(GOOD, 0, proven=True), 15.0),
    "failing after it was healthy": (Health(BAD, 2, proven=True), 15.0),
    "a new pod failed once": (Health(BAD, 1), 0.5),
    "a new pod failed three times": (Health(BAD, 3), 2.0),
    "a new pod goes on failing": (Health(BAD, 50), 15.0),
}


@pytest.mark.parametrize(("health", "want_seconds"), CASES.values(), ids=CASES.keys())
def test_check_interval(health: Health | None, want_seconds: float) -> None:
    assert check_interval(15.0, health) == want_seconds
