"""The blocks of a CAR as a walk asks for them: what comes next in a stream, a repeat that it leaves out, or from elsewhere."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from .car_reader import CarReader
from .car_spool import BlockSpool
from .cid import Cid
from .errors import BlockMismatch, MalformedCar, TruncatedCar, UnsupportedDag

KEPT_BYTES = 16 * 1024 * 1024  # of blocks that came last: a stream may leave their repeats out
BlockGet = Callable[[Cid], Awaitable[bytes]]


async def block_of(cid: Cid, block_get: BlockGet) -> bytes:
    """Return the block that a CID holds in itself, or else what `block_get` gives for it."""
    return await block_get(cid) if cid.inline is None else cid.inline


class WalkedBlocks:
    """Gives verified blocks in the order of a walk, and says in words what keeps a stream from having that order.

    `repeats` gives a block that came before and is left out now; `elsewhere` any: from the first that does not come next on,
    the stream is read no more. With a `spool` the stream is read on, and what comes before its turn is kept there.
    """

    def __init__(
        self,
        reader: CarReader,
        *,
        repeats: BlockGet | None = None,
        elsewhere: BlockGet | None = None,
        spool: BlockSpool | None = None,
    ) -> None:
        self._reader, self._repeats, self._elsewhere, self._spool = reader, repeats, elsewhere, spool
        self._leaves_out = False  # the stream has another order, or leaves repeats out: what came may be wanted again
        self._next: tuple[Cid, bytes] | None = None
        self._ended = self._left_stream = False
        self._seen: set[Cid] = set()
        self._recent: OrderedDict[Cid, bytes] = OrderedDict()
        self._recent_bytes = 0

    async def next(self, cid: Cid, path: str) -> bytes:
        """Return the block that the walk wants, for `path`; raise MalformedCar or TruncatedCar when nobody has it."""
        if self._left_stream:
            return await block_of(cid, lambda cid: self._get_elsewhere(cid, path))
        coming = await self._peek()
        if coming is not None and coming[0] == cid:
            return await self._take(*coming)
        if cid.inline is not None:  # whoever writes a CAR may leave such blocks out
            return cid.inline
        if (block := self._recent.get(cid)) is not None:
            self._recent.move_to_end(cid)
            self._leaves_out = True
            return block
        if self._spool is not None and cid in self._spool:
            return await self._spool.get(cid)
        if self._repeats is not None and cid in self._seen:
            return await self._repeats(cid)
        if self._elsewhere is not None:
            self._left_stream = True
            return await self._get_elsewhere(cid, path)
        if self._spool is not None and cid not in self._seen:
            self._leaves_out = True
            while coming is not None and coming[0] != cid:
                await self._spool.put(*coming)
                self._next = None
                coming = await self._peek()
            if coming is not None:
                return await self._take(*coming)
        raise await self._problem(cid, path or "the root", coming)

    async def _take(self, cid: Cid, block: bytes) -> bytes:
        self._next = None
        self._keep(cid, block)
        if self._spool is not None and self._leaves_out and self._spool.has_room(block):
            await self._spool.put(cid, block)
        return block

    async def finish(self) -> None:
        """Raise MalformedCar when the stream goes on behind the last block of the one DAG that it should have."""
        if (
            not self._left_stream
            and not self._spool
            and len(await self._reader.roots()) < 2
            and (coming := await self._peek()) is not None
        ):
            raise MalformedCar(f"an extra block after the whole DAG: {coming[0]}")

    async def _get_elsewhere(self, cid: Cid, path: str) -> bytes:
        assert self._elsewhere is not None
        try:
            return await self._elsewhere(cid)
        except TruncatedCar as error:
            raise TruncatedCar(f"{path or 'the root'}: {error}") from error

    async def _peek(self) -> tuple[Cid, bytes] | None:
        if self._next is None and not self._ended:
            try:
                self._next = await anext(self._reader, None)
            except BlockMismatch:
                raise
            except (MalformedCar, UnsupportedDag):
                if self._elsewhere is None:
                    raise  # else whoever looks for a block there meets the same, unless it does not matter
            self._ended = self._next is None
        return self._next

    def _keep(self, cid: Cid, block: bytes) -> None:
        self._seen.add(cid)
        if cid in self._recent:
            self._recent.move_to_end(cid)
            return
        self._recent[cid] = block
        self._recent_bytes += len(block)
        while self._recent_bytes > KEPT_BYTES:
            self._recent_bytes -= len(self._recent.popitem(last=False)[1])

    async def _problem(self, cid: Cid, place: str, coming: tuple[Cid, bytes] | None) -> MalformedCar:
        mebibytes = KEPT_BYTES // 1024**2
        if cid in self._seen:
            error = MalformedCar(f"{place}: block {cid} is a repeat that is left out (dups=n), {mebibytes} MiB or more later")
        elif coming is None:
            return TruncatedCar(f"{place}: the stream ends before block {cid}")
        else:
            roots = len(await self._reader.roots())
            why = f"it has {roots} roots, and another one's come first" if roots > 1 else "they are not depth first (order=dfs)"
            error = MalformedCar(f"{place}: expected block {cid}, the stream has {coming[0]}: {why}")
        error.in_another_order = True
        return error
