"""One peer's content port: what it has of a revision, single blocks, and ranges of files."""

from collections.abc import AsyncGenerator

from ..backends.http import HttpClient, read_block
from ..content.cid import Cid
from ..content.leaves import CHUNK
from ..errors import BackendUnavailable, ContentError
from .revision import Revision

ASK_SECONDS = 5.0  # for what a peer has of a revision; who says nothing in that time has nothing
_BLOCK_SECONDS = 30.0
_MAX_ANSWER = 16 * 1024


class Peer:
    """A peer at `http://address:port`. Raises BackendUnavailable when it does not answer, ContentMissing for what it lacks."""

    def __init__(self, url: str, *, token: str, ask_seconds: float = ASK_SECONDS, stall_seconds: float = 30.0) -> None:
        self.url = url
        self.name = url.partition("://")[2]
        self._ask_seconds = ask_seconds
        self._http = HttpClient(self.name, url, token=token, stall_seconds=stall_seconds, direct=True)

    async def revision(self, digest: str) -> tuple[str, Revision]:
        """Return the peer's instance, and what it has of a source digest."""
        async with self._http.request("GET", f"/v1/revisions/{digest}", total=self._ask_seconds) as response:
            data = await response.content.read(_MAX_ANSWER)
        try:
            instance, revision = Revision.decode(data)
        except (ValueError, ContentError) as error:
            raise BackendUnavailable(f"{self.name}: {error}") from error
        if revision.digest != digest:
            raise BackendUnavailable(f"{self.name}: asked for {digest}, it speaks of {revision.digest[:80]!r}")
        return instance, revision

    async def block_get(self, cid: Cid) -> bytes:
        """Return one verified block."""
        async with self._http.request("GET", f"/ipfs/{cid}", params={"format": "raw"}, total=_BLOCK_SECONDS) as response:
            return await read_block(response, cid, self.name)

    async def leaves(self, cid: Cid, size: int, first: int) -> AsyncGenerator[bytes, None]:
        """Yield the leaves of a file from number `first` on, not verified; the stream may end early."""
        start = first * CHUNK
        status, headers = (206, {"Range": f"bytes={start}-"}) if start else (200, None)
        async with self._http.request("GET", f"/ipfs/{cid}", headers=headers, status=status) as response:
            buffer = bytearray()
            left = size - start
            async for chunk in response.content.iter_any():
                buffer += chunk
                while len(buffer) >= min(CHUNK, left) > 0:
                    with memoryview(buffer) as view:
                        leaf = bytes(view[: min(CHUNK, left)])
                    del buffer[: len(leaf)]  # bytearray drops a prefix without moving the rest
                    left -= len(leaf)
                    yield leaf

    async def close(self) -> None:
        """Release connections."""
        await self._http.close()
