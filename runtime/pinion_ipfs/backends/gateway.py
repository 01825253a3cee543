"""A trustless HTTP gateway: blocks and CARs by CID, read only, nothing believed."""

import time
from collections.abc import AsyncIterator

from ..content.cid import RAW, Cid
from ..content.verify import FilePiece, unpack_car
from ..errors import BackendUnavailable, ContentMissing
from .base import Capability, CarSource, DagStat, Health
from .http import HttpClient, read_block

_RAW = {"Accept": "application/vnd.ipld.raw"}
_CAR = {"Accept": "application/vnd.ipld.car; version=1; order=dfs; dups=y"}
_BLOCK_SECONDS = 30.0
_EMPTY = Cid.of_block(RAW, b"")
_CHUNK = 256 * 1024


class Gateway:
    """`{url}/ipfs/{cid}?format=raw|car`; a stream that is silent for `idle_seconds` is dropped."""

    capabilities = frozenset({Capability.READ, Capability.EXPORT})

    def __init__(self, name: str, url: str, *, idle_seconds: float = 30.0) -> None:
        self.name = name
        self._http = HttpClient(name, url, idle_seconds=idle_seconds)

    async def probe(self) -> Health:
        """Ask for the empty block, which every gateway can answer: tells that it answers, not that it has anything."""
        started = time.monotonic()
        try:
            await self.block_get(_EMPTY)
        except ContentMissing:
            pass  # it answers
        except BackendUnavailable as error:
            return Health(self.name, False, time.monotonic() - started, reason=str(error))
        return Health(self.name, True, time.monotonic() - started, checks=("answers",))

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        async with self._http.request(
            "GET", f"/ipfs/{cid}", params={"format": "raw"}, headers=_RAW, total=_BLOCK_SECONDS
        ) as response:
            return await read_block(response, cid)

    async def has(self, cid: Cid) -> bool:
        """Tell whether the gateway gives a block."""
        try:
            await self.block_get(cid)
        except ContentMissing:
            return False
        return True

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file."""
        async for event in unpack_car(self.dag_export(cid), cid):
            if isinstance(event, FilePiece):
                yield event.data

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the CAR of a DAG, depth first with repeats."""
        params = {"format": "car", "car-order": "dfs", "car-dups": "y"}
        async with self._http.request("GET", f"/ipfs/{cid}", params=params, headers=_CAR) as response:
            async for chunk in response.content.iter_chunked(_CHUNK):
                yield chunk

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def stat(self, cid: Cid) -> DagStat:
        """Refuse: a gateway tells nothing about whole DAGs."""
        raise self._read_only()

    async def pin(self, cid: Cid) -> None:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def unpin(self, cid: Cid) -> None:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def pin_ls(self) -> frozenset[Cid]:
        """Return nothing: a gateway keeps nothing for us."""
        return frozenset()

    async def dag_import(self, car: CarSource) -> int:
        """Refuse: a gateway is read only."""
        raise self._read_only()

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()

    def _read_only(self) -> BackendUnavailable:
        return BackendUnavailable(f"{self.name}: a gateway only reads")
