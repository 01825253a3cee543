"""What is listed and watched, and with which selectors."""

from ..resources.kinds import (
    CONFIGMAP,
    CONTROLLERREVISION,
    DEPLOYMENT,
    IPFSBACKEND,
    MODELDEPLOYMENT,
    NETWORKPOLICY,
    POD,
    REPLICASET,
    SERVICE,
    SERVICEACCOUNT,
    STATEFULSET,
)
from ..resources.names import MANAGED_SELECTOR

# Secrets are never watched: a list of them would need the right to read all of them.
CHILDREN = (DEPLOYMENT, REPLICASET, STATEFULSET, CONTROLLERREVISION, SERVICE, CONFIGMAP, SERVICEACCOUNT, NETWORKPOLICY, POD)
SELECTORS = dict.fromkeys(CHILDREN, MANAGED_SELECTOR)  # the server filters: other people's objects are not sent to us
IN_ORDER = (*CHILDREN, IPFSBACKEND, MODELDEPLOYMENT)  # children first: a reconcile that is early sees them
WATCHED = frozenset(IN_ORDER)
