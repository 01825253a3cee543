"""The content port of a pod, and the peers it asks: a process of its own, and what both sides are told."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pinion_contract.config import RuntimeConfig
from pinion_ipfs.findings import Finding
from pinion_ipfs.peers.offers import FindPeers, Peers, peers_at, peers_of
from pinion_ipfs.peers.process import ContentPort, ContentProcess
from pinion_ipfs.peers.turns import Sharing
from pinion_ipfs.store import Store

from ..settings import Settings

_log = logging.getLogger(__name__)
_LISTEN_SECONDS = 20.0


class Peering:
    """The content process of this pod and its peers."""

    def __init__(self, process: ContentProcess, sharing: Sharing) -> None:
        self.sharing = sharing
        self._process = process
        self._keeping: asyncio.Task[None] | None = None

    @classmethod
    def of(
        cls,
        config: RuntimeConfig,
        settings: Settings,
        store: Store,
        on_finding: Callable[[Finding], None],
        *,
        stall_seconds: float,
    ) -> Self | None:
        """Return what the configuration or the flags ask for; None when there are no peers, or no token to share with them."""
        find: FindPeers
        if config.peers is not None:
            token_file, find = Path(config.peers.token_file), peers_of(config.peers.host, config.peers.port)
        elif settings.peer_token_file is not None:
            token_file, find = settings.peer_token_file, peers_at(settings.peers)
        else:
            return None
        if not token_file.is_file():
            _log.warning("no content port, and no peers are asked: there is no token in %s", token_file)
            return None
        instance = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        where = ContentPort(store.hf_home, token_file, settings.host, settings.content_port, instance, store.cache_dir)

        def wrong(path: str, block: int) -> None:
            message = f"{path}, block {block}: found wrong on disk when a peer asked for it"
            on_finding(Finding("Store", "store", path, block, message))

        process = ContentProcess(where, wrong)
        peers = Peers(find, token_file, instance, stall_seconds=stall_seconds)
        return cls(process, Sharing(peers, process, stall_seconds=stall_seconds))

    def start(self) -> None:
        """Open the content port, and keep it open; a port that can't be opened is tried again and told in the log."""
        self._keeping = asyncio.create_task(self._process.run())

    async def ready(self) -> None:
        """Wait until peers can see what we say; not for ever: a port that can't be opened is no reason to serve nothing."""
        if not await self._process.listening(_LISTEN_SECONDS):
            _log.warning("the content port does not listen after %g s; peers don't see this pod", _LISTEN_SECONDS)

    async def close(self) -> None:
        """Close it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
