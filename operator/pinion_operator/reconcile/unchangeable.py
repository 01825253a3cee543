"""Fields that the API server lets nobody change once an object is there: with others in them, it refuses all the rest too."""

from collections.abc import Mapping

from ..resources.kinds import CONFIGMAP, PERSISTENTVOLUMECLAIM, STATEFULSET, Kind, Object, kind_of
from .drift import covers

_UNCHANGEABLE: Mapping[Kind, tuple[str, ...]] = {
    STATEFULSET: ("podManagementPolicy", "serviceName", "volumeClaimTemplates"),
    PERSISTENTVOLUMECLAIM: ("accessModes", "storageClassName", "volumeMode"),
}


def must_be_made_anew(child: Object, have: Object | None) -> bool:
    """Return whether nobody can make the child of what is there: an immutable ConfigMap with another content."""
    return (
        have is not None
        and kind_of(child) == CONFIGMAP
        and bool(have.get("immutable"))
        and not covers(have["data"], child["data"])
    )


def with_unchangeable(child: Object, have: Object | None) -> Object:
    """Return the child as it can be sent: what nobody can change stays as admission made it when the object was new."""
    names = _UNCHANGEABLE.get(kind_of(child), ())
    if have is None or not names:
        return child
    kept = {name: have["spec"][name] for name in names if name in have["spec"] and name in child["spec"]}
    return {**child, "spec": {**child["spec"], **kept}}
