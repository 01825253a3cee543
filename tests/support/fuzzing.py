"""How much is fuzzed: a little, always the same, in the suite; more, and new each time, with PINION_FUZZ_EXAMPLES."""

import os
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("PINION_FUZZ_EXAMPLES", "0"))

settings.register_profile(
    "pinion",
    max_examples=EXAMPLES or 60,
    derandomize=not EXAMPLES,
    deadline=None,  # the machine is shared
    database=None,  # a failure prints what repeats it; nothing is kept in the tree
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("pinion")


def property_seconds(examples: int) -> float:
    """Return what so many examples of one property may take: ten times what one took on a busy machine."""
    return max(300.0, 0.5 * examples)


@pytest.hookimpl(trylast=True)  # hypothesis marks its tests in the same hook
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Give each property the time that its examples take: the bound of other tests would end it."""
    for item in items:
        if item.get_closest_marker("hypothesis") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(property_seconds(EXAMPLES)))
