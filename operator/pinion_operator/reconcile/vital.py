"""Which fields of a child nothing else may decide: with another value there, what we say of the object would not be true."""

from fnmatch import fnmatchcase

from ..resources.names import APP_NAME, DIGEST_ANNOTATION, GROUP, MANAGED_BY
from .drift import Difference, Path, leaves

_TEMPLATE = ("spec", "template")
_CONTAINERS = (*_TEMPLATE, "spec", "*ontainers")  # those that run first too
_ITEM = "[[]*[]]"
_LABELS = (MANAGED_BY, f"{GROUP}/*")

# By kind, "" = of all; each path stands for all that is below it, and each part is matched as a file name is.
_VITAL: dict[str, tuple[Path, ...]] = {
    "": (
        ("metadata", "ownerReferences"),
        *(("metadata", "labels", label) for label in _LABELS),
        ("metadata", "annotations", f"{GROUP}/*"),
        ("spec", "selector"),
        ("spec", "podSelector"),
    ),
    "ConfigMap": (("data",), ("binaryData",)),
    "Service": (("spec", "clusterIP"), ("spec", "ports")),
    "NetworkPolicy": (("spec", "policyTypes"),),
    "StatefulSet": (
        ("spec", "persistentVolumeClaimRetentionPolicy"),  # what becomes of the bytes
        ("spec", "volumeClaimTemplates", _ITEM, "metadata", "name"),
    ),
}
_OF_PODS: tuple[Path, ...] = (
    ("spec", "replicas"),
    *((*_TEMPLATE, "metadata", "labels", label) for label in (*_LABELS, APP_NAME)),
    (*_TEMPLATE, "metadata", "annotations", f"{GROUP}/*"),
    *((*_CONTAINERS, _ITEM, name) for name in ("command", "args", "env", "ports", "volumeMounts")),
    (*_TEMPLATE, "spec", "volumes"),
)
# Below the above, and yet a matter of taste: how a file may be read, how much a scratch folder may take.
_TASTE: tuple[Path, ...] = (
    ("metadata", "annotations", DIGEST_ANNOTATION),
    (*_CONTAINERS, _ITEM, "volumeMounts", _ITEM, "readOnly"),
    (*_TEMPLATE, "spec", "volumes", _ITEM, "emptyDir", "*"),
    (*_TEMPLATE, "spec", "volumes", _ITEM, "*", "defaultMode"),
    (*_TEMPLATE, "spec", "volumes", _ITEM, "*", "optional"),
)


def is_vital(kind: str, change: Difference) -> bool:
    """Return whether an object whose child came back with this difference must not be called Ready."""
    if kind == "Service" and change.path == ("spec", "type"):
        return bool(change.got == "ExternalName")  # any other still leads to the pods
    vital = (*_VITAL[""], *_VITAL.get(kind, ()), *(_OF_PODS if kind in ("Deployment", "StatefulSet") else ()))
    return any(
        any(_is_below(path, one) for one in vital) and not any(_is_below(path, one) for one in _TASTE)
        for path in leaves(change.wanted, change.path)  # of a container that is gone, all that it had
    )


def _is_below(path: Path, above: Path) -> bool:
    return len(path) >= len(above) and all(fnmatchcase(part, wanted) for part, wanted in zip(path, above, strict=False))
