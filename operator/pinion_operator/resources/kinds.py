"""The Kubernetes kinds that the operator reads and writes, and how to name one object."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Object = Mapping[str, Any]
Key = tuple[str, str]  # namespace, name


class Kind(NamedTuple):
    """A kind and where the API serves it."""

    group: str
    version: str
    plural: str
    name: str

    @property
    def api_version(self) -> str:
        """Return `group/version`, or `version` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


class Ref(NamedTuple):
    """One object of a kind."""

    kind: Kind
    namespace: str
    name: str


MODELDEPLOYMENT = Kind("pinion.dev", "v1alpha1", "modeldeployments", "ModelDeployment")
IPFSBACKEND = Kind("pinion.dev", "v1alpha1", "ipfsbackends", "IpfsBackend")

DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
REPLICASET = Kind("apps", "v1", "replicasets", "ReplicaSet")
STATEFULSET = Kind("apps", "v1", "statefulsets", "StatefulSet")
CONTROLLERREVISION = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
SERVICE = Kind("", "v1", "services", "Service")
CONFIGMAP = Kind("", "v1", "configmaps", "ConfigMap")
SECRET = Kind("", "v1", "secrets", "Secret")
SERVICEACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")
POD = Kind("", "v1", "pods", "Pod")
LIMITRANGE = Kind("", "v1", "limitranges", "LimitRange")
PERSISTENTVOLUMECLAIM = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
NETWORKPOLICY = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
PODDISRUPTIONBUDGET = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
SUBJECTACCESSREVIEW = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
EVENT = Kind("events.k8s.io", "v1", "events", "Event")

_ALL = {
    (kind.api_version, kind.name): kind
    for kind in (
        MODELDEPLOYMENT, IPFSBACKEND, DEPLOYMENT, REPLICASET, STATEFULSET, CONTROLLERREVISION, SERVICE, CONFIGMAP, SECRET,
        SERVICEACCOUNT, POD, PERSISTENTVOLUMECLAIM, LIMITRANGE, NETWORKPOLICY, PODDISRUPTIONBUDGET, LEASE, EVENT,
    )
}  # fmt: skip


# Kept by lists alone, and done without where a cluster's rights lack them. Everybody's objects, not ours alone: two budgets
# over one pod keep it from ever being evicted.
LISTED = frozenset({PODDISRUPTIONBUDGET})


def kind_of(obj: Object) -> Kind:
    """Return the Kind of an object; KeyError when the operator does not know it."""
    return _ALL[obj["apiVersion"], obj["kind"]]


def ref_of(obj: Object) -> Ref:
    """Return the Ref of an object that carries its apiVersion and kind."""
    return Ref(kind_of(obj), obj["metadata"]["namespace"], obj["metadata"]["name"])
