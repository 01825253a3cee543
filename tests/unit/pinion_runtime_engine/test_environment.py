"""What an engine's process finds in its environment."""

import pytest

from pinion_runtime.engines.environment import engine_environment

CASES = {
    "nobody says how threads wait": ({}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}),
    "a policy is kept whole": ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    "and so is a count": ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
    "the network stays shut": ({"HF_HUB_OFFLINE": "0", "OMP_WAIT_POLICY": "PASSIVE"}, {"OMP_WAIT_POLICY": "PASSIVE"}),
}


@pytest.mark.parametrize(("own", "wanted"), CASES.values(), ids=CASES)
def test_environment(own: dict[str, str], wanted: dict[str, str]) -> None:
    shut = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    found = engine_environment({"PATH": "/bin", **own}, "feature-extraction", counts_waits=True)
    assert found == {"PATH": "/bin", **wanted, **shut}


def test_an_engine_that_generates_lets_threads_spin_from_one_product_to_the_next() -> None:
    assert engine_environment({}, "text-generation", counts_waits=True)["GOMP_SPINCOUNT"] == "100000"
    assert "GOMP_SPINCOUNT" not in engine_environment({"OMP_WAIT_POLICY": "ACTIVE"}, "text-generation", counts_waits=True)


def test_where_nobody_would_see_that_they_are_in_the_way_they_sleep() -> None:
    assert engine_environment({}, "text-generation", counts_waits=False)["GOMP_SPINCOUNT"] == "1000"
