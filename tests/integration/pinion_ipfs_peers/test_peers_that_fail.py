"""Peers that die, hang, lie or don't let us in: the fetch goes on without them, and asks the origin no more than it must."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from pinion_ipfs.content.cid import Cid
from pinion_ipfs.peers.files import PeerFiles
from pinion_ipfs.peers.offers import Offer, Peers, peers_at
from pinion_ipfs.peers.process import ContentPort, ContentProcess
from pinion_ipfs.peers.revision import Revision, State
from tests.support.content_pods import ASK_SECONDS, ContentPod, Deployment, deployment
from tests.support.fetching import make_request
from tests.support.hub import Hub

MIB = 1024 * 1024
PATIENCE = 60.0


async def offers_of(pods: Deployment, digest: str) -> list[Offer]:
    """Return what everybody says, by instance."""
    peers = Peers(peers_at(pods.urls), pods.token_file, "the test", ask_seconds=ASK_SECONDS)
    try:
        return await peers.ask(digest)
    finally:
        await peers.close()


async def test_when_the_one_at_the_origin_dies_the_next_in_turn_goes_on(slow_hub: Hub, tmp_path: Path) -> None:
    size = 6 * MIB
    slow_hub.add_repo("dying/leader", {"model.safetensors": os.urandom(size)})
    slow_hub.order("dying/leader", {"kind": "stall", "on": "GET model.safetensors", "times": 1})  # the first one stays
    async with deployment(tmp_path) as pods:
        started = await pods.start(3)
        request = await make_request(slow_hub, "dying/leader")
        digest = (await started[0].fetcher.resolve(request)).source_digest
        tasks = {pod: asyncio.create_task(pod.run(request)) for pod in started}
        leader = await who_fetches(pods, digest, started)
        tasks[leader].cancel()
        await leader.close()
        others = [pod for pod in started if pod is not leader]
        async with asyncio.timeout(PATIENCE):
            snapshots = await asyncio.gather(*(tasks[pod] for pod in others))
        assert len({snapshot.cid for snapshot in snapshots}) == 1
        assert sorted(tuple(pod.sources) for pod in others) == [("Origin",), ("Peer",)]
        assert slow_hub.repo_stats("dying/leader")["gets_by_path"] == {"model.safetensors": 2}


async def who_fetches(pods: Deployment, digest: str, started: list[ContentPod]) -> ContentPod:
    """Wait until one pod has the origin open and bytes have come, and return it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for offer in await offers_of(pods, digest):
                if offer.revision.state is State.FETCHING and offer.revision.received > 0:
                    return next(pod for pod in started if pod.url == offer.peer.url)
            await asyncio.sleep(0.05)


async def test_one_that_hangs_at_the_origin_is_passed_by(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("hanging/leader", {"model.safetensors": os.urandom(MIB)})
    async with deployment(tmp_path, stall_seconds=1.0) as pods:
        (pod,) = await pods.start()
        request = await make_request(hub, "hanging/leader")
        digest = (await pod.fetcher.resolve(request)).source_digest
        hanging = ContentProcess(ContentPort(tmp_path / "hanging", pods.token_file, "127.0.0.1", 0, "a-hanging-pod"))
        keeping = asyncio.create_task(hanging.run())
        assert await hanging.listening()
        await hanging.put(digest, Revision(digest, State.FETCHING, turn=1, received=5))
        assert hanging.address is not None
        pods.urls.append("http://{}:{}".format(*hanging.address))
        async with asyncio.timeout(PATIENCE):
            await pod.run(request)
        assert pod.sources == {"Origin"}
        keeping.cancel()
        await asyncio.wait({keeping})


async def test_a_wrong_leaf_is_taken_from_the_next_peer_and_the_rest_as_well(hub: Hub, tmp_path: Path) -> None:
    data = os.urandom(5 * MIB + 11)
    hub.add_repo("two/peers", {"model.safetensors": data})
    async with deployment(tmp_path) as pods:
        bad, good, new = await pods.start(3)
        request = await make_request(hub, "two/peers")
        snapshot = await bad.run(request)
        await good.run(request)
        with snapshot.files["model.safetensors"].open("r+b") as stream:
            stream.seek(3 * MIB + 5)
            stream.write(bytes([data[3 * MIB + 5] ^ 1]))
        listing = await new.fetcher.resolve(request)
        offers = sorted(await offers_of(pods, listing.source_digest), key=lambda offer: offer.peer.url != bad.url)
        given: dict[str, int] = {}
        wrong: list[tuple[str, Exception]] = []
        files = PeerFiles(
            new.store,
            request.repo,
            listing,
            lambda name, count: given.update({name: given.get(name, 0) + count}),
            lambda error, name: wrong.append((name, error)),
        )
        name = await files.bring(offers, list(listing.files))
        assert name == offers[1].peer.name
        assert given == {offers[0].peer.name: 3 * MIB, offers[1].peer.name: 2 * MIB + 11}
        ((source, error),) = wrong
        assert (source, files.banned) == (offers[0].peer.name, {offers[0].peer.name})
        assert (getattr(error, "path", ""), getattr(error, "block", None)) == ("model.safetensors", 3)
        assert new.store.blob(request.repo, listing.files[0]).read_bytes() == data
        assert not list(new.store.staging.rglob("*.partial"))
        for offer in offers:
            await offer.peer.close()


@pytest.mark.parametrize("lie", ["other root", "no such manifest"])
async def test_who_offers_what_it_does_not_have_gives_nothing(hub: Hub, tmp_path: Path, lie: str) -> None:
    repo = f"lying/{lie.replace(' ', '-')}"
    hub.add_repo(repo, {"model.safetensors": os.urandom(MIB + 1)})
    hub.add_repo("lying/other", {"model.safetensors": b"something else"})
    async with deployment(tmp_path) as pods:
        liar, new = await pods.start(2)
        request = await make_request(hub, repo)
        digest = (await new.fetcher.resolve(request)).source_digest
        other = await liar.run(await make_request(hub, "lying/other"))
        manifest = other.manifest_cid if lie == "other root" else Cid.of_block(0x55, b"no such manifest")
        # It says so to whoever asks, as a pod with another program might.
        await liar.process.put(digest, Revision(digest, State.COMPLETE, cid=other.cid, manifest_cid=manifest))
        snapshot = await new.run(request)
        assert new.sources == {"Origin"}
        assert snapshot.cid != other.cid


async def test_without_the_right_token_there_are_no_peers(hub: Hub, tmp_path: Path) -> None:
    hub.add_repo("no/token", {"model.safetensors": os.urandom(MIB)})
    async with deployment(tmp_path / "ours") as ours, deployment(tmp_path / "theirs") as theirs:
        (tmp_path / "ours").mkdir()
        (tmp_path / "theirs").mkdir()
        (first,) = await ours.start()
        request = await make_request(hub, "no/token")
        await first.run(request)
        (stranger,) = await theirs.start()
        theirs.urls.append(first.url)
        await stranger.run(request)
        assert stranger.sources == {"Origin"}


async def test_a_content_server_that_hangs_is_replaced_by_one_that_offers_the_same(hub: Hub, tmp_path: Path) -> None:
    """It still accepts connections, for the kernel does that; only an answer shows that somebody is there."""
    hub.add_repo("hanging/server", {"model.safetensors": os.urandom(MIB)})
    async with deployment(tmp_path, hang_seconds=5) as pods:  # one that is only held up is left alone
        (pod,) = await pods.start()
        await pod.run(await make_request(hub, "hanging/server"))
        stopped = pod.process.pid
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)
        digest = (await pod.fetcher.resolve(await make_request(hub, "hanging/server"))).source_digest
        async with asyncio.timeout(PATIENCE):
            revision = await offered_again(pods, pod, digest)
        assert revision.state is State.COMPLETE
    with pytest.raises(ProcessLookupError):  # what was stopped is gone
        os.kill(stopped, 0)


async def offered_again(pods: Deployment, pod: ContentPod, digest: str) -> Revision:
    """Wait until another content process listens and has been told what the one before was told."""
    while True:
        if pod.process.restarts and await pod.process.listening():
            pods.urls = [pod.url]
            for offer in await offers_of(pods, digest):
                return offer.revision
        await asyncio.sleep(0.05)
