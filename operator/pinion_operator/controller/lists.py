"""Lists of our own keep the store beside the watches: kopf reports no deletions when it lists."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from ..cluster.api import Api
from ..cluster.errors import ApiError, UnreachableError
from ..metrics import Metrics
from ..resources.kinds import Kind
from .store import Store
from .watch_refusals import REFUSING, WatchRefusals
from .watched_kinds import IN_ORDER, SELECTORS

# So often a list may be refused (a Role takes a moment to be in force) before the rest is served without it.
_REFUSALS = 4

Listing = tuple[str, Kind]  # namespace, "" = all; kind

log = logging.getLogger(__name__)


class Lists:
    """`refill` goes on for ever.

    `filled`: everything was listed once, but for what is refused; `complete`: the API server knows all kinds.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        metrics: Metrics,
        refusals: WatchRefusals,
        namespaces: Sequence[str],
        *,
        patience: float,
        on_hidden: Callable[[str], None],
    ) -> None:
        """`on_hidden` is called with a namespace, "" = all, of which a kind could not be listed for `patience` seconds."""
        self._api, self._store, self._metrics, self._refusals = api, store, metrics, refusals
        self._namespaces, self._patience, self._on_hidden = tuple(namespaces), patience, on_hidden
        self._unlisted = set(self._everything())
        self._hidden: dict[str, str] = {}  # why, by namespace, where it was told
        self.filled, self.complete, self.wanted = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def hidden(self, namespace: str) -> str | None:
        """Return why what is known of a namespace is not all of it; "" = not known yet, None = all is known."""
        if why := self._refusals.hides(namespace, self._patience):
            return why
        here = namespace if self._namespaces else ""
        return "" if any(where == here for where, _ in self._unlisted) else None

    async def refill(self, every: float) -> None:
        """List everything now, every so many seconds, and soon after it is `wanted`.

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
                if failures >= _REFUSALS and error.status in REFUSING:
                    self._go_on_without(left)
            else:
                if failures:
                    log.info("list succeeded again", extra={"failures": failures})
                self._metrics.listed("done")
                failures, said = 0, ""
                self.filled.set()
                self.complete.set()
            self._tell_hidden()
            # Many events of one kopf list lead to one list of ours; what fails is tried less and less often.
            await asyncio.sleep(min(2.0 ** max(0, failures - 3), 8.0))
            if not failures:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wanted.wait(), every)
            if not failures or self.wanted.is_set() or loop.time() - began > every:
                left, began = self._everything(), loop.time()
                self.wanted.clear()

    def _go_on_without(self, left: Sequence[Listing]) -> None:
        """Serve what can be served: a namespace that was deleted took its Role along, and must not stop the others for ever.

        Objects whose children cannot be seen are told so, and nothing is decided for them.
        """
        if not self.filled.is_set():
            refusing = ",".join(sorted({namespace or "all" for namespace, _ in left}))
            kinds = ",".join(sorted({kind.plural for _, kind in left}))
            log.warning("some lists are refused, the rest is served", extra={"namespaces": refusing, "kinds": kinds})
            self.filled.set()
        if not self._refusals.missing():
            self.complete.set()

    def _tell_hidden(self) -> None:
        """Let objects be looked at that no event concerns."""
        hidden = {where: self._refusals.hides(where, self._patience) for where in self._namespaces or ("",)}
        for where, why in hidden.items():
            if why and self._hidden.get(where) != why:
                self._on_hidden(where)
        self._hidden = hidden

    def _everything(self) -> list[Listing]:
        return [(namespace, kind) for namespace in self._namespaces or ("",) for kind in IN_ORDER]

    async def _list(self, wanted: Sequence[Listing]) -> tuple[list[Listing], ApiError | None]:
        """List these and return (what could not be listed, why: an error that is no refusal, if there is one)."""
        left: list[Listing] = []
        refusal: ApiError | None = None
        failure: ApiError | None = None
        for at, (namespace, kind) in enumerate(wanted):
            try:
                as_of, items = await self._api.list(kind, namespace, SELECTORS.get(kind, ""))
            except UnreachableError as error:  # so it is for the others
                return [*left, *wanted[at:]], error
            except ApiError as error:
                left.append((namespace, kind))
                if error.status in REFUSING:
                    refusal = refusal or error
                    self._refusals.refused(kind, namespace, "list", error.status, str(error))
                else:
                    failure = failure or error
            else:
                self._refusals.granted(kind, namespace, "list")
                self._unlisted.discard((namespace, kind))
                self._store.replace(kind, items, as_of, namespace)
                self._metrics.objects.labels(kind.name).set(self._store.count(kind))
        return left, failure or refusal
