"""What a pod mounts, and whether it still waits for that."""

from ..resources.kinds import Object


def mounted_secrets(pod: Object) -> frozenset[str]:
    """Return the names of the Secrets in a pod's volumes."""
    names = set()
    for volume in pod.get("spec", {}).get("volumes") or ():
        sources = (volume.get("projected") or {}).get("sources") or ()
        names |= {source["secret"]["name"] for source in sources if source.get("secret")}
        if volume.get("secret"):
            names.add(volume["secret"]["secretName"])
    return frozenset(names)


def is_being_created(pod: Object) -> bool:
    """Return whether the kubelet is still making its containers: volumes come before them."""
    status = pod.get("status", {})
    states = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    waits = ((one.get("state", {}).get("waiting") or {}).get("reason") for one in states)
    return "deletionTimestamp" not in pod["metadata"] and any(reason == "ContainerCreating" for reason in waits)
