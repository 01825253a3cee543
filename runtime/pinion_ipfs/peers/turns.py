"""One pod at a time opens the origin, the others wait for what it brings: turns are taken as at a bakery's counter.

Each pod says that it is choosing, looks at everybody's turn, takes the next one, and goes when nobody who is choosing or has a
smaller turn (at the same turn: a smaller name) is before it. Whoever says so before it looks is seen by everybody who looks
later, so two that see each other never go at once. A pod that dies is no longer seen; one that hangs is passed by.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..content.cid import Cid
from .offers import Offer, Peers, complete
from .process import ContentProcess
from .revision import Revision, State

_LOOK_SECONDS = 0.25  # between two looks at few peers
_LOOK_SECONDS_EACH = 0.02  # more with many: their content servers answer everybody


class Sharing:
    """What this pod says to its peers of one revision at a time, and what it hears."""

    def __init__(self, peers: Peers, process: ContentProcess, *, stall_seconds: float = 60.0) -> None:
        self._peers, self._process = peers, process
        self._stall_seconds = stall_seconds
        self._said: Revision | None = None
        self._noted_at = 0.0

    async def offers(self, digest: str, root: Cid | None) -> list[Offer]:
        """Return the peers that have all of it; with a known root, all of that one. In random order: all serve alike."""
        found = _wanted(await self._peers.ask(digest), root)
        random.shuffle(found)
        return found

    async def take_turn(self, digest: str, root: Cid | None, banned: set[str]) -> list[Offer]:
        """Wait until a peer has all of it, and return those that do; return nothing when it is our turn to open the origin.

        `banned` are the names of peers from which nothing more is taken.
        """
        await self._say(Revision(digest, State.WAITING))
        seen = await self._peers.ask(digest)
        turn = 1 + max((offer.revision.turn for offer in seen), default=0)
        await self._say(Revision(digest, State.WAITING, turn))
        queue = Queue(turn, self._peers.instance, self._stall_seconds)
        while True:
            seen = [offer for offer in await self._peers.ask(digest) if offer.peer.name not in banned]
            if found := _wanted(seen, root):
                await self._say(Revision(digest, State.WAITING, turn))
                random.shuffle(found)
                return found
            if queue.is_our_turn(seen):
                await self._say(Revision(digest, State.FETCHING, turn))
                return []
            pause = max(_LOOK_SECONDS, _LOOK_SECONDS_EACH * self._peers.count)
            await asyncio.sleep(random.uniform(0.5, 1) * pause)

    def progressed(self, count: int) -> None:
        """Show those who wait that bytes still come."""
        said, now = self._said, time.monotonic()
        if said is not None and said.state is State.FETCHING and count > said.received and now - self._noted_at > 0.5:
            self._noted_at = now
            self._said = replace(said, received=count)
            self._process.note(self._said)

    async def completed(self, digest: str, cid: Cid, manifest_cid: Cid) -> None:
        """Offer what has been verified."""
        await self._say(Revision(digest, State.COMPLETE, cid=cid, manifest_cid=manifest_cid))

    async def withdraw(self) -> None:
        """Offer nothing and wait for nothing: the fetch has failed, or what was offered is no longer right."""
        if self._said is not None:
            digest, self._said = self._said.digest, None
            await self._process.put(digest, None)

    async def close(self) -> None:
        """Release connections."""
        await self._peers.close()

    async def _say(self, revision: Revision) -> None:
        if revision != self._said:
            self._said = revision
            await self._process.put(revision.digest, revision)


class Queue:
    """Who is before us, and whether anything moves there."""

    def __init__(self, turn: int, instance: str, stall_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ours = turn, instance
        self._stall_seconds, self._clock = stall_seconds, clock
        self._seen: frozenset[tuple[str, str, int]] = frozenset()
        self._moved_at = clock()

    def is_our_turn(self, offers: Sequence[Offer]) -> bool:
        """Tell whether nobody is before us, or those who are have shown no progress for too long: longer the more there are."""
        before = [offer for offer in offers if (offer.revision.turn, offer.instance) < self._ours]
        before = [offer for offer in before if offer.revision.state is not State.COMPLETE]
        seen = frozenset((offer.instance, offer.revision.state.value, offer.revision.received) for offer in before)
        now = self._clock()
        if seen != self._seen:
            self._seen, self._moved_at = seen, now
        return now - self._moved_at > self._stall_seconds * len(before) if before else True


def _wanted(offers: Sequence[Offer], root: Cid | None) -> list[Offer]:
    return [offer for offer in complete(offers) if root is None or offer.revision.cid == root]
