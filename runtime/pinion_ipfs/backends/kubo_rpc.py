"""A Kubo daemon over its RPC API: it imports our CARs, says what is whole, and pins."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import aiohttp

from ..content.cid import RAW, Cid
from ..content.export import export_dag
from ..content.reading import read_file
from ..errors import (
    BackendBusy,
    BackendUnauthorized,
    BackendUnavailable,
    BlockMismatch,
    ContentError,
    ContentMissing,
    MalformedCar,
    PinFailed,
)
from ..net.addresses import AddressPolicy
from .base import Capability, CarSource, DagStat, Health, Places
from .collecting import MAX_NAMED, NO_DRY_RUN, Collected, GcOrder
from .http import HttpClient, Token, read_block
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
    says_missing,
)

_API = "/api/v0/"
_CALL_SECONDS = 30.0
_NO_ANSWER = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # InvalidCid is a ValueError
_NO_SUCH_API = (404, 405, 410, 501)  # Kubo says none of these, whatever is missing
_NOT_THE_API = "not Kubo's RPC API: is this the address of a gateway? The RPC API has port 5001 by default"


class KuboRpc:
    """`rpc_url` with an optional bearer token. Reads look only into the daemon's own repository."""

    capabilities = frozenset({Capability.READ, Capability.ADD, Capability.WRITE, Capability.PIN, Capability.GC})

    def __init__(
        self,
        name: str,
        rpc_url: str,
        *,
        token: Token = "",
        timeout: float = _CALL_SECONDS,
        policy: AddressPolicy | None = None,
        token_source: str = "",
    ) -> None:
        self.name = name
        self._timeout = timeout
        self._importing = 0
        self._http = HttpClient(name, rpc_url, token=token, policy=policy, token_source=token_source)

    async def version(self) -> str:
        """Return the daemon's version."""
        answer = await self._json("version")
        with self._expecting("version"):
            return str(answer["Version"])

    @property
    def places(self) -> Places:
        """Return the API; which repository is behind it only the daemon knows."""
        return frozenset({("api", self._http.base_url)})

    async def probe(self) -> Health:
        """Add, cat and compare; with a token that may not add, put and get a block instead. `checks` says which."""
        started = time.monotonic()
        version, checks = "", ["version"]
        try:
            version = await self.version()
            checks += await self._round_trip()
        except ContentError as error:
            return Health(self.name, False, time.monotonic() - started, tuple(checks), str(error), version, error)
        return Health(self.name, True, time.monotonic() - started, tuple(checks), "", version)

    async def _round_trip(self) -> list[str]:
        expected = Cid.of_block(RAW, PROBE)
        try:
            cid, checks = await self.add_bytes(PROBE, pin=False), ["add", "cat", "compare"]
            data = b"".join([chunk async for chunk in self.cat(cid)])
        except BackendUnauthorized:
            cid, checks = await self.block_put(PROBE, codec=RAW), ["block/put", "block/get", "compare"]
            data = await self.block_get(cid)
        if cid != expected or data != PROBE:
            raise BackendUnavailable(f"{self.name}: wrote {expected}, read {cid} with {len(data)} bytes")
        return checks

    async def add_bytes(self, data: bytes, *, pin: bool = True) -> Cid:
        """Add a file of one leaf at most (1 MiB); larger content comes as a CAR, so that its layout is ours."""
        if len(data) > MAX_FILE:
            raise ContentError(f"{self.name}: {len(data)} bytes are more than one block: import a CAR")
        answer = await self._json("add", ADD_OPTIONS, data=_form(data))
        with self._expecting("add"):
            cid = Cid.parse(str(answer["Hash"]))
        if pin:
            await self.pin(cid)
        return cid

    async def cat(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the verified bytes of a file, block by block from the daemon's repository."""
        async for block in read_file(cid, self.block_get):
            yield block

    async def block_put(self, data: bytes, *, codec: int) -> Cid:
        """Store one block and return its CID."""
        params = {"cid-codec": CODECS[codec], "mhtype": "sha2-256", "pin": "false"}
        answer = await self._json("block/put", params, data=_form(data))
        with self._expecting("block/put"):
            cid = Cid.parse(str(answer["Key"]))
        if cid != Cid.of_block(codec, data):
            raise BackendUnavailable(f"{self.name}: stored {Cid.of_block(codec, data)} as {cid}")
        return cid

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        try:
            async with self._call("block/get", {"arg": str(cid), "offline": "true"}) as response:
                return await read_block(response, cid, self.name)
        except BackendUnavailable as error:
            if DIFFERENT in str(error):
                what = f"a block in the repository of {self.name}"
                raise BlockMismatch(what, expected=cid, actual="other bytes", source=self.name) from error
            raise self._named(error) from error

    async def has(self, cid: Cid) -> bool:
        """Tell whether a block is in the daemon's repository."""
        try:
            await self._json("block/stat", {"arg": str(cid), "offline": "true"})
        except ContentMissing:
            return False
        return True

    async def stat(self, cid: Cid) -> DagStat:
        """Walk the DAG in the daemon's repository; raise ContentMissing when a block is not there."""
        if cid.codec == RAW or cid == EMPTY_NODE:  # one block; of an empty one Kubo's walk says `unsupported value: NaN`
            return DagStat(cid, 1, len(await self._present(cid)))
        answer = await self._json("dag/stat", {"arg": str(cid), "offline": "true", "progress": "false"}, total=WALK_SECONDS)
        with self._expecting("dag/stat"):
            entry = answer["DagStats"][0]
            return DagStat(Cid.parse(_link(entry["Cid"])), int(entry["NumBlocks"]), int(entry["Size"]))

    async def pin(self, cid: Cid) -> None:
        """Pin a DAG recursively, under our name. A recursive pin that is there stays as it is, whoever made it.

        Only a final `Pins` line is success: a late error comes with HTTP 200. The daemon waits without a word for a block that
        it lacks: a pin that gets no further is left, and the block named.
        """
        kind, named = await self._pinned(cid)
        if kind == RECURSIVE:
            return  # to pin it again would put our name in place of another's
        ours = OVER_DIRECT + named if kind == DIRECT else PIN_NAME  # a recursive pin takes the place of a direct one
        params = {"arg": str(cid), "recursive": "true", "progress": "true", "offline": "true", "timeout": "600s", "name": ours}
        pinned: set[str] = set()
        blocks = 0
        loop = asyncio.get_running_loop()
        try:
            async with (
                asyncio.timeout(self._timeout) as limit,
                self._call("pin/add", params, total=610.0) as response,
            ):
                async for line in response.content:
                    value: dict[str, Any] = json.loads(line)
                    pinned.update(value.get("Pins") or ())
                    if value.get("Progress", 0) > blocks:
                        blocks = value["Progress"]
                        limit.reschedule(loop.time() + self._timeout)
        except BackendUnavailable as error:
            raise self._named(error) from error
        except TimeoutError as error:
            stalled = f"{self.name}: the pin of {cid} got no further than {blocks} blocks for {self._timeout:g} s"
            try:
                await self.stat(cid)
            except ContentMissing as missing:
                raise PinFailed(f"{stalled}: {missing}") from error
            raise PinFailed(stalled) from error
        except _NO_ANSWER as error:
            raise PinFailed(f"{self.name}: pin of {cid}: an answer that is not Kubo's") from error
        if str(cid) not in pinned:
            raise PinFailed(f"{self.name}: the answer to the pin of {cid} ended without confirming it")

    async def unpin(self, cid: Cid) -> None:
        """Remove our recursive pin; no error when there is none. One that is not ours stays, and so does a direct one."""
        kind, named = await self._pinned(cid)
        if kind != RECURSIVE or not is_our_pin(named):
            return
        try:
            await self._json("pin/rm", {"arg": str(cid), "recursive": "true"})
        except BackendUnavailable as error:
            if NOT_PINNED not in str(error):
                raise
        if named.startswith(OVER_DIRECT):
            name = named.removeprefix(OVER_DIRECT)
            await self._json("pin/add", {"arg": str(cid), "recursive": "false", **({"name": name} if name else {})})

    async def _present(self, cid: Cid) -> bytes:
        """Return a block; one that is there and wrong counts as missing, for it can be put again."""
        try:
            return await self.block_get(cid)
        except BlockMismatch as error:
            raise ContentMissing(f"{error}: {AS_GOOD_AS_LOST}") from error

    async def _pinned(self, cid: Cid) -> tuple[str, str]:
        """Return how a CID itself is pinned, 'recursive' or 'direct', and the pin's name; '' and '' when it is not."""
        for kind in (RECURSIVE, DIRECT):
            try:
                answer = await self._json("pin/ls", {"arg": str(cid), "type": kind, "names": "true"})
            except BackendUnavailable as error:
                if NOT_PINNED not in str(error):
                    raise
                continue
            with self._expecting("pin/ls"):
                (found,) = answer["Keys"].values()
                return str(found["Type"]), str(found.get("Name") or "")
        return "", ""

    async def pin_ls(self) -> frozenset[Cid]:
        """Return the roots of all recursive pins."""
        pins = set()
        async with self._call("pin/ls", {"type": "recursive", "stream": "true", "quiet": "true"}) as response:
            with self._expecting("pin/ls"):
                async for line in response.content:
                    pins.add(Cid.parse(str(json.loads(line)["Cid"])))
        return frozenset(pins)

    async def dag_import(self, car: CarSource) -> int:
        """Stream a CAR in, without pinning; whether it arrived whole is for `stat` to say."""
        sent = 0
        fault: ContentError | None = None
        ended = asyncio.Event()

        async def counted() -> AsyncGenerator[bytes, None]:
            nonlocal sent, fault
            try:
                async with aclosing(car.open()) as chunks:
                    async for chunk in chunks:
                        sent += len(chunk)
                        yield chunk
                if sent != car.size:
                    # The daemon would take a stream that ends between two blocks for a whole one.
                    raise MalformedCar(f"import of {car.tree.root}: the stream ended after {sent} of {car.size} bytes")
            except ContentError as error:
                fault = error
                raise
            finally:
                ended.set()

        # A CAR cut at a block boundary hangs the import, and with it every add after a collection: hence our own limit.
        limit = 60.0 + car.size / SLOWEST_IMPORT
        params = {"pin-roots": "false", "stats": "true", "silent": "true"}
        self._importing += 1
        stream = counted()
        try:
            await self._json("dag/import", params, data=_form(stream), total=limit)
        except BackendUnavailable as error:
            if fault is not None:
                raise fault from error
            raise type(error)(f"import of {car.tree.root} after {sent} of {car.size} bytes: {error}") from error
        finally:
            self._importing -= 1
            try:
                await stream.aclose()
            except RuntimeError:
                if ended.is_set():
                    raise
                await ended.wait()  # the request's own task is in the midst of it: it was cancelled, and closes what it read
        return sent

    async def dag_export(self, cid: Cid) -> AsyncIterator[bytes]:
        """Yield the CAR of a DAG block by block: the daemon's own leaves repeats out, which the verifying walk needs."""
        async for piece in export_dag(cid, self.block_get):
            yield piece

    async def gc(self, order: GcOrder) -> Collected:
        """Have the daemon delete all that is not pinned, when its repository holds more than `high` bytes."""
        if order.dry_run:
            return Collected(self.name, dry_run=True, error=NO_DRY_RUN)
        if self._importing:  # an add would wait for the collection, and the collection for the import
            raise BackendBusy(f"{self.name}: {self._importing} import(s) of ours are under way")
        used = await self._repository_bytes()
        if used <= order.high:
            return Collected(self.name, used)
        removed: list[str] = []
        count = 0
        try:
            async with self._call("repo/gc", None, total=WALK_SECONDS) as response:
                with self._expecting("repo/gc"):
                    async for line in response.content:
                        removed += [self._collected(json.loads(line))] if count < MAX_NAMED else []
                        count += 1
        except BackendUnavailable as error:
            raise self._named(error) from error
        freed = max(0, used - await self._repository_bytes())
        return Collected(self.name, used, freed, tuple(removed), count)

    def _collected(self, told: Mapping[str, Any]) -> str:
        if told.get("Error"):
            raise BackendUnavailable(f"{self.name}: repo/gc: {told['Error']}")
        return _link(told["Key"])

    async def _repository_bytes(self) -> int:
        answer = await self._json("repo/stat", {"size-only": "true"}, total=WALK_SECONDS)
        with self._expecting("repo/stat"):
            return int(answer["RepoSize"])

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()

    async def _json(
        self, command: str, params: Mapping[str, str] | None = None, *, data: Any = None, total: float | None = None
    ) -> dict[str, Any]:
        """Call a command and return its last JSON line."""
        last: dict[str, Any] = {}
        try:
            async with self._call(command, params, data=data, total=total) as response:
                async for line in response.content:
                    if line.strip():
                        last = json.loads(line)
        except BackendUnavailable as error:
            raise self._named(error) from error
        except _NO_ANSWER as error:
            raise BackendUnavailable(f"{self.name}: {command}: an answer that is not Kubo's") from error
        return last

    @asynccontextmanager
    async def _call(
        self, command: str, params: Mapping[str, str] | None, *, data: Any = None, total: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Call a command; BackendUnavailable says so when the other side has no such API."""
        try:
            async with self._http.request(
                "POST", _API + command, params=params, data=data, total=total or self._timeout
            ) as response:
                yield response
        except BackendUnavailable as error:
            if error.status not in _NO_SUCH_API:
                raise
            code = f"HTTP {error.status}"
            raise BackendUnavailable(str(error).replace(code, f"{code} ({_NOT_THE_API})", 1)) from error

    @contextmanager
    def _expecting(self, command: str) -> Iterator[None]:
        """Turn what a strange answer causes while it is read into BackendUnavailable."""
        try:
            yield
        except _NO_ANSWER as error:
            raise BackendUnavailable(f"{self.name}: {command}: an answer that is not Kubo's") from error

    def _named(self, error: BackendUnavailable) -> BackendUnavailable:
        """Return ContentMissing when Kubo's message means that, BackendBusy for a timeout beside our import, else the error."""
        text = str(error)
        if "HTTP 500" in text and says_missing(text):
            return ContentMissing(text)
        if "HTTP 500" in text and DIFFERENT in text:
            return ContentMissing(f"{text}: {AS_GOOD_AS_LOST}")
        if self._importing and isinstance(error.__cause__, TimeoutError):
            return BackendBusy(f"{text}, while {self._importing} import(s) of ours are under way")
        return error


def _form(data: bytes | AsyncIterator[bytes]) -> aiohttp.MultipartWriter:
    """Return a body with one file, sent in chunks as it is read."""
    form = aiohttp.MultipartWriter("form-data")
    part = form.append(data, {"Content-Type": "application/octet-stream"})
    part.set_content_disposition("form-data", name="file", filename="file")
    return form


def _link(value: Any) -> str:
    """Return the text of a CID that Kubo writes as a string or as {"/": ...}."""
    return str(value["/"] if isinstance(value, dict) else value)
