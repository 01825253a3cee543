"""The other pods of a deployment: who they are at this moment, and what each has of a revision."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ContentError
from .client import ASK_SECONDS, Peer
from .revision import Revision, State

_log = logging.getLogger(__name__)
_MAX_PEERS = 256
_RESOLVE_SECONDS = 5.0

FindPeers = Callable[[], Awaitable[Sequence[str]]]  # the URLs of content ports; our own may be among them


@dataclass(frozen=True, slots=True)
class Offer:
    """What one peer says."""

    peer: Peer
    instance: str
    revision: Revision


class Peers:
    """Asks everybody at once. Our own answer is told by its instance, whatever address it came from, and left out."""

    def __init__(
        self,
        find: FindPeers,
        token_file: Path,
        instance: str,
        *,
        ask_seconds: float = ASK_SECONDS,
        stall_seconds: float = 30.0,
    ) -> None:
        self._find = find
        self._token_file = token_file
        self._ask_seconds = ask_seconds
        self._stall_seconds = stall_seconds
        self._known: dict[str, Peer] = {}
        self._token = ""
        self._complaint = ""
        self.instance = instance
        self.count = 0  # that answered when they were asked last

    async def ask(self, digest: str) -> list[Offer]:
        """Return what each peer that answers has of a digest, by instance; who has nothing is left out. Never raises."""
        try:
            peers = await self._resolve()
        except (OSError, ValueError) as error:
            self._complain(str(error))
            return []
        answers = await asyncio.gather(*(_ask(peer, digest) for peer in peers))
        offers = {offer.instance: offer for offer in answers if offer is not None and offer.instance != self.instance}
        self.count = len(offers)
        return [offers[instance] for instance in sorted(offers)]

    async def close(self) -> None:
        """Release connections."""
        for peer in self._known.values():
            await peer.close()

    async def _resolve(self) -> list[Peer]:
        token = (await asyncio.to_thread(self._token_file.read_text)).strip()
        if token != self._token:
            await self.close()
            self._known, self._token = {}, token
        urls = list(dict.fromkeys(await self._find()))[:_MAX_PEERS]
        for url in self._known.keys() - set(urls):
            await self._known.pop(url).close()
        for url in urls:
            if url not in self._known:
                self._known[url] = Peer(url, token=token, ask_seconds=self._ask_seconds, stall_seconds=self._stall_seconds)
        return [self._known[url] for url in urls]

    def _complain(self, what: str) -> None:
        if what != self._complaint:
            self._complaint = what
            _log.warning("no peers are asked: %s", what)


async def _ask(peer: Peer, digest: str) -> Offer | None:
    try:
        instance, revision = await peer.revision(digest)
    except ContentError:
        return None
    return Offer(peer, instance, revision)


def complete(offers: Sequence[Offer]) -> list[Offer]:
    """Return the offers of those that have all of it."""
    return [offer for offer in offers if offer.revision.state is State.COMPLETE]


def peers_at(urls: Sequence[str]) -> FindPeers:
    """Return how to find peers whose addresses are known."""

    async def find() -> Sequence[str]:
        return urls

    return find


def peers_of(host: str, port: int) -> FindPeers:
    """Return how to find every address that a name has at the moment of asking: that of a headless Service."""

    async def find() -> Sequence[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise OSError(f"{host}: no answer from the name service in {_RESOLVE_SECONDS:g} s") from None
        except socket.gaierror as error:
            raise OSError(f"{host}: {error.strerror}") from None
        addresses = sorted({str(info[4][0]) for info in found})
        return [f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}" for address in addresses]

    return find
