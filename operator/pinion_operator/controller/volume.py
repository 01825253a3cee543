"""The volume of a managed daemon that does not start: its claim, and what Kubernetes itself says of it."""

import contextlib
from collections.abc import Mapping

from ..api.ipfsbackend import IpfsBackend
from ..cluster.api import Api
from ..cluster.errors import ApiError
from ..reconcile.claim import is_waiting, newest_warning
from ..resources.kinds import EVENT, PERSISTENTVOLUMECLAIM, STATEFULSET, Object, Ref
from ..resources.names import kubo_claim, kubo_name


async def look_at_volume(backend: IpfsBackend, children: Mapping[Ref, Object], api: Api) -> tuple[Object | None, str]:
    """Return (the claim, its newest warning or, while it is not there, that of the StatefulSet that makes it).

    Neither claims nor events are watched: they are asked for only until the daemon's pod has been ready.
    """
    if backend.spec.managed is None or backend.spec.managed.storage.type != "PVC":
        return None, ""
    meta = backend.metadata
    claim = await api.get(PERSISTENTVOLUMECLAIM, (meta.namespace, kubo_claim(meta.name)))
    maker = claim or children.get(Ref(STATEFULSET, meta.namespace, kubo_name(meta.name)))
    if maker is None or not is_waiting(claim):
        return claim, ""
    events: list[Object] = []
    with contextlib.suppress(ApiError):  # the rest of the message stands without it
        _, events = await api.list(EVENT, meta.namespace, fields=f"regarding.uid={maker['metadata']['uid']},type=Warning")
    return claim, newest_warning(events)
