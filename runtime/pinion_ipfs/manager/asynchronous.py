"""The model manager for programs on a loop of their own: the same calls, awaited."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ..content.cid import Cid
from ..functions import background
from ..functions.call import Call
from ..functions.registry import Given
from ..store import Store
from .arguments import read_note
from .calls import Calls, HubOptions, Place, Work
from .models import RemovedModel, RetrievedModel, StoredModel

T = TypeVar("T")


class ModelManager:
    """As `pinion_ipfs.ModelManager`, awaited."""

    def __init__(self, store: Store | Place | None = None, *, backend: Given | None = None, deps: object | None = None) -> None:
        self._calls = Calls(store, backend, deps)

    async def store_model_to_ipfs(
        self,
        source: Place,
        revision: str | None = None,
        *,
        endpoint: str = "",
        token: str = "",
        allow_patterns: Sequence[str] = (),
        ignore_patterns: Sequence[str] = (),
    ) -> StoredModel:
        """Bring a folder, a file, or a repository of the hub into the store, and pin it in every backend that can."""
        options = HubOptions(endpoint, token, allow_patterns, ignore_patterns)
        stored, call = await self._await(self._calls.storing("store_model_to_ipfs", source, revision, options))
        return replace(stored, receipts=tuple(call.receipts))

    async def add_model_with_ipfs_storage(
        self,
        source: Place,
        revision: str | None = None,
        *,
        name: str,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        endpoint: str = "",
        token: str = "",
        allow_patterns: Sequence[str] = (),
        ignore_patterns: Sequence[str] = (),
    ) -> StoredModel:
        """Store a model, and keep with it what it is called; what was said of the same CID before is replaced."""
        options = HubOptions(endpoint, token, allow_patterns, ignore_patterns)
        note = read_note(name, tags, metadata)
        stored, call = await self._await(self._calls.storing("add_model_with_ipfs_storage", source, revision, options, note))
        return replace(stored, receipts=tuple(call.receipts))

    async def retrieve_model_from_ipfs(self, cid: str | Cid, target: Place) -> RetrievedModel:
        """Lay a model out in `target`, from the store, else from backends: whole, every byte verified, or not at all."""
        found, call = await self._await(self._calls.retrieving("retrieve_model_from_ipfs", cid, target))
        return replace(found, receipts=tuple(call.receipts))

    async def list(self) -> tuple[StoredModel, ...]:
        """Return every model of which the store has a pin record."""
        return await asyncio.to_thread(self._calls.found, "list")

    async def search(self, text: str) -> tuple[StoredModel, ...]:
        """Return those in whose repository, name, tags or CID a text occurs, in whichever case."""
        return await asyncio.to_thread(self._calls.found, "search", text)

    async def remove(self, which: str, *, force: bool = False) -> RemovedModel:
        """Forget a model by its CID or name, and give its pins up unless others keep it; bytes stay until a collection."""
        removed, _ = await self._await(self._calls.removing("remove", which, force))
        return removed

    async def _await(self, work: Work[T]) -> tuple[T, Call]:
        call = Call(self._calls.backend, self._calls.deps)
        return await background.await_call(call.run(lambda router: work(router, call.receipts))), call
