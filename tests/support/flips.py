"""Rounds of one flipped bit at a random place, in a random keeper of a model: each must be found, named and made up for."""

import base64
import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pinion_ipfs.backends.base import Backend
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.content.cid import RAW, Cid
from pinion_ipfs.errors import StoreCorrupted
from pinion_ipfs.fetching.fetcher import FetchRequest, Snapshot
from pinion_ipfs.findings import Finding
from tests.support.content_pods import ContentPod, Deployment, deployment
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.kubo import Kubo

MIB = 1024 * 1024
KEEPERS = ("store", "peer", "kubo", "mirror")
REPO = "flipped/bits"


@dataclass(frozen=True)
class Place:
    """Where a bit is flipped: byte `offset` of a file."""

    path: str
    offset: int

    @property
    def block(self) -> int:
        """Return the index of the leaf."""
        return self.offset // MIB


@dataclass
class Report:
    """What became of the rounds."""

    seed: int
    lines: list[str] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


async def run_rounds(count: int, seed: int, hub: Hub, kubo: Kubo, folder: Path) -> Report:
    """Flip `count` bits, one after the other, each keeper in its turn; return what happened."""
    async with deployment(folder) as pods:
        rounds = _Rounds(random.Random(seed), hub, kubo, pods)
        await rounds.prepare()
        report = Report(seed)
        for number in range(count):
            keeper = KEEPERS[number % len(KEEPERS)]
            place = rounds.place()
            problem = await rounds.play(keeper, place)
            line = f"round {number}: {keeper}, {place.path} block {place.block}, byte {place.offset}: {problem or 'found'}"
            report.lines.append(line)
            if problem:
                report.missed.append(line)
            else:
                report.found[keeper] += 1
        return report


class _Rounds:
    """A model, a good pod that has it, a Kubo that has it, and a mirror."""

    def __init__(self, chance: random.Random, hub: Hub, kubo: Kubo, pods: Deployment) -> None:
        self._chance, self._hub, self._kubo, self._pods = chance, hub, kubo, pods
        self._files = {"model.safetensors": os.urandom(3 * MIB + 77_777), "other/part.bin": os.urandom(2 * MIB)}
        self._files |= {"config.json": b'{"model_type": "none"}', "tokenizer.json": os.urandom(200_000)}
        self._number = 0
        self._first: ContentPod
        self._snapshot: Snapshot
        self._unknown: FetchRequest
        self._known: FetchRequest

    async def prepare(self) -> None:
        """Bring the model to the first pod and to Kubo."""
        self._hub.add_repo(REPO, self._files)
        (self._first,) = await self._pods.start(1, self._backends())
        self._unknown = await make_request(self._hub, REPO)
        self._snapshot = await self._first.run(self._unknown)
        await self._first.fetcher.pin(self._snapshot)
        self._known = await make_request(self._hub, REPO, cid=self._snapshot.cid, manifest_cid=self._snapshot.manifest_cid)

    def place(self) -> Place:
        """Return a random byte; large files are no likelier than small ones."""
        path = self._chance.choice(sorted(self._files))
        return Place(path, self._chance.randrange(len(self._files[path])))

    async def play(self, keeper: str, place: Place) -> str:
        """Flip a bit there, fetch as a new pod, put it right again; return what went wrong, '' when nothing did."""
        self._number += 1
        home = self._pods.folder / f"round-{self._number}"
        try:
            match keeper:
                case "store":
                    told = await self._in_the_store(home, place)
                case "peer":
                    told = await self._at_the_peer(place)
                case "kubo":
                    told = await self._in_kubo(home, place)
                case _:
                    told = await self._at_the_mirror(home, place)
        finally:
            shutil.rmtree(home, ignore_errors=True)
        named = [(finding.source_type, finding.source, finding.path, finding.block) for finding in told.findings]
        if (told.source_type, told.source, place.path, place.block) not in named:
            return f"not named: {told.findings}"
        return told.problem

    async def _in_the_store(self, home: Path, place: Place) -> "_Told":
        """On a pod's disk before it loads: its verification finds it, and Kubo has the block."""
        one = make_fetching(home, self._backends())
        snapshot = await one.run(self._known)
        _flip(snapshot.files[place.path], place.offset)
        problem = "verification passed"
        try:
            await one.fetcher.verify(snapshot)
        except StoreCorrupted:
            problem = self._compare(await one.run(self._known))
        await one.fetcher.close()
        return _Told("Store", "store", one.findings, problem)

    async def _at_the_peer(self, place: Place) -> "_Told":
        """On the disk of the peer that is asked; Kubo has the block."""
        (pod,) = await self._pods.start(1, self._backends())
        blob = self._snapshot.files[place.path]
        _flip(blob, place.offset)
        try:
            problem = self._compare(await pod.run(self._known))
        finally:
            _flip(blob, place.offset)
            self._pods.urls.remove(pod.url)
            self._pods.pods.remove(pod)
            await pod.close()
            shutil.rmtree(pod.store.hf_home)
        return _Told("Peer", self._first.url.partition("://")[2], pod.findings, problem)

    async def _in_kubo(self, home: Path, place: Place) -> "_Told":
        """In Kubo's own files; the mirror has the rest, and pinning again puts Kubo right."""
        _flip(self._block_file(place), place.offset % MIB)
        one = make_fetching(home, self._backends())
        snapshot = await one.run(self._known)
        problem = self._compare(snapshot)
        await one.fetcher.pin(snapshot)
        await one.fetcher.close()
        block = self._block_file(place).read_bytes()
        if block != self._files[place.path][place.block * MIB : (place.block + 1) * MIB]:
            problem = problem or "Kubo still has the wrong block after it was pinned again"
        return _Told("Backend", "kubo", one.findings, problem)

    async def _at_the_mirror(self, home: Path, place: Place) -> "_Told":
        """In one answer of the mirror, of the right length; the next answer is right."""
        at = (place.offset + 0.5) / len(self._files[place.path])
        # The mirror counts the times of equal orders together, and this one may have been there before.
        apart = {"round": str(self._number)}
        self._hub.order(REPO, {"kind": "flip", "on": f"GET {place.path}", "times": 1, "at": at, "set": apart})
        one = make_fetching(home)
        problem = self._compare(await one.run(self._unknown))
        self._hub.configure(REPO)
        await one.fetcher.close()
        return _Told("Origin", self._hub.endpoint, one.findings, problem)

    def _compare(self, snapshot: Snapshot) -> str:
        wrong = [path for path, data in self._files.items() if (snapshot.path / path).read_bytes() != data]
        return f"wrong bytes in {wrong}" if wrong else ""

    def _backends(self) -> list[Backend]:
        rpc = KuboRpc("kubo", self._kubo.rpc_url, token=self._kubo.token)
        return [rpc, Gateway("kubo", self._kubo.gateway_url)]

    def _block_file(self, place: Place) -> Path:
        data = self._files[place.path][place.block * MIB : (place.block + 1) * MIB]
        name = base64.b32encode(b"\x12\x20" + Cid.of_block(RAW, data).digest).decode().rstrip("=")
        (found,) = self._kubo.path.glob(f"blocks/**/{name}.data")
        return found


@dataclass
class _Told:
    """Who had the wrong bit, what was told of it, and what went wrong."""

    source_type: str
    source: str
    findings: list[Finding]
    problem: str


def _flip(path: Path, offset: int) -> None:
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 0x10]))
