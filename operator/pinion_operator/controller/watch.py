"""The only user of kopf: its events, and lists of our own, keep the store."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from typing import Any

import kopf

from ..cluster.api import Api
from ..cluster.errors import ApiError, ForbiddenError, UnreachableError
from ..metrics import Metrics
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
    Kind,
)
from ..resources.names import MANAGED_SELECTOR
from .store import Store
from .watch_liveness import WatchLiveness

# Secrets are never watched: a list of them would need the right to read all of them.
CHILDREN = (DEPLOYMENT, REPLICASET, STATEFULSET, CONTROLLERREVISION, SERVICE, CONFIGMAP, SERVICEACCOUNT, NETWORKPOLICY, POD)
SELECTORS = dict.fromkeys(CHILDREN, MANAGED_SELECTOR)  # the server filters: other people's objects are not sent to us
WATCHED = frozenset({MODELDEPLOYMENT, IPFSBACKEND, *CHILDREN})
_IN_ORDER = (*CHILDREN, IPFSBACKEND, MODELDEPLOYMENT)  # children first: a reconcile that is early sees them

# So often a namespace may refuse everything (a Role takes a moment to be in force) before it counts as gone.
_REFUSALS = 4

log = logging.getLogger(__name__)


class Watch:
    """Keeps the store filled. `refill` and `run` go on for ever; `filled` says that everything was listed once."""

    def __init__(self, api: Api, store: Store, metrics: Metrics, liveness: WatchLiveness, namespaces: Sequence[str]) -> None:
        self._api, self._store, self._metrics, self._liveness = api, store, metrics, liveness
        self._namespaces = tuple(namespaces)
        self._refusing: set[str] = set()  # at the last list
        self.filled, self._wanted = asyncio.Event(), asyncio.Event()

    async def refill(self, every: float) -> None:
        """List everything now, every so many seconds, and soon after kopf had to list (it reports no deletions then).

        What could be listed is not listed again because of what could not.
        """
        loop = asyncio.get_running_loop()
        failures, said, left, began = 0, "", self._everything(), loop.time()
        while True:
            left, error = await self._list(left)
            if error:  # also 403, 404 and 429 of a server or a CRD that has just come up
                if said != (said := str(error)):
                    log.warning("list failed", extra={"error": said})
                self._metrics.listed("failed")
                failures += 1
                if self._refusing and failures >= _REFUSALS and self._refusing < set(self._namespaces):
                    self._go_on_without()
            else:
                if failures:
                    log.info("list succeeded again", extra={"failures": failures})
                self._metrics.listed("done")
                failures, said = 0, ""
                self.filled.set()
            # Many events of one kopf list lead to one list of ours; what fails is tried less and less often.
            await asyncio.sleep(min(2.0 ** max(0, failures - 3), 8.0))
            if not failures:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), every)
            if not failures or self._wanted.is_set() or loop.time() - began > every:
                left, began = self._everything(), loop.time()
                self._wanted.clear()

    def _go_on_without(self) -> None:
        """Serve the other namespaces: one that was deleted took its Role along, and must not stop them for ever."""
        if not self.filled.is_set():
            refusing = ",".join(sorted(self._refusing))
            log.warning("some namespaces refuse every list, the others are served", extra={"namespaces": refusing})
            self.filled.set()

    def _everything(self) -> list[tuple[str, Kind]]:
        return [(namespace, kind) for namespace in self._namespaces or ("",) for kind in _IN_ORDER]

    async def _list(self, wanted: Sequence[tuple[str, Kind]]) -> tuple[list[tuple[str, Kind]], ApiError | None]:
        """List these and return (what could not be listed, why the first of it could not)."""
        self._refusing.clear()
        left: list[tuple[str, Kind]] = []
        first: ApiError | None = None
        for at, (namespace, kind) in enumerate(wanted):
            try:
                as_of, items = await self._api.list(kind, namespace, SELECTORS.get(kind, ""))
            except UnreachableError as error:  # so it is for the others
                return [*left, *wanted[at:]], first or error
            except ApiError as error:  # a Role that has gone with its namespace, for one: what is left must still be known
                first = first or error
                left.append((namespace, kind))
                if isinstance(error, ForbiddenError):
                    self._refusing.add(namespace)
            else:
                self._store.replace(kind, items, as_of, namespace)
                self._count(kind)
        return left, first

    async def run(self, settings: kopf.OperatorSettings, ready: asyncio.Event) -> None:
        """Run kopf inside this loop until it is cancelled, or until a signal reaches it before `ready`."""
        self._liveness.expect(_IN_ORDER, self._namespaces or ("",))
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for kind in _IN_ORDER:
            kopf.on.event(kind.group, kind.version, kind.plural, param=kind, registry=registry)(self._on_event)
        # Unused when standalone, yet kopf would ask for the name of the user, and an image's user need not have one.
        identity: Any = socket.gethostname()
        await kopf.operator(
            identity=identity,
            registry=registry,
            settings=settings,
            standalone=True,  # kopf's peering freezes every replica of equal priority: the Lease elects
            namespaces=self._namespaces,
            clusterwide=not self._namespaces,
            ready_flag=ready,
        )

    async def _on_event(
        self, event: kopf.RawEvent, param: Any = None, **_: Any
    ) -> None:  # kopf would write a result into the status
        obj = event["object"]
        self._metrics.event(param.name, event["type"])
        if event["type"] is None:  # from a list: the first, or one after a watch that could not be resumed
            self._wanted.set()
        if event["type"] == "DELETED":
            self._store.saw_deleted(param, obj)
        else:
            self._store.saw(param, obj)
        self._count(param)

    def _count(self, kind: Kind) -> None:
        self._metrics.objects.labels(kind.name).set(self._store.count(kind))

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Give kopf a session with our credentials, whose answers are heard; it asks again after a 401 and closes the old."""
        credentials = self._api.credentials
        return kopf.AiohttpSession(server=credentials.server, aiohttp_session=credentials.session(self._liveness.trace()))
