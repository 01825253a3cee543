from tests.support.chaos import dice, rounds
from tests.support.pair import lease_seconds, pair
from tests.support.podrunner import pod_runner
from tests.support.small import small

__all__ = ["dice", "lease_seconds", "pair", "pod_runner", "rounds", "small"]
