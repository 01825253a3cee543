"""Which provider gives the cluster: `PINION_CLUSTER`, else the first that works on this machine."""

import os
from collections.abc import Callable

from .errors import DevClusterError
from .local.cluster import LocalCluster
from .provider import Cluster

PROVIDERS: dict[str, Callable[[], Cluster]] = {"local": LocalCluster}


def choose_cluster() -> Cluster:
    """Return the cluster that the environment names; raise DevClusterError for a name that nobody provides."""
    name = os.environ.get("PINION_CLUSTER") or next(iter(PROVIDERS))
    if name not in PROVIDERS:
        raise DevClusterError(f"PINION_CLUSTER={name}: there is no such provider; known: {', '.join(PROVIDERS)}")
    return PROVIDERS[name]()
