from tests.support.pair import lease_seconds, pair
from tests.support.small import small
from tests.support.told_pods import told_pods

__all__ = ["lease_seconds", "pair", "small", "told_pods"]
