from tests.support.pair import lease_seconds, pair
from tests.support.small import small

__all__ = ["lease_seconds", "pair", "small"]
