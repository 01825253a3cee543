"""`ipfs_kit_py` as a backend, by its documented API, in a child process: it may hang, crash or lie, and nothing is believed."""

import asyncio
import base64
import importlib.util
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..content.cid import RAW, Cid
from ..content.export import export_dag
from ..content.reading import read_file
from ..errors import BackendUnavailable, BlockMismatch, ContentError, ContentMissing, InvalidCid, PinFailed
from .base import Capability, CarSource, DagStat, Health
from .collecting import Collected, GcOrder
from .json_child import ChildFailed, JsonChild

PACKAGE = "ipfs_kit_py"
CACHE = "IPFS_KIT_CACHE_DIR"
_CALL_SECONDS = 30.0
_MAX_FILE = 1024 * 1024  # bytes: one leaf
_MAX_BLOCK = 2 * 1024 * 1024
_PROBE_BYTES = 64
_NOT_PASSED_ON = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "KUBO_API_TOKEN"})  # it needs none of them
_FILES_ALONE = "its documented API gives and takes files, and no nodes of directories or of larger files"


class KitState(StrEnum):
    """What a probe finds."""

    NOT_INSTALLED = "NotInstalled"
    BROKEN = "Broken"
    USABLE = "Usable"


class IpfsKit:
    """Files of one leaf (1 MiB): read, added, pinned. `paths` are folders with packages beside those that are installed.

    `cache_dir` is where it caches, by the variable that its pages name for that; None leaves it to the package.
    The package says of a pin neither whose it is nor what it is called: `unpin` takes back what this object has pinned.
    """

    capabilities = frozenset({Capability.READ, Capability.ADD, Capability.PIN})

    def __init__(
        self,
        name: str = "ipfs_kit",
        *,
        paths: Sequence[Path] = (),
        timeout: float = _CALL_SECONDS,
        cache_dir: Path | None = None,
    ) -> None:
        self.name = name
        self._timeout = timeout
        self._paths = tuple(paths)
        self._ours: set[Cid] = set()
        before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        environment.pop(CACHE, None)
        if cache_dir is not None:
            environment[CACHE] = str(cache_dir)
        environment["PYTHONPATH"] = os.pathsep.join([*map(str, self._paths), *before])
        self._child = JsonChild((sys.executable, "-m", "pinion_ipfs.backends.ipfs_kit_child"), environment)
        self.state: KitState | None = None  # as last probed
        self._reason = ""
        self._probing: tuple[asyncio.AbstractEventLoop | None, asyncio.Lock] = (None, asyncio.Lock())

    @property
    def installed(self) -> bool:
        """Tell whether there is such a package, without importing it."""
        return any((path / PACKAGE).is_dir() for path in self._paths) or importlib.util.find_spec(PACKAGE) is not None

    async def probe(self) -> Health:
        """Add random bytes, read them back and compare; ask for others that nobody has added."""
        async with self._probe_at_a_time():
            return await self._probe()

    async def _probe(self) -> Health:
        started = time.monotonic()
        version, checks = "", []
        try:
            version = str(await self._ask("version"))
            checks = ["version"]
            data = secrets.token_bytes(_PROBE_BYTES)
            cid = await self._add(data)
            checks.append("add")
            await self._get(cid)
            checks += ["cat", "compare"]
            await self._refuses_the_unknown()
            checks.append("nothing for what nobody has added")
        except ContentError as error:
            self.state = KitState.BROKEN if self.installed else KitState.NOT_INSTALLED
            self._reason = f"{self.state}: {error}"
            return Health(self.name, False, time.monotonic() - started, tuple(checks), self._reason, version, error)
        self.state, self._reason = KitState.USABLE, ""
        return Health(self.name, True, time.monotonic() - started, tuple(checks), "", version)

    async def _refuses_the_unknown(self) -> None:
        unknown = Cid.of_block(RAW, secrets.token_bytes(_PROBE_BYTES))
        try:
            await self._get(unknown)
        except BlockMismatch as error:
            raise BackendUnavailable(f"{self.name}: content that is made up: {error}") from error
        except BackendUnavailable:
            return

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a file of one leaf at most (1 MiB)."""
        if len(data) > _MAX_FILE:
            raise ContentError(f"{self.name}: {len(data)} bytes are more than one block: {_FILES_ALONE}")
        await self._check_usable()
        cid = await self._add(data)
        if pin:
            await self.pin(cid)
        return cid

    async def _add(self, data: bytes) -> Cid:
        expected = Cid.of_block(RAW, data)
        told = str(await self._ask("add", data=base64.b64encode(data).decode()))
        try:
            cid = Cid.parse(told)
        except InvalidCid as error:
            raise BackendUnavailable(f"{self.name}: add gives a made-up id, {told[:100]!r}, for {expected}") from error
        if cid != expected:
            raise BackendUnavailable(f"{self.name}: add gives {told[:100]}, another id than its bytes have: {expected}")
        return cid

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file of one leaf."""
        async for block in read_file(cid, self.block_get):
            yield block

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store a leaf; a node is refused."""
        if codec != RAW:
            raise ContentMissing(f"{self.name}: {_FILES_ALONE}")
        return await self.add_bytes(data, pin=False)

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified leaf."""
        if cid.codec != RAW:
            raise ContentMissing(f"{self.name}: {cid}: {_FILES_ALONE}")
        await self._check_usable()
        return await self._get(cid)

    async def _get(self, cid: Cid) -> bytes:
        told = await self._ask("get", missing=True, cid=str(cid), most=_MAX_BLOCK)
        if told is None:
            raise ContentMissing(f"{self.name}: it has no {cid}")
        try:
            data = base64.b64decode(str(told), validate=True)
        except ValueError as error:
            raise BackendUnavailable(f"{self.name}: get: an answer that can't be read") from error
        actual = Cid.of_block(RAW, data)
        if actual != cid:
            raise BlockMismatch(f"a file of {self.name}", expected=cid, actual=actual, source=self.name)
        return data

    async def has(self, cid: Cid) -> bool:
        """Tell whether a leaf is there."""
        try:
            await self.block_get(cid)  # what `exists` says is not checked by anything
        except ContentMissing:
            return False
        return True

    async def stat(self, cid: Cid) -> DagStat:
        """Return the size of a leaf."""
        return DagStat(cid, 1, len(await self.block_get(cid)))

    async def pin(self, cid: Cid) -> None:
        """Pin a leaf that is there, and look whether it is pinned then."""
        if cid in await self.pin_ls():
            return
        await self.block_get(cid)
        await self._ask("pin", cid=str(cid))
        if cid not in await self.pin_ls():
            raise PinFailed(f"{self.name}: it says that {cid} is pinned, and does not list it")
        self._ours.add(cid)

    async def unpin(self, cid: Cid) -> None:
        """Give up a pin that this object made; one of somebody else stays."""
        if cid in self._ours:
            await self._ask("unpin", cid=str(cid))
            self._ours.discard(cid)

    async def pin_ls(self) -> frozenset[Cid]:
        """Return the roots of all recursive pins."""
        await self._check_usable()
        told = await self._ask("pins")
        try:
            return frozenset(Cid.parse(str(each)) for each in told)
        except (InvalidCid, TypeError) as error:
            raise BackendUnavailable(f"{self.name}: list_pins gives what is no CID: {error}") from error

    async def dag_import(self, car: CarSource) -> int:
        """Refuse."""
        raise BackendUnavailable(f"{self.name}: import of {car.tree.root}: {_FILES_ALONE}")

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the CAR of a leaf."""
        async for piece in export_dag(cid, self.block_get):
            yield piece

    async def gc(self, order: GcOrder) -> Collected:
        """Refuse."""
        raise BackendUnavailable(f"{self.name}: its documented API has no collection of garbage")

    async def close(self) -> None:
        """End the child."""
        await self._child.close()

    def _probe_at_a_time(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._probing[0] is not loop:  # in a child that was forked nobody would give back the parent's
            self._probing = (loop, asyncio.Lock())
        return self._probing[1]

    async def _check_usable(self) -> None:
        """Raise BackendUnavailable with what the probe found; the first operation makes one, and later ones believe it."""
        async with self._probe_at_a_time():
            if self.state is None:
                await self._probe()
        if self.state is not KitState.USABLE:
            raise BackendUnavailable(f"{self.name}: not usable: {self._reason}")

    async def _ask(self, do: str, *, missing: bool = False, **request: Any) -> Any:
        """Return the result; raise BackendUnavailable, or with `missing` ContentMissing for an error of the package's own."""
        if not self.installed:
            raise BackendUnavailable(f"{self.name}: there is no package {PACKAGE}")
        try:
            answer = await self._child.ask({"do": do, **request}, seconds=self._timeout)
        except TimeoutError as error:
            raise BackendUnavailable(f"{self.name}: {do}: no answer within {self._timeout:g} s") from error
        except (ChildFailed, OSError) as error:
            raise BackendUnavailable(f"{self.name}: {do}: {error}") from error
        if "result" in answer:
            return answer["result"]
        told = f"{answer.get('error')}: {answer.get('message')}"
        if not answer.get("imported"):
            raise BackendUnavailable(f"{self.name}: importing and opening {PACKAGE} raises {told}")
        kind = ContentMissing if missing else BackendUnavailable
        raise kind(f"{self.name}: {do} raises {told}")
