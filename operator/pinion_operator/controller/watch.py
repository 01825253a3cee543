"""The only user of kopf: its events keep the store."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
import kopf

from ..cluster.api import Api
from ..metrics import Metrics
from ..resources.kinds import Kind
from .store import Store
from .watch_liveness import WatchLiveness
from .watch_refusals import REFUSING, WatchRefusals
from .watched_kinds import IN_ORDER

_WORDS = 500  # of an answer that refuses


class Watch:
    """Keeps the store filled by what kopf sees. Each answer to a watch or a list of kopf is heard."""

    def __init__(
        self,
        api: Api,
        store: Store,
        metrics: Metrics,
        liveness: WatchLiveness,
        refusals: WatchRefusals,
        wanted: asyncio.Event,  # set: a list of ours is needed
        namespaces: Sequence[str],
    ) -> None:
        self._api, self._store, self._metrics = api, store, metrics
        self._liveness, self._refusals, self._wanted = liveness, refusals, wanted
        self._namespaces = tuple(namespaces)
        self._paths = {_path(kind, where): (kind, where) for where in self._namespaces or ("",) for kind in IN_ORDER}

    async def run(self, settings: kopf.OperatorSettings, ready: asyncio.Event) -> None:
        """Run kopf inside this loop until it is cancelled, or until a signal reaches it before `ready`."""
        self._liveness.expect(IN_ORDER, self._namespaces or ("",))
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for kind in IN_ORDER:
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
        return kopf.AiohttpSession(server=credentials.server, aiohttp_session=credentials.session(self._hear))

    async def _hear(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Note what is answered to a list or watch of ours."""
        response = await handler(request)
        found = next((known for path, known in self._paths.items() if request.url.path.endswith(path)), None)
        if found is None:
            return response
        verb = "watch" if request.url.query.get("watch") == "true" else "list"
        refused = response.status in REFUSING
        if verb == "watch" and (refused or response.status == 200):
            self._liveness.saw_answer(request.url.path, refused=refused)
        if refused:
            text = (await response.text(errors="replace"))[:_WORDS]
            if self._refusals.refused(*found, verb, response.status, text):
                self._wanted.set()  # whether it can still be listed is told by a list
            if response.status == 404:  # kopf would end; what is taken for a broken connection it tries for ever
                raise aiohttp.ClientConnectionError("HTTP 404: the API server has no such kind")
        elif response.status == 200:
            self._refusals.granted(*found, verb)
            if verb == "list":  # the first, or one after a watch that could not be resumed; an empty one brings no event
                self._wanted.set()
        return response


def _path(kind: Kind, namespace: str) -> str:
    group = f"/apis/{kind.group}" if kind.group else "/api"
    return f"{group}/{kind.version}{f'/namespaces/{namespace}' if namespace else ''}/{kind.plural}"
