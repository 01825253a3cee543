"""Which provider gives the cluster: `PINION_CLUSTER`, else the first that works on this machine, and why that one."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import engine
from .errors import DevClusterError
from .existing import ExistingCluster
from .local.checks import MachineError, check_user
from .local.cluster import LocalCluster
from .provider import Cluster


def _kind() -> Cluster:
    from .kind import KindCluster  # pytest-kind brings a client of its own, which takes a third of a second to import

    return KindCluster()


PROVIDERS: dict[str, Callable[[], Cluster]] = {"local": LocalCluster, "kind": _kind, "existing": ExistingCluster}


@dataclass(frozen=True)
class Choice:
    """A provider's name, and why it was taken."""

    name: str
    why: str


def choose_cluster() -> Cluster:
    """Return the cluster that the environment names; raise DevClusterError for a name that nobody provides."""
    return PROVIDERS[choose().name]()


def choose() -> Choice:
    """Choose for this environment and machine."""
    return decide(os.environ, _local_complaint, engine.complaint)


def decide(environment: Mapping[str, str], local: Callable[[], str], docker: Callable[[], str]) -> Choice:
    """Choose a provider; `local` and `docker` say what is in the way of each, "" for nothing, and are asked when it matters.

    The built-in cluster comes first: it needs nothing of others. Somebody's cluster is never taken unless it was asked for.
    """
    if name := environment.get("PINION_CLUSTER", ""):
        if name not in PROVIDERS:
            raise DevClusterError(f"PINION_CLUSTER={name}: there is no such provider; known: {', '.join(PROVIDERS)}")
        return Choice(name, "PINION_CLUSTER says so")
    if not (not_local := local()):
        return Choice("local", "root on Linux: nothing else is needed")
    if not (not_kind := docker()):
        return Choice("kind", f"a Docker engine answers, and local does not work here: {not_local}")
    # Whoever asks it to start hears what it lacks; what only looks, or takes away, works without.
    return Choice("local", f"nothing works here; local: {not_local}; kind: {not_kind}")


def _local_complaint() -> str:
    try:
        check_user()
    except MachineError as error:
        return str(error)
    return ""
