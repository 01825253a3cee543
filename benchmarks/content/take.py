"""A pod's fetch without the rest of the pod: into a new store, from one peer, what a hub lists.

`python -m benchmarks.content.take REPO ENDPOINT PEER TOKEN_FILE STORE`; fails when the peer did not give all of it.
"""

import asyncio
import sys
from pathlib import Path

from pinion_ipfs.fetching.fetcher import Fetcher, FetchRequest, Progress
from pinion_ipfs.hub.revisions import RepoId, resolve_commit
from pinion_ipfs.peers.offers import Peers, peers_at
from pinion_ipfs.peers.process import ContentPort, ContentProcess
from pinion_ipfs.peers.turns import Sharing
from pinion_ipfs.store import Store


async def take(repo: RepoId, endpoint: str, peer: str, token: Path, home: Path) -> None:
    """Fetch and verify as a new pod does."""
    store, told = Store(home), list[Progress]()
    store.prepare()
    process = ContentProcess(ContentPort(store.hf_home, token, "127.0.0.1", 0, "taker"), lambda path, block: None)
    keeping = asyncio.create_task(process.run())
    fetcher = Fetcher(store, on_progress=told.append, sharing=Sharing(Peers(peers_at([peer]), token, "taker"), process))
    try:
        commit = await resolve_commit(repo, "main", endpoint=endpoint)
        request = FetchRequest(repo, "main", commit, endpoint)
        listing = await fetcher.resolve(request)
        await fetcher.verify(await fetcher.fetch(request, listing))
        if {source.type for source in told[-1].sources} != {"Peer"}:
            sys.exit(f"not all from the peer: {told[-1].sources}")
    finally:
        await fetcher.close()
        keeping.cancel()
        await asyncio.wait({keeping})


if __name__ == "__main__":
    repo, endpoint, peer, token, home = sys.argv[1:]
    asyncio.run(take(RepoId.parse(repo), endpoint, peer, Path(token), Path(home)))
