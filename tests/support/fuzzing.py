"""How much is fuzzed: a little, always the same, in the suite; more, and new each time, with PINION_FUZZ_EXAMPLES."""

import os

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
