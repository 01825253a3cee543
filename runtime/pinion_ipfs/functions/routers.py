"""The routers of this process, on its loop: the same backends keep one, its circuits and connections, for the next call."""

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..errors import BackendUnavailable
from ..program.arguments import UsageError
from ..routing.router import Router
from .background import background
from .receipts import tell
from .registry import Wanted
from .threads import in_daemon_thread

CACHE = "IPFS_ROUTER_CACHE"
MAX_KEPT = 16  # routers; beyond it those that were not used for longest are closed
_MAKE_SECONDS, _CLOSE_SECONDS = 60.0, 10.0
_log = logging.getLogger(__name__)
_NO = frozenset({"0", "false", "no", "off"})
_YES = frozenset({"", "1", "true", "yes", "on"})


@dataclass
class _Kept:
    router: Router
    held: tuple[object, ...]
    uses: int = 0


class Routers:
    """All that belongs to one loop; used on it alone."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def lease(self, wanted: Wanted) -> AsyncIterator[Router]:
        """Give a router of these backends, which stays open as long as it is used."""
        most = MAX_KEPT if _keeps() else 0
        kept = await self._get(wanted)
        kept.uses += 1
        try:
            yield kept.router
        finally:
            kept.uses -= 1
            await self._close_unused(most)

    async def close(self) -> None:
        """Close all."""
        while self._kept:
            _, kept = self._kept.popitem()
            await _close(kept.router)

    async def _get(self, wanted: Wanted) -> _Kept:
        async with self._making:
            kept = self._kept.get(wanted.key)
            if kept is None:
                try:
                    backends = await in_daemon_thread(wanted.make, _MAKE_SECONDS)
                except TimeoutError as error:
                    raise BackendUnavailable(f"the backends were not made within {_MAKE_SECONDS:g} s") from error
                kept = self._kept[wanted.key] = _Kept(Router(backends, tell), wanted.held)
            self._kept.move_to_end(wanted.key)
            return kept

    async def _close_unused(self, most: int) -> None:
        for key, kept in list(self._kept.items()):
            if len(self._kept) <= most:
                return
            if not kept.uses and self._kept.get(key) is kept:
                del self._kept[key]
                await _close(kept.router)


async def _close(router: Router) -> None:
    """Close each backend; that one can't be closed concerns no call, least of all one of another backend."""
    for backend in router.backends:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await backend.close()
        except Exception:
            _log.warning("%s: it can't be closed", backend.name, exc_info=True)


_current: tuple[asyncio.AbstractEventLoop, Routers] | None = None


def routers() -> Routers:
    """Return those of the running loop, which is the one in the background."""
    global _current
    loop = asyncio.get_running_loop()
    if _current is None or _current[0] is not loop:
        made = Routers()
        background().at_end(made.close)  # this also keeps those of a parent process from being finalised
        _current = (loop, made)
    return _current[1]


def _keeps() -> bool:
    text = os.environ.get(CACHE, "").strip().lower()
    if text not in _YES | _NO:
        raise UsageError(f"{CACHE}: one of 1, true, yes, on, 0, false, no, off, not {text[:80]!r}")
    return text not in _NO
