"""A Kubo through its program `ipfs`, with a daemon or without: for a workstation where no API address is known."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from ..content.cid import RAW, Cid
from ..content.export import export_dag
from ..content.reading import read_file
from ..errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing, MalformedCar, PinFailed
from .base import Capability, CarSource, DagStat, Health, Places
from .collecting import MAX_NAMED, NO_DRY_RUN, Collected, GcOrder
from .http import MAX_BLOCK
from .ipfs_program import IpfsProgram
from .kubo_words import (
    ADD_OPTIONS,
    AS_GOOD_AS_LOST,
    CODECS,
    DIFFERENT,
    DIRECT,
    EMPTY_NODE,
    MAX_FILE,
    NOT_PINNED,
    OVER_DIRECT,
    PIN_NAME,
    PROBE,
    RECURSIVE,
    SLOWEST_IMPORT,
    WALK_SECONDS,
    is_our_pin,
)
from .leaf_batches import LeafBatches

_CALL_SECONDS = 30.0
_MOST_PINS = 64 * 1024 * 1024  # bytes of a list of pins: some 600,000 of them
_STRANGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # InvalidCid is a ValueError
T = TypeVar("T")


class KuboCli:
    """`program` is a path or a name in PATH, `repository` another than the user's own. Reads look into the repository alone."""

    capabilities = frozenset({Capability.READ, Capability.ADD, Capability.WRITE, Capability.PIN, Capability.GC})

    def __init__(
        self, name: str, program: str = "ipfs", *, repository: Path | None = None, timeout: float = _CALL_SECONDS
    ) -> None:
        self.name = name
        self._ipfs = IpfsProgram(name, program, repository, timeout)

    async def version(self) -> str:
        """Return the program's version."""
        return await self._json("version", lambda answer: str(answer["Version"]), offline=False)

    @property
    def places(self) -> Places:
        """Return the repository."""
        return frozenset({("repository", self._ipfs.repository)})

    async def probe(self) -> Health:
        """Add, cat and compare."""
        started = time.monotonic()
        version, checks = "", ["version"]
        try:
            version = await self.version()
            cid = await self.add_bytes(PROBE, pin=False)
            data = b"".join([chunk async for chunk in self.cat(cid)])
            checks += ["add", "cat", "compare"]
            if cid != Cid.of_block(RAW, PROBE) or data != PROBE:
                raise BackendUnavailable(f"{self.name}: wrote {len(PROBE)} bytes, read {cid} with {len(data)} bytes")
        except ContentError as error:
            return Health(self.name, False, time.monotonic() - started, tuple(checks), str(error), version, error)
        return Health(self.name, True, time.monotonic() - started, tuple(checks), "", version)

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a file of one leaf at most (1 MiB); larger content comes as a CAR, so that its layout is ours."""
        if len(data) > MAX_FILE:
            raise ContentError(f"{self.name}: {len(data)} bytes are more than one block: import a CAR")
        options = [f"--{name}={value}" for name, value in ADD_OPTIONS.items()]
        answer = await self._ipfs.call("add", *options, open_input=_once(data))  # a bare CID, whatever --enc says
        try:
            cid = Cid.parse(answer.decode().strip())
        except ValueError as error:
            raise self._strange("add") from error
        if pin:
            await self.pin(cid)
        return cid

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file. No process runs while the caller works on them: it may want the repository."""
        async for block in read_file(cid, LeafBatches(self.block_get, self._leaves).block_get):
            yield block

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block and return its CID."""
        options = (f"--cid-codec={CODECS[codec]}", "--mhtype=sha2-256", "--pin=false")
        cid = await self._json("block put", lambda answer: Cid.parse(str(answer["Key"])), *options, open_input=_once(data))
        if cid != Cid.of_block(codec, data):
            raise BackendUnavailable(f"{self.name}: stored {Cid.of_block(codec, data)} as {cid}")
        return cid

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        try:
            block = await self._ipfs.call("block get", "--", str(cid), most=MAX_BLOCK)
        except BackendUnavailable as error:
            if DIFFERENT in str(error):
                raise self._mismatch(cid, "other bytes") from error
            raise
        actual = await asyncio.to_thread(cid.of_other, block)
        if actual != cid:
            raise self._mismatch(cid, actual)
        return block

    async def has(self, cid: Cid) -> bool:
        """Tell whether a block is in the repository."""
        try:
            await self._ipfs.call("block stat", "--", str(cid))
        except ContentMissing:
            return False
        return True

    async def stat(self, cid: Cid) -> DagStat:
        """Walk the DAG in the repository; raise ContentMissing when a block is not there, or is not what its CID says."""

        if cid.codec == RAW or cid == EMPTY_NODE:  # one block; of an empty one Kubo's walk says `unsupported value: NaN`
            return DagStat(cid, 1, len(await self._present(cid)))

        def read(answer: Any) -> DagStat:
            entry = answer["DagStats"][0]
            return DagStat(Cid.parse(str(entry["Cid"])), int(entry["NumBlocks"]), int(entry["Size"]))

        try:
            return await self._json("dag stat", read, "--progress=false", "--", str(cid), seconds=WALK_SECONDS)
        except BackendUnavailable as error:
            if DIFFERENT in str(error):
                raise ContentMissing(f"{error}: {AS_GOOD_AS_LOST}") from error
            raise

    async def pin(self, cid: Cid) -> None:
        """Pin a DAG recursively, under our name. A recursive pin that is there stays as it is, whoever made it."""
        kind, named = await self._pinned(cid)
        if kind == RECURSIVE:
            return  # to pin it again would put our name in place of another's
        ours = OVER_DIRECT + named if kind == DIRECT else PIN_NAME  # a recursive pin takes the place of a direct one
        await self.stat(cid)  # a daemon would wait without a word for a block that it lacks
        pinned = await self._json(
            "pin add",
            lambda answer: [str(each) for each in answer["Pins"]],
            *("--recursive=true", f"--name={ours}", "--", str(cid)),
            seconds=WALK_SECONDS,
        )
        if str(cid) not in pinned:
            raise PinFailed(f"{self.name}: the answer to the pin of {cid} ended without confirming it")

    async def unpin(self, cid: Cid) -> None:
        """Remove our recursive pin; no error when there is none. One that is not ours stays, and so does a direct one."""
        kind, named = await self._pinned(cid)
        if kind != RECURSIVE or not is_our_pin(named):
            return
        try:
            await self._ipfs.call("pin rm", "--recursive=true", "--", str(cid))
        except BackendUnavailable as error:
            if NOT_PINNED not in str(error):
                raise
        if named.startswith(OVER_DIRECT):
            name = named.removeprefix(OVER_DIRECT)
            await self._ipfs.call("pin add", "--recursive=false", *([f"--name={name}"] if name else []), "--", str(cid))

    async def pin_ls(self) -> frozenset[Cid]:
        """Return the roots of all recursive pins."""
        lines = await self._ipfs.call("pin ls", "--type=recursive", "--stream", "--quiet", most=_MOST_PINS)
        try:
            return frozenset(Cid.parse(str(json.loads(line)["Cid"])) for line in lines.splitlines() if line.strip())
        except _STRANGE as error:
            raise self._strange("pin ls") from error

    async def dag_import(self, car: CarSource) -> int:
        """Stream a CAR in, without pinning; whether it arrived whole is for `stat` to say."""
        sent = 0

        async def counted() -> AsyncGenerator[bytes, None]:
            nonlocal sent
            sent = 0
            async with aclosing(car.open()) as chunks:
                async for chunk in chunks:
                    sent += len(chunk)
                    yield chunk
            if sent != car.size:
                # The program would take a stream that ends between two blocks for a whole one.
                raise MalformedCar(f"import of {car.tree.root}: the stream ended after {sent} of {car.size} bytes")

        limit = 60.0 + car.size / SLOWEST_IMPORT
        await self._ipfs.take_in("dag import", "--pin-roots=false", "--stats", "--silent", open_input=counted, seconds=limit)
        return sent

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the CAR of a DAG, depth first with repeats."""
        async for piece in export_dag(cid, LeafBatches(self.block_get, self._leaves).block_get):
            yield piece

    async def gc(self, order: GcOrder) -> Collected:
        """Have Kubo delete all that is not pinned, when its repository holds more than `high` bytes."""
        if order.dry_run:
            return Collected(self.name, dry_run=True, error=NO_DRY_RUN)
        used = await self._repository_bytes()
        if used <= order.high:
            return Collected(self.name, used)
        lines = (await self._ipfs.call("repo gc", seconds=WALK_SECONDS, most=_MOST_PINS)).splitlines()
        try:
            told = [json.loads(line)["Key"]["/"] for line in lines if line.strip()]
        except _STRANGE as error:
            raise self._strange("repo gc") from error
        freed = max(0, used - await self._repository_bytes())
        return Collected(self.name, used, freed, tuple(map(str, told[:MAX_NAMED])), len(told))

    async def _repository_bytes(self) -> int:
        return await self._json("repo stat", lambda answer: int(answer["RepoSize"]), "--size-only", seconds=WALK_SECONDS)

    async def close(self) -> None:
        """Nothing is open."""

    async def _pinned(self, cid: Cid) -> tuple[str, str]:
        """Return how a CID itself is pinned, 'recursive' or 'direct', and the pin's name; '' and '' when it is not."""

        def read(answer: Any) -> tuple[str, str]:
            (found,) = answer["Keys"].values()
            return str(found["Type"]), str(found.get("Name") or "")

        for kind in (RECURSIVE, DIRECT):
            try:
                return await self._json("pin ls", read, f"--type={kind}", "--names", "--", str(cid))
            except BackendUnavailable as error:
                if NOT_PINNED not in str(error):
                    raise
        return "", ""

    async def _present(self, cid: Cid) -> bytes:
        """Return a block; one that is there and wrong counts as missing, for it can be put again."""
        try:
            return await self.block_get(cid)
        except BlockMismatch as error:
            raise ContentMissing(f"{error}: {AS_GOOD_AS_LOST}") from error

    async def _leaves(self, cids: Sequence[Cid], total: int) -> bytes:
        """Return the bytes of leaves in a row; fewer when the program says that something is wrong with them."""
        try:
            return await self._ipfs.call("cat", "--progress=false", "--", *map(str, cids), most=total)
        except BackendUnavailable:
            return b""

    async def _json(self, command: str, read: Callable[[Any], T], *options: str, **how: Any) -> T:
        """Call a command and return what `read` takes from the last line of its answer."""
        lines = (await self._ipfs.call(command, *options, **how)).strip().splitlines()
        try:
            return read(json.loads(lines[-1]))
        except _STRANGE as error:
            raise self._strange(command) from error

    def _strange(self, command: str) -> BackendUnavailable:
        return BackendUnavailable(f"{self.name}: {command}: an answer that is not Kubo's")

    def _mismatch(self, cid: Cid, actual: object) -> BlockMismatch:
        return BlockMismatch(f"a block in the repository of {self.name}", expected=cid, actual=actual, source=self.name)


def _once(data: bytes) -> Callable[[], AsyncGenerator[bytes, None]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield data

    return stream
