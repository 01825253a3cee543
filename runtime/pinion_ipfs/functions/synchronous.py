"""Somebody else's object with blocking methods as a backend: str ids, whole bytes, its errors in our words, a deadline each."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from ..backends.base import Capability, CarSource, DagStat, Health, Places
from ..backends.collecting import Collected, GcOrder
from ..content.car_reader import read_car
from ..content.cid import DAG_PB, RAW, Cid
from ..content.dag_pb import decode_node
from ..content.export import export_dag
from ..content.reading import read_file
from ..errors import BackendUnavailable, ContentError, ContentMissing, InvalidCid
from ..routing.places import places_of
from .arguments import MAX_BLOCK
from .checked import check_block
from .threads import in_daemon_thread

CALL_SECONDS = 30.0
_AT_ONCE = 8  # calls of one object
_MISSING = (LookupError, FileNotFoundError)  # how an object may say that it does not have something
_CODEC_NAMES = {RAW: "raw", DAG_PB: "dag-pb"}
_METHODS = {
    Capability.READ: ("block_get", "cat"),
    Capability.ADD: ("add_bytes",),
    Capability.WRITE: ("block_put",),
    Capability.PIN: ("pin",),
}
T = TypeVar("T")


class Synchronous:
    """Knows the methods add_bytes, cat, pin, unpin, block_put, block_get, pin_ls; what an object lacks is not asked of it.

    Of add_path, get_to_path, ls and dag_export it makes no use: they are made of blocks, which can be checked.
    """

    def __init__(self, name: str, given: object, *, timeout: float = CALL_SECONDS) -> None:
        self.name = name
        self.given = given
        self._timeout = timeout
        self._turns: asyncio.Semaphore | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what its methods are good for."""
        return frozenset(each for each, names in _METHODS.items() if any(self._offers(name) for name in names))

    @property
    def places(self) -> Places:
        """Return the object itself."""
        return places_of(self.given)

    async def probe(self) -> Health:
        """Add random bytes, read them back and compare; where it only reads, look for bytes that nobody has."""
        started = time.monotonic()
        checks: tuple[str, ...] = ()
        data = secrets.token_bytes(64)
        try:
            if Capability.ADD in self.capabilities or Capability.WRITE in self.capabilities:
                add = self.add_bytes(data, pin=False) if self._offers("add_bytes") else self.block_put(data, codec=RAW)
                cid, checks = await add, ("add",)
                if cid != Cid.of_block(RAW, data):
                    raise BackendUnavailable(f"{self.name}: add gives {cid}, another id than its bytes have")
                await self.block_get(cid)
                checks = ("add", "cat", "compare")
            elif not await self.has(Cid.of_block(RAW, data)):
                checks = ("nothing for what nobody has added",)
        except ContentError as error:
            return Health(self.name, False, time.monotonic() - started, checks, str(error), error=error)
        return Health(self.name, True, time.monotonic() - started, checks)

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a file of one leaf at most."""
        if len(data) > MAX_BLOCK:
            raise ContentError(f"{self.name}: {len(data)} bytes are more than one block: import a CAR")
        return self._cid("add_bytes", await self._call("add_bytes", data, pin=pin))

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the bytes of a file, block by block."""
        async for piece in read_file(cid, self.block_get):
            yield piece

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block."""
        return self._cid("block_put", await self._call("block_put", data, codec=_CODEC_NAMES[codec]))

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block; a file of one leaf is one."""
        name = "block_get" if self._offers("block_get") or cid.codec != RAW else "cat"
        block = await self._call(name, str(cid))
        if not isinstance(block, bytes | bytearray | memoryview):
            raise BackendUnavailable(f"{self.name}: {name} returns {type(block).__name__}, not bytes")
        return await asyncio.to_thread(check_block, self.name, cid, bytes(block))

    async def has(self, cid: Cid) -> bool:
        """Tell whether a block is there."""
        try:
            await self.block_get(cid)
        except ContentMissing:
            return False
        return True

    async def stat(self, cid: Cid) -> DagStat:
        """Read a whole DAG; raise ContentMissing when a block of it is not there."""
        seen: set[Cid] = set()
        size, wanted = 0, [cid]
        while wanted:
            here = wanted.pop()
            if here in seen:
                continue
            seen.add(here)
            block = await self.block_get(here)
            size += len(block)
            if here.codec == DAG_PB:
                wanted.extend(link.cid for link in decode_node(block).links)
        return DagStat(cid, len(seen), size)

    async def pin(self, cid: Cid) -> None:
        """Pin a DAG that is wholly there."""
        await self.stat(cid)
        await self._call("pin", str(cid))

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin; that there is none is no error."""
        try:
            await self._call("unpin", str(cid))
        except ContentMissing:
            return

    async def pin_ls(self) -> frozenset[Cid]:
        """Return what it says is pinned."""
        told = await self._call("pin_ls")
        return frozenset(self._cid("pin_ls", each) for each in told)

    async def dag_import(self, car: CarSource) -> int:
        """Put each block of a CAR."""
        written = 0
        async with aclosing(read_car(car.open())) as blocks:
            async for cid, block in blocks:
                told = await self.block_put(block, codec=cid.codec)
                if told != cid:
                    raise BackendUnavailable(f"{self.name}: block_put gives {told}, another id than its bytes have: {cid}")
                written += len(block)
        return written

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield a CAR of verified blocks."""
        async for piece in export_dag(cid, self.block_get):
            yield piece

    async def gc(self, order: GcOrder) -> Collected:
        """Refuse."""
        raise BackendUnavailable(f"{self.name}: it has no collection of garbage")

    async def close(self) -> None:
        """Leave it to whoever made it."""

    def _offers(self, name: str) -> bool:
        return callable(getattr(self.given, name, None))

    def _cid(self, operation: str, told: object) -> Cid:
        try:
            return Cid.parse(str(told))
        except (InvalidCid, ContentError) as error:
            raise BackendUnavailable(
                f"{self.name}: {operation} gives what is no CID of ours, {str(told)[:100]!r}: {error}"
            ) from error

    async def _call(self, name: str, *arguments: object, **named: object) -> Any:
        """Return what a method returns; an error of its own becomes BackendUnavailable, or ContentMissing."""
        method: Callable[..., Any] | None = getattr(self.given, name, None)
        if not callable(method):
            raise BackendUnavailable(f"{self.name}: it has no {name}")
        if self._turns is None:
            self._turns = asyncio.Semaphore(_AT_ONCE)
        try:
            async with self._turns:
                return await in_daemon_thread(lambda: method(*arguments, **named), self._timeout)
        except TimeoutError as error:
            raise BackendUnavailable(f"{self.name}: {name}: no answer within {self._timeout:g} s") from error
        except ContentError:
            raise
        except _MISSING as error:
            raise ContentMissing(f"{self.name}: {name} raises {type(error).__name__}: {str(error)[:300]}") from error
        except Exception as error:
            raise BackendUnavailable(f"{self.name}: {name} raises {type(error).__name__}: {str(error)[:300]}") from error
