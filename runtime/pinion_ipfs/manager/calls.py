"""What a call of the model manager does, from what a caller gives; whether it is waited for or awaited."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..backends.base import Receipt
from ..content.cid import Cid
from ..functions.arguments import parse_cid
from ..functions.registry import Given
from ..functions.replicated import replication_of_call
from ..routing.router import Router
from ..store import Note, Store
from .arguments import check_enabled, read_source
from .catalogue import list_models, search_models
from .models import RemovedModel, RetrievedModel, StoredModel
from .retrieving import retrieve_model
from .storing import MAIN, Source, as_patterns, remove_model, store_model

T = TypeVar("T")
Place = str | os.PathLike[str]
Work = Callable[[Router, Sequence[Receipt]], Awaitable[T]]  # on a router, and with the receipts that the call has got by then


@dataclass(frozen=True, slots=True)
class HubOptions:
    """How a repository is asked for, and which files of a repository or folder are meant."""

    endpoint: str
    token: str
    allow_patterns: Sequence[str]
    ignore_patterns: Sequence[str]


class Calls:
    """What both managers are made of: the store, and which backends a call asks. The store is opened with the first call."""

    def __init__(self, store: Store | Place | None, backend: Given | None, deps: object | None) -> None:
        self._store = store
        self.backend, self.deps = backend, deps

    @property
    def store(self) -> Store:
        """Return the store that was given, else that of HF_HOME and HF_HUB_CACHE."""
        if not isinstance(self._store, Store):
            self._store = Store.default() if self._store is None else Store(Path(self._store).absolute())
        return self._store

    def storing(
        self, call: str, source: Place, revision: str | None, options: HubOptions, note: Note | None = None
    ) -> Work[StoredModel]:
        """Return what stores a model."""
        check_enabled(call, os.environ)
        what = read_source(source, revision)
        if isinstance(what, Path) and (options.endpoint or options.token):
            raise ValueError(f"{what} is a path: endpoint and token are for a repository of the hub")
        patterns = as_patterns(options.allow_patterns), as_patterns(options.ignore_patterns)
        chosen = Source(what, revision or MAIN, options.endpoint, options.token, *patterns)
        least = replication_of_call(None, self.deps).least
        return lambda router, receipts: store_model(router, self.store, chosen, note, least)

    def retrieving(self, call: str, cid: str | Cid, target: Place) -> Work[RetrievedModel]:
        """Return what retrieves a model."""
        check_enabled(call, os.environ)
        root, place = parse_cid(cid), Path(target).absolute()
        return lambda router, receipts: retrieve_model(router, self.store, root, place, receipts)

    def removing(self, call: str, which: str, force: bool) -> Work[RemovedModel]:
        """Return what removes a model."""
        check_enabled(call, os.environ)
        return lambda router, receipts: remove_model(router, self.store, str(which), force=force)

    def found(self, call: str, text: str = "") -> tuple[StoredModel, ...]:
        """Return the models in which a text occurs. Blocking; nobody is asked."""
        check_enabled(call, os.environ)
        return tuple(search_models(list_models(self.store), text))
