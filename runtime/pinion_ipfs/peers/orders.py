"""What the content process is told on its standard input, and what it says on its standard output: JSON, a line each."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

from ..errors import ContentError
from ..store import Store
from .answers import Shared
from .library import WrongOnDisk, read_shelf
from .revision import Revision, State

_log = logging.getLogger(__name__)
_MAX_LINE = 64 * 1024


def encode_order(number: int, digest: str, revision: Revision | None) -> bytes:
    """Return the line that puts a revision in place of what was told of its digest, or forgets it; it is answered by number."""
    value = {"number": number, "digest": digest, "revision": revision.encode("").decode() if revision else None}
    return json.dumps(value).encode() + b"\n"


class Orders:
    """Carries orders out, one after the other, and says when each is in force."""

    def __init__(self, shared: Shared, store: Store, say: Callable[[dict[str, Any]], None]) -> None:
        self._shared, self._store, self._say = shared, store, say
        shared.on_wrong = self._wrong

    async def follow(self) -> None:
        """Carry out what comes on standard input until its end: then whoever started us has gone."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_MAX_LINE)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        try:
            while line := await reader.readline():
                order = json.loads(line)
                revision = Revision.decode(order["revision"].encode())[1] if order["revision"] else None
                await self.put(order["digest"], revision)
                self._say({"done": order["number"]})
        finally:
            transport.close()

    async def put(self, digest: str, revision: Revision | None) -> None:
        """Share a revision from now on, its content when it is complete; without one, share nothing of that digest."""
        shared = self._shared
        if revision is None or revision.state is not State.COMPLETE:
            shared.library.remove(digest)
        elif revision.cid is not None and revision.manifest_cid is not None:
            try:
                shelf = await asyncio.to_thread(read_shelf, self._store, digest, revision.cid, revision.manifest_cid)
            except ContentError as error:
                _log.error("not shared: %s", error)
                revision = None
                shared.library.remove(digest)
            else:
                shared.library.put(digest, shelf)
        if revision is None:
            shared.revisions.pop(digest, None)
        else:
            shared.revisions[digest] = revision

    def _wrong(self, wrong: WrongOnDisk) -> None:
        self._say({"wrong": {"path": wrong.path, "block": wrong.block}})
